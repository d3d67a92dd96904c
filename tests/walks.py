"""Made pictures of faces that walk along known paths, for the tests of what follows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2
import numpy as np

from redact.crew import Crew
from redact.detectors.looks import Look
from redact.following import Follower, LookAt
from redact.geometry import Box
from redact.plan import Detection
from redact.sightings import Timeline
from redact.tracking import make_tracks
from tests.clips import textured_background

RATE = 25
WIDTH, HEIGHT = 480, 360
SIDE = 40  # of a face
THRESHOLD = 0.3

Place = tuple[float, float]
Path = Callable[[int], Place | None]  # from a frame to where a face is, if it is there


def face(seed: int, side: int = SIDE) -> np.ndarray:
    """Return a picture of hard patches that can be followed."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def film(frames: int, *paths: Path, cuts: Sequence[int] = (), camera: float = 0) -> list[np.ndarray]:
    """Return pictures of faces that move over a ground, the last one in front; places move with the camera too."""
    pictures = []
    for n in range(frames):
        ground = textured_background(3 * WIDTH, HEIGHT, 1 + sum(cut <= n for cut in cuts))
        ground = np.roll(ground, round(camera * n), axis=1)[:, WIDTH : 2 * WIDTH].copy()
        for seed, path in enumerate(paths):
            place = path(n)
            if place is not None:
                paste(ground, face(seed), round(place[0]), round(place[1]))
        pictures.append(ground)
    return pictures


def paste(picture: np.ndarray, what: np.ndarray, x: int, y: int) -> None:
    """Put one picture into another, as far as it lies in it."""
    seen = Box(x, y, x + what.shape[1], y + what.shape[0]).clip(picture.shape[1], picture.shape[0])
    if seen:
        picture[seen.y0 : seen.y1, seen.x0 : seen.x1] = what[seen.y0 - y : seen.y1 - y, seen.x0 - x : seen.x1 - x]


def box_at(place: Place | None, side: int = SIDE) -> Box:
    assert place is not None
    return Box(round(place[0]), round(place[1]), round(place[0]) + side, round(place[1]) + side)


def sighting(frame: int, place: Place | None, score: float = 0.8, angle: int = 0) -> Detection:
    return Detection(frame, box_at(place), "face", score, "test", angle)


def sightings(path: Path, frames: Sequence[int], score: float = 0.8) -> list[Detection]:
    return [sighting(n, path(n), score) for n in frames]


def timeline(frames: int, cuts: Sequence[int] = (), camera: float = 0) -> Timeline:
    moved = ((1.0, 0.0, camera, 0.0, 1.0, 0.0),) * frames if camera else ()
    return Timeline(0, tuple(Fraction(n, RATE) for n in range(frames)), tuple(cuts), moved)


def see_nothing(picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
    return []


def follow(
    pictures: Sequence[np.ndarray],
    chains: Sequence[Sequence[Detection]],
    line: Timeline | None = None,
    look_at: LookAt = see_nothing,
) -> list[list[Detection]]:
    with Crew() as crew:
        follower = Follower(chains, line or timeline(len(pictures)), THRESHOLD, look_at, crew)
        for n, picture in enumerate(pictures):
            follower.show(picture, n)
    return follower.chains()


def uncovered(chains: Sequence[Sequence[Detection]], line: Timeline, path: Path, frames: Sequence[int]) -> list[int]:
    """Return the frames in which a face is not inside the box of any track."""
    tracks = make_tracks(chains, line, THRESHOLD)
    return [
        n for n in frames
        if not any(t.first <= n <= t.last and t.boxes[n - t.first].contains(box_at(path(n))) for t in tracks)
    ]  # fmt: skip


def reach(chain: Sequence[Detection]) -> tuple[int, int]:
    return chain[0].frame, chain[-1].frame


def straight(n: int) -> Place:
    """Move slowly across the picture."""
    return 60 + 3 * n, 100 + n


def still(n: int) -> Place:
    return 220, 150


class Watcher:
    """Finds the face of `film` in what is shown, and notes the looks that were asked for."""

    def __init__(self, path: Path, score: float = 0.9, scale: float = 1, label: str = "face") -> None:
        self.path, self.score, self.scale, self.label = path, score, scale, label
        self.asked: list[tuple[int, Sequence[Look]]] = []

    def __call__(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face where it is near what is shown."""
        self.asked.append((frame, looks))
        place = self.path(frame)
        if place is None:
            return []
        box = box_at(place)
        small = Box.outward(*(v * self.scale for v in (box.x0, box.y0, box.x1, box.y1)))
        if all(look.within and look.within.contains(small) for look in looks):
            return [Detection(frame, small, self.label, self.score, "small look", looks[-1].angle)]
        return []
