"""Detectors of persons: whole figures, also from behind, from above and without a face."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors.looks import Look, Rows, detection_maker, keep_best, see
from redact.detectors.models import batch_of, open_model
from redact.plan import Detection
from redact.resizing import scaled

SCORE_FLOOR = 0.05  # what is written down: 3 more of 140 heads than at 0.1, and twice the false boxes
STRIDES = (8, 16, 32)  # pixels of the input for each cell of YOLOX's maps
SIDE = 416  # pixels: 134 of 140 heads lie in a person, at 640 133 in twice the time (models/yolox-nano.toml)
SIDES = {"yolox-s": 640, "yolox-tiny": 416, "yolox-nano": SIDE}  # of their inputs, by the ids of cards, largest first
GREY = 114  # around a picture on a square input: what YOLOX was trained with
FETCHED = "yolox-tiny"  # what a user who has none is told to fetch: the file of yolox-nano is at no address
LYING = 270  # degrees: of 15 faces of people who fall or lie 12 are in a person, with this look as well all
OBJECTNESS, PERSON = 4, 5  # columns of YOLOX's output: 80 classes follow the objectness, persons are the first


class PersonDetector:
    """YOLOX (Ge et al., YOLOX: Exceeding YOLO Series in 2021, 2021), of its classes only persons.

    The largest one that is installed looks.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "yolox-nano"
    cards: tuple[str, ...] = tuple(SIDES)
    labels: tuple[str, ...] = ("person",)
    every_s = Fraction(8, 25)

    def __init__(self, weights_folder: Path | None = None) -> None:
        known = weights.cards()
        there = (card for card in self.cards if weights.is_installed(known[card], weights_folder))
        self.name = next(there, FETCHED)
        self._side, self._square = SIDES[self.name], not known[self.name].clean
        self._session, self.models = open_model(self.name, weights.load(self.name, weights_folder))

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return one size, upright and lying; see `PacedDetector.looks`."""
        return Look(self._side), Look(self._side, LYING)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the persons in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "person", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the persons in what is shown, as rows of x0, y0, x1, y1, score."""
        shown, factor = _on_square(shown, self._side) if self._square else (shown, 1.0)
        batch = batch_of(shown, "BGR")
        (output,) = self._session.run(None, {"images": batch})
        rows = decode(output[0], *batch.shape[2:])
        rows[:, :4] /= factor
        return rows


def _on_square(shown: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Return a picture in the top left corner of a grey square, and by which factor it had to be made smaller."""
    factor = min(1.0, side / max(shown.shape[:2]))
    small = shown if factor == 1 else cv2.resize(shown, scaled(shown, factor), interpolation=cv2.INTER_AREA)
    square = np.full((side, side, 3), GREY, np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    return square, factor


def decode(cells: NDArray[np.float32], height: int, width: int) -> Rows:
    """Return the persons in YOLOX's output as rows of x0, y0, x1, y1, score.

    The score is objectness times class: the class alone is high where nothing is.

    Args:
        cells: (cells, 85), those of each stride row by row: the middle (x, y) from the corner of the cell and the
            logarithms of width and height, in cells, the objectness, and the 80 classes.
        height: of the input in pixels, a multiple of 32.
        width: likewise.
    """
    found, start = [], 0
    for stride in STRIDES:
        columns = width // stride
        part = cells[start : start + height // stride * columns].astype(np.float64)
        start += len(part)
        score = np.clip(part[:, OBJECTNESS] * part[:, PERSON], 0, 1)
        cell = np.nonzero(score >= SCORE_FLOOR)[0]
        corner = np.stack(np.divmod(cell, columns)[::-1], axis=1)
        middle = (corner + part[cell, :2]) * stride
        half = np.exp(part[cell, 2:4]) * stride / 2
        found.append(np.concatenate([middle - half, middle + half, score[cell, None]], axis=1))
    boxes = np.concatenate(found)
    return boxes[keep_best(boxes)]
