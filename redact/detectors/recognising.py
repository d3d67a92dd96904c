"""Recognising: what a network makes of a face, to tell whether two are of one person. Nothing of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import likeness, weights
from redact.detectors.faces import STRIDE
from redact.detectors.judging import crop
from redact.detectors.models import batch_of, open_model
from redact.errors import DependencyError
from redact.geometry import Box
from redact.likeness import Face, Points

Picture = NDArray[np.uint8]

MODEL = "dlib-resnet"
SHOWN, TIMES = 224, 2.0  # pixels of the part of a picture in which points are looked for, and sizes of a box it shows
TURNS = (0, 90, 180, 270)  # degrees: who lies is looked at, too
SURE = 0.5  # of the score of a face whose points are believed
CENTRAL = 0.2  # of that part's sides: how far from its middle that of the face may be


class Recogniser:
    """CenterFace, which finds the points of a face, and dlib's network, which makes a vector of it.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    def __init__(self, weights_folder: Path | None = None) -> None:
        self._points, _ = open_model("centerface", weights.load("centerface", weights_folder))
        self._network, _ = open_model(MODEL, weights.load(MODEL, weights_folder))

    def look(self, picture: Picture, box: Box, others: Sequence[Box] = ()) -> Face | None:
        """Return the face in a box; None where there is none, one too small or too much from the side, or another's.

        Args:
            picture: BGR, uint8, (height, width, 3).
            box: of a face or a head.
            others: boxes of other faces or heads near it.
        """
        points = self.find(picture, box)
        if points is None or not likeness.belongs(points, box, others):
            return None
        quality = likeness.quality(points)
        return Face(self._vector(picture, points), quality) if quality else None

    def find(self, picture: Picture, box: Box) -> Points | None:
        """Return the points of the face in a box, in pixels of the picture; None where no face is surely there."""
        looks = [(*self._face(crop(picture, box, TIMES, SHOWN, turn)), turn) for turn in TURNS]
        sure = [_back(points, box, turn) for score, points, turn in looks if score >= SURE]
        # A face that lies is seen upright as well, with its points at wrong places.
        return min(sure, key=lambda points: likeness.align(points)[1], default=None)

    def _face(self, shown: Picture) -> tuple[float, Points]:
        """Return the score and the points of the face in the middle of a picture."""
        heat, extent, offset, points = (m[0] for m in self._points.run(None, {"input.1": batch_of(shown, "RGB")}))
        edge = round((0.5 - CENTRAL) * SHOWN / STRIDE)
        central = heat[0, edge:-edge, edge:-edge]
        row, column = np.array(np.unravel_index(int(central.argmax()), central.shape)) + edge
        tall, wide = np.exp(extent[:, row, column].astype(np.float64)) * STRIDE
        top = (row + offset[0, row, column] + 0.5) * STRIDE - tall / 2
        left = (column + offset[1, row, column] + 0.5) * STRIDE - wide / 2
        y, x = points[:, row, column].astype(np.float64).reshape(5, 2).T
        return float(heat[0, row, column]), np.stack([left + x * wide, top + y * tall], axis=1)

    def _vector(self, picture: Picture, points: Points) -> likeness.Vector:
        """Return what the network makes of a face."""
        forth, _ = likeness.align(points)
        side = likeness.SIDE
        factor = float(np.hypot(forth[0, 0], forth[1, 0]))
        # Where it is made much smaller, what lies between its pixels is to count.
        smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / factor) if factor < 0.5 else picture
        chip = cv2.warpAffine(np.asarray(smooth), forth, (side, side), borderMode=cv2.BORDER_REPLICATE)
        batch = np.ascontiguousarray(chip[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        return np.asarray(self._network.run(None, {"picture": batch})[0][0], np.float32)


def load(weights_folder: Path | None = None) -> Recogniser | None:
    """Return a recogniser; None where its weights are not there, or damaged: it is only a help."""
    try:
        return Recogniser(weights_folder) if weights.is_installed(weights.cards()[MODEL], weights_folder) else None
    except DependencyError:
        return None


def _back(points: Points, box: Box, turn: int) -> Points:
    """Return points of what `crop` has cut out of a picture in pixels of that picture."""
    square = TIMES * max(box.width, box.height)
    forth = cv2.getRotationMatrix2D((0, 0), turn, SHOWN / square)[:, :2]
    return np.asarray((points - SHOWN / 2) @ np.linalg.inv(forth).T + np.array(box.center), np.float64)
