"""The second look reports what a copy shows, asks another model where that decides, and says how much it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest

from redact.crew import Crew
from redact.detectors.looks import Look
from redact.geometry import Box
from redact.plan import Detection, Settings
from redact.second_look import SHOWN, SPREAD_S, SURE_ONCE, SecondLook
from tests.clips import textured_background


class Told:
    """Sees what it is told, and notes the looks that are taken."""

    name = "told"
    labels = ("face",)
    models: Mapping[str, str] = {"told": "2" * 64}

    def __init__(
        self, faces: Mapping[int, tuple[Box, float]], there: Mapping[int, tuple[Box, float]] | None = None
    ) -> None:
        self._faces, self.looks = faces, dict[int, Sequence[Look]]()
        self._there = faces if there is None else there

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face of the frame: in the copy, or in the clip."""
        self.looks[frame] = looks
        faces = self._there if picture is CLIP else self._faces
        if frame not in faces:
            return []
        box, score = faces[frame]
        return [Detection(frame, box, "face", score, self.name)]


DEFAULTS = Settings()
MASKED = Box(100, 0, 200, 100)
STILL = textured_background(320, 240)
CLIP = STILL.copy()


def looked(
    faces: Mapping[int, tuple[Box, float]], frames: int = 30, settings: Settings = DEFAULTS, first: int = 0,
    pictures: Callable[[int], np.ndarray] = lambda n: STILL, there: Mapping[int, tuple[Box, float]] | None = None,
) -> tuple[SecondLook, Told]:  # fmt: skip
    """Return a second look at frames in which `MASKED` is covered."""
    told = Told(faces, there)
    mask = np.zeros((240, 320), np.uint8)
    mask[MASKED.y0 : MASKED.y1, MASKED.x0 : MASKED.x1] = 255
    with Crew() as crew:
        look = SecondLook([told], settings, crew)
        for n in range(first, first + frames):
            look.show(pictures(n), CLIP, mask, n, Fraction(n, 25))
    return look, told


def face(x: int, y: int = 20, side: int = 40) -> Box:
    return Box(x, y, x + side, y + side)


def test_a_face_that_is_covered_is_not_reported() -> None:
    assert looked({n: (face(120), 0.9) for n in range(30)})[0].found(()) == []
    (chain,) = looked({n: (face(220), 0.9) for n in range(30)})[0].found(())
    assert len(chain) == 30
    for share, reported in ((SHOWN - 0.05, False), (SHOWN + 0.05, True)):
        x = 200 - round(40 * (1 - share))
        assert bool(looked({9: (face(x), 0.9)})[0].found(())) == reported


def test_what_lies_outside_the_picture_is_not_shown() -> None:
    assert looked({9: (face(-80), 0.9), 12: (face(120, -39), 0.9)})[0].found(()) == []
    assert looked({9: (face(-18, 200), 0.9)})[0].found(()) != []


def test_what_the_first_look_may_have_left_out_must_be_surer_to_be_reported() -> None:
    threshold = Settings().threshold
    assert looked({9: (face(220), threshold + SURE_ONCE - 0.01)})[0].found(()) == []
    assert looked({9: (face(220), threshold + SURE_ONCE + 0.01)})[0].found(()) != []
    for other in (0.05, 0.5, 0.9):  # a higher threshold asks for fewer covers, not for a worse search
        surer = min(other, threshold) + SURE_ONCE
        for score, reported in ((surer - 0.01, False), (surer + 0.01, True)):
            assert bool(looked({9: (face(220), score)}, settings=Settings(threshold=other))[0].found(())) == reported
    weak = threshold + SURE_ONCE - 0.05
    assert looked({n: (face(220), weak) for n in range(9, 14)})[0].found(()) != []
    assert looked({n: (face(220), threshold) for n in range(30)})[0].found(()) == []


def test_what_only_the_covers_have_made_is_not_reported() -> None:
    seen = {9: (face(190), 0.9)}
    assert looked(seen)[0].found(()) != []
    for there in ({}, {9: (face(190), 0.5)}, {9: (face(150), 0.9)}, {9: (face(235), 0.9)}, {8: (face(190), 0.9)}):
        assert (
            looked(seen, there=there)[0].found(()) == []
        )  # nothing, not as sure, what is covered, another place or time
    for there in ({9: (face(180), 0.9)}, {9: (face(170, 0, 80), 0.9)}, {9: (face(195), 0.6)}):
        assert looked(seen, there=there)[0].found(()) != []  # a face that is half covered, larger, less sure


def test_faces_of_different_places_are_told_apart() -> None:
    faces = {n: (face(220 if n % 2 else 20, 150), 0.9) for n in range(30)}
    look, _ = looked(faces)
    assert len(look.found(())) == 2
    (check,) = look.checks(look.found(()))
    assert check.passed is False
    assert check.figure.endswith("2 faces that are not covered")


def test_a_face_under_no_name_of_a_detector_fails_all_the_same() -> None:
    look, _ = looked({})
    (check,) = look.checks([[Detection(9, face(220), "face", 0.9, "told in another version")]])
    assert check.passed is False
    assert check.figure.endswith("1 face that is not covered")


def test_every_frame_is_looked_at_mirrored_and_now_and_then_turned_and_enlarged() -> None:
    look, told = looked({}, frames=120)
    assert sorted(told.looks) == list(range(120))
    assert all(looks and all(look.mirrored for look in looks) for looks in told.looks.values())
    deep = [n for n, looks in told.looks.items() if len(looks) > 1]
    assert deep == list(range(0, 120, int(SPREAD_S * 25)))
    turns = {look.angle for look in told.looks[0]}
    assert turns == set(range(0, 360, 45))
    assert max(look.side for look in told.looks[0]) > 1000
    (check,) = look.checks([])
    assert check.passed is True
    assert check.figure == "120 frames mirrored, 2 of them also turned and enlarged: no faces that are not covered"


def test_a_new_scene_is_looked_at_deeply() -> None:
    other = textured_background(320, 240, 9) // 3
    _, told = looked({}, frames=30, pictures=lambda n: STILL if n < 11 else other)
    assert [n for n, looks in told.looks.items() if len(looks) > 1] == [0, 11]


def test_a_fast_look_says_how_little_it_looked_at() -> None:
    look, told = looked({}, frames=120, settings=Settings(fast=True))
    assert [n for n, looks in told.looks.items() if looks] == list(range(0, 120, int(SPREAD_S * 25)))
    (check,) = look.checks([])
    assert check.figure.startswith("2 frames mirrored, 0 of them also turned and enlarged")


def test_sightings_are_in_the_frames_of_the_clip() -> None:
    look, _ = looked({110: (face(220), 0.9)}, first=100)
    assert look.found(())[0][0].frame == 110


class Asking(Told):
    """Sees what it is told, and says the same of whatever it is asked about, which it notes with the picture."""

    def __init__(self, faces: Mapping[int, tuple[Box, float]], answer: float) -> None:
        super().__init__(faces)
        self._answer, self.asked = answer, list[tuple[int, int]]()

    def ask(self, picture: np.ndarray, detection: Detection) -> float:
        """Return the answer; pictures are known by the level that they are filled with."""
        self.asked.append((detection.frame, int(picture.max())))
        return self._answer


@pytest.mark.parametrize(
    ("score", "answer", "frames", "asked", "found"),
    [
        (0.58, 0.05, range(3, 9), True, False),
        (0.58, 0.5, range(3, 9), True, True),
        (0.5, 0.05, range(3, 9), False, False),  # would not count
        (0.58, 0.05, range(3, 5), False, False),  # nor so seldom
        (0.65, 0.05, range(3, 9), False, True),  # sure enough
    ],
)
def test_another_model_is_asked_at_the_end_and_only_where_that_decides(
    score: float, answer: float, frames: range, asked: bool, found: bool
) -> None:
    eyes = Asking({n: (face(220), score) for n in frames}, answer)
    read = []

    def again() -> Iterator[tuple[int, np.ndarray]]:
        for n in range(30):
            read.append(n)
            yield n, np.full((240, 320, 3), n, np.uint8)

    with Crew() as crew:
        look = SecondLook([eyes], DEFAULTS, crew)
        for n in range(30):
            look.show(STILL, CLIP, np.zeros((240, 320), np.uint8), n, Fraction(n, 25))
        assert eyes.asked == []
        assert bool(look.found(again())) == found
    assert sorted(eyes.asked) == ([(n, n) for n in (3, 5, 7)] if asked else [])
    assert read == (list(range(8)) if asked else [])  # and no farther than to the last of them


def test_nobody_is_asked_about_what_others_see() -> None:
    asking = Asking({}, 0.0)
    asking.name = "asking"
    with Crew() as crew:
        look = SecondLook([asking, Told({n: (face(220), 0.58) for n in range(3, 9)})], DEFAULTS, crew)
        for n in range(30):
            look.show(STILL, CLIP, np.zeros((240, 320), np.uint8), n, Fraction(n, 25))
        found = look.found((n, STILL) for n in range(30))
    assert len(found) == 1
    assert asking.asked == []
    assert [check.passed for check in look.checks(found)] == [True, False]
