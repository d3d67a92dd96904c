"""Judging: another model is asked whether what a detector of faces was not sure of is a face."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors import Detector
from redact.detectors.looks import Look, Rows
from redact.detectors.models import batch_of, open_model
from redact.geometry import Box
from redact.plan import Detection
from redact.resizing import scaled

Picture = NDArray[np.uint8]

MODEL = "retinaface-mnv2"
ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # pixels of the input, for each stride
SPREAD, SCALE = 0.1, 0.2  # what the model's offsets and logarithms of sizes are to be multiplied with
TURNS = (0, -30, 30)  # degrees, from the turn in which the detector saw the face
# How a place is shown: of how many sizes of the face, how large in pixels, how much blurred (standard deviation, in
# pixels), and whether its levels are stretched. Without those that are stretched, faces in the dark and in noise are
# taken for none.
SHOWN = ((3, 160, 0.0, False), (3, 160, 2.0, True), (2, 128, 0.0, True), (2, 128, 2.5, True))
LEVELS = (15, 235)  # to which the second and the last but second of a hundred levels are stretched,
LEAST_SPREAD = 12  # which are taken to be this far apart at least


class Judged:
    """A detector of faces, and RetinaFace (Deng et al., CVPR 2020), which is asked about single sightings.

    Args:
        detector: sees the faces.
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    def __init__(self, detector: Detector, weights_folder: Path | None = None) -> None:
        self._detector, self._enough = detector, weights.cards()[MODEL].thresholds.start
        self._session, models = open_model(MODEL, weights.load(MODEL, weights_folder))
        self.name, self.labels = detector.name, detector.labels
        self.models: Mapping[str, str] = {**detector.models, **models}

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what the detector sees; see `Detector.detect`."""
        return self._detector.detect(picture, frame, looks)

    def ask(self, picture: Picture, detection: Detection) -> float:
        """Return how sure the model is of a face; see `AskedDetector.ask`. The first answer that is enough is taken."""
        best = 0.0
        for times, side, blur, stretched in SHOWN:
            for turn in TURNS:
                shown = crop(picture, detection.box, times, side, detection.angle + turn)
                best = max(best, self._score(stretch(shown, blur) if stretched else shown, side / times))
                if best >= self._enough:
                    return best
        return best

    def _score(self, shown: Picture, size: float) -> float:
        """Return the score of the best box that is where a face of a size in the middle would be."""
        rows = decode(self._session.run(None, {"x": batch_of(shown, "RGB")}))
        away = np.linalg.norm((rows[:, :2] + rows[:, 2:4]) / 2 - np.array(shown.shape[1::-1]) / 2, axis=1)
        sizes = np.sqrt(np.prod(rows[:, 2:4] - rows[:, :2], axis=1))
        there = rows[(away < size / 2) & (sizes > size / 2) & (sizes < size * 2), 4]
        return float(there.max(initial=0))


def crop(picture: Picture, box: Box, times: float, side: int, angle: int) -> Picture:
    """Return a square around a box, turned counter-clockwise; beyond the picture its edge goes on.

    Args:
        picture: BGR, uint8, (height, width, 3).
        box: in pixels of the picture.
        times: how many times as large as the longer side of the box the square is.
        side: of what is returned, in pixels.
        angle: in degrees.
    """
    (x, y), square = box.center, times * max(box.width, box.height)
    reach = square / math.sqrt(2) + 2  # the corners of the square, and what lies under them where it is made smaller
    part = Box.outward(x - reach, y - reach, x + reach, y + reach).clip(picture.shape[1], picture.shape[0])
    part = part or Box(0, 0, picture.shape[1], picture.shape[0])
    under = picture[part.y0 : part.y1, part.x0 : part.x1]
    factor = side / square
    if factor < 0.5:  # below it, what is between the pixels would be lost
        under = np.asarray(cv2.resize(under, scaled(under, factor * 2), interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.array([under.shape[1] / part.width, under.shape[0] / part.height])
    middle = (np.array([x, y]) - (part.x0, part.y0)) * scale
    forth = cv2.getRotationMatrix2D(middle.tolist(), angle, factor / float(scale.mean()))
    forth[:, 2] += side / 2 - middle
    return np.asarray(cv2.warpAffine(under, forth, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def stretch(shown: Picture, blur: float) -> Picture:
    """Return a picture with its levels spread out, blurred before by a standard deviation in pixels, or not at all."""
    smooth = cv2.GaussianBlur(shown, (0, 0), blur) if blur else shown
    low, high = np.percentile(smooth, [2, 98])
    factor = (LEVELS[1] - LEVELS[0]) / max(high - low, LEAST_SPREAD)
    return np.asarray(np.clip((smooth.astype(np.float32) - low) * factor + LEVELS[0], 0, 255), np.uint8)


def decode(maps: Sequence[NDArray[np.float32]]) -> Rows:
    """Return all boxes of RetinaFace's maps as rows of x0, y0, x1, y1, score.

    Args:
        maps: for each stride shifts and growths of the two anchors of each cell, (1, 8, rows, columns), then for each
            their scores for no face and for a face, (1, 4, rows, columns).
    """
    found = []
    for (stride, anchors), boxes, scores in zip(ANCHORS.items(), maps[:3], maps[3:], strict=True):
        rows, columns = boxes.shape[2:]
        cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
        for n, anchor in enumerate(anchors):
            shift, grow = np.split(np.moveaxis(boxes[0, 4 * n : 4 * n + 4], 0, -1).astype(np.float64), 2, axis=-1)
            middle = (cells + 0.5) * stride + shift * SPREAD * anchor
            half = np.exp(np.clip(grow * SCALE, -5, 5)) * anchor / 2
            other, face = scores[0, 2 * n : 2 * n + 2].astype(np.float64)
            score = 1 / (1 + np.exp(other - face))
            row = np.concatenate([middle - half, middle + half, score[..., None]], axis=-1)
            found.append(row.reshape(-1, 5))
    return np.concatenate(found)
