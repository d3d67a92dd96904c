"""How much of drawn writing and of drawn bar codes is covered in a single frame, and how much with it.

    python bench/drawn.py CLIP... [--number N] [--seed N]

Draws on frames of clips, sharp or blurred as cloth and walls are: words of 1 to 14 letters, 20 to 150 pixels high, and
bar codes (EAN-13, Code 39, Interleaved 2 of 5) with bars of 1 to 6 pixels; at any angle, in any light, with blur and
noise, the codes in perspective. Each is alone in the middle of its frame. The detectors alone are measured, without
tracking: of how much writing, or how many codes, 99 and 90 % of the ink is covered, and how large that cover is,
measured in upright rectangles around the ink of those that are covered at all.

All is drawn from a seed, so a run can be repeated.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.marks import frames_of
from bench.pictures import mask_of
from bench.tables import markdown
from redact.detectors.codes import CodeDetector
from redact.detectors.texts import TextDetector

Picture = NDArray[np.uint8]
Values = NDArray[np.float32]

WIDTH, HEIGHT = 960, 540
LOW, HIGH = 20, 150  # pixels that writing is high
STEPS = (LOW, 40, 75, HIGH)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
ASIDE = 60  # pixels that a corner of the picture is moved by at most, for perspective
WHOLE, MOST = 0.99, 0.9  # of the ink
# How wide bars and gaps are in turn, for the digits from 0 on; those of Code 39 with the gap after them, and its start.
EAN = ("3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112")
CODE_39 = (
    "1115515111", "5115111151", "1155111151", "5155111111", "1115511151",
    "5115511111", "1155511111", "1115115151", "5115115111", "1155115111",
)  # fmt: skip
START_39 = "1511515111"
INTERLEAVED = ("11551", "51115", "15115", "55111", "11515", "51511", "15511", "11155", "51151", "15151")


@dataclass(frozen=True)
class Tried:
    """What was drawn: of which kind, which share of its ink is covered, and how large the cover is."""

    kind: str
    share: float
    area: float


def draw_word(rng: np.random.Generator) -> tuple[str, Values]:
    """Return how high a word is drawn, as a row of the table, and its ink, 0 to 1, in a picture of its own."""
    high = math.exp(rng.uniform(math.log(LOW), math.log(HIGH)))
    word = "".join(rng.choice(list(LETTERS), int(rng.choice([1, 2, 2, 3, 4, 6, 9, 14]))))
    font, thick = int(rng.choice(FONTS)), max(1, round(high * rng.uniform(0.03, 0.16)))
    scale = cv2.getFontScaleFromHeight(font, round(high), thick)
    (wide, tall), below = cv2.getTextSize(word, font, scale, thick)
    ink = np.zeros((tall + below + 4 * thick, wide + 4 * thick), np.uint8)
    cv2.putText(ink, word, (2 * thick, tall + 2 * thick), font, scale, 255, thick, cv2.LINE_AA)
    low = max(step for step in STEPS[:-1] if step <= high)
    return f"writing, {low} to {STEPS[STEPS.index(low) + 1]} px", np.asarray(ink / 255, np.float32)


def draw_code(rng: np.random.Generator) -> tuple[str, Values]:
    """Return which kind of bar code is drawn, and its bars, 0 to 1, in a picture of its own."""
    kind, digits = str(rng.choice(["EAN-13", "Code 39", "Interleaved 2 of 5"])), rng.integers(0, 10, 12)
    if kind == "EAN-13":
        left, right = ("".join(EAN[d] for d in half) for half in (digits[:6], digits[6:]))
        widths = f"111{left}11111{right}111"
    elif kind == "Code 39":
        widths = START_39 + "".join(CODE_39[d] for d in digits[: rng.integers(5, 10)]) + START_39
    else:
        pairs = zip(digits[::2], digits[1::2], strict=True)
        woven = (zip(INTERLEAVED[m], INTERLEAVED[n], strict=True) for m, n in pairs)
        widths = "1111" + "".join(a + b for pair in woven for a, b in pair) + "511"
    bars = np.concatenate([np.full(int(width), n % 2 == 0, np.float32) for n, width in enumerate(widths)])
    wide = min(round(len(bars) * math.exp(rng.uniform(0, math.log(6))) / (1 if kind == "EAN-13" else 2)), 600)
    row = cv2.resize(np.repeat(bars, 24)[None], (max(wide, 60), 1), interpolation=cv2.INTER_AREA)
    return kind, np.tile(row, (round(row.shape[1] * rng.uniform(0.25, 0.7)), 1))


def put(picture: Picture, ink: Values, on_label: bool, rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_]]:
    """Return a picture with ink on it, and where the ink is.

    Args:
        picture: what is drawn on.
        ink: 1 where there is ink.
        on_label: whether the ink is on a light label, as codes are, and seen in perspective.
        rng: where chance comes from.
    """
    factor = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    under = cv2.resize(picture, None, fx=factor, fy=factor)[:HEIGHT, :WIDTH].astype(np.float32)
    if blur := float(rng.choice([0, 6, 15])):
        under = np.asarray(cv2.GaussianBlur(under, (0, 0), blur), np.float32)
    rim = round(0.08 * ink.shape[1]) if on_label else 0
    ink = np.pad(ink, rim)
    turn = cv2.getRotationMatrix2D((ink.shape[1] / 2, ink.shape[0] / 2), rng.choice([1, 9, 36]) * rng.uniform(-5, 5), 1)
    free = (WIDTH - ink.shape[1]) / 2, (HEIGHT - ink.shape[0]) / 2
    turn[:, 2] = turn[:, 2] + free + rng.uniform(-ASIDE, ASIDE, 2)
    place = np.vstack([turn, (0, 0, 1)])
    if on_label:
        corners = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32)
        moved = (corners + rng.uniform(-ASIDE, ASIDE, (4, 2))).astype(np.float32)
        place = cv2.getPerspectiveTransform(corners, moved) @ place
    drawn, label = (cv2.warpPerspective(what, place, (WIDTH, HEIGHT)) for what in (ink, np.ones_like(ink)))
    dark = rng.uniform(0, 80)
    if on_label:
        under = under * (1 - label[..., None]) + label[..., None] * rng.uniform(150, 255)
    elif np.average(under, weights=np.repeat(drawn[..., None] + 1e-6, 3, axis=2)) < 128:
        dark = 255 - dark
    alpha = drawn[..., None] * rng.uniform(0.6, 1)
    mixed = np.asarray(cv2.GaussianBlur(under * (1 - alpha) + dark * alpha, (0, 0), rng.choice([0.5, 0.8, 1.5])))
    noisy = mixed + rng.normal(0, rng.choice([1, 4]), mixed.shape)
    return noisy.clip(0, 255).astype(np.uint8), drawn > 0.25


def measure(
    pictures: Sequence[Picture],
    number: int,
    draw: Callable[[np.random.Generator], tuple[str, Values]],
    detector: TextDetector | CodeDetector,
    rng: np.random.Generator,
) -> list[Tried]:
    """Return what a detector covers of what is drawn on some pictures in turn."""
    tried = []
    for n in range(number):
        kind, ink = draw(rng)
        shown, where = put(pictures[n % len(pictures)], ink, isinstance(detector, CodeDetector), rng)
        if max(ink.shape) > HEIGHT or not where.any():
            continue
        x, y, wide, tall = cv2.boundingRect(where.astype(np.uint8))
        rectangle = np.s_[y : y + tall, x : x + wide]
        seen = detector.detect(shown, 0, detector.looks(WIDTH))
        near = [d for d in seen if mask_of([d], WIDTH, HEIGHT)[rectangle].any()]  # others are of the frame's own
        cover = mask_of(near, WIDTH, HEIGHT)
        tried.append(Tried(kind, float(cover[where].mean()), np.count_nonzero(cover) / (wide * tall)))
    return tried


def table(tried: Sequence[Tried]) -> str:
    """Return the table, in Markdown."""
    rows = []
    for kind in sorted({t.kind for t in tried}):
        some = [t for t in tried if t.kind == kind]
        seen = [t.area for t in some if t.share > 0]
        shares = [sum(t.share >= limit for t in some) for limit in (WHOLE, MOST)]
        rows.append((kind, len(some), len(seen), *shares, f"{np.mean(seen) if seen else math.nan:.2f}"))
    return markdown(("drawn", "number", "seen", "99 % covered", "90 % covered", "cover, rectangles"), rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How much of drawn writing and bar codes is covered.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--number", type=int, default=600, help="how many words, and how many codes, are drawn")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(options.seed)
    pictures = [picture for clip in options.clips for _, picture in frames_of(clip, 11, 10)]
    words = measure(pictures, options.number, draw_word, TextDetector(), rng)
    codes = measure(pictures, options.number, draw_code, CodeDetector(), rng)
    print(table([*words, *codes]))


if __name__ == "__main__":
    main()
