"""Face detectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redact import backends, weights
from redact.detectors.looks import Look, Rows, detection_maker, keep_best, see
from redact.detectors.models import batch_of, open_model
from redact.plan import Detection
from redact.quantising import join_heads, quantise_graph

SCORE_FLOOR = 0.08  # what is written down; tracking decides what counts
HEADS = "536", "538", "539"  # CenterFace's tensors that `decode` needs; it gives landmarks too
STRIDE = 4  # pixels of the input for each cell of CenterFace's maps
YUNET_STRIDES = (8, 16, 32)  # likewise of YuNet's


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
        model = join_heads(weights.load(self.name, weights_folder), HEADS, "maps")
        # On a processor it takes half the time in integers; what it finds stays the same (docs/models.md).
        if backends.name() == backends.CPU:
            model = quantise_graph(model, *weights.ranges(self.name))
        self._session, self.models = open_model(self.name, model)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "face", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the faces in what is shown, as rows of x0, y0, x1, y1, score."""
        (maps,) = self._session.run(None, {"input.1": batch_of(shown, "RGB")})
        return decode(maps[0])


class YuNet:
    """YuNet-n (Wu et al., YuNet: A Tiny Millisecond-level Face Detector, 2023). It misses other faces than CenterFace.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "yunet-n"
    labels: tuple[str, ...] = ("face",)

    def __init__(self, weights_folder: Path | None = None) -> None:
        self._session, self.models = open_model(self.name, weights.load(self.name, weights_folder))

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "face", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the faces in what is shown, as rows of x0, y0, x1, y1, score."""
        batch = batch_of(shown, "BGR")
        maps = [m[0] for m in self._session.run(None, {"input": batch})]
        found = []
        for stride, kind, there, box in zip(YUNET_STRIDES, maps[0:3], maps[3:6], maps[6:9], strict=True):
            score = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1)).astype(np.float64)
            cell = np.nonzero(score >= SCORE_FLOOR)[0]
            corner = np.stack(np.divmod(cell, batch.shape[3] // stride)[::-1], axis=1)
            middle = (corner + box[cell, :2]) * stride
            half = np.exp(box[cell, 2:].astype(np.float64)) * stride / 2
            found.append(np.concatenate([middle - half, middle + half, score[cell, None]], axis=1))
        boxes = np.concatenate(found)
        return boxes[keep_best(boxes)]


def decode(maps: NDArray[np.float32]) -> Rows:
    """Return the faces in CenterFace's maps as rows of x0, y0, x1, y1, score.

    Args:
        maps: (5, rows, columns): how likely a face has its middle in the cell, as a logit; the logarithm of its height
            and width in cells; where in the cell the middle is (y, x).
    """
    row, column = np.nonzero(maps[0] >= np.log(SCORE_FLOOR / (1 - SCORE_FLOOR)))
    logit, *extent, y, x = maps[:, row, column].astype(np.float64)
    tall, wide = np.exp(extent) * STRIDE
    y, x = (row + y + 0.5) * STRIDE, (column + x + 0.5) * STRIDE
    score = 1 / (1 + np.exp(-logit))
    boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2, score], axis=1)
    return boxes[keep_best(boxes)]
