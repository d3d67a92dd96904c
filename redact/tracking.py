"""From the detections of a whole clip to tracks. Pure: it sees no pictures.

The clip is a file, not a camera, so the future is known: detections are linked over the whole clip, gaps are filled
from both sides, and every track reaches beyond its first and last sighting. A face seen once is a track. Smoothing
never uncovers: every detection that counts lies inside its track's box in its frame.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from redact.geometry import Box
from redact.plan import Detection, Track

Rows = NDArray[np.float64]  # rows of x0, y0, x1, y1

KEEP_SCORE = 0.18  # sightings below it are left out: bench/leaks.py, 0.15 covers 1 % more of the picture
LEAD_S = Fraction(2, 5)  # how far a track reaches before its first and after its last sighting
MAX_GAP_S = Fraction(1)  # how long a face may be out of sight and still be the same track
NEAR = 0.7  # how far apart, in face sizes, a prediction and a sighting may be in consecutive frames
DRIFT = 0.1  # how much farther for each frame out of sight
FAR = 2.0  # and never farther than this
MAX_RATIO = 2.0  # how much the size may differ
STEADY_SIGHTINGS = 8  # this many sightings below the threshold make a track as well
MOTION_SIGHTINGS = 5  # sightings from which the motion is taken
MOTION_FRAMES = 10  # no motion is carried farther than this
GAP_GROWTH = 0.015  # growth on each side for each frame without a sighting, as a share of the face
MAX_GROWTH = 0.4  # and never more than this
SMOOTH_S = 0.06  # standard deviation of the smoothing
OUTWARD = (-1, -1, 1, 1)  # which way each side of a box grows
# Left, top, right and bottom, as shares of the face: hair, ears and chin, also of a face that is tilted.
HEAD_GROWTH = (0.3, 0.4, 0.3, 0.25)


@dataclass(frozen=True)
class Timeline:
    """The frames of an excerpt.

    Attributes:
        first: index of the first frame.
        times: presentation time of each frame.
        cuts: indexes of the frames that begin a new scene.
    """

    first: int
    times: tuple[Fraction, ...]
    cuts: tuple[int, ...]

    def scene(self, frame: int) -> tuple[int, int]:
        """Return the first and last frame of the scene that a frame is in."""
        n = bisect.bisect_right(self.cuts, frame)
        first = self.cuts[n - 1] if n else self.first
        last = self.cuts[n] - 1 if n < len(self.cuts) else self.first + len(self.times) - 1
        return first, last

    def time(self, frame: int) -> Fraction:
        """Return the presentation time of a frame."""
        return self.times[frame - self.first]

    def rate(self) -> float:
        """Return the mean number of frames per second."""
        span = self.times[-1] - self.times[0]
        return float((len(self.times) - 1) / span) if span else 25.0


def make_tracks(detections: Iterable[Detection], timeline: Timeline, threshold: float) -> tuple[Track, ...]:
    """Return the tracks of the faces that were detected, as heads, numbered from 1.

    Args:
        detections: of label "face", in any order.
        timeline: the frames that they were seen in.
        threshold: the score from which one sighting makes a track.
    """
    chains = [c for c in link(detections, timeline) if counts(c, threshold)]
    chains.sort(key=lambda c: (c[0].frame, c[0].box.x0, c[0].box.y0))
    return tuple(_track(n, chain, timeline) for n, chain in enumerate(chains, start=1))


def counts(chain: Sequence[Detection], threshold: float) -> bool:
    """Return whether linked sightings make a track: one good one, or several weak ones."""
    return len(chain) >= STEADY_SIGHTINGS or max(d.score for d in chain) >= threshold


def link(detections: Iterable[Detection], timeline: Timeline) -> list[list[Detection]]:
    """Return the detections in chains, each of one face, in the order of their frames.

    Frame by frame, the chains so far and the new detections are assigned to each other at the least cost (Kuhn, The
    Hungarian method, 1955), by how far each detection lies from where the chain's motion would have it.
    """
    by_frame: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        if detection.score >= KEEP_SCORE:
            by_frame[detection.frame].append(detection)
    done: list[list[Detection]] = []
    chains: list[list[Detection]] = []
    for frame in sorted(by_frame):
        scene_first, _ = timeline.scene(frame)
        alive: list[list[Detection]] = []
        for chain in chains:
            last = chain[-1].frame
            fresh = last >= scene_first and timeline.time(frame) - timeline.time(last) <= MAX_GAP_S
            (alive if fresh else done).append(chain)
        seen = sorted(by_frame[frame], key=lambda d: (-d.score, d.box.x0, d.box.y0))
        taken = set()
        for row, column in _assign(alive, seen, frame):
            alive[row].append(seen[column])
            taken.add(column)
        chains = alive + [[d] for n, d in enumerate(seen) if n not in taken]
    return done + chains


def _assign(chains: list[list[Detection]], seen: list[Detection], frame: int) -> list[tuple[int, int]]:
    """Return which chain goes on with which detection."""
    if not chains or not seen:
        return []
    expected = np.array([_predict(chain, frame) for chain in chains])
    found = _rows(seen)
    center_a, size_a = _centers(expected), _sizes(expected)
    center_b, size_b = _centers(found), _sizes(found)
    size = (size_a[:, None] + size_b[None]) / 2
    apart = np.hypot(*np.moveaxis(center_a[:, None] - center_b[None], 2, 0)) / size
    ratio = np.abs(np.log(size_a[:, None] / size_b[None]))
    away = np.array([frame - chain[-1].frame - 1 for chain in chains])
    reach = np.minimum(NEAR + DRIFT * away, FAR)[:, None]
    impossible = (apart > reach) | (ratio > np.log(MAX_RATIO))
    cost = np.where(impossible, 1e3, apart + ratio)
    pairs = zip(*linear_sum_assignment(cost), strict=True)
    return [(int(r), int(c)) for r, c in pairs if not impossible[r, c]]


def _predict(chain: list[Detection], frame: int) -> Rows:
    """Return where a chain's motion would have the face in a later frame."""
    ahead = min(frame - chain[-1].frame, MOTION_FRAMES)
    row = _rows(chain[-1:])[0]
    return np.asarray(row + np.tile(_motion(chain[-MOTION_SIGHTINGS:]) * ahead, 2))


def _motion(chain: Sequence[Detection]) -> Rows:
    """Return the mean motion over some sightings in pixels per frame (x, y)."""
    frames = chain[-1].frame - chain[0].frame
    if not frames:
        return np.zeros(2)
    first, last = _centers(_rows([chain[0], chain[-1]]))
    return np.asarray((last - first) / frames)


def _track(number: int, chain: list[Detection], timeline: Timeline) -> Track:
    """Return the track of a chain: without gaps, reaching beyond both ends, smooth, and as large as a head."""
    scene_first, scene_last = timeline.scene(chain[0].frame)
    first, last = chain[0].frame, chain[-1].frame
    while first > scene_first and timeline.time(chain[0].frame) - timeline.time(first) < LEAD_S:
        first -= 1
    while last < scene_last and timeline.time(last) - timeline.time(chain[-1].frame) < LEAD_S:
        last += 1
    frames = np.arange(first, last + 1)
    rows = _fill(chain, frames)
    _reach(rows, frames, chain[0].frame, _motion(chain[:MOTION_SIGHTINGS]))
    _reach(rows[::-1], frames[::-1], chain[-1].frame, _motion(chain[-MOTION_SIGHTINGS:]))
    boxes = smooth(rows, SMOOTH_S * timeline.rate())
    heads = tuple(Box.outward(*(float(v) for v in row)).grow(*HEAD_GROWTH) for row in boxes)
    return Track(number, "head", first, heads)


def _fill(chain: list[Detection], frames: NDArray[np.int64]) -> Rows:
    """Return a row for each frame: sightings as they are, between them a line that grows away from them."""
    seen = np.array([d.frame for d in chain])
    known = _rows(chain)
    rows = np.stack([np.interp(frames, seen, known[:, n]) for n in range(4)], axis=1)
    after = np.searchsorted(seen, frames).clip(0, len(seen) - 1)
    before = (np.searchsorted(seen, frames, side="right") - 1).clip(0, len(seen) - 1)
    away = np.minimum(np.abs(frames - seen[before]), np.abs(seen[after] - frames))
    grow = np.minimum(GAP_GROWTH * away, MAX_GROWTH)[:, None] * np.tile(rows[:, 2:] - rows[:, :2], 2)
    return np.asarray(rows + grow * OUTWARD)


def _reach(rows: Rows, frames: NDArray[np.int64], end: int, motion: Rows) -> None:
    """Move the rows before a chain's end to where its motion would have the face."""
    for n in range(len(frames)):
        if frames[n] == end:
            return
        ahead = np.clip(frames[n] - end, -MOTION_FRAMES, MOTION_FRAMES)
        rows[n] += np.tile(motion * ahead, 2)


def smooth(rows: Rows, sigma: float) -> Rows:
    """Return rows that glide, each of which holds the row that it was made from.

    The middle is smoothed; each side is then as far from it as it was at most nearby, and that distance is smoothed
    over no more than "nearby", so that the mean is never under what it was in the frame itself.

    Args:
        rows: one for each frame.
        sigma: standard deviation in frames.
    """
    radius = max(1, round(2 * sigma))
    middle = _mean(_centers(rows), radius, sigma)
    sides = (rows - np.tile(middle, 2)) * OUTWARD
    widest = cv2.dilate(sides, np.ones((2 * radius + 1, 1), np.uint8), borderType=cv2.BORDER_REPLICATE)
    glide = _mean(np.asarray(widest, np.float64), radius, sigma)
    result = np.tile(middle, 2) + np.maximum(glide, sides) * OUTWARD
    return np.asarray(result)


def _mean(rows: Rows, radius: int, sigma: float) -> Rows:
    """Return the Gaussian mean of each column over the rows within a radius."""
    mean = cv2.GaussianBlur(rows, (1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(mean, np.float64)


def _rows(detections: Sequence[Detection]) -> Rows:
    """Return the boxes of detections as rows."""
    return np.array([(d.box.x0, d.box.y0, d.box.x1, d.box.y1) for d in detections], np.float64)


def _centers(rows: Rows) -> Rows:
    """Return the middles of boxes (x, y)."""
    return np.asarray((rows[:, :2] + rows[:, 2:]) / 2)


def _sizes(rows: Rows) -> Rows:
    """Return the square roots of the areas of boxes."""
    return np.asarray(np.sqrt(np.prod(np.maximum(rows[:, 2:] - rows[:, :2], 1), axis=1)))
