"""How often a mark that is known by an example is found, and how often one that is not there.

    python bench/marks.py CLIP... [--seed N] [--blur SIGMA] [--frames N] [--every N]

Draws an emblem for each clip and moves it through the clip on a smooth path: turned to 60 degrees, tilted to 20, half
to twice the size of its example, in a third of the frames with 40 % of it behind a rectangle of the clip's own picture,
under light noise. The detector alone is measured, without tracking: in which share of the frames that show half of
the mark or more its box covers 90 % of what shows; and, in how many frames of the clips as they are it is seen.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.detectors.marks import MarkDetector
from redact.geometry import Box
from redact.media import FrameReader
from redact.plan import Detection

Picture = NDArray[np.uint8]
Point = tuple[float, float]  # x, y in pixels

DRAWN = 480  # pixels of the side of an emblem as it is drawn
EXAMPLE = 120  # and of its example
TURN, TILT = 60.0, 20.0  # degrees
HIDDEN = 0.4  # of the mark
NOISE = 3.0  # standard deviation, in grey levels
ENOUGH_SHOWN, ENOUGH_COVERED = 0.5, 0.9
SIZES = (60, 85, 120, 170, 240)  # limits of the classes of the table, in pixels


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame with a mark in it.

    Attributes:
        picture: BGR, uint8, (height, width, 3).
        visible: where the mark shows, (height, width), bool.
        share: how much of the mark shows.
        size: side of the mark in pixels.
        hidden: whether something lies before it.
    """

    picture: Picture
    visible: NDArray[np.bool_]
    share: float
    size: float
    hidden: bool


@lru_cache
def draw_emblem(seed: int) -> tuple[Picture, NDArray[np.float32]]:
    """Return an emblem of random polygons and letters, BGR, and how much it covers, 0 to 1: a round badge."""
    rng = np.random.default_rng(seed)
    picture = np.full((DRAWN, DRAWN, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(7):
        middle, reach = rng.uniform(0.2, 0.8, 2) * DRAWN, rng.uniform(0.08, 0.3) * DRAWN
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 7)))
        corners = middle + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(picture, [corners.astype(np.int32)], rng.integers(0, 256, 3).tolist(), cv2.LINE_AA)
    for _ in range(3):
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), 3))
        x, y = rng.uniform((0.15, 0.3), (0.4, 0.85)) * DRAWN
        colour = rng.integers(0, 256, 3).tolist()
        cv2.putText(picture, text, (int(x), int(y)), cv2.FONT_HERSHEY_DUPLEX, 3.2, colour, 10, cv2.LINE_AA)
    cover = np.zeros((DRAWN, DRAWN), np.float32)
    cv2.ellipse(cover, (DRAWN // 2, DRAWN // 2), (DRAWN // 2 - 4, DRAWN // 2 - 30), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return picture, cover


def example_of(emblem: Picture, cover: NDArray[np.float32]) -> Picture:
    """Return the example that a person would cut out: the emblem on plain grey."""
    flat = emblem * cover[..., None] + 128 * (1 - cover[..., None])
    return np.asarray(cv2.resize(flat, (EXAMPLE, EXAMPLE), interpolation=cv2.INTER_AREA), np.uint8)


def place(frame: int, seed: int, width: int, height: int, at: Point | None = None) -> tuple[NDArray[np.float64], float]:
    """Return where the corners of the mark are in a frame, (4, 2), and its side in pixels.

    Its middle is at a point (x, y), or on a path of its own.
    """
    phase = np.random.default_rng(seed).uniform(0, 2 * math.pi, 6)
    wave = np.sin(frame * np.array([0.031, 0.047, 0.043, 0.061, 0.037, 0.053]) + phase)
    size = EXAMPLE * 2.0 ** wave[0]
    turn, tilt, towards = math.radians(TURN * wave[1]), math.radians(TILT * wave[2]), math.pi * wave[3]
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    axis = np.array([math.cos(towards), math.sin(towards)])
    along = square @ axis
    depth = 1 + along * math.sin(tilt) / (4 * size)
    tilted = (square - np.outer(along * (1 - math.cos(tilt)), axis)) / depth[:, None]
    rotation = np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
    middle = np.array([width, height]) * (0.5 + 0.36 * wave[4:6]) if at is None else np.array(at)
    return tilted @ rotation.T + middle, size


def lay(picture: Picture, frame: int, seed: int, blur: float, at: Point | None = None) -> Shown:
    """Return a frame with the mark laid over it; see `place`."""
    height, width = picture.shape[:2]
    emblem, cover = draw_emblem(seed)
    corners, size = place(frame, seed, width, height, at)
    side = min(DRAWN, round(size))
    small, soft = (cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in (emblem, cover))
    square = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(square, corners.astype(np.float32) - 0.5)
    over, alpha = (cv2.warpPerspective(p, warp, (width, height)) for p in (small, soft))
    whole = float(soft.sum()) * cv2.contourArea(corners.astype(np.float32)) / side**2
    rng = np.random.default_rng((seed, frame))
    hidden = frame // 20 % 3 == 2
    if hidden:
        low, high = corners.min(axis=0), corners.max(axis=0)
        edge, axis = (frame // 60 + seed) % 4, (frame // 60 + seed) % 2
        if edge < 2:
            high[axis] -= (1 - HIDDEN) * (high - low)[axis]
        else:
            low[axis] += (1 - HIDDEN) * (high - low)[axis]
        x0, y0, x1, y1 = (max(0, int(v)) for v in (*low, *high))
        alpha[y0:y1, x0:x1] = 0
    mixed = picture * (1 - alpha[..., None]) + over * alpha[..., None]
    if blur:
        mixed = np.asarray(cv2.GaussianBlur(mixed, (0, 0), blur))
    noisy = np.clip(mixed + rng.normal(0, NOISE, mixed.shape), 0, 255).astype(np.uint8)
    return Shown(noisy, alpha > 0.5, float(alpha.sum()) / whole, size, hidden)


def frames_of(clip: Path, limit: int, every: int = 1) -> Iterator[tuple[int, Picture]]:
    """Yield every so many of the first frames of a clip, with their indices."""
    with FrameReader(clip) as reader:
        for n, frame in enumerate(reader):
            if n == limit:
                return
            if n % every == 0:
                yield n, frame.picture


def covered(seen: Sequence[Detection], shown: Shown) -> float:
    """Return the largest share of the visible part of the mark that one box covers."""
    height, width = shown.visible.shape
    inner = [box for d in seen if (box := d.box.clip(width, height))]
    total = np.count_nonzero(shown.visible)
    return max((np.count_nonzero(_part(shown.visible, box)) / total for box in inner), default=0.0)


def _part(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    return mask[box.y0 : box.y1, box.x0 : box.x1]


@dataclass
class Tally:
    """What was found in some frames.

    Attributes:
        seen: of each frame that shows the mark: its size, whether part of it is hidden, whether it was found, and the
            area of the largest box over the square of its side.
        frames: how many were looked at.
        false: of these as they are, without the mark, in how many one was seen.
        one_s: processor time of looking for one mark.
        all_s: and for all of them.
    """

    seen: list[tuple[float, bool, bool, float]] = field(default_factory=list)
    frames: int = 0
    false: int = 0
    one_s: float = 0.0
    all_s: float = 0.0

    def line(self, name: str) -> str:
        """Return a row of the first table."""
        found = np.mean([row[2] for row in self.seen])
        return (
            f"| {name} | {len(self.seen)} | {found:.1%} | {self.false} of {self.frames} |"
            f" {self.one_s / self.frames * 1000:.0f} | {self.all_s / self.frames * 1000:.0f} |"
        )


def measure(frames: Iterator[tuple[int, Picture]], seed: int, blur: float, everything: MarkDetector) -> Tally:
    """Return what is found of one mark in frames that it is drawn into, and of any in them as they are."""
    detector, tally = MarkDetector({f"emblem{seed}": [example_of(*draw_emblem(seed))]}), Tally()
    for n, picture in frames:
        tally.frames += 1
        begin = time.thread_time()
        tally.false += bool(everything.detect(picture, n, ()))
        tally.all_s += time.thread_time() - begin
        shown = lay(picture, n, seed, blur)
        begin = time.thread_time()
        seen = detector.detect(shown.picture, n, ())
        tally.one_s += time.thread_time() - begin
        if shown.share >= ENOUGH_SHOWN:
            area = max((d.box.area for d in seen), default=0) / shown.size**2
            tally.seen.append((shown.size, shown.hidden, covered(seen, shown) >= ENOUGH_COVERED, area))
    return tally


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How often a mark is found that is known by an example.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blur", type=float, default=0.0, help="sigma in pixels")
    parser.add_argument("--frames", type=int, default=300, help="of each clip, from its first")
    parser.add_argument("--every", type=int, default=1, help="of these, look at every so many only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    seeds = [options.seed + n for n in range(len(options.clips))]
    everything = MarkDetector({f"emblem{seed}": [example_of(*draw_emblem(seed))] for seed in seeds})
    whole = Tally()
    print("| clip | frames | found | false frames | one mark, ms | all marks, ms |\n|---|---|---|---|---|---|")
    for clip, seed in zip(options.clips, seeds, strict=True):
        tally = measure(frames_of(clip, options.frames, options.every), seed, options.blur, everything)
        print(tally.line(clip.stem), flush=True)
        whole = Tally(*(getattr(whole, f.name) + getattr(tally, f.name) for f in fields(Tally)))
    print(f"{whole.line('TOTAL')}\n")
    print("| side on screen, px | frames, whole | found | frames, 40 % hidden | found |\n|---|---|---|---|---|")
    for low, high in pairwise(SIZES):
        cells = []
        for hidden in (False, True):
            part = [row[2] for row in whole.seen if low <= row[0] <= high and row[1] == hidden]
            cells.append(f"{len(part)} | {np.mean(part) if part else math.nan:.1%}")
        print(f"| {low} to {high} | {' | '.join(cells)} |")
    median = np.median([row[3] for row in whole.seen])
    print(f"\nmedian area of the largest box: {median:.2f} of the mark's side squared")


if __name__ == "__main__":
    main()
