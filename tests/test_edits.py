"""What a person may do to a plan: make it cover more, and take a cover away only with a name and a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact import edits, keyframes
from redact.edits import By
from redact.errors import UsageError
from redact.geometry import Box
from redact.plan import Doubt, Plan, Review, Settings, Source, Track
from redact.records import dump_plan, load_plan

BY = By("Ana", "2026-01-01T00:00:00+00:00")
SOURCE = Source("c.mp4", "a" * 64, 320, 240, 5, 40, Fraction(1, 25), Fraction(0), Fraction(39, 25), "b" * 64, 0)
FOUND = Track(1, "head", 10, tuple(Box(10 + n, 20, 40 + n, 60) for n in range(10)))
LATER = Track(2, "head", 25, tuple(Box(30, 20, 60, 60) for _ in range(5)))
DRAWN = Track(3, "region", 5, (Box(100, 100, 120, 120),) * 21, origin="person", decided_by="Ana", reason="clock")
DOUBT = Doubt(12, 14, 13, Box(1, 2, 3, 4), "seen once", 0.6)
PLAN = Plan(SOURCE, Settings(), {}, (FOUND, LATER, DRAWN), (DOUBT,), review=Review("Ana", "2026-01-01", 3, 1))

EDITS: dict[str, Callable[[Plan], Plan]] = {
    "widen": lambda plan: edits.widen(plan, [1], 0.15, BY),
    "extend": lambda plan: edits.extend(plan, [1], 30, BY),
    "prolong": lambda plan: edits.prolong(plan, 1, 18, [Box(0, 0, 5, 5)] * 6, BY),
    "split": lambda plan: edits.split(plan, 1, 15, BY),
    "unite": lambda plan: edits.unite(plan, [1, 2], BY),
    "draw": lambda plan: edits.draw(plan, "region", 6, [Box(0, 0, 9, 9)] * 3, "sign", BY),
    "bring in": lambda plan: edits.bring_in(plan, [replace(LATER, id=edits._next(plan))], "more.csv", BY),
    "move": lambda plan: edits.move(plan, 3, 15, Box(90, 90, 130, 130), BY),
    "cover": lambda plan: edits.cover(plan, [1], BY),
    "settle": lambda plan: edits.settle(plan, [DOUBT], "accepted", BY),
    "show": lambda plan: edits.show(plan, [1], "asked to be seen", BY),
    "remove": lambda plan: edits.remove(plan, [3], BY),
}
GROWING = sorted(EDITS.keys() - {"show", "remove", "move"})


def box_in(plan: Plan, frame: int, box: Box) -> bool:
    """Return whether one covered box of a frame holds a box."""
    return any(t.action == "cover" and t.boxes[0].contains(box) for t in edits.at(plan, frame).tracks)


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_says_who_when_and_what_and_takes_the_sign_off_back(name: str) -> None:
    changed = EDITS[name](PLAN)
    assert len(changed.edits) == len(PLAN.edits) + 1
    assert (changed.edits[-1].who, changed.edits[-1].when) == (BY.who, BY.when)
    assert changed.review is None
    assert load_plan(dump_plan(changed)) == changed


def test_other_settings_take_the_sign_off_back_and_what_is_allowed_once_does_not() -> None:
    for change in ({"effect": "solid"}, {"audio": "keep"}, {"crf": 20}):
        assert PLAN.with_settings(replace(PLAN.settings, **change)).review is None
    allowed = replace(PLAN.settings, overwrite=True, allow_empty=True)
    assert PLAN.with_settings(allowed) == replace(PLAN, settings=allowed)


@given(st.lists(st.sampled_from(GROWING), max_size=6))
def test_no_edit_but_a_decision_uncovers_anything(names: list[str]) -> None:
    plan = PLAN
    for name in names:
        try:
            plan = EDITS[name](plan)
        except UsageError:
            continue
    for track in PLAN.tracks:
        for frame, box in enumerate(track.boxes, track.first):
            assert box_in(plan, frame, box), (names, track.id, frame)


def test_a_longer_track_stays_where_it_was_and_a_gap_is_covered_from_both_sides() -> None:
    longer = edits.extend(PLAN, [1], 30, BY).tracks[0]
    assert (longer.first, longer.last, longer.boxes[-1]) == (10, 30, FOUND.boxes[-1])
    assert edits.extend(PLAN, [2], 5, BY).tracks[1].boxes[0] == LATER.boxes[0]
    whole = edits.unite(PLAN, [1, 2], BY).tracks[0]
    assert (whole.id, whole.first, whole.last) == (1, 10, 29)
    for frame in range(20, 25):
        assert whole.boxes[frame - 10].contains(FOUND.boxes[-1])
        assert whole.boxes[frame - 10].contains(LATER.boxes[0])


def test_tracks_shown_and_covered_that_are_joined_are_covered() -> None:
    shown = edits.show(PLAN, [1], "asked to be seen", BY)
    assert edits.unite(shown, [1, 2], BY).tracks[0].action == "cover"


def test_to_show_needs_a_name_and_a_reason_and_stays_in_the_plan() -> None:
    shown = edits.show(PLAN, [1], "asked to be seen", BY).tracks[0]
    assert (shown.action, shown.decided_by, shown.reason) == ("show", "Ana", "asked to be seen")
    for reason in ("", "  ", "two\nlines", "x" * 501):
        with pytest.raises(UsageError):
            edits.show(PLAN, [1], reason, BY)
    with pytest.raises(UsageError):
        By(" ", BY.when)


def test_what_the_program_found_is_neither_removed_nor_moved() -> None:
    with pytest.raises(UsageError, match="found by the program"):
        edits.remove(PLAN, [1, 3], BY)
    with pytest.raises(UsageError, match="found by the program") as refused:
        edits.move(PLAN, 1, 12, Box(0, 0, 9, 9), BY)
    assert "remove" not in refused.value.advice  # which is refused as well


def test_a_drawn_track_moves_in_straight_lines_between_its_key_frames() -> None:
    once = edits.move(PLAN, 3, 15, Box(120, 100, 140, 120), BY)
    track = once.tracks[2]
    assert keyframes.key_frames(track) == [5, 15, 25]
    assert track.boxes[5] == Box(110, 100, 130, 120)
    twice = edits.move(once, 3, 10, Box(0, 0, 20, 20), BY).tracks[2]
    assert twice.boxes[10:] == track.boxes[10:]
    assert keyframes.key_frames(twice) == [5, 10, 15, 25]


@given(st.lists(st.tuples(st.integers(-50, 300), st.integers(-50, 200)), min_size=1, max_size=40))
def test_between_its_key_frames_a_track_is_where_a_straight_line_has_it(corners: list[tuple[int, int]]) -> None:
    track = Track(1, "head", 7, tuple(Box(x, y, x + 30, y + 40) for x, y in corners))
    keys = keyframes.key_frames(track)
    assert (keys[0], keys[-1]) == (track.first, track.last)
    for a, b in pairwise(keys):
        for n in range(a, b + 1):
            p, q, box = (track.boxes[m - 7] for m in (a, b, n))
            assert abs(p.x0 + (q.x0 - p.x0) * (n - a) / (b - a) - box.x0) <= keyframes.KEY_ERROR


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: edits.widen(PLAN, [1], 0.0, BY),
        lambda: edits.widen(PLAN, [1], 5.0, BY),
        lambda: edits.widen(PLAN, [9], 0.1, BY),
        lambda: edits.widen(PLAN, [], 0.1, BY),
        lambda: edits.extend(PLAN, [1], 45, BY),
        lambda: edits.extend(PLAN, [1], 12, BY),
        lambda: edits.split(PLAN, 1, 10, BY),
        lambda: edits.unite(PLAN, [1, 3], BY),
        lambda: edits.unite(PLAN, [1], BY),
        lambda: edits.draw(PLAN, "dog", 6, [Box(0, 0, 9, 9)], "x", BY),
        lambda: edits.draw(PLAN, "region", 4, [Box(0, 0, 9, 9)], "x", BY),
        lambda: edits.draw(PLAN, "region", 6, [Box(400, 0, 410, 9)], "x", BY),
        lambda: edits.move(PLAN, 3, 30, Box(0, 0, 9, 9), BY),
        lambda: edits.check_cut(PLAN, 20, 10),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_in_words(wrong: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        wrong()


def test_widening_without_end_is_refused_before_a_plan_could_not_hold_it() -> None:
    plan, refused = PLAN, ""
    while not refused:
        try:
            plan = edits.widen(plan, [1], 1.0, BY)
        except UsageError as error:
            refused = str(error)
    assert "larger" in refused
    assert load_plan(dump_plan(plan)) == plan


def test_going_back_keeps_every_edit_and_adds_one() -> None:
    changed = edits.show(PLAN, [1], "asked to be seen", BY)
    back = edits.go_back(changed, PLAN, "undid: that", BY)
    assert back.tracks == PLAN.tracks
    assert [e.what for e in back.edits] == ["shows track 1: asked to be seen", "undid: that"]


def test_a_shorter_excerpt_holds_what_lies_in_it() -> None:
    source = replace(SOURCE, first=12, frames=10)
    cut = edits.cut(PLAN, source, Settings(from_time=Fraction(7, 25), to_time=Fraction(17, 25)), BY)
    assert [(t.id, t.first, t.last) for t in cut.tracks] == [(1, 12, 19), (3, 12, 21)]
    assert cut.tracks[0].boxes == FOUND.boxes[2:]
    assert cut.doubts == (DOUBT,)


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (5, 9, ()),
        (5, 10, (Doubt(10, 10, 10, FOUND.boxes[0], "seen once", 0.6),)),
        (5, 11, (Doubt(10, 11, 11, FOUND.boxes[1], "seen once", 0.6),)),
        (16, 30, (Doubt(16, 18, 16, FOUND.boxes[6], "seen once", 0.6),)),
        (18, 30, (Doubt(18, 18, 18, FOUND.boxes[8], "seen once", 0.6),)),
        (19, 30, ()),
        (14, 16, (Doubt(14, 16, 15, FOUND.boxes[5].grow(-0.1, -0.1, -0.1, -0.1), "seen once", 0.6),)),
    ],
)
def test_a_doubt_that_reaches_into_a_shorter_excerpt_stays_in_doubt_with_what_it_is_about(
    first: int, last: int, left: tuple[Doubt, ...]
) -> None:
    doubt = Doubt(10, 18, 15, FOUND.boxes[5].grow(-0.1, -0.1, -0.1, -0.1), "seen once", 0.6)
    source = replace(SOURCE, first=first, frames=last - first + 1)
    assert edits.cut(replace(PLAN, doubts=(doubt,)), source, Settings(), BY).doubts == left


def test_a_doubt_about_what_no_track_covers_keeps_its_place_in_a_shorter_excerpt() -> None:
    doubt = Doubt(10, 30, 13, Box(200, 200, 220, 220), "not covered", 0.6)
    source = replace(SOURCE, first=20, frames=5)
    cut = edits.cut(replace(PLAN, doubts=(doubt,)), source, Settings(), BY)
    assert cut.doubts == (replace(doubt, first=20, last=24, frame=20),)


def test_a_frame_alone_is_covered_as_in_the_whole_plan() -> None:
    here = edits.at(PLAN, 12)
    assert [(t.id, t.first, t.boxes) for t in here.tracks] == [(1, 12, (FOUND.boxes[2],)), (3, 12, (DRAWN.boxes[0],))]
