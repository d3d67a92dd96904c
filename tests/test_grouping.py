"""Rows of the review: which tracks are taken for one person, by place, time and clothes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from redact.clothes import Colours, alike, colours
from redact.geometry import Box
from redact.plan import Track
from redact.records import dump_plan, load_plan
from redact.review.grouping import group
from redact.sightings import Timeline
from tests.clips import Picture, portrait, textured_background, write_clip
from tests.conftest import Result
from tests.fakes import FakeDetector
from tests.serving import serving

RED, BLUE = (40, 30, 190), (180, 70, 30)  # BGR
STAYS = range(0, 6), range(18, 24)  # frames in which Red is there, at the left and then at the right
OTHER = range(8, 14), range(28, 34)  # and Blue, at the right and then at the left
LEFT, RIGHT = (10, 20), (230, 60)  # where the head's box begins
FRAMES, SIZE = 36, 46  # of the clip; of a head
LINE = Timeline(0, tuple(Fraction(n, 5) for n in range(FRAMES)), ())


def scene(n: int) -> Picture:
    """Return a picture in which one of two people is to be seen, or nobody."""
    picture = textured_background(320, 240)
    for colour, spans, places in ((RED, STAYS, (LEFT, RIGHT)), (BLUE, OTHER, (RIGHT, LEFT))):
        for span, (x, y) in zip(spans, places, strict=True):
            if n in span:
                shade = 0.8 if span is spans[1] else 1.0  # it is darker where they come back
                body = np.clip(np.array(colour) * shade + np.random.default_rng(n).normal(0, 12, (150, 90, 3)), 0, 255)
                picture[y + SIZE : y + SIZE + 130, max(x - 20, 0) : x + 66] = body[:130, : 66 + min(x, 20)].astype(
                    np.uint8
                )
                picture[y : y + SIZE, x : x + SIZE] = portrait(0.5)[22:68, 33:79]
    return picture


def tracks() -> tuple[Track, ...]:
    """Return a track for each stay: 1 and 3 are Red's, 2 and 4 Blue's."""
    spans = [(STAYS[0], LEFT), (OTHER[0], RIGHT), (STAYS[1], RIGHT), (OTHER[1], LEFT)]
    return tuple(
        Track(n, "head", span.start, (Box(x, y, x + SIZE, y + SIZE),) * len(span))
        for n, (span, (x, y)) in enumerate(spans, start=1)
    )


def test_two_people_who_leave_and_come_back_have_a_row_each_by_what_they_wear(
    redact: Callable[..., Result], tmp_path: Path, see: Callable[[object], None]
) -> None:
    clip = write_clip(tmp_path / "two.mp4", (scene(n) for n in range(FRAMES)), rate=5)
    see(FakeDetector([(10, 20, SIZE, SIZE) if n in STAYS[0] else None for n in range(FRAMES)]))
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    (path,) = (tmp_path / "out" / "private").glob("*.plan.json")
    plan = replace(load_plan(path.read_text()), tracks=tracks(), doubts=())
    path.write_text(dump_plan(plan))
    before = sorted(file.name for file in path.parent.iterdir())
    with serving(tmp_path / "out") as client:
        client.enter()
        pause = threading.Event()
        while client.get("/api/state")["looking"]:
            pause.wait(0.05)
        rows = {track["id"]: track["group"] for track in client.get("/api/state")["tracks"]}
        assert rows == {1: 1, 2: 2, 3: 1, 4: 2}
        client.change("show", tracks=[n for n in rows if rows[n] == 1], who="Bea", reason="asked to be seen")
    changed = load_plan(path.read_text())
    assert [track.action for track in changed.tracks] == ["show", "cover", "show", "cover"]
    assert replace(changed, tracks=plan.tracks, edits=()) == plan  # nothing of what was seen is kept
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == before


def worn(*shares: tuple[int, ...]) -> dict[int, Colours]:
    """Return what tracks 1, 2, ... wear: the places of equal shares of 16 colours."""
    return {n: tuple(float(k in of) / len(of) for k in range(16)) for n, of in enumerate(shares, start=1)}


def test_without_clothes_only_place_and_time_are_known_and_one_passes_for_another() -> None:
    assert group(tracks(), LINE) == {1: 1, 2: 2, 3: 2, 4: 4}


def test_clothes_that_two_wear_at_one_time_tell_nobody_apart() -> None:
    alone, twin, back = tracks()[0], replace(tracks()[1], first=2), tracks()[2]
    assert group((alone, back), LINE, {1: worn((1,))[1], 3: worn((1,))[1]}) == {1: 1, 3: 1}
    assert group((alone, twin, back), LINE, worn((1,), (1,), (1,))) == {1: 1, 2: 2, 3: 3}


def test_somebody_in_other_clothes_at_the_same_place_is_somebody_else() -> None:
    first, second = tracks()[0], replace(tracks()[3], first=8)
    assert group((first, second), LINE) == {1: 1, 4: 1}
    assert group((first, second), LINE, {1: worn((1,))[1], 4: worn((7,))[1]}) == {1: 1, 4: 4}


@pytest.mark.parametrize("light", [0.7, 1.3])
def test_colours_stay_alike_when_the_light_changes_and_differ_between_clothes(light: float) -> None:
    red, blue = (np.full((60, 60, 3), colour, np.uint8) for colour in (RED, BLUE))
    lit = np.clip(red * light, 0, 255).astype(np.uint8)
    box = Box(5, 5, 55, 55)
    a, b, c = (colours(picture, box) for picture in (red, lit, blue))
    assert a
    assert b
    assert c
    assert alike(a, b) > 0.8
    assert alike(a, c) < 0.2
    assert colours(red, Box(40, 40, 100, 100)) is None  # too little of it is in the picture
