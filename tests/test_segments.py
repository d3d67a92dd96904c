"""Segments of a clip: looked at apart, or by a run that goes on, they give what one look at the whole gives."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from redact import analysis, custody, pipeline, surveys
from redact.detectors.looks import Look
from redact.errors import InputError
from redact.geometry import Box
from redact.media import Digest, FrameReader
from redact.plan import Detection, Plan, Settings
from redact.records import dump_plan
from redact.seeking import FrameSeeker
from redact.sightings import Sightings, dump_sightings
from redact.surveys import frames_of, survey
from tests.clips import Picture, textured_background, write_clip
from tests.conftest import Result

WIDTH, HEIGHT = 192, 112
LONG, SEGMENT = 40, 10
ROOMS = [textured_background(WIDTH, HEIGHT, seed) // 2 + light for seed, light in ((1, 0), (2, 90))]


def quiet(done: int, total: int | None) -> None:
    """Show nothing."""


class Lamps:
    """Sees what is brighter than 200 levels as a face, and remembers in which frames it looked."""

    name = "lamps"
    labels = ("face",)
    models: Mapping[str, str] = {"lamps": "0" * 64}

    def __init__(self, stop_at: int = -1) -> None:
        self.looked: set[int] = set()
        self._stop_at = stop_at

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the one bright thing in the picture; it is looked for in the whole of it."""
        if frame == self._stop_at:
            raise KeyboardInterrupt
        self.looked.add(frame)
        rows, columns = np.nonzero(picture.min(axis=2) > 200)
        if not len(rows):
            return []
        box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        return [Detection(frame, box, "face", 0.5 + 0.4 * bool(looks[0].angle == 0), self.name)]


def lamp(room: int, x: int) -> Picture:
    picture = ROOMS[room].copy()
    picture[40:64, x : x + 24] = 240
    return picture


# Each is at a boundary of segments what it is called.
STORIES: dict[str, Callable[[int], Picture]] = {
    "still": lambda n: lamp(0, 60),
    "moving": lambda n: lamp(0, 10 + 3 * n),
    "cut": lambda n: lamp(0, 60) if n < 20 else ROOMS[1] if n < 22 else lamp(1, 90),
    "cut just before": lambda n: lamp(0, 60) if n < 19 else ROOMS[1] if n < 21 else lamp(1, 90),
    "gone and back": lambda n: lamp(0, 50) if not 15 <= n < 25 else ROOMS[0],
}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "SEGMENT", SEGMENT)


def write_story(path: Path, name: str = "moving", **how: object) -> Path:
    return write_clip(path, [STORIES[name](n) for n in range(LONG)], **how)  # type: ignore[arg-type]


def look_apart(clip: Path, settings: Settings) -> Sightings:
    """Return what is seen in the segments of a clip, each looked at apart, the last one first."""
    found = survey(clip, settings, SEGMENT, quiet)
    parts = [analysis.look_at(clip, settings, [Lamps()], s, quiet) for s in reversed(found.stretches)]
    assert len(parts) > 1
    return analysis.join(found, reversed(parts), settings, Lamps.models)


def plan_of(clip: Path, seen: Sightings, settings: Settings) -> Plan:
    chains = analysis.follow(clip, seen.detections, seen.timeline, settings, [Lamps()], quiet)
    return analysis.make_plan(replace(seen, chains=chains), settings)


@pytest.mark.parametrize(
    ("story", "settings"),
    [
        *((story, Settings()) for story in STORIES),
        ("moving", Settings(fast=True)),
        ("cut", Settings(from_time=Fraction(1, 5))),
    ],
)
def test_cut_and_uncut_clips_give_the_same_plan(
    story: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_story(tmp_path / "clip.mp4", story)
    whole, apart = analysis.look(clip, settings, [Lamps()], quiet), look_apart(clip, settings)
    assert dump_sightings(apart) == dump_sightings(whole)
    assert bool(whole.cuts) == story.startswith("cut")
    plan = plan_of(clip, whole, settings)
    assert plan.tracks
    assert dump_plan(plan_of(clip, apart, settings)) == dump_plan(plan)
    monkeypatch.setattr(surveys, "SEGMENT", 10 * LONG)  # and what sees the same at any look finds no boundary
    uncut = analysis.look(clip, settings, [Lamps()], quiet)
    assert plan_of(clip, uncut, settings).tracks == plan.tracks


def test_each_segment_is_looked_at_as_if_nothing_had_been_before_it(tmp_path: Path) -> None:
    clip, eyes = write_story(tmp_path / "clip.mp4", "still", options={"crf": "0"}), Lamps()
    analysis.look(clip, Settings(), [eyes], quiet)
    assert eyes.looked == set(range(0, LONG, SEGMENT))


# What stops a decoder that is sent to a place, or lets it give other frames than one that comes from the beginning.
FORMS = {
    "mp4": {"name": "clip.mp4", "options": {"g": "7"}},
    "one key frame": {"name": "clip.mp4", "options": {"g": "250"}},
    "open groups": {"name": "clip.mkv", "options": {"g": "7", "x264-params": "open-gop=1:bframes=3:scenecut=0"}},
    "intra refresh": {"name": "clip.mp4", "options": {"x264-params": "intra-refresh=1:keyint=12"}},
    "no index": {"name": "clip.ts", "options": {"g": "7"}},
    "no times": {"name": "clip.h264", "options": {"g": "7"}},
    "gif": {"name": "clip.gif", "codec": "gif", "pix_fmt": "rgb8", "rate": 20},
    "uneven times": {"name": "clip.mp4", "times": [40 * n + 11 * (n % 3) for n in range(LONG)]},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_frames_of_a_segment_are_those_of_the_whole_in_every_form_of_file(form: str, tmp_path: Path) -> None:
    how = dict(FORMS[form])
    clip = write_story(tmp_path / str(how.pop("name")), "cut", **how)
    check_frames(clip)


def test_the_frames_of_a_segment_are_those_of_the_whole_where_the_file_is_damaged(tmp_path: Path) -> None:
    clip = write_story(tmp_path / "clip.mp4", "moving", options={"g": "7"})
    data = bytearray(clip.read_bytes())
    at = data.index(b"mdat") + 4 + len(data) // 3
    data[at : at + 40] = bytes(40)
    clip.write_bytes(data)
    assert check_frames(clip)


def check_frames(clip: Path) -> list[int]:
    """Compare segments with the frames in order; return the damaged ones."""
    with FrameReader(clip) as reader:
        frames = list(reader)
    found = survey(clip, Settings(), SEGMENT, quiet)
    assert [len(s.times) for s in found.stretches] == [SEGMENT] * (LONG // SEGMENT)
    for number, stretch in enumerate(found.stretches):
        inside = frames[SEGMENT * number :][:SEGMENT]
        for seek in (True, False):
            digest, got = Digest(), list(frames_of(clip, stretch, 1, seek))
            for frame in got:
                digest.add(frame)
            assert [(f.index, f.time, f.damaged) for f in got] == [(f.index, f.time, f.damaged) for f in inside]
            assert digest.hexdigest() == stretch.digest
    return list(found.damaged)


def test_what_was_sought_and_is_not_what_it_should_be_is_decoded_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, settings = write_story(tmp_path / "clip.mp4"), Settings()
    whole = analysis.look(clip, settings, [Lamps()], quiet)
    seek = FrameSeeker.seek

    def lie(self: FrameSeeker, frame: int) -> object:
        found = seek(self, frame)
        return found and replace(found, picture=np.zeros_like(found.picture))

    monkeypatch.setattr(FrameSeeker, "seek", lie)
    assert dump_sightings(look_apart(clip, settings)) == dump_sightings(whole)
    found = survey(clip, settings, SEGMENT, quiet)
    write_story(clip, "still")
    with pytest.raises(InputError, match="changed while it was read"):
        analysis.look_at(clip, settings, [Lamps()], found.stretches[1], quiet)


def test_an_interrupted_run_goes_on_in_the_segment_where_it_was_stopped(
    redact: Callable[..., Result], see: Callable[[object], None], tmp_path: Path
) -> None:
    clip = write_story(tmp_path / "clip.mp4")
    see(Lamps())
    assert redact("analyse", clip, "-o", tmp_path / "undisturbed").code == 0
    out = tmp_path / "out"
    see(Lamps(stop_at=27))
    assert redact("analyse", clip, "-o", out).code == 130
    kept = sorted((out / "private").glob("clip.segment-*"))
    assert [path.name for path in kept] == ["clip.segment-000000.jsonl.gz", "clip.segment-000001.jsonl.gz"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    kept[0].write_bytes(kept[0].read_bytes()[:-9])
    rest = Lamps()
    see(rest)
    assert redact("analyse", clip, "-o", out).code == 0
    assert rest.looked >= {0, 20, 39}
    assert not rest.looked & set(range(10, 20))
    assert not list((out / "private").glob("clip.segment-*"))
    for name in ("clip.plan.json", "clip.detections.jsonl.gz"):
        assert (out / "private" / name).read_bytes() == (tmp_path / "undisturbed" / "private" / name).read_bytes()


def test_what_another_run_has_kept_is_used_only_where_it_was_made_the_same_way(tmp_path: Path) -> None:
    clip, space = write_story(tmp_path / "clip.mp4"), custody.open_workspace(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        pipeline.analyse(clip, space, Settings(), [Lamps(stop_at=27)], lambda name: quiet)
    eyes = Lamps()
    pipeline.analyse(clip, space, Settings(threshold=0.4), [eyes], lambda name: quiet)
    assert eyes.looked >= {0, 10, 20, 30}
