"""What a person draws is covered in every frame that it is meant for, or refused aloud."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.errors import UsageError
from redact.geometry import Box
from redact.plan import FARTHEST, Keyframe, Region
from redact.regions import (
    LARGEST_FILE,
    check_inside,
    frames_of,
    from_plain,
    parse_region,
    parse_time,
    place,
    read_regions,
    sightings_of,
    to_plain,
)
from redact.sightings import Timeline

WIDTH, HEIGHT = 640, 480
CLOCK = Region("clock", (Keyframe(None, Box(40, 20, 240, 52)),))

TOML = """
[[region]]
name = "clock"
box = [40, 20, 200, 32]
from = "0:12.4"
to = 14.0

[[region]]
name = "tattoo"
keys = [{at = 1, box = [10, 10, 30, 30]}, {at = 2.1, box = [20, 15, 30, 30]}]
follow = true
"""
READ = (
    Region("clock", CLOCK.keys, Fraction(62, 5), Fraction(14)),
    Region(
        "tattoo",
        (Keyframe(Fraction(1), Box(10, 10, 40, 40)), Keyframe(Fraction(21, 10), Box(20, 15, 50, 45))),
        follow=True,
    ),
)


def timeline(frames: int = 50, first: int = 0, rate: int = 25) -> Timeline:
    return Timeline(first, tuple(Fraction(first + n, rate) for n in range(frames)), ())


def keyed(*keys: tuple[str, tuple[int, int, int, int]], **more: Any) -> Region:
    return Region("cup", tuple(Keyframe(Fraction(at), Box(x, y, x + w, y + h)) for at, (x, y, w, h) in keys), **more)


def decimals(most: int = 10_000) -> st.SearchStrategy[Fraction]:
    return st.integers(0, most * 1000).map(lambda n: Fraction(n, 1000))


def boxes() -> st.SearchStrategy[Box]:
    """Boxes that are at least partly in the picture."""
    corners = st.tuples(st.integers(-50, WIDTH - 1), st.integers(-50, HEIGHT - 1))
    sizes = st.tuples(st.integers(51, 200), st.integers(51, 200))
    return st.builds(lambda c, s: Box(*c, c[0] + s[0], c[1] + s[1]), corners, sizes)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Excerpts that begin anywhere, with frames that come irregularly."""
    gaps = draw(st.lists(st.integers(1, 400), min_size=1, max_size=40))
    begin, first = draw(st.integers(0, 3000)), draw(st.integers(0, 100))
    return Timeline(first, tuple(Fraction(begin + sum(gaps[:n]), 1000) for n in range(len(gaps))), ())


@st.composite
def moving(draw: st.DrawFn) -> Region:
    times = sorted(draw(st.sets(decimals(8), min_size=1, max_size=5)))
    keys = tuple(Keyframe(time, draw(boxes())) for time in times)
    from_time = draw(st.none() | decimals(8).filter(lambda t: t <= times[0]))
    to_time = draw(st.none() | decimals(20).filter(lambda t: t >= times[-1]))
    return Region("cup", keys, from_time, to_time, draw(st.booleans()))


def as_text(time: Fraction) -> str:
    """Return a time as a person may write it."""
    hours, rest = divmod(time, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{float(seconds):06.3f}" if hours else f"{float(time):.3f}"


@given(boxes(), st.none() | decimals(), st.none() | decimals())
def test_an_option_is_read_exactly_as_it_is_written(box: Box, a: Fraction | None, b: Fraction | None) -> None:
    from_time, to_time = sorted((a, b)) if a is not None and b is not None else (a, b)
    ends = [as_text(time) if time is not None else "" for time in (from_time, to_time)]
    text = f"{box.x0},{box.y0},{box.width},{box.height}@{ends[0]}-{ends[1]}"
    assert parse_region(text) == Region(text, (Keyframe(None, box),), from_time, to_time)


def test_an_option_without_times_is_there_in_the_whole_clip() -> None:
    assert parse_region(" 40,20,200,32 ") == replace(CLOCK, name="40,20,200,32")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.4", "62/5"), ("0:12.4", "62/5"), ("1:02:03.5", "7447/2"), ("90", "90"), (" 1:75 ", "135"), (".5", "1/2"),
     ("5.", "5"), ("0.1", "1/10"), ("62/5", "62/5")],
)  # fmt: skip
def test_a_time_is_exact(text: str, seconds: str) -> None:
    assert parse_time(text) == Fraction(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "1:", ":1", "1:2:3:4", "1/0", "nan", "1_0", "٣", "1" * 40])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "not a region"), ("1,2,3", "not a region"), ("1,2,3,4,5", "not a region"), ("1.5,2,3,4", "not a region"),
     ("1,2,0,4", "empty"), ("1,2,3,-4", "not a region"), ("1,2,3,4@", "not a region"), ("1,2,3,4@5", "not a region"),
     ("1,2,3,4@5-4", "ends before it begins"), ("1,2,3,4@a-b", "not a time"), ("1,2,3,4@1e999999999-", "not a time"),
     ("999999,2,3,4", "corner"), ("1,2,3,4@-1-2", "not a region")],
)  # fmt: skip
def test_a_wrong_option_is_an_error_that_says_what_and_what_to_do(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_region(text)
    assert "@from-to" in caught.value.advice


@given(st.text(max_size=60) | st.from_regex(r"-?\d+,-?\d+,\d+,\d+(@.*-.*)?"))
def test_any_option_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_region(text)


def test_a_file_is_read_exactly(tmp_path: Path) -> None:
    as_toml, as_json = tmp_path / "regions.toml", tmp_path / "regions.JSON"
    as_toml.write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    as_json.write_text(json.dumps({"region": [to_plain(region) for region in READ]}))
    assert read_regions(as_toml) == READ
    assert read_regions(as_json) == READ


def test_the_file_in_the_readme_is_read(tmp_path: Path) -> None:
    (text,) = (Path(__file__).parent.parent / "README.md").read_text("utf-8").split("```toml\n")[1:]
    (tmp_path / "regions.toml").write_text(text.split("```")[0])
    clock, tattoo = read_regions(tmp_path / "regions.toml")
    assert (clock.name, clock.from_time, clock.to_time) == ("clock", Fraction("12.4"), 14)
    assert (tattoo.name, tattoo.follow, len(tattoo.keys)) == ("tattoo", True, 2)


def test_a_number_that_a_float_cannot_hold_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "regions.json"
    path.write_text('{"region": [{"name": "a", "box": [1, 2, 3, 4], "from": 123456789.123456789}]}')
    assert read_regions(path)[0].from_time == Fraction("123456789.123456789")


@given(moving())
def test_a_region_survives_being_written_and_read(region: Region) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(region))), "the region") == region


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("follow", "folow", "unknown key 'folow'"), ('name = "clock"', "", "'name' is missing"),
     ("box = [40, 20, 200, 32]", "", "'box' is missing"), ("at = 1,", "", "'at' is missing"),
     ("follow = true", "follow = 1", "true or false"), ('"clock"', "7", "text for 'name'"),
     ('"clock"', '""', "name of one line"), ('"clock"', '"a\\nb"', "name of one line"),
     ("200, 32]", "200]", "box of whole pixels"), ("200, 32]", "200, 32.5]", "box of whole pixels"),
     ("200, 32]", "200, 0]", "above 0"), ("200, 32]", "200, true]", "box of whole pixels"),
     ("40, 20", "999999, 20", "corner"), ("14.0", "12.3", "ends before it begins"), ("14.0", "-1.0", "before the beg"),
     ("14.0", "1e999999999", "not a number like"), ("14.0", "nan", "not a number like"),
     ("14.0", "true", "a time like"),
     ("14.0", "12:00:00", "a time like"), ("2.1", "1", "order of their times"), ("2.1", "0.5", "order of their times"),
     ("follow", "to = 2\nfollow", "before its region begins or after it ends"),
     ("follow", "box = [1, 2, 3, 4]\nfollow", "unknown key 'box'"), ("keys = [{", "keys = [] #", "without a box"),
     ("[[region]]", "[region]", "read"), ("[[region]]", "[[regions]]", "a list of tables called 'region'"),
     ("14.0", "0x" + "f" * 20_000, "too large")],
)  # fmt: skip
def test_a_wrong_file_is_an_error_that_names_the_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "regions.toml"
    assert old in TOML
    path.write_text(TOML.replace(old, new))
    with pytest.raises(UsageError, match=says) as caught:
        read_regions(path)
    assert "regions.toml" in str(caught.value)
    assert "file" in caught.value.advice


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", '{"region": []}', '{"region": {}}', '{"region": [1]}', "[" * 100_000, '{"region": [NaN]}',
     '{"region": [{"name": "a", "name": "b", "box": [1, 2, 3, 4]}]}', '{"region": [{"name": "\\ud800"}]}',
     " " * (LARGEST_FILE + 1)],
)  # fmt: skip
def test_what_does_not_hold_regions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "regions.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="regions"):
        read_regions(path)


@pytest.mark.parametrize("name", ["missing.toml", "folder.json", "regions.yaml", "regions", "nul\0.toml"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UsageError):
        read_regions(tmp_path / name)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([".toml", ".json"]), st.binary(max_size=200), st.integers(0, len(TOML)), st.integers(0, 9))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, noise: bytes, at: int, gone: int
) -> None:
    whole = TOML if kind == ".toml" else json.dumps({"region": [to_plain(region) for region in READ]})
    path = tmp_path_factory.getbasetemp() / f"noise{kind}"
    for content in (noise, whole[:at].encode() + noise + whole[at + gone :].encode()):
        path.write_bytes(content)
        with contextlib.suppress(UsageError):
            read_regions(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["1:02", "3/4"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["at", "box", "x"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["name", "box", "keys", "from", "to", "follow", "x"]), PLAIN), PLAIN)
def test_a_table_with_anything_in_it_is_read_or_refused(table: dict[str, Any], other: Any) -> None:
    for data in (table, {"name": "a", "box": [1, 2, 3, 4]} | table, other):
        with contextlib.suppress(UsageError):
            from_plain(data, "the region")


def test_a_region_has_keys_with_times_in_their_order() -> None:
    box = Box(1, 2, 3, 4)
    with pytest.raises(ValueError, match="needs a time"):
        Region("a", (Keyframe(None, box), Keyframe(Fraction(1), box)))
    with pytest.raises(ValueError, match="without a box"):
        Region("a", ())
    with pytest.raises(ValueError, match="before the beginning"):
        Keyframe(Fraction(-1), box)
    with pytest.raises(ValueError, match="corner"):
        Keyframe(None, Box(0, 0, FARTHEST + 1, 1))


def test_a_region_without_times_covers_every_frame_of_the_excerpt() -> None:
    (track,) = place([CLOCK], timeline(50, first=100), WIDTH, HEIGHT, start=7)
    assert (track.id, track.label, track.action, track.origin, track.reason) == (
        7,
        "region",
        "cover",
        "person",
        "clock",
    )
    assert (track.first, track.last, set(track.boxes)) == (100, 149, {Box(40, 20, 240, 52)})


def test_both_ends_are_covered_from_the_frame_that_is_shown_then() -> None:
    region = replace(CLOCK, from_time=Fraction("0.05"), to_time=Fraction("0.15"))  # frames 1 and 3 are shown then
    assert frames_of(region, timeline()) == (1, 3)
    assert frames_of(replace(region, to_time=Fraction("0.05")), timeline()) == (1, 1)


def test_where_frames_come_irregularly_a_region_begins_with_the_frame_that_stands() -> None:
    line = Timeline(10, (Fraction(0), Fraction(2), Fraction(3)), ())
    assert frames_of(replace(CLOCK, from_time=Fraction("1.9"), to_time=Fraction(2)), line) == (10, 11)


def test_a_region_is_cut_to_an_excerpt_that_begins_late() -> None:
    region = replace(CLOCK, from_time=Fraction(1), to_time=Fraction("4.5"))
    (track,) = place([region], timeline(50, first=100), WIDTH, HEIGHT)
    assert (track.first, track.last) == (100, 112)


@pytest.mark.parametrize(("begins", "ends", "says"), [("6", None, "after the last"), (None, "3.9", "before the first")])
def test_a_region_outside_the_excerpt_is_an_error(begins: str | None, ends: str | None, says: str) -> None:
    times = [Fraction(text) if text else None for text in (begins, ends)]
    for follow in (False, True):
        with pytest.raises(UsageError, match=rf"'clock' covers nothing.*{says}.* 4 s to 6 s") as caught:
            place([Region("clock", CLOCK.keys, *times, follow=follow)], timeline(50, first=100), WIDTH, HEIGHT)
        assert "beginning of the clip" in caught.value.advice


@pytest.mark.parametrize("corner", [(WIDTH, 0), (0, HEIGHT), (-200, 0), (0, -32)])
def test_a_region_outside_the_picture_is_an_error_that_says_both_sizes(corner: tuple[int, int]) -> None:
    outside = keyed(("0", (0, 0, 9, 9)), ("1", (*corner, 200, 32)))
    for region in (outside, replace(outside, follow=True)):
        with pytest.raises(UsageError, match=rf"'cup' covers nothing at 1 s.*{corner[0]},{corner[1]},200,32.*640x480"):
            place([region], timeline(), WIDTH, HEIGHT)


def test_a_region_at_the_very_edge_of_the_picture_is_taken() -> None:
    check_inside([keyed(("0", (WIDTH - 1, HEIGHT - 1, 50, 50)), ("1", (-49, -49, 50, 50)))], WIDTH, HEIGHT)


def test_between_keys_a_box_moves_in_a_straight_line_rounded_outward() -> None:
    region = keyed(("0.4", (10, 10, 10, 10)), ("0.8", (25, -5, 20, 20)))
    (track,) = place([region], timeline(), WIDTH, HEIGHT)
    assert set(track.boxes[:11]) == {Box(10, 10, 20, 20)}
    assert track.boxes[15] == Box(17, 2, 33, 18)  # half way: 17.5 to 32.5, and 2.5 to 17.5
    assert set(track.boxes[20:]) == {Box(25, -5, 45, 15)}


def test_a_key_counts_from_where_its_frame_begins() -> None:
    at_once = keyed(("0.4", (0, 0, 10, 10)), ("0.8", (100, 0, 10, 10)))
    later = keyed(("0.43", (0, 0, 10, 10)), ("0.8399", (100, 0, 10, 10)))  # the same frames are shown then
    assert place([at_once], timeline(), WIDTH, HEIGHT) == place([later], timeline(), WIDTH, HEIGHT)


def test_all_keys_of_the_last_frame_are_covered_in_it() -> None:
    region = keyed(("1", (0, 0, 9, 9)), ("1.96", (100, 0, 9, 9)), ("1.97", (200, 50, 9, 9)), ("1.99", (300, 0, 9, 9)))
    (track,) = place([region], timeline(), WIDTH, HEIGHT)
    assert track.boxes[-1] == Box(100, 0, 309, 59)


def test_an_excerpt_covers_what_the_whole_clip_covers() -> None:
    region = keyed(("0.43", (0, 0, 10, 10)), ("3.99", (500, 300, 20, 10)))
    (whole,) = place([region], timeline(125), WIDTH, HEIGHT)
    (part,) = place([region], timeline(30, first=40), WIDTH, HEIGHT)
    assert all(box.contains(whole.boxes[40 + n]) for n, box in enumerate(part.boxes))


@given(moving(), timelines())
def test_a_region_has_a_box_in_every_frame_and_holds_its_keys(region: Region, line: Timeline) -> None:
    region = replace(region, follow=False)
    try:
        (track,) = place([region], line, WIDTH, HEIGHT)
    except UsageError:
        assert not any(line.times[0] <= key.time <= line.times[-1] for key in region.keys if key.time is not None)
        return
    shown = [
        time
        for time, after in zip(line.times, [*line.times[1:], None], strict=True)
        if (region.from_time is None or after is None or after > region.from_time)
        and (region.to_time is None or time <= region.to_time)
    ]
    assert [line.time(n) for n in range(track.first, track.last + 1)] == shown
    for key in region.keys:
        assert key.time is not None
        if line.times[0] <= key.time:
            before = [n for n in range(track.first, track.last + 1) if line.time(n) <= key.time]
            is_shown = before and (before[-1] < track.last or key.time == line.time(before[-1]))
            assert not is_shown or track.boxes[before[-1] - track.first].contains(key.box)


@given(moving(), timelines())
def test_a_followed_region_is_seen_where_its_keys_are(region: Region, line: Timeline) -> None:
    region = replace(region, follow=True)
    try:
        seen = sightings_of(region, line)
    except UsageError:
        assert not any(line.times[0] <= key.time <= line.times[-1] for key in region.keys if key.time is not None)
        return
    assert [d.frame for d in seen] == sorted({d.frame for d in seen})
    first, last = frames_of(region, line)
    for detection in seen:
        assert (detection.label, detection.score, detection.detector) == ("region", 1, "person")
        assert first <= detection.frame <= last
    for key in region.keys:
        if key.time is not None and line.times[0] <= key.time <= line.times[-1]:
            shown = max(n for n in range(line.first, line.first + len(line.times)) if line.time(n) <= key.time)
            assert any(d.frame == shown and d.box.contains(key.box) for d in seen)


def test_a_followed_region_without_a_time_is_seen_where_it_begins() -> None:
    region = replace(CLOCK, from_time=Fraction("4.5"), follow=True)
    assert [d.frame for d in sightings_of(region, timeline(50, first=100))] == [112]
    assert [d.frame for d in sightings_of(replace(region, from_time=None), timeline(50, first=100))] == [100]


def test_a_followed_region_without_a_key_in_the_excerpt_is_an_error() -> None:
    with pytest.raises(UsageError, match="cannot be followed"):
        sightings_of(keyed(("1", (0, 0, 9, 9)), follow=True), timeline(50, first=100))


def test_followed_regions_get_no_track_of_their_own_and_numbers_follow_each_other() -> None:
    tracks = place([CLOCK, replace(CLOCK, follow=True), replace(CLOCK, name="cell")], timeline(), WIDTH, HEIGHT, 3)
    assert [(track.id, track.reason) for track in tracks] == [(3, "clock"), (4, "cell")]


def test_a_clip_of_one_frame_is_covered() -> None:
    (track,) = place([keyed(("0", (0, 0, 9, 9)), ("1", (9, 9, 9, 9)))], timeline(1), WIDTH, HEIGHT)
    assert track.boxes[0].contains(Box(0, 0, 9, 9))
