"""Carrying boxes from one picture to the next by optical flow. Pure: it knows no chains and no clips."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.resizing import at_most

Picture = NDArray[np.uint8]
Rows = NDArray[np.float64]  # rows of x0, y0, x1, y1, or one of them
Shares = NDArray[np.float64]
Points = NDArray[np.float32]  # rows of x, y

GREY_SIDE = 640  # longer side in pixels of the pictures that flow is measured in
GRID = 6  # points along each side of a box
STEPS = np.stack(np.meshgrid(*[np.linspace(-0.8, 0.8, GRID)] * 2), axis=-1).reshape(-1, 2)  # in halves of a box
WINDOW = 13  # pixels around a point that are compared
LEVELS = 3  # of the pyramid: motions of up to about 50 pixels are found
MAX_ERROR = 1.0  # pixels between a point and where forward and backward flow together bring it
MIN_TRUST = 0.3  # share of the points that must come back for the flow to be believed
SCALE_STEP = 0.1  # how much the size may change from one frame to the next


def to_grey(picture: Picture) -> Picture:
    """Return a picture in grey, at most `GREY_SIDE` pixels long: uint8, (height, width)."""
    return at_most(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), GREY_SIDE)


def carry(before: Picture, after: Picture, rows: Rows, motions: Rows) -> tuple[Rows, Shares]:
    """Return where boxes are in the next picture, and for each the share of its points that say so.

    Points on a grid are followed by pyramidal Lucas-Kanade flow (Bouguet, 2000) and back again; those that do not
    return are left out, and the medians of the others' shift and spread move and scale the box (after Kalal et al.,
    Forward-backward error, ICPR 2010). A box of which too few return stays where it is, with a share of zero.

    Args:
        before: grey, uint8, (height, width).
        after: likewise, of the same size.
        rows: x0, y0, x1, y1 in pixels of these pictures, (boxes, 4).
        motions: x, y: a guess of each shift, (boxes, 2).
    """
    size = np.array(before.shape[::-1])
    middle, half = (rows[:, :2] + rows[:, 2:]) / 2, np.maximum((rows[:, 2:] - rows[:, :2]) / 2, 8)
    points = STEPS * half[:, None] + middle[:, None]
    inside = ((points >= 0) & (points < size)).all(axis=2)
    inside &= (inside.sum(axis=1) >= GRID)[:, None]
    margin = 2 * half + 24 + np.abs(motions)
    used = inside.any(axis=1)
    if not used.any():
        return rows, np.zeros(len(rows))
    low = np.floor(np.clip((middle - margin)[used].min(axis=0), 0, size)).astype(int)
    high = np.ceil(np.clip((middle + margin)[used].max(axis=0), 0, size)).astype(int)
    if (high - low < WINDOW).any():
        return rows, np.zeros(len(rows))
    a, b = (np.ascontiguousarray(p[low[1] : high[1], low[0] : high[0]]) for p in (before, after))
    grid = (points[inside] - low).astype(np.float32)
    guess = np.broadcast_to(motions[:, None], points.shape)[inside]
    there, found = _flow(a, b, grid, grid + guess)
    back, returned = _flow(b, a, there, there - guess)
    good = np.zeros_like(inside)
    good[inside] = found & returned & (np.linalg.norm(back - grid, axis=1) < MAX_ERROR)
    trust = good.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    held = trust >= MIN_TRUST
    ends = np.zeros_like(points)
    ends[inside] = there + low
    shift = _medians(ends - points, good)
    scaled = _scales(points, ends, good)[:, None] * (rows[:, 2:] - rows[:, :2]) / 2
    moved = np.concatenate([middle + shift - scaled, middle + shift + scaled], axis=1)
    return np.where(held[:, None], moved, rows), np.where(held, trust, 0)


def _flow(a: Picture, b: Picture, points: Points, guess: Rows) -> tuple[Points, NDArray[np.bool_]]:
    """Return where points of one picture are in another, and which of them were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        a, b, points, guess.astype(np.float32), winSize=(WINDOW, WINDOW), maxLevel=LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return np.asarray(there, np.float32), np.asarray(found)[:, 0] > 0


def _scales(before: Rows, after: Rows, good: NDArray[np.bool_]) -> Shares:
    """Return by how much the good points of each box have spread: the ratio of median distances from their middle."""
    a, b = (
        _medians(np.abs(p - _medians(p, good)[:, None]).sum(axis=2, keepdims=True), good)[:, 0] for p in (before, after)
    )
    scale = np.clip(b / np.maximum(a, 1e-6), 1 - SCALE_STEP, 1 + SCALE_STEP)
    return np.where(good.sum(axis=1) < GRID, 1.0, scale)


def _medians(values: Rows, good: NDArray[np.bool_]) -> Rows:
    """Return the medians of the good values of each box, (boxes, n); values are (boxes, points, n). Without any: 0."""
    ordered = np.sort(np.where(good[..., None], values, np.inf), axis=1)
    count = np.maximum(good.sum(axis=1), 1)
    box = np.arange(len(values))
    median = (ordered[box, (count - 1) // 2] + ordered[box, count // 2]) / 2
    return np.where(np.asarray(good.any(axis=1))[:, None], median, 0)
