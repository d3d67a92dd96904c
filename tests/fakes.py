"""Detectors that see what a test tells them, crash, lie or go blind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look
from redact.geometry import Box
from redact.plan import Detection


class FakeDetector:
    """Sees a face in each frame that it was told of: x, y, width, height, or nothing where None."""

    name = "fake"
    labels = ("face",)
    models: Mapping[str, str] = {"fake": "0" * 64}

    def __init__(self, faces: Sequence[tuple[int, int, int, int] | None]) -> None:
        self._faces = faces

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        face = self._faces[frame] if frame < len(self._faces) else None
        if face is None:
            return []
        x, y, w, h = face
        return [Detection(frame, Box(x, y, x + w, y + h), "face", 0.9, self.name)]


class BlindDetector(FakeDetector):
    """Sees nothing."""

    def __init__(self) -> None:
        super().__init__([])


class CrashingDetector(FakeDetector):
    """Fails at a frame, as a library with a bug would."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__([])
        self._at, self._error = at, error

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Fail at its frame."""
        if frame == self._at:
            raise self._error
        return []
