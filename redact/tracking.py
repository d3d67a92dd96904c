"""From the detections of a whole clip to tracks. Pure: it sees no pictures.

The clip is a file, not a camera, so the future is known: detections are linked over the whole clip, gaps are filled
from both sides, and every track reaches beyond its first and last sighting. A face seen once is a track. Smoothing
never uncovers: every detection that counts lies inside its track's box in its frame.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy
from numpy.typing import NDArray

from redact.geometry import Box
from redact.plan import FLOW, Detection, Track
from redact.sightings import Timeline

Rows = NDArray[np.float64]  # rows of x0, y0, x1, y1

# Sightings of faces below it are left out, unless one such makes a track: bench/leaks.py, 0.15 covers 1 % more.
KEEP_SCORE = 0.18
LEAD_S = Fraction(2, 5)  # how far a track reaches before its first and after its last sighting
MAX_GAP_S = Fraction(1)  # how long a face may be out of sight and still be the same track
PACED_LEAD_S = Fraction(16, 25)  # likewise of what is not looked for in every frame
PACED_GAP_S = Fraction(2)
PACED_FAR = 1.0
STILL = 0.35  # share of its height by which a side of a line of text may move while the line stands still
START = {"person": 0.1, "nudity": 0.2}  # score from which one sighting makes a track; of other things each does
NEAR = 0.7  # how far apart, in face sizes, a prediction and a sighting may be in consecutive frames
DRIFT = 0.1  # how much farther for each frame out of sight
FAR = 2.0  # and never farther than this
MAX_RATIO = 2.0  # how much the size may differ
STEADY_SIGHTINGS = 8  # this many sightings below the threshold make a track as well
MOTION_SIGHTINGS = 5  # sightings from which the motion is taken
MOTION_FRAMES = 10  # no motion is carried farther than this
GAP_GROWTH = 0.28  # growth on each side for each second without a sure sighting or flow, as a share of the head
SURE_SCORE = 0.33  # of a sighting: weaker ones may be of what is behind a head that was carried off
MAX_GROWTH = 0.4  # and never more than this
AGREE = 0.25  # sizes within which the ways of filling a gap agree
SMOOTH_S = 0.06  # standard deviation of the smoothing
# And of lines of text and codes, which do not tremble: 0.06 covers 0.0009 more of the pictures of bench/leaks.py. Of
# 4,680 lines that looks at each of their frames find, with no rim to speak of, 26 instead of 23 are covered to less
# than 95 %, and as many, 10, to less than 90 %.
STEADY, STEADY_SMOOTH_S = ("text", "code"), 0.02
OUTWARD = (-1, -1, 1, 1)  # which way each side of a box grows
# What a head is larger than its face on each side. With less, tops of heads show in close-ups, and more turned heads.
HEAD_GROWTH = 0.16  # as a share of the face: ears and chin, also of a face that is tilted,
HEAD_RIM = 1 / 214  # and of the picture's longer side: looks place small faces by their own pixels, not by the face's;
HAIR = 0.18  # as a share of the face, and only where its hair is
GROWTH = {"face": 0.2, "person": 0.05, "code": 0.05, "mark": 0.05, "nudity": 0.15}  # likewise of other things
# A chain of faces that is large, and seen well nowhere, may be a hand or a lens: another model is asked at its best
# sightings, and where it finds a face at none of them the chain does not count. bench/leaks.py, and docs/models.md.
# They are the best of stretches of it, for a clock may have become a face since.
ASK_BELOW = 0.6  # score of the best sighting from which none is asked about
ASK_OVER = 36  # pixels: square root of the area of the chain's median sighting up to which none is asked about
ASK_TIMES, ASK_EVERY = 3, 8  # at least how many stretches a chain has, and of how many sightings each is at most
IS_FACE = 0.15  # score of the other model from which a sighting is a face
TURNED = 0.05  # how much more sure a turned look must be: it also finds curtains and edges of beds


def make_tracks(
    chains: Iterable[Sequence[Detection]], timeline: Timeline, threshold: float, whole_heads: bool = True, side: int = 0
) -> tuple[Track, ...]:
    """Return the tracks of the chains that count, numbered from 1.

    Args:
        chains: as `link` gives them, or with where they were carried as well.
        timeline: the frames that they were seen in.
        threshold: the score from which one sighting of a face makes a track.
        whole_heads: whether the tracks of faces are those of their heads.
        side: the longer side of the picture in pixels; it is needed for heads.
    """
    made, rim = counted(chains, threshold), HEAD_RIM * side
    return tuple(_track(n, chain, timeline, whole_heads, rim) for n, chain in enumerate(made, start=1))


def counted(chains: Iterable[Sequence[Detection]], threshold: float) -> list[Sequence[Detection]]:
    """Return the chains that count, in the order of the tracks that `make_tracks` makes of them."""
    made = [chain for chain in chains if counts(chain, threshold)]
    return sorted(made, key=lambda c: (c[0].frame, c[0].box.x0, c[0].box.y0))


def counts(chain: Sequence[Detection], threshold: float) -> bool:
    """Return whether a chain makes a track: one good sighting, or, of a face, several weak ones; see `is_denied`."""
    seen = seen_in(chain)
    if chain[0].label != "face":
        return any(d.score >= START.get(d.label, 0) for d in seen)
    looked = sum(not d.held for d in seen)  # that a sighting is held says nothing of whether it comes again
    good = looked >= STEADY_SIGHTINGS or any(d.score >= threshold + TURNED * bool(d.angle) for d in seen)
    return good and not is_denied(seen)


def seen_in(chain: Sequence[Detection]) -> list[Detection]:
    """Return what of a chain was seen, and not only carried there by the picture."""
    return [d for d in chain if d.detector != FLOW]


def is_denied(seen: Sequence[Detection]) -> bool:
    """Return whether another model was asked about the sightings of a chain, and found a face at none of them."""
    said = [max((d.judged for d in stretch if d.judged is not None), default=1) for stretch in _stretches(seen)]
    return max(said, default=1) < IS_FACE and is_asked(seen)


def is_asked(seen: Sequence[Detection]) -> bool:
    """Return whether another model is asked about the sightings of a chain: faces, not small, and none of them sure."""
    if not seen or seen[0].label != "face" or max(d.score for d in seen) >= ASK_BELOW:
        return False
    return float(np.median(_sizes(_rows(seen)))) > ASK_OVER


def to_ask(seen: Sequence[Detection], name: str) -> list[Detection]:
    """Return the sightings of a chain that another model is asked about: the best of each stretch.

    Args:
        seen: the sightings, in the order of their frames.
        name: of the detector whose sightings it knows: nobody is asked about what others see, or say.
    """
    if not is_asked(seen) or any(d.detector != name for d in seen):
        return []
    return [max(stretch, key=lambda d: d.score) for stretch in _stretches(seen)]


def _stretches(seen: Sequence[Detection]) -> list[Sequence[Detection]]:
    """Return the sightings of a chain in stretches, one after the other."""
    count = min(len(seen), max(ASK_TIMES, math.ceil(len(seen) / ASK_EVERY)))
    ends = [round(n * len(seen) / count) for n in range(count + 1)] if count else []
    return [seen[a:b] for a, b in pairwise(ends)]


def link(detections: Iterable[Detection], timeline: Timeline, threshold: float = 1) -> list[list[Detection]]:
    """Return the detections in chains, each of one thing, in the order of their frames; `threshold` as for `counts`.

    Frame by frame, the chains so far and the new detections are assigned to each other at the least cost (Kuhn, The
    Hungarian method, 1955), by how far each detection lies from where the chain's motion would have it.
    """
    kinds: dict[str, dict[int, list[Detection]]] = defaultdict(lambda: defaultdict(list))
    for detection in detections:
        if detection.score >= (min(KEEP_SCORE, threshold) if detection.label == "face" else 0):
            kinds[kind(detection)][detection.frame].append(detection)
    return [chain for by_frame in kinds.values() for chain in _link(by_frame, timeline)]


def kind(detection: Detection) -> str:
    """Return what a detection can be linked with: others of its label, and for a mark only those of the same mark."""
    return detection.detector if detection.label == "mark" else detection.label


def _link(by_frame: Mapping[int, Sequence[Detection]], timeline: Timeline) -> list[list[Detection]]:
    """Return detections of one kind in chains."""
    done: list[list[Detection]] = []
    chains: list[list[Detection]] = []
    for frame in sorted(by_frame):
        scene_first, _ = timeline.scene(frame)
        alive: list[list[Detection]] = []
        for chain in chains:
            last = chain[-1].frame
            gap = MAX_GAP_S if chain[-1].label == "face" else PACED_GAP_S
            fresh = last >= scene_first and timeline.time(frame) - timeline.time(last) <= gap
            (alive if fresh else done).append(chain)
        seen = sorted(by_frame[frame], key=lambda d: (-d.score, d.box.x0, d.box.y0))
        taken = set()
        for row, column in _assign(alive, seen, frame, timeline):
            alive[row].append(seen[column])
            taken.add(column)
        chains = alive + [[d] for n, d in enumerate(seen) if n not in taken]
    return done + chains


def _assign(
    chains: list[list[Detection]], seen: list[Detection], frame: int, timeline: Timeline
) -> list[tuple[int, int]]:
    """Return which chain goes on with which detection."""
    if not chains or not seen:
        return []
    expected = np.array([_predict(chain, frame, timeline) for chain in chains])
    found = _rows(seen)
    center_a, size_a = _centers(expected), _sizes(expected)
    center_b, size_b = _centers(found), _sizes(found)
    size = (size_a[:, None] + size_b[None]) / 2
    apart = np.hypot(*np.moveaxis(center_a[:, None] - center_b[None], 2, 0)) / size
    ratio = np.abs(np.log(size_a[:, None] / size_b[None]))
    away = np.array([frame - chain[-1].frame - 1 for chain in chains])
    far = FAR if seen[0].label == "face" else PACED_FAR
    reach = np.minimum(NEAR + DRIFT * away, far)[:, None]
    impossible = (apart > reach) | (ratio > np.log(MAX_RATIO))
    cost = np.where(impossible, 1e3, apart + ratio)
    pairs = zip(*solver()(cost), strict=True)
    return [(int(r), int(c)) for r, c in pairs if not impossible[r, c]]


@cache
def solver() -> Callable[[NDArray[np.float64]], Any]:
    """Return scipy's `linear_sum_assignment`. It is loaded alone: all of `scipy.optimize` takes 0.3 s of every run."""
    spec = PathFinder.find_spec("_lsap", [str(Path(folder, "optimize")) for folder in scipy.__path__])
    if spec is not None and spec.loader is not None:
        alone = module_from_spec(spec)
        spec.loader.exec_module(alone)
        with suppress(AttributeError):
            found: Callable[[NDArray[np.float64]], Any] = alone.linear_sum_assignment
            return found
    from scipy.optimize import linear_sum_assignment  # another version of scipy keeps it elsewhere

    return linear_sum_assignment


def _predict(chain: list[Detection], frame: int, timeline: Timeline) -> Rows:
    """Return where the camera's motion and a chain's own would have the face in a later frame."""
    last = chain[-1]
    ahead = min(frame - last.frame, MOTION_FRAMES)
    x, y = last.box.center
    shift = np.array(timeline.moved(x, y, last.frame, frame)) - (x, y)
    shift += motion_of(chain[-MOTION_SIGHTINGS:], timeline) * ahead
    return np.asarray(_rows([last])[0] + np.tile(shift, 2))


def motion_of(chain: Sequence[Detection], timeline: Timeline) -> Rows:
    """Return the mean motion over some sightings besides the camera's, in pixels per frame (x, y)."""
    first, last = chain[0], chain[-1]
    if first.frame == last.frame:
        return np.zeros(2)
    still = timeline.moved(*first.box.center, first.frame, last.frame)
    return (np.array(last.box.center) - still) / (last.frame - first.frame)


def lead_s(label: str) -> Fraction:
    """Return how far a track reaches at least before its first and after its last sighting, in seconds."""
    return LEAD_S if label == "face" else PACED_LEAD_S


def _track(number: int, chain: Sequence[Detection], timeline: Timeline, whole_heads: bool, rim: float) -> Track:
    """Return the track of a chain: without gaps, reaching beyond both ends, smooth, and as large as what it covers."""
    chain = [replace(d, label="head") if d.label == "face" and whole_heads else d for d in chain]
    label, lead = chain[0].label, lead_s("face" if chain[0].label == "head" else chain[0].label)
    seen = seen_in(chain)
    scene_first, scene_last = timeline.scene(seen[0].frame)
    first, last = seen[0].frame, seen[-1].frame
    while first > scene_first and timeline.time(seen[0].frame) - timeline.time(first) < lead:
        first -= 1
    while last < scene_last and timeline.time(last) - timeline.time(seen[-1].frame) < lead:
        last += 1
    first, last = min(first, chain[0].frame), max(last, chain[-1].frame)
    frames = np.arange(first, last + 1)
    rows = _fill(seen, frames, timeline, rim)
    _reach(rows, frames, seen[0].frame, motion_of(seen[:MOTION_SIGHTINGS], timeline), timeline)
    _reach(rows[::-1], frames[::-1], seen[-1].frame, motion_of(seen[-MOTION_SIGHTINGS:], timeline), timeline)
    known = {d.frame for d in seen}
    _take_carried(rows, first, [d for d in chain if d.detector == FLOW and d.frame not in known], seen, timeline, rim)
    if label == "text" and len(seen) > 1:
        still = _stands_still(seen, frames, timeline)
        line = _grown(seen, rim)
        rows[still, :2] = np.minimum(rows[still, :2], line[:, :2].min(axis=0))
        rows[still, 2:] = np.maximum(rows[still, 2:], line[:, 2:].max(axis=0))
    boxes = smooth(rows, (STEADY_SMOOTH_S if label in STEADY else SMOOTH_S) * timeline.rate())
    return Track(number, label, first, tuple(Box.outward(*(float(v) for v in row)) for row in boxes))


def _stands_still(seen: Sequence[Detection], frames: NDArray[np.int64], timeline: Timeline) -> NDArray[np.bool_]:
    """Return in which frames a line of text is where it was seen: now this part of it is seen, now that.

    Three of its sides stand, and so does the camera, in all sightings and from the first of these to that frame.
    """
    rows = _rows(seen)
    high = np.median(rows[:, 2:] - rows[:, :2], axis=0).min()
    if int((np.ptp(rows, axis=0) < STILL * high).sum()) < 3:
        return np.zeros(len(frames), bool)
    at = [seen[0].box.center] * len(frames)
    start = seen[0].frame - int(frames[0])
    for step, order in ((1, range(start + 1, len(frames))), (-1, range(start - 1, -1, -1))):
        for n in order if timeline.camera else ():
            at[n] = timeline.moved(*at[n - step], int(frames[n - step]), int(frames[n]))
    still = np.hypot(*(np.array(at) - at[start]).T) < STILL * high
    return np.asarray(still & still[[d.frame - int(frames[0]) for d in seen]].all())


def _grown(detections: Sequence[Detection], rim: float) -> Rows:
    """Return what is to be covered of each detection as rows; `rim` as for `head`."""
    return np.array([grown(row, d.label, d.angle, rim) for row, d in zip(_rows(detections), detections, strict=True)])


def grown(row: Rows, label: str, angle: int, rim: float) -> Rows:
    """Return a box grown to what is to be covered of it; `rim` as for `head`."""
    if label == "head":
        return head(row, angle, rim)
    return np.asarray(row + np.tile(GROWTH.get(label, 0) * (row[2:] - row[:2]), 2) * OUTWARD)


def head(row: Rows, angle: int, rim: float) -> Rows:
    """Return a face's box grown to hold hair, ears and chin; the hair is where the turned picture's top is.

    Args:
        row: the box.
        angle: how far the picture had been turned when the face was seen, in degrees counter-clockwise.
        rim: pixels by which each side is grown besides its share: what a box of the smallest faces may be off.
    """
    size = row[2:] - row[:2]
    up = np.array([math.sin(math.radians(angle)), -math.cos(math.radians(angle))])
    hair = np.maximum(HAIR * np.array([-up, up]), 0).ravel()
    beside = np.maximum(
        HEAD_GROWTH * size + rim, GROWTH["face"] * size
    )  # never less than where faces alone are covered
    return np.asarray(row + (np.tile(beside, 2) + hair * np.tile(size, 2)) * OUTWARD)


def _fill(seen: Sequence[Detection], frames: NDArray[np.int64], timeline: Timeline, rim: float) -> Rows:
    """Return a row for each frame: heads as they were seen, between them a line that grows away from them."""
    at = np.array([d.frame for d in seen])
    known = _grown(seen, rim)
    rows = np.stack([np.interp(frames, at, known[:, n]) for n in range(4)], axis=1)
    return _grow(rows, _away(frames, at, timeline))


def _away(frames: NDArray[np.int64], seen: NDArray[np.int64], timeline: Timeline) -> NDArray[np.float64]:
    """Return for each frame how many seconds away the nearest sighting is."""
    after = np.searchsorted(seen, frames).clip(0, len(seen) - 1)
    before = (np.searchsorted(seen, frames, side="right") - 1).clip(0, len(seen) - 1)
    at, known = (np.array([float(timeline.time(int(n))) for n in numbers]) for numbers in (frames, seen))
    return np.asarray(np.minimum(np.abs(at - known[before]), np.abs(known[after] - at)))


def _grow(rows: Rows, doubt: NDArray[np.float64]) -> Rows:
    """Return rows grown on each side by a share of their size for each second of doubt."""
    share = np.minimum(GAP_GROWTH * doubt, MAX_GROWTH)[:, None]
    return np.asarray(rows + share * np.tile(rows[:, 2:] - rows[:, :2], 2) * OUTWARD)


def _take_carried(
    rows: Rows, first: int, carried: Sequence[Detection], seen: Sequence[Detection], timeline: Timeline, rim: float
) -> None:
    """Put what the picture carried into the rows. The less it was to be trusted, the more it has grown.

    Beyond the sightings it takes the place of the guess. Between them it does so where both ways of going and the
    guess agree; where they do not, all of them are covered.
    """
    if not carried:
        return
    sure = [d.frame for d in seen if d.score >= SURE_SCORE] or [d.frame for d in seen]
    away = _away(np.array([d.frame for d in carried]), np.array(sure), timeline)
    heads = _grow(_grown(carried, rim), away * np.array([1 - d.score for d in carried]))
    by_frame: dict[int, list[Rows]] = defaultdict(list)
    for d, grown in zip(carried, heads, strict=True):
        by_frame[d.frame].append(grown)
    for frame, ways in by_frame.items():
        row = rows[frame - first]
        options = np.array([*ways, row] if seen[0].frame < frame < seen[-1].frame else ways)
        spread = np.ptp(_centers(options), axis=0).max()
        if spread < AGREE * _sizes(options).min():
            row[:] = np.mean(ways, axis=0)
        else:
            row[:2], row[2:] = options[:, :2].min(axis=0), options[:, 2:].max(axis=0)


def _reach(rows: Rows, frames: NDArray[np.int64], end: int, motion: Rows, timeline: Timeline) -> None:
    """Move the rows before a chain's end to where the camera's motion and its own would have it."""
    at = int(np.flatnonzero(frames == end)[0])
    start = (rows[at, :2] + rows[at, 2:]) / 2
    x, y = start.tolist()
    for n in range(at - 1, -1, -1):
        x, y = timeline.moved(x, y, int(frames[n + 1]), int(frames[n]))
        ahead = np.clip(frames[n] - end, -MOTION_FRAMES, MOTION_FRAMES)
        rows[n] += np.tile((x, y) - start + motion * ahead, 2)


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
