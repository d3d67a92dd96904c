"""Tag detectors: name tags, badges and cards that people wear, whether or not anything on them can be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look, Rows, chest_of, detection_maker, joined, see, upright
from redact.plan import Detection

# Found with tags drawn on people in frames of clips (bench/tags.py), and with a real card.
# In sizes of a face, the square root of its area:
DEEP, WIDE = 4.0, 2.8  # where tags are looked for below it: cards on a ribbon hang down to the belt
SHORT, LONG = (0.15, 0.75), (0.3, 1.0)  # sides of a tag
LONGEST = 2.6  # longer side by the shorter one
FACE = 64  # pixels that a face has in what is shown: with 96 as many are found, in one and a half times the time
LEAST_FACE = 24  # pixels; what smaller people wear is a few pixels large
MOST = 8  # people that are looked at in one picture, near ones first
CALM_SIGMA = 0.7  # pixels; noise breaks edges
# What the brightness or colour must change by at an edge, in sums over 3 x 3 pixels. No one of them finds all: a weak
# one joins a tag to folds around it.
EDGES = (30, 60, 120)
FILLED = 0.86  # share of the smallest turned rectangle around an outline that lies in it; an ellipse has 0.79
STEP = 14.0  # how far the colours on both sides of each edge must be apart (CIE Lab, 8 bit)
BESIDE = 0.12  # of the shorter side: how wide a strip of each side is looked at for that
RIM = 0.12  # of the shorter side: outlines run inside of blurred edges


class TagDetector:
    """Name tags, badges and cards below faces: rectangles that stand out from the clothes on all four sides.

    Their outlines are those of edges (Canny, 1986) of the strongest colour channel, closed and as they are. What it
    gives is text: text is what there is on them, and too small for a detector of text.
    """

    name = "tags"
    labels: tuple[str, ...] = ("text",)
    models: Mapping[str, str] = {"tags": f"opencv {cv2.__version__}"}
    every_s = Fraction(16, 25)

    def __init__(self, weights_folder: Path | None = None) -> None:
        """Make one; it needs no weights."""

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return none: rectangles are everywhere but on people; see `PacedDetector.looks`."""
        return ()

    def looks_near(self, faces: Sequence[Detection], width: int, height: int) -> tuple[Look, ...]:
        """Return looks at what people wear, from the neck to the belt; see `NearDetector.looks_near`."""
        found = []
        for face in sorted(faces, key=lambda d: -d.box.area)[:MOST]:
            size = math.sqrt(face.box.area)
            part = chest_of(face, DEEP, WIDE).clip(width, height)
            if size >= LEAST_FACE and part is not None:
                found.append(Look(max(1, round(FACE / size * max(part.width, part.height))), within=part))
        return tuple(found)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the tags in one picture; see `Detector.detect`.

        The score is the share of the smallest turned rectangle around a tag that it fills.
        """
        return see(_find, picture, looks, detection_maker(frame, "text", self.name))


def _find(shown: NDArray[np.uint8]) -> Rows:
    """Return the tags in what is shown, as rows of x0, y0, x1, y1, score."""
    colours = np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2LAB), np.uint8)
    rows = []
    for outline in _outlines(colours):
        middle, sides, angle = cv2.minAreaRect(outline)
        short, long = sorted(sides)
        if not (_is_within(short, SHORT) and _is_within(long, LONG) and long <= LONGEST * short):
            continue
        filled = cv2.contourArea(outline) / (short * long)
        if filled >= FILLED and _step(colours, middle, sides, angle) >= STEP:
            corners = cv2.boxPoints((middle, sides, angle))
            rim = RIM * short
            rows.append((*(corners.min(axis=0) - rim), *(corners.max(axis=0) + rim), min(filled, 1.0)))
    return joined(np.array(rows, np.float64).reshape(-1, 5))


def _is_within(side: float, limits: tuple[float, float]) -> bool:
    """Return whether a side in pixels of what is shown is within limits in sizes of a face."""
    return limits[0] * FACE <= side <= limits[1] * FACE


def _outlines(colours: NDArray[np.uint8]) -> Iterator[NDArray[np.int32]]:
    """Yield the convex hulls of what edges enclose, (n, 1, 2), but for what is smaller than any tag."""
    calm = cv2.GaussianBlur(colours, (3, 3), CALM_SIGMA)
    across, down = (np.asarray(cv2.Sobel(calm, cv2.CV_16S, x, y)) for x, y in ((1, 0), (0, 1)))
    strongest = (np.abs(across) + np.abs(down)).argmax(axis=2)[..., None]
    across, down = (np.take_along_axis(change, strongest, axis=2)[..., 0] for change in (across, down))
    for edge in EDGES:
        thin = cv2.Canny(np.ascontiguousarray(across), np.ascontiguousarray(down), edge / 2, edge)
        for edges in (thin, cv2.dilate(thin, np.ones((3, 3), np.uint8))):
            for contour in cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
                if max(cv2.boundingRect(contour)[2:]) >= LONG[0] * FACE / math.sqrt(2):  # as upright as it may lie
                    yield np.asarray(cv2.convexHull(contour), np.int32)


def _step(colours: NDArray[np.uint8], middle: Sequence[float], sides: Sequence[float], angle: float) -> float:
    """Return how far apart the colours beside the edges of a turned rectangle are, at the edge where that is least."""
    strip = max(2, round(BESIDE * min(sides)))
    width, height = (round(side) + 2 * strip + 2 for side in sides)
    part = upright(colours, middle, (width, height), angle)
    least = math.inf
    for _ in range(4):
        between = part[:, 2 * strip : -2 * strip]
        if not between.size:
            return 0.0
        inside, outside = (
            np.median(rows, axis=(0, 1)) for rows in (between[strip + 1 : 2 * strip + 1], between[:strip])
        )
        least = min(least, float(np.linalg.norm(inside - outside)))
        part = np.rot90(part)
    return least
