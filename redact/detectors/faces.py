"""Face detectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from redact import weights
from redact.detectors.looks import Look, Rows, keep_best, see
from redact.geometry import Box
from redact.plan import Detection

onnxruntime.set_default_logger_severity(4)

SCORE_FLOOR = 0.08  # what is written down; tracking decides what counts
STRIDE = 4  # pixels of the input for each cell of CenterFace's maps


class CenterFace:
    """CenterFace (Xu et al., CenterFace: Joint Face Detection and Alignment, 2019).

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "centerface"
    labels: tuple[str, ...] = ("face",)

    def __init__(self, weights_folder: Path | None = None) -> None:
        model = weights.load("centerface", weights_folder)
        self.models: Mapping[str, str] = {"centerface": hashlib.sha256(model).hexdigest()}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # One session for all sizes: the idle threads of a second one would spin on the cores that the first one needs.
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""

        def face(row: Rows, look: Look) -> Detection:
            return Detection(frame, Box.outward(*row[:4]), "face", float(row[4]), self.name, look.angle)

        return see(self._find, picture, looks, face)

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the faces in what is shown, as rows of x0, y0, x1, y1, score."""
        canvas = cv2.copyMakeBorder(shown, 0, -shown.shape[0] % 32, 0, -shown.shape[1] % 32, cv2.BORDER_CONSTANT)
        batch = np.empty((1, 3, *canvas.shape[:2]), np.float32)
        for channel, plane in enumerate(reversed(cv2.split(canvas))):  # ten times faster than a transposed copy
            batch[0, channel] = plane
        heat, extent, offset, _ = self._session.run(None, {"input.1": batch})
        return decode(heat[0, 0], extent[0], offset[0])


def decode(heat: NDArray[np.float32], extent: NDArray[np.float32], offset: NDArray[np.float32]) -> Rows:
    """Return the faces in CenterFace's maps as rows of x0, y0, x1, y1, score.

    Args:
        heat: (rows, columns), how likely a face has its middle in the cell.
        extent: (2, rows, columns), logarithm of its height and width in cells.
        offset: (2, rows, columns), where in the cell the middle is (y, x).
    """
    row, column = np.nonzero(heat >= SCORE_FLOOR)
    score = heat[row, column].astype(np.float64)
    tall, wide = (np.exp(extent[n, row, column].astype(np.float64)) * STRIDE for n in (0, 1))
    y = (row + offset[0, row, column] + 0.5) * STRIDE
    x = (column + offset[1, row, column] + 0.5) * STRIDE
    boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2, np.clip(score, 0, 1)], axis=1)
    return boxes[keep_best(boxes)]
