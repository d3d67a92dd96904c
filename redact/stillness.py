"""Where the picture has changed since it was looked at. Pure: it knows no detectors.

A picture is compared block by block with the one *that was looked at*, never with the one before: somebody who fades
in over seconds changes little from frame to frame, and much since the last look. One changed block makes a new look.
"""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.geometry import Box
from redact.resizing import at_most

Grey = NDArray[np.uint8]

SIDE = 1280  # longer side in pixels at which pictures are compared: no cheap look shows them larger
BLOCK = 8  # pixels of a block's side
# Of 255. A block has changed if its mean has by more than this, or the mean of its pixels' differences exceeds that of
# the calmest quarter of the blocks, which is the noise, by more. Noise with a deviation of 8 levels stays below it.
LEVELS = 6
CALM = 25  # percent of the blocks that show nothing but noise, also where somebody stands near and moves
# Mean of a block from which so many levels are needed. In darker ones fewer are, in proportion, as a face is darker:
# in a clip of 0 to 10 levels 6 hid one of 29 px that CenterFace sees. Of two dark clips of bench/leaks.py twice as much
# is looked at as with 6 everywhere (90 and 96 % of each frame, not 38 and 53), of the other 38 next to nothing more.
LIT = 30
LEAST_LEVELS, LEAST_NOISE = 1, 0.8  # but never less than this, and than this share of the noise
MOST_NOISE = 12  # levels of noise that are allowed for; what is beyond them counts as change
HOLD_S = Fraction(2)  # a whole picture is looked at at least this often


def to_grey(picture: NDArray[np.uint8]) -> Grey:
    """Return a picture as it is compared: grey, at most `SIDE` pixels long, of whole blocks; uint8, (height, width)."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    grey = at_most(grey, SIDE)
    below, right = -grey.shape[0] % BLOCK, -grey.shape[1] % BLOCK
    return np.asarray(cv2.copyMakeBorder(grey, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def changed_blocks(before: Grey, now: Grey) -> NDArray[np.bool_]:
    """Return which blocks of a picture are not those of another, (rows, columns)."""
    a, b = _means(before), _means(now)
    rough = _means(np.asarray(cv2.absdiff(before, now), np.uint8))
    noise = min(float(np.percentile(rough, CALM)), MOST_NOISE)
    levels = np.clip(LEVELS / LIT * np.maximum(a, b), max(LEAST_LEVELS, LEAST_NOISE * noise), LEVELS)
    return np.asarray((cv2.absdiff(a, b) > levels) | (rough > noise + levels))


def _means(grey: Grey) -> Grey:
    """Return the mean of each block."""
    size = grey.shape[1] // BLOCK, grey.shape[0] // BLOCK
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


class Memory:
    """Remembers what was looked at last, in each place of the picture."""

    def __init__(self) -> None:
        self._seen: Grey | None = None
        self._whole = Fraction(0)  # when the whole picture was looked at

    def changes(self, grey: Grey, size: tuple[int, int], time: Fraction) -> list[Box] | None:
        """Return what has to be looked at in the next picture, and remember that it will be.

        Args:
            grey: the picture, as `to_grey` gives it; it must not be changed later.
            size: its width and height in pixels, before that.
            time: its presentation time in seconds.

        Returns:
            Boxes around what has changed, in pixels of the picture; nothing of it, where the list is empty; None where
            the whole of it has to be looked at.
        """
        if self._seen is None or self._seen.shape != grey.shape or time - self._whole >= HOLD_S:
            self._seen, self._whole = grey.copy(), time
            return None
        blocks = changed_blocks(self._seen, grey)
        joined = cv2.dilate(blocks.astype(np.uint8), np.ones((3, 3), np.uint8))
        _, _, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        found = []
        for x, y, wide, tall in (boxes[1:, :4] * BLOCK).tolist():
            self._seen[y : y + tall, x : x + wide] = grey[y : y + tall, x : x + wide]
            part = _scaled(Box(x, y, x + wide, y + tall), max(1.0, max(size) / SIDE)).clip(*size)
            found += [part] if part else []
        return found


def _scaled(box: Box, factor: float) -> Box:
    """Return a box in a picture that is larger by a factor."""
    return Box.outward(box.x0 * factor, box.y0 * factor, box.x1 * factor, box.y1 * factor)
