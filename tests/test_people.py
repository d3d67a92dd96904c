"""What a person implies: no person without a covered head, and no head without a covered body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.geometry import Box
from redact.people import BODY_LENGTH, SHORT, add_bodies, add_heads, body_of, is_head_of, upper_part
from redact.plan import Track

STANDING = Box(100, 50, 160, 250)
HIS_HEAD = Box(118, 54, 142, 84)
ANOTHER = Box(300, 60, 360, 260)
LYING = Box(40, 200, 260, 260)


def track(number: int, label: str, first: int, boxes: Sequence[Box]) -> Track:
    return Track(number, label, first, tuple(boxes))


def still(number: int, label: str, box: Box, frames: int = 30, first: int = 0) -> Track:
    return track(number, label, first, [box] * frames)


def imply_heads(tracks: Sequence[Track], start: int) -> list[Track]:
    """Return the heads that are added where all others are sure to be where they are."""
    return add_heads(tracks, {t.id: range(t.first, t.last + 1) for t in tracks}, start)


def frames_of(tracks: Sequence[Track]) -> list[range]:
    return [range(t.first, t.last + 1) for t in tracks]


def in_frame(tracks: Sequence[Track], n: int) -> list[Box]:
    return [t.boxes[n - t.first] for t in tracks if t.first <= n <= t.last]


# Where a head is


@pytest.mark.parametrize(
    ("person", "part"),
    [(STANDING, Box(100, 50, 160, 120)), (Box(0, 0, 100, 100), Box(0, 0, 100, 75)), (LYING, LYING),
     (Box(0, 0, 109, 100), Box(0, 0, 109, 75)), (Box(0, 0, 111, 100), Box(0, 0, 111, 100)),
     (Box(-9, -7, -8, -6), Box(-9, -7, -8, -6))],
    ids=["standing", "sitting", "lying", "just sitting", "just lying", "one pixel"],
)  # fmt: skip
def test_the_upper_part_is_where_the_head_is_and_all_of_one_who_lies(person: Box, part: Box) -> None:
    assert upper_part(person) == part


@pytest.mark.parametrize(
    ("person", "head", "his"),
    [
        (STANDING, HIS_HEAD, True),
        (STANDING, Box(115, 30, 145, 70), True),  # it reaches over the person's edge
        (STANDING, Box(105, 105, 135, 135), True),  # of one who bends
        (STANDING, Box(115, 4, 145, 44), False),  # above
        (STANDING, Box(118, 210, 142, 240), False),  # at the feet
        (STANDING, Box(148, 54, 172, 84), False),  # beside
        (STANDING, Box(318, 54, 342, 84), False),  # of somebody else
        (LYING, Box(42, 215, 70, 245), True),
        (LYING, Box(230, 215, 258, 245), True),
        (LYING, Box(140, 150, 170, 180), False),
    ],
)
def test_a_head_belongs_to_a_person_where_it_is_at_the_upper_end_or_in_one_who_lies(
    person: Box, head: Box, his: bool
) -> None:
    assert is_head_of(head, person) is his


@pytest.mark.parametrize(
    ("angle", "sides"),
    [(0, "y1"), (90, "x0"), (180, "y0"), (270, "x1"), (45, "x0 y1"), (135, "x0 y0"), (225, "x1 y0"), (315, "x1 y1"),
     (360, "y1"), (-90, "x1")],
)  # fmt: skip
def test_a_body_reaches_to_where_the_turned_picture_has_its_bottom(angle: int, sides: str) -> None:
    head = Box(500, 500, 540, 540)
    body = body_of(head, angle)
    out = {"x0": 500 - body.x0, "y0": 500 - body.y0, "x1": body.x1 - 540, "y1": body.y1 - 540}
    far = 40 * BODY_LENGTH * (1 if " " not in sides else math.sqrt(0.5))
    assert {side for side, reach in out.items() if reach >= far} == set(sides.split())
    assert all(40 <= reach < 60 for side, reach in out.items() if side not in sides.split())


small = st.integers(-60, 160)


@st.composite
def boxes(draw: st.DrawFn, largest: int = 120) -> Box:
    x, y, w, h = draw(small), draw(small), draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return Box(x, y, x + w, y + h)


@settings(deadline=None)
@given(boxes(), st.floats(0.5, 2), st.integers(-360, 720))
def test_a_body_holds_its_head_and_all_that_lies_below_it(box: Box, ratio: float, angle: int) -> None:
    head = Box(box.x0, box.y0, box.x1, box.y0 + math.ceil(ratio * box.width))
    body, size = body_of(head, angle), math.sqrt(head.area)
    assert body.contains(head)
    for lengths in (1, 3, BODY_LENGTH - 0.5):
        x = head.center[0] - lengths * size * math.sin(math.radians(angle))
        y = head.center[1] + lengths * size * math.cos(math.radians(angle))
        assert body.x0 <= x <= body.x1
        assert body.y0 <= y <= body.y1


@settings(deadline=None)
@given(boxes(400))
def test_the_upper_part_lies_in_the_person_over_its_whole_width(person: Box) -> None:
    part = upper_part(person)
    assert person.contains(part)
    assert (part.x0, part.y0, part.x1) == (person.x0, person.y0, person.x1)
    assert part.height >= 0.35 * person.height
    assert part == person or is_head_of(Box(part.x0, part.y0, part.x1, part.y0 + 1), person)


# Heads of persons


def test_a_person_of_whom_no_head_was_found_gets_one_all_along() -> None:
    walk = [STANDING.shift(3 * n, 0) for n in range(20)]
    (head,) = imply_heads([track(1, "person", 7, walk), still(2, "text", HIS_HEAD)], 5)
    assert (head.id, head.label, head.first, head.action) == (5, "head", 7, "cover")
    assert head.boxes == tuple(upper_part(box) for box in walk)
    assert "no head was found" in head.reason


@pytest.mark.parametrize("label", ["head", "face"])
def test_a_person_whose_head_is_covered_in_every_frame_gets_no_other(label: str) -> None:
    assert imply_heads([still(1, "person", STANDING), still(2, label, HIS_HEAD, 40)], 3) == []


def test_a_head_lost_in_between_is_covered_there_and_a_little_around() -> None:
    person = still(1, "person", STANDING, 40, first=3)
    heads = [still(2, "head", HIS_HEAD, 15), still(3, "head", HIS_HEAD, 20, first=22)]
    added = imply_heads([*heads, person], 4)
    assert frames_of(added) == [range(15 - SHORT, 22 + SHORT), range(42 - SHORT, 43)]
    assert [t.id for t in added] == [4, 5]


def test_what_is_covered_around_a_lost_head_ends_with_the_person() -> None:
    (begin,) = imply_heads([still(1, "person", STANDING, first=10), still(2, "head", HIS_HEAD, first=12)], 3)
    assert frames_of([begin]) == [range(10, 12 + SHORT)]
    (end,) = imply_heads([still(1, "person", STANDING), still(2, "head", HIS_HEAD, 28)], 3)
    assert frames_of([end]) == [range(28 - SHORT, 30)]


def test_a_head_seen_for_a_few_frames_does_not_make_the_cover_flicker() -> None:
    few = 2 * SHORT
    (head,) = imply_heads([still(1, "person", STANDING), still(2, "head", HIS_HEAD, few, first=12)], 3)
    assert frames_of([head]) == [range(30)]
    more = imply_heads([still(1, "person", STANDING), still(2, "head", HIS_HEAD, few + 1, first=12)], 3)
    assert frames_of(more) == [range(12 + SHORT), range(12 + SHORT + 1, 30)]


def test_of_two_persons_with_one_head_between_them_the_other_gets_one() -> None:
    persons = [still(4, "person", STANDING), still(9, "person", ANOTHER)]
    (head,) = imply_heads([*persons, still(2, "head", HIS_HEAD)], 10)
    assert (head.id, set(head.boxes), len(head.boxes)) == (10, {upper_part(ANOTHER)}, 30)
    both = imply_heads(persons, 10)
    assert [t.id for t in both] == [10, 11]
    assert [set(t.boxes) for t in both] == [{upper_part(STANDING)}, {upper_part(ANOTHER)}]


def test_a_head_that_walks_from_one_to_the_other_leaves_the_first_without() -> None:
    walk = [HIS_HEAD] * 10 + [HIS_HEAD.shift(200, 10)] * 20
    tracks = [still(1, "person", STANDING), still(2, "person", ANOTHER), track(3, "head", 0, walk)]
    first, second = imply_heads(tracks, 4)
    assert frames_of([first, second]) == [range(10 - SHORT, 30), range(10 + SHORT)]
    assert (first.boxes[0], second.boxes[0]) == (upper_part(STANDING), upper_part(ANOTHER))


def test_a_head_that_is_not_sure_to_be_there_leaves_the_person_without() -> None:
    tracks = [still(1, "person", STANDING), still(2, "head", HIS_HEAD), still(3, "face", HIS_HEAD, 6)]
    (head,) = add_heads(tracks, {2: range(10)}, 4)
    assert frames_of([head]) == [range(10 - SHORT, 30)]
    assert add_heads(tracks, {2: range(6, 30), 3: range(6)}, 4) == []
    assert frames_of(add_heads(tracks, {}, 4)) == [range(30)]


# Bodies of heads


def test_a_head_of_which_no_person_was_found_gets_a_body_all_along() -> None:
    walk = [HIS_HEAD.shift(3 * n, 0) for n in range(20)]
    (body,) = add_bodies([track(1, "head", 7, walk), still(2, "code", STANDING)], {}, 5)
    assert (body.id, body.label, body.first, body.action) == (5, "person", 7, "cover")
    assert body.boxes == tuple(body_of(box, 0) for box in walk)
    assert "no person was found" in body.reason


def test_a_body_lies_where_its_own_head_says() -> None:
    heads = [still(n, "face", HIS_HEAD.shift(0, 400 * n)) for n in (1, 2, 3)]
    bodies = add_bodies(heads, {2: 90, 3: 180}, 4)
    assert [t.id for t in bodies] == [4, 5, 6]
    assert [t.boxes[0] for t in bodies] == [
        body_of(head.boxes[0], angle) for head, angle in zip(heads, (0, 90, 180), strict=True)
    ]


@pytest.mark.parametrize("person", [STANDING, Box(0, 40, 300, 100)])
def test_a_head_in_a_person_gets_no_body(person: Box) -> None:
    assert add_bodies([still(1, "head", HIS_HEAD), still(2, "person", person)], {1: 180}, 3) == []


def test_a_person_lost_in_between_is_covered_there_and_a_little_around() -> None:
    persons = [still(2, "person", STANDING, 10), still(3, "person", STANDING, 12, first=18)]
    assert frames_of(add_bodies([still(1, "head", HIS_HEAD), *persons], {}, 4)) == [range(10 - SHORT, 18 + SHORT)]


# Whoever is there, and however they move


@st.composite
def scenes(draw: st.DrawFn) -> list[Track]:
    """Return up to three persons and four heads, some where those of the persons are, and a text."""
    tracks = [still(1, "text", STANDING, 4)]
    for label in draw(st.lists(st.sampled_from(["person", "head", "face"]), max_size=7)):
        persons = [t for t in tracks if t.label == "person"]
        if label != "person" and persons and draw(st.booleans()):
            owner = draw(st.sampled_from(persons))
            side = draw(st.integers(2, 30))
            places = [Box(b.x0 + b.width // 3, b.y0, b.x0 + b.width // 3 + side, b.y0 + side) for b in owner.boxes]
            cut = draw(st.integers(0, len(places) - 1))
            first, held = owner.first + cut, places[cut : cut + draw(st.integers(1, 20))]
        else:
            first, held = draw(st.integers(0, 12)), [draw(boxes())] * draw(st.integers(1, 10))
            held += [draw(boxes())] * draw(st.integers(0, 10))
        tracks.append(track(len(tracks) + 1, label, first, held))
    return tracks


def assert_numbered(added: Sequence[Track], start: int, label: str) -> None:
    assert [t.id for t in added] == list(range(start, start + len(added)))
    assert {t.label for t in added} <= {label}


def wide(bare: Sequence[int], whole: Track) -> set[int]:
    """Return frames and SHORT more on each side, in those of a track."""
    around = {m for n in bare for m in range(n - SHORT, n + SHORT + 1)}
    return around & set(range(whole.first, whole.last + 1))


@settings(max_examples=60, deadline=None)
@given(scenes(), st.sets(st.integers(0, 40)), st.integers(8, 50))
def test_no_person_is_without_a_covered_head_in_any_frame(tracks: list[Track], unsure: set[int], start: int) -> None:
    sure = {t.id: set(range(t.first, t.last + 1)) - unsure for t in tracks}
    added = add_heads(tracks, sure, start)
    assert_numbered(added, start, "head")
    heads = [t for t in tracks if t.label != "person" and t.label != "text"]
    expected: list[tuple[int, Box]] = []
    for person in (t for t in tracks if t.label == "person"):
        bare = []
        for n, box in enumerate(person.boxes, person.first):
            if n in unsure or not any(is_head_of(head, box) for head in in_frame(heads, n)):
                bare.append(n)
                assert any(new.contains(upper_part(box)) for new in in_frame(added, n))
        expected += [(n, upper_part(person.boxes[n - person.first])) for n in wide(bare, person)]
        assert all(a.last + 1 < b.first for a, b in pairwise(add_heads([person, *heads], sure, 1)))
    assert sorted(map(str, expected)) == sorted(str(pair) for t in added for pair in enumerate(t.boxes, t.first))


@settings(max_examples=60, deadline=None)
@given(scenes(), st.dictionaries(st.integers(1, 9), st.sampled_from([0, 45, 90, 180, 270, 315])), st.integers(8, 50))
def test_no_head_is_without_a_covered_body_in_any_frame(
    tracks: list[Track], angles: dict[int, int], start: int
) -> None:
    added = add_bodies(tracks, angles, start)
    assert_numbered(added, start, "person")
    persons = [t for t in tracks if t.label == "person"]
    expected: list[tuple[int, Box]] = []
    for head in (t for t in tracks if t.label in ("face", "head")):
        bare, angle = [], angles.get(head.id, 0)
        for n, box in enumerate(head.boxes, head.first):
            if not any(is_head_of(box, person) for person in in_frame(persons, n)):
                bare.append(n)
                assert any(new.contains(box) and new.contains(body_of(box, angle)) for new in in_frame(added, n))
        expected += [(n, body_of(head.boxes[n - head.first], angle)) for n in wide(bare, head)]
    assert sorted(map(str, expected)) == sorted(str(pair) for t in added for pair in enumerate(t.boxes, t.first))
