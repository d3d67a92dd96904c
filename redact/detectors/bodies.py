"""Detectors of exposed parts of bodies."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors.looks import Look, Rows, detection_maker, keep_best, see
from redact.detectors.models import batch_of, open_model
from redact.plan import Detection

SCORE_FLOOR = 0.1  # what is written down: half of the score that begins a track
SIDE = 416  # pixels: it finds more faces than at 320, no fewer than at 640 (models/nudenet-320n.toml)
# NudeNet's classes in the order of its output. What is covered, faces, feet, bellies, armpits and men's breasts do not
# count.
CLASSES = (
    *("female genitalia covered", "female face", "buttocks exposed", "female breast exposed"),
    *("female genitalia exposed", "male breast exposed", "anus exposed", "feet exposed", "belly covered"),
    *("feet covered", "armpits covered", "armpits exposed", "male face", "belly exposed", "male genitalia exposed"),
    *("anus covered", "female breast covered", "buttocks covered"),
)
EXPOSED = tuple(
    CLASSES.index(f"{part} exposed")
    for part in ("female breast", "female genitalia", "male genitalia", "buttocks", "anus")
)


class BodyDetector:
    """NudeNet 320n (notAI-tech/NudeNet, 2024; YOLOv8 of Jocher et al., 2023), of its classes only the exposed ones.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "nudenet-320n"
    labels: tuple[str, ...] = ("nudity",)
    every_s = Fraction(8, 25)

    def __init__(self, weights_folder: Path | None = None) -> None:
        self._session, self.models = open_model(self.name, weights.load(self.name, weights_folder))

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return the one size that it finds most at; see `PacedDetector.looks`."""
        return (Look(SIDE),)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the exposed parts of bodies in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "nudity", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the exposed parts in what is shown, as rows of x0, y0, x1, y1, score."""
        (output,) = self._session.run(None, {"images": batch_of(shown, "RGB") / np.float32(255)})
        return decode(output[0])


def decode(columns: NDArray[np.float32]) -> Rows:
    """Return the exposed parts of bodies in NudeNet's output as rows of x0, y0, x1, y1, score.

    A box counts by its best exposed class, also where another class is likelier: doubt covers.

    Args:
        columns: (22, boxes), middle (x, y), width and height in pixels of the input, then the scores of `CLASSES`.
    """
    score = np.clip(columns[4:][list(EXPOSED)].max(axis=0).astype(np.float64), 0, 1)
    box = np.nonzero(score >= SCORE_FLOOR)[0]
    middle, half = columns[:2, box].T.astype(np.float64), columns[2:4, box].T.astype(np.float64) / 2
    boxes = np.concatenate([middle - half, middle + half, score[box, None]], axis=1)
    return boxes[keep_best(boxes)]
