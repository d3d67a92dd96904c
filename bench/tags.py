"""How many of the tags that people wear are found, with nothing on them that could be read.

    python bench/tags.py CLIP... [--every N] [--seed N]

Draws a tag below each upright face in frames of clips: cards on a ribbon, in portrait and in landscape, and pinned name
tags, light, turned by up to 15 degrees, some with a photo or a bar, and strokes in the place of writing; then noise,
and JPEG's losses. Each is alone in its frame. The detectors alone are measured, without tracking: of how many tags
90 % is covered by that of tags, by that of texts and by both, and how much the first covers besides, in areas of the
face. People beside it wear tags as well in some clips, and what is held before a chest is often one.

The tags are drawn from a seed, so a run can be repeated.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.marks import frames_of
from bench.pictures import COVERED, mask_of
from bench.tables import markdown
from redact.detectors.faces import CenterFace
from redact.detectors.tags import TagDetector
from redact.detectors.texts import TextDetector
from redact.geometry import Box
from redact.looking import NEW_SCORE, cheap_looks

Picture = NDArray[np.uint8]

LEAST_FACE = 30  # pixels
BELOW = 3.0  # sizes of a face that must show below its middle
KINDS = ("card, portrait", "card, landscape", "pinned")
DRAWN = 8  # pixels of a drawn tag for one of the frame
TURN = 15.0  # degrees


@dataclass(frozen=True)
class Tried:
    """One tag that was drawn: of which kind, which shares of it were covered, what else was, and how long that took."""

    kind: int
    tags: float
    texts: float
    both: float
    besides: float
    seconds: float


def draw_tag(width: float, height: float, kind: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a tag for a size in pixels of the frame, BGR, `DRAWN` times as large."""
    wide, tall = int(width * DRAWN), int(height * DRAWN)
    tag = np.full((tall, wide, 3), rng.uniform(150, 245) + rng.uniform(-12, 12, 3), np.float32)
    if kind == 0:
        if rng.integers(2):
            tag[int(0.75 * tall) :] = rng.uniform(20, 200, 3)
        if rng.integers(2):
            tag[int(0.15 * tall) : int(0.5 * tall), int(0.25 * wide) : int(0.75 * wide)] = rng.uniform(60, 180, 3)
    elif rng.integers(2):
        tag[int(0.15 * tall) : int(0.85 * tall), int(0.08 * wide) : int(0.35 * wide)] = rng.uniform(60, 180, 3)
    for n in range(3):
        y = int(tall * (0.58 + 0.06 * n if kind == 0 else 0.3 + 0.2 * n))
        left = int((0.45 if kind else 0.2) * wide)
        cv2.line(tag, (left, y), (int(0.9 * wide), y), (90, 90, 90), max(1, int(0.02 * tall)))
    return tag


def wear(picture: Picture, face: Box, rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_], int]:
    """Return a picture in which somebody wears a tag, where it is, and of which kind it is."""
    size, kind = math.sqrt(face.area), int(rng.integers(len(KINDS)))
    short = (0.22 if kind == 2 else 0.4) * rng.uniform(0.8, 1.25) * size
    long = short * (2.2 if kind == 2 else 1.586) * rng.uniform(0.9, 1.1)
    tag = draw_tag(*((short, long) if kind == 0 else (long, short)), kind, rng)
    inner = face.clip(picture.shape[1], picture.shape[0]) or face
    tag *= np.clip(picture[inner.y0 : inner.y1, inner.x0 : inner.x1].mean() / 130, 0.3, 1.1)  # of the light
    x = face.center[0] + rng.uniform(-0.7, 0.7) * size * (1 if kind == 2 else 0.5)
    y = face.center[1] + (rng.uniform(1.4, 2.2) if kind == 2 else rng.uniform(1.8, 3.4)) * size
    tall, wide = tag.shape[:2]
    to_frame = cv2.getRotationMatrix2D((wide / 2, tall / 2), rng.uniform(-TURN, TURN), 1 / DRAWN)
    to_frame[:, 2] += x - wide / 2, y - tall / 2
    calm, frame = (0, 0), picture.shape[1::-1]
    over = cv2.warpAffine(cv2.GaussianBlur(tag, calm, DRAWN / 2), to_frame, frame, borderMode=cv2.BORDER_REPLICATE)
    padded = np.pad(np.ones((tall, wide), np.float32), 2 * DRAWN)
    moved = np.asarray(to_frame, np.float64)
    moved[:, 2] -= moved[:, :2].sum(axis=1) * 2 * DRAWN
    alpha = cv2.warpAffine(cv2.GaussianBlur(padded, calm, DRAWN / 2), moved, frame)
    mixed = picture * (1 - alpha[..., None]) + over * alpha[..., None]
    noisy = np.clip(mixed + rng.normal(0, rng.uniform(1, 5), mixed.shape), 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 90))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8), alpha > 0.5, kind


def measure(clip: Path, every: int, rng: np.random.Generator) -> Iterator[Tried]:
    """Yield what was covered of each tag in a clip."""
    eyes, tags, texts = CenterFace(), TagDetector(), TextDetector()
    for n, picture in frames_of(clip, 10**9, every):
        height, width = picture.shape[:2]
        side = max(width, height)
        for face in eyes.detect(picture, n, cheap_looks(side, fast=False)):
            size = math.sqrt(face.box.area)
            if face.score < NEW_SCORE or size < LEAST_FACE or face.box.center[1] + BELOW * size > height:
                continue
            worn, where, kind = wear(picture, face.box, rng)
            if not where.any():
                continue
            begin = time.thread_time()
            found = tags.detect(worn, n, tags.looks_near([face], width, height))
            seconds = time.thread_time() - begin
            looks = (*texts.looks(side), *texts.looks_near([face], width, height))
            read = texts.detect(worn, n, looks)
            of_tags, of_texts = (mask_of(seen, width, height) for seen in (found, read))
            one, other, both = (float(c[where].mean()) for c in (of_tags, of_texts, of_tags | of_texts))
            yield Tried(kind, one, other, both, np.count_nonzero(of_tags & ~where) / face.box.area, seconds)


def table(tried: Sequence[Tried]) -> str:
    """Return the table, in Markdown."""
    header = ("tag", "drawn", "by tags", "by texts", "by both", "covered besides, faces", "ms")
    rows = []
    for name, some in (*((KINDS[k], [t for t in tried if t.kind == k]) for k in range(len(KINDS))), ("all", tried)):
        hits = [sum(getattr(t, by) >= COVERED for t in some) for by in ("tags", "texts", "both")]
        means = [np.mean([getattr(t, of) for t in some]) if some else math.nan for of in ("besides", "seconds")]
        rows.append((name, len(some), *hits, f"{means[0]:.2f}", f"{1000 * means[1]:.0f}"))
    return markdown(header, rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How many of the tags that people wear are found.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=37, help="look at every so many frames only")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(options.seed)
    print(table([tried for clip in options.clips for tried in measure(clip, options.every, rng)]))


if __name__ == "__main__":
    main()
