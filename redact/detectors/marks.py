"""Marks by example: finds in each frame what the library has examples of, also turned, scaled and partly hidden.

A glance at the whole frame gives suspects, each of which is brought into the pose of the example and looked at closely.
The glance may be wrong and the close look is strict: a few details that agree raise a suspicion, many make a mark.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look, once
from redact.geometry import Box
from redact.marks import EXAMPLE_SIDE, Features, Picture, find_features, join_features, scale_example
from redact.plan import Detection
from redact.resizing import scaled

Points = NDArray[np.complex128]  # x + iy: a similarity is then a product and a sum

# Figures without another source are from `bench/marks.py`.
MAX_SIDE = 1280  # longer side in pixels beyond which a frame is made smaller
GLANCE_PIXELS = 137_000  # a small frame is shown with so many, doubled: one of 854x480 then takes about 35 ms
# Views of an example, as it looks small and blurred: factor, then blur (sigma in pixels). Of 189 frames, 167 raised a
# suspicion with the first alone, and 183 with all.
VIEWS = ((1.0, 0.0), (0.5, 0.0), (0.5, 2.0), (1.0, 4.0))
# Details that agree on a place count by how much more than GLANCE_ALIKE their descriptors' products are; SUSPICION is
# enough. Of 277 frames 8 raised none, and 0.7 places a frame were wrong; at 0.85 and 0.08 it was 6, and 1.5 places.
GLANCE_ALIKE, SUSPICION = 0.86, 0.10
SUSPECTS = 3  # places looked at closely for one example in one frame
REACH, TURN_DEG, OCTAVES = 0.15, 25.0, 0.6  # by how much details may disagree: share of EXAMPLE_SIDE, angle, size
LEAST_SIDE = 24  # pixels of the longer side of a mark on the screen
MARGIN = 0.15  # what is looked at around a suspect, as a share of the example's sides
# Likewise in the close look, where place, size and angle agree already: the details of the wrong suspects in 700 frames
# came to 0.51 at most, those of 98 in 100 right ones to 0.69 or more.
CLOSE_ALIKE, EVIDENCE = 0.80, 0.60
DETAILS = 5  # places that they are at: a homography fits any four
FIT = 3.0  # pixels between a detail and where the homography puts it
GRID = 3.0  # pixels within which details count as one
AREAS = 0.4, 2.0  # of the outline, to that of the suspect
GROW = 0.04  # of the sides of a box, on each side


@dataclass(frozen=True, slots=True)
class _Example:
    """An example as it is compared.

    Attributes:
        corners: (4, 2), in pixels of the scaled example, clockwise from the top left.
        features: of all its views, in the same pixels.
    """

    corners: NDArray[np.float64]
    features: Features


@dataclass(frozen=True, slots=True)
class _Pose:
    """A similarity from the example to the frame: z becomes factor * z + shift."""

    factor: complex
    shift: complex

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points (n, 2) of the example in the frame."""
        placed = self.factor * _complex(points) + self.shift
        return np.stack([placed.real, placed.imag], axis=1)


class MarkDetector:
    """SIFT features (Lowe 2004), a vote on their poses, and a homography (Barath et al., MAGSAC++, 2020).

    It keeps nothing from one picture to the next and may be used from several threads.

    Args:
        examples: pictures of each mark by its name, BGR, uint8, (height, width, 3); `redact.marks.load` returns them.
    """

    name = "marks"
    labels: tuple[str, ...] = ("mark",)
    every_s = Fraction(0)

    def __init__(self, examples: Mapping[str, Sequence[Picture]]) -> None:
        self._examples = {f"mark:{name}": [_study(picture) for picture in held] for name, held in examples.items()}
        self.models: Mapping[str, str] = {f"mark:{name}": _hash(held) for name, held in examples.items()}

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return nothing: it chooses what it looks at in the picture itself; see `PacedDetector.looks`."""
        return ()

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the marks in one picture; see `Detector.detect`. How it looks is its own choice, not that of `looks`.

        The detector of each is "mark:NAME". The score is e / (e + 0.6), where e says by how much its details are more
        alike than those of other things: at least a half, 0.8 at about 20 details.
        """
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        seen = _glance(grey)
        found: list[Detection] = []
        for detector, examples in self._examples.items():
            marks = [mark for example in examples for mark in _find(grey, example, seen)]
            found += once([Detection(frame, box, "mark", score, detector) for box, score in marks])
        return found


def _study(picture: Picture) -> _Example:
    """Return an example as it is compared."""
    whole = scale_example(picture)
    tall, wide = whole.shape[:2]
    views = []
    for factor, blur in VIEWS:
        soft = np.asarray(cv2.GaussianBlur(whole, (0, 0), blur), np.uint8) if blur else whole
        view = _resize(soft, round(wide * factor), round(tall * factor))
        views.append(find_features(view).scale(1 / factor))
    return _Example(np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)]) - 0.5, join_features(views))


def _find(grey: Picture, example: _Example, seen: Features) -> list[tuple[Box, float]]:
    """Return where in a frame an example is seen, and how sure each is."""
    found: list[tuple[Box, float]] = []
    for pose in _suspect(example, seen):
        middle = pose.place(example.corners).mean(axis=0)
        if not any(_holds(box, middle) for box, _ in found) and (mark := _look_closely(grey, example, pose)):
            found.append(mark)
    return found


def _hash(pictures: Sequence[Picture]) -> str:
    """Return the sha256 of the sizes and pixels of some pictures."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(repr(picture.shape).encode() + picture.tobytes())
    return digest.hexdigest()


def _resize(picture: Picture, width: int, height: int) -> Picture:
    """Return a picture in another size, smooth either way."""
    how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def _glance(grey: Picture) -> Features:
    """Return the features of a frame, in its pixels."""
    height, width = grey.shape
    least = math.sqrt(GLANCE_PIXELS / (width * height))
    factor = min(1.0, max(least, min(1.0, MAX_SIDE / max(height, width)) / 2))  # features double the picture
    return find_features(_resize(grey, *scaled(grey, factor))).scale(1 / factor)


def _suspect(example: _Example, seen: Features) -> list[_Pose]:
    """Return where the example may be in a frame, the best first.

    Each match of two features is a pose by itself (Philbin et al., Object Retrieval with Large Vocabularies and Fast
    Spatial Matching, 2007), for which those that agree with it vote. What the best one has gathered is then taken
    away, so that another instance can be found.
    """
    known = example.features
    if not len(seen) or not len(known):
        return []
    alike = seen.descriptors @ known.descriptors.T
    there = np.nonzero(alike.max(axis=1) > GLANCE_ALIKE)[0]
    here = alike[there].argmax(axis=1)
    weight = alike[there, here] - GLANCE_ALIKE
    a, b = _complex(known.points[here]), _complex(seen.points[there])
    scale = seen.sizes[there] / known.sizes[here]
    factor = scale * np.exp(1j * np.radians(seen.angles[there] - known.angles[here]))
    agree = np.abs(factor[:, None] * (a - a[:, None]) + b[:, None] - b) < REACH * EXAMPLE_SIDE * scale[:, None]
    ratio = factor[:, None] / factor
    agree &= (np.abs(np.log2(np.abs(ratio))) < OCTAVES) & (np.abs(np.angle(ratio, deg=True)) < TURN_DEG)
    agree &= (scale * EXAMPLE_SIDE >= LEAST_SIDE)[:, None]
    poses: list[_Pose] = []
    while len(poses) < SUSPECTS and len(there):
        top = agree[(agree @ weight).argmax()].copy()
        if weight[top].sum() < SUSPICION:
            break
        if _count_details(known.points[here[top]]) > 1:
            poses.append(_fit_pose(a[top], b[top]))
        agree[top] = False
        agree[:, top] = False
    return poses


def _look_closely(grey: Picture, example: _Example, pose: _Pose) -> tuple[Box, float] | None:
    """Return where in a frame the example is, and how sure that is; None where it is not near the pose."""
    known, seen = example.features, _find_features_near(grey, example, pose)
    if not len(seen):
        return None
    near = np.abs(_complex(seen.points)[:, None] - _complex(known.points)) < REACH * EXAMPLE_SIDE
    near &= np.abs(np.log2(seen.sizes[:, None] / known.sizes)) < OCTAVES
    near &= np.abs((seen.angles[:, None] - known.angles + 180) % 360 - 180) < TURN_DEG
    alike = np.where(near, seen.descriptors @ known.descriptors.T, 0)
    best, value = alike.argmax(axis=1), alike.max(axis=1)
    mutual = (value > CLOSE_ALIKE) & (alike.argmax(axis=0)[best] == np.arange(len(seen)))
    here, there, weight = known.points[best[mutual]], seen.points[mutual], value[mutual] - CLOSE_ALIKE
    if _count_details(here) < DETAILS:
        return None
    homography, fits = cv2.findHomography(here, there, cv2.USAC_MAGSAC, FIT)
    if homography is None:
        return None
    inlier = fits.ravel() > 0
    here, there, evidence = here[inlier], there[inlier], float(weight[inlier].sum())
    outline = cv2.perspectiveTransform(example.corners[None], homography)[0]
    if evidence < EVIDENCE or _count_details(here) < DETAILS or not _is_sound(outline, example.corners):
        return None
    # A homography may bend where it has no details, as in a hidden part: what a similarity says is covered as well.
    straight = _fit_pose(_complex(here), _complex(there)).place(example.corners)
    placed = pose.place(np.concatenate([outline, straight]))
    low, high = placed.min(axis=0), placed.max(axis=0)
    more = (high - low) * GROW
    return Box.outward(*(low - more), *(high + more + 1)), evidence / (evidence + EVIDENCE)


def _find_features_near(grey: Picture, example: _Example, pose: _Pose) -> Features:
    """Return the features of the part of a frame around a pose, in pixels of the example."""
    wide, tall = example.corners[2] + 0.5
    left, top = round(MARGIN * wide), round(MARGIN * tall)
    finer = max(1, round(abs(pose.factor)))  # what is made smaller is taken finely first, then averaged
    size = (round(wide) + 2 * left) * finer, (round(tall) + 2 * top) * finer
    step = pose.factor / finer
    corner = pose.factor * complex(0.5 / finer - 0.5 - left, 0.5 / finer - 0.5 - top) + pose.shift
    back = np.array([(step.real, -step.imag, corner.real), (step.imag, step.real, corner.imag)])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = np.asarray(cv2.warpAffine(grey, back, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    return find_features(_resize(fine, size[0] // finer, size[1] // finer)).shift(-left, -top)


def _fit_pose(here: Points, there: Points) -> _Pose:
    """Return the similarity that brings some points nearest to others (least squares)."""
    a, b = here - here.mean(), there - there.mean()
    factor = complex((b * a.conj()).sum() / max(float((np.abs(a) ** 2).sum()), 1e-9))
    return _Pose(factor, complex(there.mean() - factor * here.mean()))


def _is_sound(outline: NDArray[np.float64], corners: NDArray[np.float64]) -> bool:
    """Return whether an outline can be that of a flat thing near the suspect: not mirrored, folded or crushed."""
    edges = _complex(np.roll(outline, -1, axis=0) - outline)
    turns = (edges.conj() * np.roll(edges, -1)).imag
    area, whole = (cv2.contourArea(points.astype(np.float32)) for points in (outline, corners))
    return bool((turns > 0).all()) and AREAS[0] * whole < area < AREAS[1] * whole


def _count_details(points: NDArray[np.float64]) -> int:
    """Return how many different places some features have."""
    return len(np.unique(np.round(points / GRID), axis=0))


def _complex(points: NDArray[np.float64]) -> Points:
    """Return points (n, 2) as complex numbers."""
    return np.asarray(points[:, 0] + 1j * points[:, 1], np.complex128)


def _holds(box: Box, point: NDArray[np.float64]) -> bool:
    """Return whether a point is in a box."""
    return bool(box.x0 <= point[0] < box.x1 and box.y0 <= point[1] < box.y1)
