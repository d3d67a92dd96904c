"""Which colours somebody wears: coarse shares of colours in the region below a head. Pure.

Only good for telling whether somebody who comes back may be the same; they are kept in memory only, and never stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.geometry import Box
from redact.plan import Track

Colours = tuple[float, ...]  # shares of hues and, of what has none, of brightness; the sum is 1

HUES, LEVELS = 12, 4
GREY, COLOURED = 20, 60  # largest minus smallest channel, up to which a pixel has no hue, and from which it has
LEAST_SIDE = 8  # pixels of the region that must be in the picture
LEAST_SHARE = 0.5  # of the region that must be in the picture
SIDE = 24  # pixels to which the region is made smaller
LOOKS = 3  # frames in which a track is looked at


def places(track: Track) -> list[tuple[int, Box]]:
    """Return the frames in which a track is looked at, spread over it, and where its clothes are there."""
    at = sorted({len(track.boxes) * (2 * n + 1) // (2 * LOOKS) for n in range(LOOKS)})
    return [(track.first + n, _below(track.boxes[n], track.label)) for n in at]


def colours(picture: NDArray[np.uint8], place: Box) -> Colours | None:
    """Return the colours of a part of a picture (rows, columns, 3; BGR); None where too little of it is there."""
    part = place.clip(picture.shape[1], picture.shape[0])
    if part is None or part.area < LEAST_SHARE * place.area or min(part.width, part.height) < LEAST_SIDE:
        return None
    crop = np.ascontiguousarray(picture[part.y0 : part.y1, part.x0 : part.x1])
    small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(np.float64)
    pixels = small.reshape(-1, 3).astype(np.float64)
    hued = np.clip((np.ptp(pixels, axis=1) - GREY) / (COLOURED - GREY), 0, 1)
    hues = _shares(hsv[:, 0] * HUES / 180, hued, HUES, circular=True)
    levels = _shares(hsv[:, 2] * (LEVELS - 1) / 255, 1 - hued, LEVELS, circular=False)
    shares = np.concatenate([hues, levels])
    return tuple(float(share) for share in shares / shares.sum())


def mean(looks: Sequence[Colours]) -> Colours:
    """Return the mean of one or more."""
    return tuple(sum(shares) / len(looks) for shares in zip(*looks, strict=True))


def alike(a: Colours, b: Colours) -> float:
    """Return how alike two are, 0 to 1: the intersection of histograms (Swain and Ballard, 1991)."""
    return sum(map(min, a, b))


def _below(box: Box, label: str) -> Box:
    """Return where somebody's chest is: below a head, or in the upper middle of a whole person."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    if label == "person":
        aside, top = width // 4, box.y0 + height // 4
        return Box(box.x0 + aside, top, max(box.x1 - aside, box.x0 + aside + 1), top + max(height // 4, 1))
    return Box(box.x0, box.y1, box.x1, box.y1 + height)


def _shares(
    values: NDArray[np.float64], weights: NDArray[np.float64], bins: int, circular: bool
) -> NDArray[np.float64]:
    """Return how much weight falls on each bin; a value between two falls on both, so that no small change jumps."""
    lower = np.floor(values).astype(int)
    upper, part = lower + 1, values - lower
    lower, upper = (lower % bins, upper % bins) if circular else (lower, np.minimum(upper, bins - 1))
    shares = np.bincount(lower, weights * (1 - part), bins) + np.bincount(upper, weights * part, bins)
    return np.asarray(shares, np.float64)
