"""Pictures in other sizes. Pure."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture in another size: by halves as far as that goes, the rest by linear interpolation.

    Halves are means, of four pixels each where the sides are even. From a picture of up to twice the size linear
    interpolation leaves no pixel out. Means over areas of any size take three to ten times as long.

    Args:
        picture: uint8, (height, width) or (height, width, 3).
        size: width and height in pixels, at least 1 each.
    """
    width, height = size
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        half = -(-picture.shape[1] // 2), -(-picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def at_most(picture: Picture, side: int) -> Picture:
    """Return a picture of which the longer side is at most this, in pixels; itself if it is."""
    factor = side / max(picture.shape[:2])
    return picture if factor >= 1 else resize(picture, scaled(picture, factor))


def scaled(picture: Picture, factor: float) -> tuple[int, int]:
    """Return the width and height of a picture times a factor, at least 1 each."""
    return max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
