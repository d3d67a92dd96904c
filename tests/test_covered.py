"""The bench of what is covered measures what it says: its texts, paths, shares and causes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bench import covered, marks
from bench.covered import LETTERS, Ran, Truth
from redact.geometry import Box
from redact.plan import Detection, Plan, Settings, Source, Track
from redact.sightings import Sightings

WIDTH, HEIGHT, FRAMES = 64, 48, 10
SOURCE = Source(
    "clip.mp4", "", WIDTH, HEIGHT, 0, FRAMES, Fraction(1, 10), Fraction(0), Fraction(9, 10), "", 0
)  # fmt: skip
THING = Box(20, 20, 30, 30)


def whole(frame: int) -> Truth:
    return Truth(frame, THING, np.ones((THING.height, THING.width), bool))


def ran(*tracks: Track, seen: tuple[Detection, ...] = ()) -> Ran:
    times = tuple(Fraction(n, 10) for n in range(FRAMES))
    sightings = Sightings(SOURCE, None, None, False, {}, "", times, (), (), (), seen, ())
    return Ran(Plan(SOURCE, Settings(), {}, tracks), sightings)


def test_a_text_lies_whole_in_its_box_and_its_letters_are_as_high_as_asked_for() -> None:
    black = np.zeros((120, 320, 3), np.uint8)
    for right, low in ((False, False), (True, True)):
        drawn, box = covered.draw_text(black, "CAM 07 YARD", right, low, 180)
        inside = np.zeros(drawn.shape[:2], bool)
        inside[box.y0 : box.y1, box.x0 : box.x1] = True
        assert not drawn[~inside].any()
        assert drawn.max() == 180
        assert box.height in (LETTERS, LETTERS + 1)  # round letters reach one row farther
        assert (box.x0 > 160, box.y0 > 60) == (right, low)
    assert not black.any()


def test_a_path_goes_straight_between_its_points_and_is_nowhere_beyond_its_ends() -> None:
    path = ((10, 0, 100), (20, 40, 100))
    assert covered.at_time(path, 15) == (20, 100)
    assert covered.at_time(path, 20) == (40, 100)
    assert covered.at_time(path, 9) is None
    assert covered.at_time(path, 21) is None


def test_a_mark_stands_where_the_path_has_it() -> None:
    corners, _ = marks.place(7, 1, WIDTH, HEIGHT, (33.0, 21.0))
    own, _ = marks.place(7, 1, WIDTH, HEIGHT)
    assert corners.mean(axis=0) == pytest.approx((33, 21), abs=3)
    assert corners - (33, 21) == pytest.approx(own - own.mean(axis=0), abs=3)


def test_only_the_pixels_of_a_thing_count() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:30, 20:25] = 255
    left = np.zeros((10, 10), bool)
    left[:, :5] = True
    assert covered.share_covered(mask, whole(0)) == 0.5
    assert covered.share_covered(mask, Truth(0, THING, left)) == 1
    assert covered.share_covered(mask, Truth(0, THING, ~left)) == 0


def test_all_tracks_cover_together_but_not_those_that_show() -> None:
    left, right = Track(1, "mark", 0, (Box(20, 20, 26, 30),)), Track(2, "code", 0, (Box(26, 20, 30, 30),))
    shown = Track(2, "code", 0, (Box(26, 20, 30, 30),), "show", "person", "me", "known")
    assert covered.judge(ran(left, right), [whole(0)], "mark").shares == [1]
    assert covered.judge(ran(left, shown), [whole(0)], "mark").shares == [0.6]


def test_a_miss_has_a_cause() -> None:
    half, away = Box(20, 20, 26, 30), Box(40, 40, 44, 44)
    track = Track(1, "mark", 1, (half, half, THING, away))
    judged = covered.judge(
        ran(track, seen=(Detection(1, half, "mark", 0.9, "mark:a"),)), [whole(n) for n in range(5)], "mark"
    )
    assert judged.causes == ["no track", "in part", "carried", "", "no track"]
    assert judged.ratio() == "1 of 5 (20.0%)"
    assert covered.misses("clip", judged) == [
        "- clip: carried, 60% to 60% covered, in frames 2",
        "- clip: in part, 60% to 60% covered, in frames 1",
        "- clip: no track, 0% to 0% covered, in frames 0, 4",
    ]


def test_frames_that_are_neighbours_are_told_together() -> None:
    assert covered.runs([7, 1, 2, 3]) == "1-3, 7"
    assert covered.runs([]) == ""


def test_a_table_has_its_header_and_a_line_for_each_row() -> None:
    assert covered.table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |"
