"""Silhouettes: where a person reaches out of its box, the box grows. Nothing is ever taken away."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors import PacedDetector
from redact.detectors.looks import Look
from redact.geometry import Box, join
from redact.plan import Detection

MODEL = "selfie-segmentation"
SIDE = 256  # pixels of its input
REACH = 0.15  # of a box's sides: at 0.25 ten of 140 heads are not wholly in a box, at 0.15 eight (models/*.toml)


class Outlined:
    """A detector of persons whose boxes are grown over the silhouettes that touch them.

    Args:
        detector: sees the persons.
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    def __init__(self, detector: PacedDetector, weights_folder: Path | None = None) -> None:
        card = weights.cards()[MODEL]
        self._detector, self._least = detector, card.thresholds.start
        self._model = np.frombuffer(weights.load(MODEL, weights_folder), np.uint8)
        self._own = threading.local()
        self.name, self.labels, self.every_s = detector.name, detector.labels, detector.every_s
        self.models: Mapping[str, str] = {**detector.models, MODEL: card.sha256}

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return how the detector wants a picture to be shown; see `PacedDetector.looks`."""
        return self._detector.looks(side)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the persons in one picture, in boxes that are never smaller than the detector's own."""
        seen = self._detector.detect(picture, frame, looks)
        return [replace(d, box=self._grow(d.box, picture)) if d.label == "person" else d for d in seen]

    def _grow(self, box: Box, picture: NDArray[np.uint8]) -> Box:
        """Return a box grown over the silhouettes in and around it."""
        part = box.grow(REACH, REACH, REACH, REACH).clip(picture.shape[1], picture.shape[0])
        if part is None:
            return box
        shown = picture[part.y0 : part.y1, part.x0 : part.x1]
        return grow_over(box, self._silhouettes(shown) >= self._least, part)

    def _silhouettes(self, shown: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how likely each pixel is of a person."""
        if not hasattr(self._own, "net"):  # One for each thread: it keeps what it is shown.
            self._own.net = cv2.dnn.readNetFromTFLite(self._model)
        self._own.net.setInput(cv2.dnn.blobFromImage(shown, 1 / 255, (SIDE, SIDE), swapRB=True))
        return np.asarray(cv2.resize(self._own.net.forward()[0, 0], shown.shape[1::-1]), np.float32)


def grow_over(box: Box, mask: NDArray[np.bool_], part: Box) -> Box:
    """Return the smallest box that holds a box and all connected silhouettes that reach into it.

    Args:
        box: it is in the result whole.
        mask: the silhouettes, of the size of the part.
        part: which part of the picture the mask shows.
    """
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    inside = box.intersect(part)
    if inside is None:
        return box
    inner = numbers[inside.y0 - part.y0 : inside.y1 - part.y0, inside.x0 - part.x0 : inside.x1 - part.x0]
    touching = stats[np.unique(inner[inner > 0])]
    return join((box, *(Box(x, y, x + w, y + h).shift(part.x0, part.y0) for x, y, w, h, _ in touching.tolist())))
