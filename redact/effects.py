"""Covering regions of one picture. Pure: no files, no state.

What is under a region never reaches the result: it is computed from the pixels outside of all regions, the shape of
the regions and constants. There is no effect and no strength for which this does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.geometry import Box
from redact.plan import HEADS, Plan, Track

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Values = NDArray[np.float32]

HALVINGS = 2  # the veil is made at one quarter of the picture's size: at full size it costs four times as much
KNOWN_SHARE = 0.5  # of such a pixel that must be uncovered for it to be known
VEIL_SIGMA = 1.0  # in pixels of that quarter: smooths the steps of the pyramid, which show as a grid without it
MOSAIC_BLOCKS = 8  # blocks across the longer side of a mosaic
SOLID_LEVEL = 0  # black
MIDDLE_LEVEL = 128  # where a region leaves no pixel to look at


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture that is covered: an ellipse for faces and heads, else a rectangle."""

    box: Box
    label: str


class Coverer:
    """Covers the frames of a clip as its plan says. Rendering covers with it, verification expects what it gives."""

    def __init__(self, plan: Plan) -> None:
        self._effect = plan.settings.effect
        self._covered = [track for track in plan.tracks if track.action == "cover"]
        self._shown = [track for track in plan.tracks if track.action != "cover"]

    def cover(self, picture: Picture, frame: int) -> tuple[Picture, Mask]:
        """Return the covered picture of a frame, and the mask of what is covered in it."""
        height, width = picture.shape[:2]
        mask = draw_mask(regions_of(self._covered, frame), width, height)
        return cover(picture, mask, self._effect), mask

    def decided(self, mask: Mask, frame: int) -> Mask:
        """Return the mask of what is covered in a frame, and of who is shown because a person decided it."""
        shown = regions_of(self._shown, frame)
        return mask | draw_mask(shown, mask.shape[1], mask.shape[0]) if shown else mask


def regions_of(tracks: Iterable[Track], frame: int) -> list[Region]:
    """Return the regions that tracks have in a frame."""
    return [Region(t.boxes[frame - t.first], t.label) for t in tracks if t.first <= frame <= t.last]


def draw_mask(regions: Sequence[Region], width: int, height: int) -> Mask:
    """Return which pixels the regions cover together: 255 where covered, else 0; uint8, (height, width).

    The mask is made of whole 2x2 blocks: in 4:2:0 video the four pixels of a block share their colour, so a block that
    is covered in part would carry some of the colour under the cover.
    """
    mask = np.zeros((height, width), np.uint8)
    for region in regions:
        seen = region.box.clip(width, height)
        if seen is None:
            continue
        if region.label in HEADS:
            _draw_ellipse(mask, region.box, seen)
        else:
            mask[seen.y0 : seen.y1, seen.x0 : seen.x1] = 255
    return _fill_blocks(mask)


def _draw_ellipse(mask: Mask, box: Box, seen: Box) -> None:
    """Set the pixels of the ellipse inscribed in a box, in the part of the box that is in the picture."""
    (cx, cy), a, b = box.center, box.width / 2, box.height / 2
    x = (np.arange(seen.x0, seen.x1, dtype=np.float32) + 0.5 - cx) / a
    y = (np.arange(seen.y0, seen.y1, dtype=np.float32) + 0.5 - cy) / b
    mask[seen.y0 : seen.y1, seen.x0 : seen.x1][(y * y)[:, None] + (x * x)[None, :] <= 1] = 255


def _fill_blocks(mask: Mask) -> Mask:
    """Return the mask grown to whole 2x2 blocks; the last row and column of an odd size are blocks of their own."""
    height, width = mask.shape
    even = cv2.copyMakeBorder(mask, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
    means = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    _, blocks = cv2.threshold(means, 0, 255, cv2.THRESH_BINARY)
    whole = cv2.resize(blocks, even.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(whole[:height, :width])


def cover(picture: Picture, mask: Mask, effect: str) -> Picture:
    """Return a copy of the picture in which every pixel of the mask is covered.

    Args:
        picture: BGR, uint8, (height, width, 3); it is not changed.
        mask: 255 where covered, uint8, (height, width), as `draw_mask` returns it.
        effect: "blur" (a veil: smooth interpolation from the pixels around the region), "solid" (black) or "mosaic"
            (the veil in blocks).
    """
    if effect == "solid":
        fill = np.full_like(picture, SOLID_LEVEL)
    else:
        fill = _veil(picture, mask)
        if effect == "mosaic":
            fill = _mosaic(fill, mask)
    return np.asarray(cv2.copyTo(fill, mask, picture.copy()), np.uint8)


def _veil(picture: Picture, mask: Mask) -> Picture:
    """Return a picture that is smoothly interpolated from the pixels that are not masked; it holds at masked ones.

    Pull-push interpolation: averages of the known pixels are pulled up a pyramid until nothing is unknown, then pushed
    down into the holes (Gortler et al., The Lumigraph, SIGGRAPH 1996). A masked pixel has weight zero from the start.
    The veil is smooth, so it is made at a quarter of the size and enlarged.
    """
    height, width = mask.shape
    size = height + -height % 2**HALVINGS, width + -width % 2**HALVINGS
    outside, seen = np.zeros(size, np.uint8), np.zeros((*size, 3), np.uint8)
    cv2.bitwise_not(mask, outside[:height, :width])
    cv2.copyTo(picture, outside[:height, :width], seen[:height, :width])
    share = np.float32(1 / 255) * _smaller(outside)
    known = share >= KNOWN_SHARE
    if not known.any():
        return np.full_like(picture, MIDDLE_LEVEL)
    value = np.asarray(_smaller(seen), np.float32)
    filled = _fill_holes(_mean_of_known(value, np.where(known, share, 0)), known)
    soft = cv2.GaussianBlur(filled, (0, 0), VEIL_SIGMA, borderType=cv2.BORDER_REPLICATE)
    small = cv2.convertScaleAbs(soft)  # rounded
    whole = cv2.resize(small, outside.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[:height, :width], np.uint8)


def _smaller(values: Picture) -> Picture:
    """Return the means of blocks; by a half and a half again takes a quarter of the time of both at once."""
    for _ in range(HALVINGS):
        values = np.asarray(
            cv2.resize(values, (values.shape[1] // 2, values.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
        )
    return values


def _fill_holes(value: Values, known: NDArray[np.bool_]) -> Values:
    """Return the values, zero where they are not known, with those interpolated from the known ones; there is one."""
    values, weights = [value], [known]
    while not weights[-1].all():
        size = -(-weights[-1].shape[1] // 2), -(-weights[-1].shape[0] // 2)
        share = cv2.resize(weights[-1].astype(np.float32), size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(values[-1], size, interpolation=cv2.INTER_AREA)
        weights.append(np.asarray(share > 0))
        values.append(_mean_of_known(np.asarray(mean, np.float32), np.asarray(share, np.float32)))
    filled = values[-1]
    for value, known in zip(values[-2::-1], weights[-2::-1], strict=True):
        pushed = cv2.resize(filled, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = np.asarray(cv2.copyTo(value, known.view(np.uint8), pushed), np.float32)
    return filled


def _mean_of_known(mean: Values, share: Values) -> Values:
    """Return means over pixels of which a share is known, and the rest is zero, as means of the known; zero of none."""
    mean[share == 0] = 0
    some = (share > 0) & (share < 1)  # few: at the edges of what is covered
    mean[some] /= share[some, None]
    return mean


def _mosaic(veil: Picture, mask: Mask) -> Picture:
    """Return the veil in blocks, around each connected part of the mask as large as the part asks for."""
    # The mask is made of 2x2 blocks, so its parts can be told apart at half the size.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask[::2, ::2]), connectivity=8)
    result = veil.copy()
    for n in range(1, count):
        x, y, w, h = (int(v) for v in stats[n, :4])
        part = np.s_[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)]
        own = (labels[y : y + h, x : x + w] == n).repeat(2, axis=0).repeat(2, axis=1)
        target = result[part]
        blocks = _blocks(np.ascontiguousarray(veil[part]), 2 * max(w, h))
        np.copyto(target, blocks, where=own[: target.shape[0], : target.shape[1], None])
    return result


def _blocks(veil: Picture, side: int) -> Picture:
    """Return the veil as a mosaic of about `MOSAIC_BLOCKS` blocks along the longer side of the region."""
    block = max(2, side // MOSAIC_BLOCKS)
    size = max(1, round(veil.shape[1] / block)), max(1, round(veil.shape[0] / block))
    small = cv2.resize(veil, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, veil.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
