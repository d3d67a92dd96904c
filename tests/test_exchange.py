"""Tracks go to other programs and come back as they were; what is brought in is covered besides what was found."""

from __future__ import annotations

import contextlib
import io
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from redact import exchange
from redact.effects import draw_mask, regions_of
from redact.errors import InputError, UsageError
from redact.exchange import FORMATS, Shape
from redact.geometry import Box
from redact.media import Frame, FrameReader
from redact.plan import HEADS, LABELS, Plan, Review, Settings, Source, Track
from redact.records import dump_plan, load_plan
from redact.review.store import PlanFile
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip, Result
from tests.fakes import BlindDetector, FakeDetector
from tests.test_odd_files import two_films

SUFFIX = {"mot": ".csv", "coco": ".json", "cvat": ".xml"}
FIRST, LENGTH = 7, 30


def plan_of(*tracks: Track) -> Plan:
    source = Source("clip.mp4", "0" * 64, 320, 240, FIRST, LENGTH, Fraction(1, 25), Fraction(0), Fraction(1), "", 0)
    return Plan(source, Settings(), {}, tracks)


def whole(track: Track) -> tuple[Box, ...]:
    """Return what is covered so that the whole boxes of a track are: faces and heads are covered by ellipses."""
    return tuple(map(exchange._around, track.boxes)) if track.label in HEADS else track.boxes


@some.composite
def plans(draw: Any) -> Plan:
    tracks = []
    for number in range(1, draw(some.integers(0, 4)) + 1):
        first = draw(some.integers(FIRST, FIRST + LENGTH - 1))
        corner = some.tuples(some.integers(-50, 300), some.integers(-50, 200))
        sizes = some.tuples(some.integers(1, 90), some.integers(1, 90))
        places = draw(some.lists(some.tuples(corner, sizes), min_size=1, max_size=FIRST + LENGTH - first))
        boxes = tuple(Box(x, y, x + w, y + h) for (x, y), (w, h) in places)
        tracks.append(Track(number, draw(some.sampled_from(LABELS)), first, boxes))
    return plan_of(*tracks)


@pytest.mark.parametrize("form", FORMATS)
@given(plan=plans())
def test_every_track_that_comes_back_is_known_and_where_it_is_new_covered_whole(
    form: str, plan: Plan, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / f"round{SUFFIX[form]}"
    file.write_text(exchange.write(plan, form))
    if not plan.tracks:
        with pytest.raises(InputError, match="no box"):
            exchange.read(file)
        return
    shapes = exchange.read(file)
    assert exchange.add_tracks(plan, shapes, "A. R.") == ()
    back = exchange.add_tracks(replace(plan, tracks=()), shapes, "A. R.")
    assert {(t.label, t.first, t.boxes) for t in back} == {(t.label, t.first, whole(t)) for t in plan.tracks}
    assert exchange.add_tracks(replace(plan, tracks=back), shapes, "A. R.") == ()


@pytest.mark.parametrize("label", LABELS)
@given(x=some.integers(-20, 90), y=some.integers(-20, 90), w=some.integers(1, 90), h=some.integers(1, 90))
def test_the_whole_box_of_what_is_brought_in_is_covered(label: str, x: int, y: int, w: int, h: int) -> None:
    box = Box(x, y, x + w, y + h)
    tracks = exchange.add_tracks(plan_of(), [Shape(FIRST, "1", label, box)], "A. R.")
    (region,) = regions_of(tracks, FIRST)
    seen = box.clip(100, 100)
    if seen:
        assert draw_mask([region], 100, 100)[seen.y0 : seen.y1, seen.x0 : seen.x1].all()


def test_who_is_shown_is_covered_where_a_file_holds_the_same_track(tmp_path: Path) -> None:
    shown = Track(3, "head", FIRST, (Box(4, 5, 14, 25),), "show", "detection", "Ana", "the minister")
    (tmp_path / "a.csv").write_text(exchange.write(plan_of(shown), "mot"))
    (track,) = exchange.add_tracks(plan_of(shown), exchange.read(tmp_path / "a.csv"), "A. R.")
    assert (track.action, track.boxes[0].contains(shown.boxes[0])) == ("cover", True)


def test_coco_can_be_read_by_its_own_library(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    head = Track(3, "head", FIRST, (Box(4, 5, 14, 25), Box(6, 5, 16, 25)))
    file = tmp_path / "tracks.json"
    file.write_text(exchange.write(plan_of(head), "coco"))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
    assert len(coco.getImgIds()) == LENGTH
    found = coco.loadAnns(coco.getAnnIds(imgIds=[FIRST + 1], catIds=coco.getCatIds(["head"])))
    assert [(a["bbox"], a["instance_id"]) for a in found] == [([4, 5, 10, 20], 3)]


def test_a_mot_row_counts_frames_and_pixels_from_one() -> None:
    head = Track(3, "head", FIRST, (Box(0, 5, 10, 25),))
    assert exchange.write(plan_of(head), "mot") == f"{FIRST + 1},3,1,6,10,20,1,102,1\n"


def test_rows_of_mot_challenge_itself_are_read_with_the_label_that_the_user_names(tmp_path: Path) -> None:
    file = tmp_path / "det.txt"
    file.write_text("1,-1,794.27,247.59,71.245,174.88,4.56\n\n2,-1,10,20,30.5,40,0.25,1,-1,-1\n")
    with pytest.raises(UsageError, match="does not say"):
        exchange.read(file)
    first, second = exchange.read(file, "person")
    assert first == Shape(0, "", "person", Box(793, 246, 865, 422), 1.0)
    assert second == Shape(1, "", "person", Box(9, 19, 40, 59), 0.25)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <track id="0" label="mark" source="manual">
  <box frame="8" outside="0" occluded="0" keyframe="1" xtl="10.2" ytl="20.0" xbr="30.0" ybr="40.9" z_order="0"/>
  <box frame="10" outside="0" occluded="1" keyframe="1" xtl="20" ytl="20" xbr="40" ybr="40" z_order="0"/>
  <box frame="11" outside="1" occluded="0" keyframe="1" xtl="20" ytl="20" xbr="40" ybr="40" z_order="0"/>
  <box frame="14" outside="0" occluded="0" keyframe="1" xtl="50" ytl="20" xbr="70" ybr="40" z_order="0"/>
 </track>
</annotations>"""


def test_a_hole_in_a_track_of_cvat_is_covered_and_what_is_outside_is_not(tmp_path: Path) -> None:
    file = tmp_path / "task.xml"
    file.write_text(CVAT)
    a, b = exchange.add_tracks(plan_of(), exchange.read(file), "A. R.")
    assert (a.first, a.boxes) == (8, (Box(10, 20, 30, 41), Box(10, 20, 40, 41), Box(20, 20, 40, 40)))
    assert (b.first, b.boxes) == (14, (Box(50, 20, 70, 40),))
    assert {(a.origin, a.decided_by), (b.origin, b.decided_by)} == {("person", "A. R.")}


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ('<box xtl="10" ytl="45" xbr="90" ybr="55" rotation="90.0"{}/>', Box(45, 10, 55, 90)),
        ('<box xtl="10" ytl="45" xbr="90" ybr="55" rotation="315"{}/>', Box(19, 19, 81, 81)),
        ('<ellipse cx="50" cy="40" rx="9" ry="4.5"{}/>', Box(41, 35, 59, 45)),
        ('<ellipse cx="50" cy="40" rx="20" ry="5" rotation="90"{}/>', Box(45, 20, 55, 60)),
        ('<polygon points="10.5,1;30,5;12,40.5"{}/>', Box(10, 1, 30, 41)),
    ],
)
def test_ellipses_polygons_and_what_is_turned_are_covered_whole(shape: str, box: Box, tmp_path: Path) -> None:
    flags = ' frame="8" outside="0" keyframe="1"'
    text = f'<annotations><track id="0" label="head">{shape.format(flags)}</track></annotations>'
    (tmp_path / "a.xml").write_text(text)
    (read,) = exchange.read(tmp_path / "a.xml")
    assert read.box.contains(box)
    assert Box(box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1).contains(read.box)


def test_a_turned_box_of_coco_is_covered_whole(tmp_path: Path) -> None:
    data = json.loads(exchange.write(plan_of(Track(1, "head", FIRST, (Box(10, 45, 90, 55),))), "coco"))
    data["annotations"][0]["attributes"] = {"rotation": 90.0}
    (tmp_path / "a.json").write_text(json.dumps(data))
    (read,) = exchange.read(tmp_path / "a.json")
    assert read.box.contains(Box(45, 10, 55, 90))


@pytest.mark.parametrize("shape", ["polyline", "points", "mask", "skeleton", "cuboid"])
def test_a_shape_that_cannot_be_covered_refuses_the_file(shape: str, tmp_path: Path) -> None:
    wrong = f'<track label="head"><{shape} frame="8" outside="0" points="1,1;5,9"/></track></annotations>'
    (tmp_path / "a.xml").write_text(CVAT.replace("</annotations>", wrong))
    with pytest.raises(InputError, match=shape):
        exchange.read(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "1,2,three,4,5,6\n"), ("a.csv", "0,1,1,1,5,5,1,102\n"), ("a.csv", "1,1,1,1,-5,5,1,102\n"),
        ("a.csv", "1,1,nan,1,5,5,1,102\n"), ("a.csv", "1,1,1e300,1,5,5,1,102\n"), ("a.csv", ""), ("a.csv", "1,2\n"),
        ("a.csv", "5\n"), ("a.json", '{"images": [[1]]}'), ("a.json", '{"images": {"a": 1}}'),
        ("a.json", '{"images": [], "categories": [], "annotations": ["x"]}'),
        ("a.json", "[]"), ("a.json", '{"images": []}'), ("a.json", "{"), ("a.xml", "<annotations>"),
        ("a.xml", "<html/>"),
        ("a.xml", '<annotations><image><box xtl="1" ytl="1" xbr="9" ybr="9"/></image><track/></annotations>'),
        ("a.xml", '<annotations><track label="head"><box frame="1" xtl="9" ytl="1" xbr="1" ybr="9" rotation="80"/>'
         "</track></annotations>"),
        ("a.xml", '<annotations><track label="head"><box frame="1"/></track></annotations>'),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotations>&b;</annotations>'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_an_error_that_names_it(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        exchange.read(tmp_path / name)


def test_entities_that_swell_are_refused(tmp_path: Path) -> None:
    layers = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    (tmp_path / "a.xml").write_text(f'<!DOCTYPE a [<!ENTITY e0 "ha">{layers}]><annotations>&e11;</annotations>')
    with pytest.raises(InputError, match="xml"):
        exchange.read(tmp_path / "a.xml")


def test_several_videos_an_unknown_format_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    data = json.loads(exchange.write(plan_of(Track(1, "head", FIRST, (Box(0, 0, 9, 9),))), "coco"))
    data["images"][0]["video_id"] = 2
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="several videos"):
        exchange.read(tmp_path / "a.json")
    with pytest.raises(InputError, match="cannot be read"):
        exchange.read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="no format"):
        exchange.read(tmp_path / "a.doc")


def test_a_track_may_leave_the_picture_but_not_lie_beside_it() -> None:
    boxes = (Box(290, 0, 310, 20), Box(330, 0, 350, 20))
    leaving = [Shape(n, "1", "head", box) for n, box in enumerate(boxes)]
    exchange.check_fits(leaving, 320, 240, 2)
    for wrong, frames in ((leaving[1:], None), ([*leaving, Shape(1, "", "head", boxes[1])], None), (leaving, 1)):
        with pytest.raises(InputError):
            exchange.check_fits(wrong, 320, 240, frames)


@pytest.fixture
def plan(redact: Callable[..., Result], clip: MadeClip, fake: FakeDetector, tmp_path: Path) -> Path:
    assert redact("analyse", clip.path, "-o", tmp_path / "a").code == 0
    return tmp_path / "a" / "private" / f"{clip.path.stem}.plan.json"


@pytest.mark.parametrize("form", FORMATS)
def test_a_plan_is_exported_and_what_comes_back_adds_nothing(
    form: str, redact: Callable[..., Result], plan: Path, tmp_path: Path
) -> None:
    before, file = plan.read_bytes(), tmp_path / f"tracks{SUFFIX[form]}"
    assert redact("export", plan, "--format", form, "-o", file).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert redact("export", plan, "--format", form, "-o", file).code == 6
    result = redact("import", plan, file, "--by", "A. Reviewer")
    assert (result.code, result.out) == (0, "0 tracks added, 0 boxes outside the excerpt left out\n")
    assert plan.read_bytes() == before


def test_an_export_replaces_nothing_but_tracks_and_lies_beside_no_copy(
    redact: Callable[..., Result], clip: MadeClip, plan: Path, tmp_path: Path
) -> None:
    out, named = tmp_path / "out", tmp_path / "named.mp4"
    for output in (out, named):
        assert redact("render", plan, "-o", output).code == 0
    odd, other = clip.path.with_name("odd.xml"), tmp_path / "kept.plan.json"
    odd.hardlink_to(clip.path)
    other.write_bytes(plan.read_bytes())
    copy = out / "release" / "excerpt-0001.mp4"
    private = plan.parent / "custody.jsonl"
    kept = {path: path.read_bytes() for path in (clip.path, copy, named, plan, private) if path.exists()}
    kept |= {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    for file in (*kept, odd):
        for form in FORMATS:
            assert redact("export", plan, "--format", form, "-o", file, "--overwrite").code in (2, 6)
    for form in FORMATS:
        assert redact("export", plan, "--format", form, "-o", out / "release" / f"a{SUFFIX[form]}").code == 6
        assert redact("export", plan, "--format", form, "-o", tmp_path / f"a.{form}").code == 2
    assert {path: path.read_bytes() for path in kept} == kept
    assert not list((out / "release").glob("a.*"))
    for _ in range(2):
        assert redact("export", plan, "--format", "coco", "-o", tmp_path / "a.json", "--overwrite").code == 0


def test_imported_tracks_are_covered_besides_the_others_and_the_plan_says_who_brought_them(
    redact: Callable[..., Result], plan: Path, tmp_path: Path
) -> None:
    before = replace(load_plan(plan.read_text()), review=Review("Ana", "2026-01-01T00:00:00+00:00", FRAMES, 0))
    plan.write_text(dump_plan(before))
    (tmp_path / "more.csv").write_text("3,1,1,1,30,30,0,-1\n4,1,2,1,30,30,0,-1\n")
    for nobody in (" ", "Ana\nBea"):
        assert redact("import", plan, tmp_path / "more.csv", "--by", nobody, "--label", "text").code == 2
    with PlanFile(plan):
        assert redact("import", plan, tmp_path / "more.csv", "--by", "Ana", "--label", "text").code == 6
    assert load_plan(plan.read_text()) == before
    result = redact("import", plan, tmp_path / "more.csv", "--by", "A. Reviewer", "--label", "text")
    assert (result.code, result.out) == (0, "1 tracks added, 0 boxes outside the excerpt left out\n")
    after = load_plan(plan.read_text())
    assert after.tracks[:-1] == before.tracks
    assert after.review is None
    assert after.tracks[-1].boxes == (Box(0, 0, 30, 30), Box(1, 0, 31, 30))
    assert [(e.who, e.what) for e in after.edits] == [("A. Reviewer", "1 tracks brought in from more.csv")]
    assert redact("render", plan, "-o", tmp_path / "b").code == 0


def test_what_is_behind_the_end_is_refused_and_what_is_outside_an_excerpt_is_counted(
    redact: Callable[..., Result], clip: MadeClip, plan: Path, fake: FakeDetector, tmp_path: Path
) -> None:
    (tmp_path / "more.csv").write_text(f"{FRAMES},1,1,1,30,30,0,102\n{FRAMES + 1},1,1,1,30,30,0,102\n")
    assert redact("import", plan, tmp_path / "more.csv", "--by", "A. Reviewer").code == 3
    assert redact("analyse", clip.path, "-o", tmp_path / "part", "--to", "0.4").code == 0
    part = tmp_path / "part" / "private" / plan.name
    (tmp_path / "more.csv").write_text("9,1,1,1,30,30,0,102\n20,1,1,1,30,30,0,102\n")
    result = redact("import", part, tmp_path / "more.csv", "--by", "A. Reviewer")
    assert result.out == "1 tracks added, 1 boxes outside the excerpt left out\n"


def test_what_another_detector_found_is_covered(
    redact: Callable[..., Result], clip: MadeClip, fake: FakeDetector, tmp_path: Path
) -> None:
    file = tmp_path / "faces.csv"
    file.write_text("".join(f"{n},-1,21,21,30,40,0.8,-1,-1,-1\n" for n in range(5, 9)))
    options = ("--detections", file, "--label", "face")
    assert redact("analyse", clip.path, "-o", tmp_path / "out", *options).code == 0
    plan = load_plan((tmp_path / "out" / "private" / f"{clip.path.stem}.plan.json").read_text())
    own = [t for t in plan.tracks if t.first <= 5 <= t.last and t.boxes[5 - t.first].contains(Box(20, 20, 50, 60))]
    assert len(own) == 1
    assert len(plan.tracks) == 2
    assert set(plan.models) == {"fake", "faces.csv"}


@pytest.mark.parametrize(
    ("row", "code"),
    [(f"{FRAMES + 1},-1,1,1,9,9,1", 3), (f"1,-1,{WIDTH + 1},{HEIGHT + 1},9,9,1", 3), ("1,-1,1,1,9,9,1,109", 2)],
)
def test_detections_of_another_clip_or_of_what_is_not_covered_are_refused(
    row: str, code: int, redact: Callable[..., Result], clip: MadeClip, fake: FakeDetector, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(f"1,-1,1,1,9,9,1,101\n{row if row.count(',') > 6 else row + ',101'}\n")
    result = redact("analyse", clip.path, "-o", tmp_path / "out", "--detections", tmp_path / "a.csv")
    assert result.code == code, result
    assert not list(tmp_path.rglob("*.plan.json"))


def test_detections_are_compared_with_the_stream_that_is_analysed(
    redact: Callable[..., Result], see: Callable[[Any], None], tmp_path: Path
) -> None:
    small, large = (np.full((height, width, 3), 90, np.uint8) for width, height in ((160, 120), (WIDTH, HEIGHT)))
    path = two_films(tmp_path / "two.mkv", [small] * 5, [large] * 5)
    see(BlindDetector())
    (tmp_path / "a.csv").write_text("1,-1,200,150,40,40,1,101,1\n")
    for stream, code in ((1, 3), (2, 0)):
        options = ("--stream", stream, "--detections", tmp_path / "a.csv")
        assert redact("analyse", path, "-o", tmp_path / str(stream), *options).code == code


def test_for_detections_a_clip_is_not_decoded_once_more(
    redact: Callable[..., Result], clip: MadeClip, fake: FakeDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, real = [0], FrameReader.__iter__

    def counted(reader: FrameReader) -> Iterator[Frame]:
        for frame in real(reader):
            read[-1] += 1
            yield frame

    monkeypatch.setattr(FrameReader, "__iter__", counted)
    (tmp_path / "a.csv").write_text("1,-1,21,21,30,40,0.8,101,1\n")
    for options in ((), ("--detections", tmp_path / "a.csv")):
        assert redact("analyse", clip.path, "-o", tmp_path / f"out{len(options)}", *options).code == 0
        read.append(0)
    assert read == [2 * FRAMES, 2 * FRAMES + 1, 0]
