"""Frames, and the hash of a run of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

UNSPECIFIED = 2  # what ITU-T H.273 calls a colour description that is not given
FRAMES_AHEAD = 3  # frames that wait between two threads: enough to hide one's work behind the other's


@dataclass(frozen=True)
class Colour:
    """How numbers become colours (ITU-T H.273): matrix, primaries and transfer, as the source declares them."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes:
        index: 0-based, in display order, counted from the beginning of the clip.
        time: presentation time in seconds from the beginning of the clip.
        picture: upright, square pixels, BGR, uint8, (height, width, 3).
        damaged: the decoder had to guess it, or to make it from a frame that it had guessed.
    """

    index: int
    time: Fraction
    picture: Picture
    damaged: bool


class Digest:
    """The hash of a run of frames: their times and their pictures."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, frame: Frame) -> None:
        """Take in the next frame."""
        self._hash.update(f"{frame.time}\n".encode())
        self._hash.update(np.ascontiguousarray(frame.picture).data)

    def hexdigest(self) -> str:
        """Return the hash of the frames so far, in hexadecimal."""
        return self._hash.hexdigest()
