"""Looks that are not taken, because nothing has changed: what they would have seen must be there all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from redact import looking, stillness
from redact.crew import Crew
from redact.detectors import load_detectors
from redact.detectors.looks import Look
from redact.geometry import Box, covered_share
from redact.looking import Gaze, parts_of
from redact.plan import Detection, Looked, Settings
from redact.tracking import counts
from tests.clips import Picture, portrait, textured_background
from tests.test_stillness import noisy, with_face

WIDTH, HEIGHT = 480, 270
WHOLE = Box(0, 0, WIDTH, HEIGHT)
BACKGROUND = textured_background(WIDTH, HEIGHT)


class Eyes:
    """Sees what is brighter than 230 levels as a face of the score that it was told, and remembers its looks."""

    name = "eyes"
    labels = ("face",)
    models: Mapping[str, str] = {}

    def __init__(self, score: float = 0.9) -> None:
        self.score = score
        self.taken: list[tuple[int, Look]] = []

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the one bright thing in what is shown."""
        found = []
        for look in looks:
            self.taken.append((frame, look))
            part = look.within or WHOLE
            rows, columns = np.nonzero(picture[part.y0 : part.y1, part.x0 : part.x1].min(axis=2) > 230)
            if len(rows):
                box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
                found.append(Detection(frame, box.shift(part.x0, part.y0), "face", self.score, self.name))
        return found[:1]


def gaze_at(pictures: Sequence[Picture], detectors: Sequence[Eyes], fast: bool = True) -> Gaze:
    with Crew() as crew:
        gaze = Gaze(detectors, fast, 0.33, crew)
        for n, picture in enumerate(pictures):
            gaze.look(picture, n, Fraction(n, 25), False)
        gaze.seen()
    return gaze


def lamp(x: int, y: int) -> Picture:
    """Return a dark picture with a bright square that the eyes take for a face."""
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[y : y + 20, x : x + 20] = 250
    return picture


def test_where_nothing_changes_what_was_seen_is_held_in_every_frame_and_says_so() -> None:
    eyes = Eyes()
    gaze = gaze_at([lamp(100, 100)] * 50, [eyes])
    seen = gaze.seen()
    assert [d.frame for d in seen] == list(range(50))
    assert {d.box for d in seen} == {Box(100, 100, 120, 120)}
    assert [d.frame for d in seen if not d.held] == sorted({frame for frame, _ in eyes.taken}) == [0]
    assert gaze.looked() == Looked(2, 0, 49)


class NotYet(Crew):
    """Begins no call, and remembers which of them would have to wait for an earlier one."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[bool] = []

    def give_after(self, before: Future[Any] | None, *_: Any, **__: Any) -> Future[Any]:
        """Remember a call."""
        self.waits.append(before is not None)
        return Future()


@pytest.mark.parametrize(("second", "waits"), [(255 - lamp(100, 100), False), (lamp(300, 100), True)])
def test_a_look_at_a_picture_that_has_changed_wholly_waits_for_no_earlier_frame(second: Picture, waits: bool) -> None:
    with NotYet() as crew:
        gaze = Gaze([Eyes()], True, 0.33, crew)
        for n, picture in enumerate([lamp(100, 100), second]):
            gaze.look(picture, n, Fraction(n, 25), False)
    assert crew.waits == [False, False, waits]


def test_each_kind_of_look_holds_for_itself_alone() -> None:
    eyes = Eyes()
    gaze_at([lamp(100, 100)] * 50, [eyes], fast=False)
    sides = [(frame, look.side) for frame, look in eyes.taken if not look.angle and look.side < 1280]
    assert sides == [(0, 480), (0, 832)]  # a photograph has no second frame
    assert {frame for frame, look in eyes.taken if look.angle} == {0}


def test_what_was_seen_weakly_is_looked_at_again_in_every_frame_and_never_counts_for_being_held() -> None:
    eyes = Eyes(0.25)
    seen = gaze_at([lamp(100, 100)] * 20, [eyes]).seen()
    assert not any(d.held for d in seen)
    assert {frame for frame, _ in eyes.taken} == set(range(20))
    assert counts(seen, 0.33)
    held = [Detection(n, Box(0, 0, 9, 9), "face", 0.25, "eyes", held=n > 0) for n in range(20)]
    assert not counts(held, 0.33)


def test_only_what_has_changed_is_looked_at_as_large_as_before_and_the_rest_is_held() -> None:
    eyes = Eyes()
    both = [lamp(30, 30), lamp(30, 30) | lamp(400, 200)]
    pictures = [both[0]] * 4 + [both[1]] * 4 + [lamp(400, 200)] * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "cheap_looks", lambda side, fast: (Look(960),))
        seen = gaze_at(pictures, [eyes]).seen()
    left, right = Box(30, 30, 50, 50), Box(400, 200, 420, 220)
    assert [(d.frame, d.held) for d in seen if d.box == left] == [(n, n > 0) for n in range(8)]
    assert [(d.frame, d.held) for d in seen if d.box == right] == [(n, n > 4) for n in range(4, 12)]
    (_, first), (_, second), (_, third) = eyes.taken
    assert first == Look(960)
    assert second.within is not None
    assert second.within.contains(right)
    assert second.side == 2 * max(second.within.width, second.within.height)
    assert third.within is not None
    assert third.within.contains(left)


def test_a_change_is_seen_with_what_is_around_it_and_a_face_that_it_touches_is_seen_whole() -> None:
    (part,) = parts_of([Box(100, 100, 108, 108)], [Box(105, 105, 180, 190), Box(300, 0, 320, 20)], WIDTH, HEIGHT)
    assert part.contains(Box(60, 60, 220, 230))
    assert not part.intersect(Box(300, 0, 320, 20))
    assert parts_of([], [Box(0, 0, 9, 9)], WIDTH, HEIGHT) == []
    near = parts_of([Box(0, 0, 8, 8), Box(50, 0, 58, 8), Box(400, 200, 408, 208)], [], WIDTH, HEIGHT)
    assert len(near) == 2
    assert not near[0].intersect(near[1])


# With the real detector: whatever it sees surely with all looks, it sees with those that are left.


def fading(n: int) -> Picture:
    """Return somebody who fades in over 3 s."""
    return with_face(BACKGROUND, 0.35, 200, 80, min(1.0, n / 75))


def cornered(n: int) -> Picture:
    """Return a small face that comes into a far corner, at the pace of somebody who walks."""
    return with_face(BACKGROUND, 0.2, WIDTH - min(50, 5 * max(0, n - 8)), HEIGHT - 60) if n > 8 else BACKGROUND


def sleeping(n: int) -> Picture:
    """Return somebody who lies, and after a second turns the head from the wall within half of one."""
    face, turned = np.rot90(portrait(0.5)), min(1.0, max(0.0, (n - 25) / 12))
    hair = cv2.GaussianBlur(np.ascontiguousarray(face), (0, 0), 20) // 2
    edge = round(face.shape[0] * turned)
    picture = BACKGROUND.copy()
    picture[90 : 90 + face.shape[0], 150 : 150 + face.shape[1]] = np.concatenate([face[:edge], hair[edge:]])
    return picture


@pytest.mark.usefixtures("real_weights")
@pytest.mark.parametrize(("story", "frames"), [(fading, 80), (cornered, 24), (sleeping, 50)])
def test_nobody_who_appears_in_noise_is_seen_later_or_less(
    story: Callable[[int], Picture], frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes = [d for d in load_detectors(Settings(cover=("face",))) if d.name == "centerface"]
    pictures = [noisy(story(n), n, deviation=4) for n in range(frames)]
    sparing = gaze_at(pictures, eyes, fast=False)
    monkeypatch.setattr(stillness, "HOLD_S", Fraction(0))
    whole = gaze_at(pictures, eyes, fast=False)
    assert sparing.looked().held + sparing.looked().parts > 0.5 * frames
    assert whole.looked().held + whole.looked().parts == 0
    sure = [d for d in whole.seen() if d.score >= 0.38]
    assert len({d.frame for d in sure}) > 5
    for d in sure:
        assert any(s.frame == d.frame and s.score >= 0.33 and covered_share(d.box, s.box) > 0.6 for s in sparing.seen())


class Reads(Eyes):
    """Looks near faces as well, and remembers those that it was told of."""

    name, labels, every_s = "reads", ("text",), Fraction(1)

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return the picture as it is."""
        return (Look(side),)

    def looks_near(self, faces: Sequence[Detection], width: int, height: int) -> tuple[Look, ...]:
        """Return a look at each face itself."""
        return tuple(Look(2 * face.box.width, within=face.box) for face in faces)

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return nothing."""
        self.taken += [(frame, look) for look in looks]
        return []


@pytest.mark.parametrize(("score", "near"), [(0.9, 1), (0.4, 0)])
def test_a_paced_detector_looks_near_the_faces_that_are_surely_in_its_frame(score: float, near: int) -> None:
    reads = Reads()
    gaze_at([lamp(100, 100)] * 2, [Eyes(score), reads])
    assert reads.taken == [(0, Look(WIDTH)), *[(0, Look(40, within=Box(100, 100, 120, 120)))] * near]


class Unaided(Reads):
    """Shows pictures to itself, as the detector of marks does."""

    every_s = Fraction(0)

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return no look."""
        return ()

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return a mark in every frame."""
        return [Detection(frame, Box(0, 0, 9, 9), "mark", 0.9, self.name)]


def test_a_detector_that_asks_for_no_look_is_shown_every_frame_that_is_due() -> None:
    assert [d.frame for d in gaze_at([lamp(100, 100)] * 4, [Unaided()]).seen()] == [0, 1, 2, 3]


class Lettering(Eyes):
    """Sees text, and knows nothing but the picture."""

    name, labels, every_s, holds = "lettering", ("text",), Fraction(1, 5), True

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return the picture as it is."""
        return (Look(side),)

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what is bright as text."""
        return [replace(d, label="text") for d in super().detect(picture, frame, looks)]


def test_while_nothing_changes_text_is_looked_for_again_only_now_and_then_and_holds() -> None:
    lettering = Lettering()
    seen = gaze_at([lamp(60, 60)] * 20 + [lamp(400, 200)] * 60, [lettering]).seen()
    assert [frame for frame, _ in lettering.taken] == [0, 20, 50]
    assert {look.within for _, look in lettering.taken} == {None}
    assert [d.frame for d in seen] == [*range(0, 80, 5)]
    assert {d.box for d in seen[:4]} == {Box(60, 60, 80, 80)}
    assert {d.box for d in seen[4:]} == {Box(400, 200, 420, 220)}
    assert [d.frame for d in seen if not d.held] == [0, 20, 50]


def test_a_detector_that_says_that_it_does_not_hold_looks_at_every_frame_that_is_due() -> None:
    lettering = Lettering()
    lettering.holds = False
    gaze_at([lamp(60, 60)] * 20, [lettering])
    assert sorted(frame for frame, _ in lettering.taken) == [0, 5, 10, 15]  # its looks are taken beside each other


def test_nobody_looks_near_what_is_no_face() -> None:
    class Bodies(Eyes):
        name, labels = "bodies", ("person",)

        def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
            """Return what is bright as a person."""
            return [replace(d, label="person") for d in super().detect(picture, frame, looks)]

    reads = Reads()
    seen = gaze_at([lamp(100, 100)], [Bodies(), reads]).seen()
    assert {d.label for d in seen} == {"person"}
    assert reads.taken == [(0, Look(WIDTH))]
