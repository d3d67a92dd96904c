"""Detectors that see what a test tells them, crash, lie or go blind."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look
from redact.geometry import Box
from redact.plan import Detection

Sides = tuple[int, int, int, int]  # x, y, width, height
PACE_S = Fraction(16, 25)  # 16 frames


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


class Sees(FakeDetector):
    """Sees one thing of one label where it is told, as surely as it is told."""

    def __init__(self, label: str, places: Sequence[Sides | None], score: float = 0.9) -> None:
        super().__init__(places)
        self.name, self.labels, self._score = f"sees-{label}", (label,), score
        self.models: Mapping[str, str] = {self.name: "1" * 64}

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        seen = super().detect(picture, frame, looks)
        return [Detection(frame, d.box, self.labels[0], self._score, self.name) for d in seen]


class Paced(Sees):
    """Likewise, now and then. It notes when it is asked and how it is to look."""

    def __init__(
        self, label: str, places: Sequence[Sides | None], score: float = 0.9, every_s: Fraction = PACE_S
    ) -> None:
        super().__init__(label, places, score)
        self.every_s, self._lock = every_s, threading.Lock()
        self._asked: dict[int, tuple[Look, ...]] = {}

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return one look that no other detector takes."""
        return (Look(side + 1),)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        with self._lock:
            self._asked[frame] = tuple(looks)
        return super().detect(picture, frame, looks)

    @property
    def asked(self) -> list[int]:
        """In which frames it was asked."""
        return sorted(self._asked)


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
