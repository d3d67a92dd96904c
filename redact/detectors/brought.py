"""What another detector has found, read from a file: it looks at no picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look
from redact.exchange import Shape
from redact.plan import Detection


class BroughtDetector:
    """Sees in each frame what a file says of it. Every frame is asked for once, whatever the looks at faces.

    Args:
        path: the file, for its name.
        sha256: of the file: a plan is made anew where it has changed.
        shapes: what it holds.
    """

    every_s = Fraction(0)

    def __init__(self, path: Path, sha256: str, shapes: Sequence[Shape]) -> None:
        self.name = path.name
        self.labels = tuple(sorted({shape.label for shape in shapes}))
        self.models: Mapping[str, str] = {path.name: sha256}
        self._frames: dict[int, list[Shape]] = {}
        for shape in shapes:
            self._frames.setdefault(shape.frame, []).append(shape)

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return no looks: it sees nothing in pictures."""
        return ()

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what the file says of a frame; see `Detector.detect`."""
        return [Detection(frame, s.box, s.label, s.score, self.name) for s in self._frames.get(frame, ())]
