"""Boxes of persons that grow over silhouettes."""

from __future__ import annotations

from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redact import detectors, weights
from redact.detectors import PacedDetector
from redact.detectors.looks import Look
from redact.detectors.silhouettes import MODEL, REACH, Outlined, grow_over
from redact.errors import DependencyError
from redact.geometry import Box
from redact.plan import Detection, Settings
from tests.clips import portrait
from tests.fakes import FakeDetector

PART = Box(10, 20, 50, 60)


class Persons(FakeDetector):
    """Sees one person at a place, and a face."""

    labels = ("person",)
    every_s = Fraction(8, 25)

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return one size."""
        return (Look(416),)

    def detect(self, picture: np.ndarray, frame: int, looks: object) -> list[Detection]:
        """Return the person that it was told of."""
        face = Detection(frame, Box(0, 0, 5, 5), "face", 0.9, self.name)
        (person,) = super().detect(picture, frame, ())
        return [Detection(frame, person.box, "person", 0.9, self.name), face]


def mask(*boxes: Box) -> np.ndarray:
    shown = np.zeros((PART.height, PART.width), bool)
    for box in boxes:
        shown[box.y0 - PART.y0 : box.y1 - PART.y0, box.x0 - PART.x0 : box.x1 - PART.x0] = True
    return shown


def test_a_box_grows_over_the_arm_that_reaches_out_of_it() -> None:
    body, arm = Box(24, 30, 36, 50), Box(36, 34, 47, 38)
    assert grow_over(Box(22, 28, 40, 52), mask(body, arm), PART) == Box(22, 28, 47, 52)


def test_a_box_does_not_grow_over_what_does_not_touch_it() -> None:
    box = Box(22, 28, 36, 52)
    assert grow_over(box, mask(Box(24, 30, 34, 50), Box(38, 30, 50, 60)), PART) == box


@settings(deadline=None, max_examples=200)
@given(
    arrays(bool, (PART.height, PART.width)),
    *[st.integers(0, 70)] * 2,
    *[st.integers(1, 40)] * 2,
)
def test_nothing_is_taken_away_and_nothing_grows_out_of_what_was_looked_at(
    shown: np.ndarray, x: int, y: int, width: int, height: int
) -> None:
    box = Box(x, y, x + width, y + height)
    grown = grow_over(box, shown, PART)
    assert grown.contains(box)
    assert grown == box or Box(min(x, 10), min(y, 20), max(x + width, 50), max(y + height, 60)).contains(grown)


@pytest.fixture
def installed() -> None:
    if not weights.is_installed(weights.cards()[MODEL]):
        pytest.skip(f"silhouettes are not installed: run `redact models fetch {MODEL}`")


@pytest.mark.usefixtures("installed")
def test_a_person_of_whom_a_part_was_seen_is_covered_farther() -> None:
    outlined, before = Outlined(Persons([(30, 15, 95, 270)])), Box(30, 15, 125, 285)  # half of her
    person, face = outlined.detect(portrait(), 0, outlined.looks(300))
    assert person.box.contains(before)
    assert person.box.x1 > before.x1 + 10
    assert before.grow(REACH, REACH, REACH, REACH).contains(person.box)
    assert face.box == Box(0, 0, 5, 5)


@pytest.mark.usefixtures("installed")
def test_the_plan_names_the_model_and_persons_outside_the_picture_stay() -> None:
    outlined = Outlined(Persons([(-50, -50, 20, 20)]))
    assert isinstance(outlined, PacedDetector)
    assert outlined.models == {**FakeDetector.models, MODEL: weights.cards()[MODEL].sha256}
    assert outlined.detect(portrait(), 0, ())[0].box == Box(-50, -50, -30, -30)


@pytest.mark.parametrize(("there", "cover", "kind"), [
    (True, ("face", "person"), Outlined), (True, ("face",), Persons), (False, ("face", "person"), Persons),
])  # fmt: skip
def test_silhouettes_are_looked_for_where_whole_persons_are_covered_and_their_weights_are_there(
    monkeypatch: pytest.MonkeyPatch, there: bool, cover: tuple[str, ...], kind: type
) -> None:
    made = {"faces": lambda folder: FakeDetector([]), "persons": lambda folder: Persons([])}
    for maker, labels in zip(made.values(), (("face",), ("person",)), strict=True):
        maker.labels = labels  # type: ignore[attr-defined]
    entries = [EntryPoint(name, "nowhere", detectors.GROUP) for name in made]
    monkeypatch.setattr(EntryPoint, "load", lambda entry: made[entry.name])
    monkeypatch.setattr(detectors, "entry_points", lambda group: entries)
    monkeypatch.setattr(weights, "is_installed", lambda card, folder=None: there)
    monkeypatch.setattr(weights, "load", lambda name, folder=None: b"weights")
    faces, persons = detectors.load_detectors(Settings(cover=cover))
    assert (type(faces), type(persons)) == (FakeDetector, kind)


def test_weights_that_are_missing_are_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DependencyError) as caught:
        Outlined(Persons([]), tmp_path)
    assert f"redact models fetch {MODEL}" in caught.value.advice
