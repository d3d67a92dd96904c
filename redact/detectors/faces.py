"""Face detectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from redact import weights
from redact.geometry import Box
from redact.plan import Detection

onnxruntime.set_default_logger_severity(4)

Boxes = NDArray[np.float64]  # rows of x0, y0, x1, y1, score

SCALES = (480, 832)  # longer side in pixels; bench/leaks.py: near faces need the first, small ones the second
SCORE_FLOOR = 0.08  # what is written down; tracking decides what counts
SAME_FACE_IOU = 0.4  # of two sightings in one frame
STRIDE = 4  # pixels of the input for each cell of CenterFace's maps


class CenterFace:
    """CenterFace (Xu et al., CenterFace: Joint Face Detection and Alignment, 2019) at a union of two scales.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "centerface"
    labels: tuple[str, ...] = ("face",)

    def __init__(self, weights_folder: Path | None = None) -> None:
        model = weights.load("centerface", weights_folder)
        self.models: Mapping[str, str] = {f"centerface at {SCALES}": hashlib.sha256(model).hexdigest()}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # One session for both sizes: the idle threads of a second one would spin on the cores that the first one needs.
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def detect(self, picture: NDArray[np.uint8], frame: int) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""
        sightings = [self._look(picture, scale) for scale in SCALES]
        kept = keep_best(np.concatenate(sightings))
        return [Detection(frame, Box.outward(*row[:4]), "face", float(row[4]), self.name) for row in kept]

    def _look(self, picture: NDArray[np.uint8], scale: int) -> Boxes:
        """Return the faces seen with the longer side brought to `scale` pixels, in pixels of the picture."""
        height, width = picture.shape[:2]
        factor = scale / max(height, width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        canvas = cv2.copyMakeBorder(small, 0, -size[1] % 32, 0, -size[0] % 32, cv2.BORDER_CONSTANT)
        batch = np.empty((1, 3, *canvas.shape[:2]), np.float32)
        for channel, plane in enumerate(reversed(cv2.split(canvas))):  # ten times faster than a transposed copy
            batch[0, channel] = plane
        heat, extent, offset, _ = self._session.run(None, {"input.1": batch})
        boxes = decode(heat[0, 0], extent[0], offset[0])
        boxes[:, :4] /= (size[0] / width, size[1] / height) * 2
        return boxes


def decode(heat: NDArray[np.float32], extent: NDArray[np.float32], offset: NDArray[np.float32]) -> Boxes:
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
    return keep_best(boxes)


def keep_best(boxes: Boxes) -> Boxes:
    """Return the best row for each face, best first (greedy non-maximum suppression)."""
    rest = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = []
    while len(rest):
        best = rest[0]
        kept.append(best)
        low = np.maximum(rest[:, :2], best[:2])
        high = np.minimum(rest[:, 2:4], best[2:4])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(rest[:, 2:4] - rest[:, :2], axis=1)
        overlap = shared / (areas + areas[0] - shared)
        overlap[0] = 1
        rest = rest[overlap < SAME_FACE_IOU]
    return np.array(kept).reshape(-1, 5)
