"""Text detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors.looks import Look, Rows, chest_of, detection_maker, joined, see, united
from redact.detectors.models import batch_of, open_model
from redact.plan import Detection
from redact.quantising import without_subnormals

# Found with bench/pictures.py, with 24 lines of 14 px drawn faintly (30 to 60 levels) on noise, and with 43 frames of
# clips.
# Pixels of the longer side of what is shown. At 1280 a number plate 130 px wide in a picture of 2560x1920 is missed.
LEAST_SIDE, MOST_SIDE = 640, 1920
# In large pictures that are mostly empty one size misses lines: of 12 of 14 px at 1280x720 it finds 10, two find all.
TWICE_SIDE, SECOND = 960, 0.65
LIKELY = 0.2  # how likely a pixel of the middle of a line is text
SCORE_FLOOR = 0.3  # mean over such a middle
LARGE = 16  # height of a middle in pixels from which it has to be surer
LARGE_FLOOR = 0.6  # less sure are windows, blinds, faces: without it 4 % of the frames is covered, with it 2.3 %
HUGE = 0.1  # of the longer side of what is shown: higher middles are bare walls and clothes, where the model is sure
GROWTH = 2.8  # area by perimeter: at 1.6, which is usual for reading, 37 of 82 labelled boxes are covered, at 2.8 48
LARGE_GROWTH = 1.8  # and of large ones, which the model outlines well
# No rim is wider than this many pixels and this share of the height of a middle. Of letters of 83 and 103 px the middle
# is 52 and 66 px high: 16 and 19 px are missing on each side.
RIM, RIM_SHARE = 12, 0.3
# Of the height of a middle, and pixels at most: lines grow this much more at their ends, where the last letter is lost,
# and one as high as long has none. Of 1,061 words drawn as bench/drawn.py does it 898 are covered to 90 % with a rim of
# 12 pixels and ends of 8, and with 16 and no bound; to 99 % 880 and 884, under 2.82 and 3.15 times their area.
ENDS, MOST_END = 0.5, 8
# Chests are looked at by themselves: a square below a face, of so many sizes of it, shown so that the face would have
# so many pixels, but enlarged no more than twice. Of 54 faint prints of 8 to 16 px drawn on clothes 19 are covered by
# the look at the picture alone, with chests 29; of name tags, which are white, 107 and 108 of 135.
CHEST, CHEST_FACE, CHEST_TIMES = 3.0, 96, 2.0
CHEST_GAIN = 1.3  # only where it is shown so many times as large as in the look at the picture
CHEST_PIXELS = 125_000  # of all chests that are shown together: one and a half near ones; near faces come first
CHEST_FLOOR = 0.6  # mean over a middle: 0.3 finds no more of these prints, and covers folds and stripes
# What changes less than this many levels from one pixel to the next holds no letters: bare walls and posts, edges of
# pictures. Of 97 labelled lines none has under 2. A little around the middle is looked at as well, for the middle of a
# thick letter is as bare; small ones stay covered, they cost little.
BARE, BARE_AROUND, BARE_HEIGHT = 0.5, 0.3, 10
CALM_SIGMA = 0.7  # pixels; noise hides faint letters: with it 21 of the 24 lines are covered whole, without it 19
# Of ImageNet's pictures; with 0.5 for both, and the usual growth, 26 of 82 labelled boxes are covered, with these 34.
MEAN = 255 * np.array([[[0.485]], [[0.456]], [[0.406]]], np.float32)
SPREAD = 255 * np.array([[[0.229]], [[0.224]], [[0.225]]], np.float32)


class TextDetector:
    """PP-OCRv6 text detection, small (PaddleOCR, 2026; Liao et al., Differentiable Binarization, 2020).

    It finds lines of text, upright and turned by any angle, and does not read them.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "ppocr-det-v6"
    labels: tuple[str, ...] = ("text",)
    every_s = Fraction(16, 25)
    holds = True

    def __init__(self, weights_folder: Path | None = None) -> None:
        model = without_subnormals(weights.load(self.name, weights_folder))
        self._session, self.models = open_model(self.name, model)

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return the picture as large as it is, and a large one also smaller; see `PacedDetector.looks`."""
        shown = min(max(side, LEAST_SIDE), MOST_SIDE)
        return (Look(shown), Look(round(SECOND * shown))) if shown >= TWICE_SIDE else (Look(shown),)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the lines of text in one picture; see `Detector.detect`."""
        make = detection_maker(frame, "text", self.name)
        seen = [(look, d) for look in looks for d in see(self._find, picture, [look], make)]
        return united([d for look, d in seen if not look.within or d.score >= CHEST_FLOOR])

    def looks_near(self, faces: Sequence[Detection], width: int, height: int) -> tuple[Look, ...]:
        """Return looks at chests, where name tags are; see `NearDetector.looks_near`."""
        side = max(width, height)
        shown = self.looks(side)[0].side / side
        left: float = CHEST_PIXELS
        found = []
        for face in sorted(faces, key=lambda d: -d.box.area):
            size = math.sqrt(face.box.area)
            factor = min(CHEST_TIMES, CHEST_FACE / size)
            part = chest_of(face, CHEST, CHEST).clip(width, height)
            if part is None or factor < CHEST_GAIN * shown or part.area * factor**2 > left:
                continue
            left -= part.area * factor**2
            found.append(Look(round(factor * max(part.width, part.height)), within=part))
        return tuple(found)

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the lines of text in what is shown, as rows of x0, y0, x1, y1, score."""
        calm = np.asarray(cv2.GaussianBlur(shown, (3, 3), CALM_SIGMA), np.uint8)
        batch = batch_of(calm, "RGB")
        batch -= MEAN
        batch /= SPREAD
        likely = self._session.run(None, {"x": batch})[0][0, 0]
        return lines(np.ascontiguousarray(likely[: shown.shape[0], : shown.shape[1]]), change_of(calm))


def change_of(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the square of how much the brightness changes at each pixel, in levels from one pixel to the next."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, y, scale=1 / 8) for x, y in ((1, 0), (0, 1)))
    return np.asarray(across * across + down * down, np.float32)


def lines(likely: NDArray[np.float32], change: NDArray[np.float32]) -> Rows:
    """Return the lines of text in a map as rows of x0, y0, x1, y1, score, each grown over its last letters.

    Args:
        likely: (height, width), how likely a pixel is in the middle of a line: a line without its rim.
        change: of the same size; `change_of` what is shown.
    """
    count, parts, extents, _ = cv2.connectedComponentsWithStats((likely >= LIKELY).astype(np.uint8))
    sums = np.bincount(parts.ravel(), weights=likely.ravel(), minlength=count)
    found = []
    for part in range(1, count):
        x, y, w, h, area = (int(v) for v in extents[part])
        score = min(sums[part] / area, 1.0)
        if score < SCORE_FLOOR or min(w, h) < 2:
            continue
        inside = (parts[y : y + h, x : x + w] == part).astype(np.uint8)
        short, long = (side + 1 for side in sorted(cv2.minAreaRect(np.asarray(cv2.findNonZero(inside)))[1]))
        if short > HUGE * max(likely.shape) or (short > LARGE and score < LARGE_FLOOR):
            continue
        near = round(BARE_AROUND * short)
        around = change[max(y - near, 0) : y + h + near, max(x - near, 0) : x + w + near]
        if short >= BARE_HEIGHT and around.mean() < BARE**2:
            continue
        growth = LARGE_GROWTH if short > LARGE else GROWTH
        rim = growth * short * long / (2 * (short + long))  # area times ratio by perimeter
        rim = min(rim, RIM + RIM_SHARE * short)
        end = min(ENDS * short, MOST_END) * (1 - short / long) / max(w, h)
        right, down = rim + end * w, rim + end * h
        found.append((x - right, y - down, x + w + right, y + h + down, score))
    return joined(np.array(found, np.float64).reshape(-1, 5))
