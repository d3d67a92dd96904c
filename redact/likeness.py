"""Whether two faces are of one person, as far as a network can tell. Pure.

A network makes a vector of each face; vectors of one person lie near each other. Such a vector tells who somebody is:
it is kept in memory only, and nothing of it is stored or sent anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from redact.geometry import Box
from redact.plan import Track

Vector = NDArray[np.float32]
Points = NDArray[np.float64]  # (5, 2): x, y of the eyes, the tip of the nose, the corners of the mouth; left ones first

SIDE = 150  # pixels of the picture of a face that the network is shown
# Where it has the five points; measured by CenterFace on 64 faces that dlib had brought into that place by its own
# landmarks, and made symmetric.
UPRIGHT = np.array([[46, 48], [104, 48], [75, 77], [51, 103], [99, 103]], np.float64)
LOOKS = 5  # frames in which a track is looked at
BEST = 3  # and how many of them count
LEAST_EYES = 22.0  # pixels between the eyes; from 14 on, faces in a noisy clip at night were taken for each other
MOST_BENT = 9.0  # pixels of SIDE by which the points may be off: of faces in profile it is more


@dataclass(frozen=True)
class Face:
    """One sighting of a face.

    Attributes:
        vector: what the network made of it.
        quality: how much that is to be trusted: more for large faces that look at the camera.
    """

    vector: Vector
    quality: float


def places(track: Track, tracks: Iterable[Track]) -> list[tuple[int, Box, tuple[Box, ...]]]:
    """Return where a track's face is looked at: of each fifth of the track the frame with the largest box.

    Args:
        track: of a face or a head.
        tracks: all that are of faces and heads.

    Returns:
        The frame, the track's box in it, and those boxes of other tracks that reach into that.
    """
    ends = np.linspace(0, len(track.boxes), LOOKS + 1).round().astype(int)
    parts = [range(a, b) for a, b in pairwise(ends.tolist()) if b > a]
    largest = [max(part, key=lambda n: track.boxes[n].area) for part in parts]
    others = [t for t in tracks if t.id != track.id and t.first <= track.last and track.first <= t.last]
    found = []
    for n in largest:
        frame, box = track.first + n, track.boxes[n]
        here = [t.boxes[frame - t.first] for t in others if t.first <= frame <= t.last]
        found.append((frame, box, tuple(other for other in here if box.intersect(other))))
    return found


def align(points: Points) -> tuple[NDArray[np.float64], float]:
    """Return the shift, turn and zoom that bring five points nearest to `UPRIGHT`, and how far off they stay.

    Returns:
        The matrix, (2, 3), and the root of the mean square of the distances, in pixels.
    """
    given, wanted = (shape[:, 0] + 1j * shape[:, 1] for shape in (points, UPRIGHT))
    from_middle = given - given.mean()
    factor = np.vdot(from_middle, wanted) / np.vdot(from_middle, from_middle)  # least squares of complex numbers
    shift = wanted.mean() - factor * given.mean()
    off = float(np.sqrt(np.mean(np.abs(factor * given + shift - wanted) ** 2)))
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]), off


def quality(points: Points) -> float:
    """Return how much of a face is to be told from a picture with these points; 0 where it is nothing."""
    eyes = float(np.linalg.norm(points[1] - points[0]))
    _, off = align(points)
    return eyes * (1 - off / MOST_BENT) if eyes >= LEAST_EYES and off < MOST_BENT else 0.0


def belongs(points: Points, box: Box, others: Iterable[Box]) -> bool:
    """Return whether the nose of a face is nearer to the middle of a box than to those of others, in their sizes."""
    return all(_away(points[2], box) < _away(points[2], other) for other in others)


def _away(point: Points, box: Box) -> float:
    """Return how far a point is from the middle of a box, in sizes of the box."""
    return float(np.linalg.norm(point - np.array(box.center))) / max(box.width, box.height)


def mean(faces: Sequence[Face]) -> Vector | None:
    """Return the mean vector of the best of a track's faces; None where there is none."""
    best = sorted(faces, key=lambda face: -face.quality)[:BEST]
    return np.asarray(np.mean([face.vector for face in best], axis=0), np.float32) if best else None


def distance(a: Vector, b: Vector) -> float:
    """Return how unlike two faces are: the distance of their vectors."""
    return float(np.linalg.norm(a - b))
