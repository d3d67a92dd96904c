"""A clip of two people who have the face of the portrait, a detector that finds it, and a finished run.

The fixtures `two_people` and `case` go to all tests by conftest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from redact import custody
from redact.detectors.looks import Look
from redact.geometry import Box
from redact.media import FrameReader
from redact.plan import Detection, Plan
from redact.records import load_plan
from tests.clips import FACE, portrait, textured_background, write_clip

Place = tuple[int, int]  # of the portrait in the picture

FRAMES = 18
WIDTH, HEIGHT = 400, 200
SCALE = 0.4
LEFT, TOP, WIDE, TALL = (round(v * SCALE) for v in FACE)
PATTERN = cv2.cvtColor(portrait(SCALE)[TOP : TOP + TALL, LEFT : LEFT + WIDE], cv2.COLOR_BGR2GRAY)
LIKE = 0.6  # correlation from which a picture shows the face


def one(n: int) -> Place:
    """Where somebody is who stands at the left."""
    return 20 + n % 3, 30


def two(n: int) -> Place:
    """Where somebody is who walks at the right."""
    return 200 + 4 * n, 50 + n


def face_at(place: Place) -> Box:
    x, y = place[0] + LEFT, place[1] + TOP
    return Box(x, y, x + WIDE, y + TALL)


def likeness(picture: np.ndarray) -> np.ndarray:
    """Return how much the picture is like the face at each place: rows and columns of its upper left corner."""
    return cv2.matchTemplate(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), PATTERN, cv2.TM_CCOEFF_NORMED)


class Recogniser:
    """Finds the face of the portrait in the picture that it is shown: it cannot see what is covered.

    Args:
        name: of the detector.
        sees: the part of the picture in which it sees anything.
    """

    labels = ("face",)

    def __init__(self, name: str = "recogniser", sees: Box | None = None) -> None:
        self.name, self._sees = name, sees
        self.models: Mapping[str, str] = {name: "1" * 64}

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in the picture, where some look is taken."""
        found = []
        like = likeness(picture) if looks else np.zeros((1, 1))
        while like.max() >= LIKE:
            y, x = (int(v) for v in np.unravel_index(like.argmax(), like.shape))
            box = Box(x, y, x + WIDE, y + TALL)
            if self._sees is None or self._sees.contains(box):
                found.append(Detection(frame, box, "face", min(1.0, float(like[y, x])), self.name))
            like[max(0, y - TALL // 2) : y + TALL // 2, max(0, x - WIDE // 2) : x + WIDE // 2] = 0
        return found


@dataclass(frozen=True)
class Case:
    """A clip of two people of whom both are covered, and its plan."""

    clip: Path
    out: Path
    plan: Path

    @property
    def copy(self) -> Path:
        """Where the copy is released."""
        return self.out / "release" / "excerpt-0001.mp4"

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the plan by hand, and take the copy away."""
        data = json.loads(self.plan.read_text())
        change(data)
        self.plan.write_text(json.dumps(data))
        for path in (self.out / "release").iterdir():
            path.unlink()

    def read(self) -> Plan:
        """Return the plan as it is now."""
        return load_plan(self.plan.read_text())

    def log(self) -> list[Mapping[str, Any]]:
        """Return the lines of the log."""
        return list(custody.read_log(custody.locate_workspace(self.out)).entries)


@pytest.fixture(scope="session")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    person = portrait(SCALE)

    def pictures() -> Iterator[np.ndarray]:
        for n in range(FRAMES):
            picture = textured_background(WIDTH, HEIGHT)
            for x, y in (one(n), two(n)):
                picture[y : y + person.shape[0], x : x + person.shape[1]] = person
            yield picture

    return write_clip(tmp_path_factory.mktemp("people") / "yard.mp4", pictures())


@pytest.fixture
def case(two_people: Path, redact: Callable[..., Any], see: Callable[[Any], None], tmp_path: Path) -> Case:
    """A finished run."""
    see(Recogniser())
    assert redact("run", two_people, "-o", tmp_path / "out").code == 0
    case = Case(two_people, tmp_path / "out", tmp_path / "out" / "private" / "yard.plan.json")
    assert len(case.read().tracks) == 2
    return case


def shown(path: Path) -> list[int]:
    """Return the frames of a clip in which a face can be seen, anywhere."""
    with FrameReader(path) as reader:
        return [f.index for f in reader if likeness(f.picture).max() >= LIKE]
