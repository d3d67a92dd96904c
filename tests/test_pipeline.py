"""From a clip to a checked copy: where things go, what is used again, what is refused."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redact import api
from redact.errors import OutputError
from redact.media import FrameReader, FrameWriter, list_contents
from redact.records import load_plan
from tests.clips import write_clip
from tests.conftest import FRAMES, MadeClip, Result
from tests.fakes import BlindDetector, CrashingDetector, FakeDetector, Sees

Redact = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("fake")


def times(path: Path) -> list[Fraction]:
    with FrameReader(path) as reader:
        return [frame.time for frame in reader]


def test_a_run_releases_a_checked_copy_with_every_frame_at_its_time(
    redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = redact("run", clip.path, "-o", out)
    copy = out / "release" / "excerpt-0001.mp4"
    assert (result.code, result.out, result.err) == (0, f"{copy}\n", "")
    assert times(copy) == times(clip.path)
    assert list_contents(copy).streams == ("video h264",)
    assert sorted(p.name for p in (out / "release").iterdir()) == ["excerpt-0001.mp4", "excerpt-0001.statement.json"]
    for path in (out / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((out / "private").stat().st_mode) == 0o700


@pytest.mark.parametrize("effect", ["blur", "solid", "mosaic"])
def test_the_face_is_covered_and_the_rest_is_kept(effect: str, redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    assert redact("run", clip.path, "-o", copy, "--effect", effect).code == 0
    with FrameReader(clip.path) as source, FrameReader(copy) as covered:
        for (x, y, w, h), a, b in zip(clip.faces, source, covered, strict=True):
            face = np.s_[y : y + h, x : x + w]
            edges_before = np.abs(np.diff(a.picture[face].astype(int), axis=0)).mean()
            edges_after = np.abs(np.diff(b.picture[face].astype(int), axis=0)).mean()
            assert edges_after < 0.35 * edges_before
            assert np.abs(a.picture[-20:].astype(int) - b.picture[-20:]).mean() < 4


def test_analyse_and_render_give_what_run_gives(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path / "a").code == 0
    plan = tmp_path / "a" / "private" / f"{clip.path.stem}.plan.json"
    assert not (tmp_path / "a" / "release" / "excerpt-0001.mp4").exists()
    assert redact("render", plan, "-o", tmp_path / "b").code == 0
    assert redact("run", clip.path, "-o", tmp_path / "c").code == 0
    one, two = (tmp_path / f / "release" / "excerpt-0001.mp4" for f in "bc")
    assert one.read_bytes() == two.read_bytes()


def test_detections_are_used_again_and_the_plan_is_what_is_rendered(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    out = tmp_path / "out"
    assert redact("analyse", clip.path, "-o", out).code == 0
    see(CrashingDetector(0, RuntimeError("looked again")))
    assert redact("analyse", clip.path, "-o", out).code == 6
    assert redact("analyse", clip.path, "-o", out, "--overwrite").code == 0
    with pytest.raises(RuntimeError, match="looked again"):
        redact("analyse", clip.path, "-o", out, "--overwrite", "--threshold", "0.5")
    path = out / "private" / f"{clip.path.stem}.plan.json"
    data = json.loads(path.read_text())
    data["tracks"].append(
        {**data["tracks"][0], "id": 99, "label": "region", "boxes": ["0,0,16,16"] * FRAMES, "first": 0}
    )
    path.write_text(json.dumps(data))
    see(FakeDetector(clip.faces))
    assert redact("run", clip.path, "-o", out, "--effect", "solid").code == 0
    with FrameReader(out / "release" / "excerpt-0001.mp4") as copy:
        assert next(iter(copy)).picture[2:14, 2:14].max() < 8
    assert 99 in [track.id for track in load_plan(path.read_text()).tracks]


def test_what_one_command_was_allowed_the_plan_does_not_allow_the_next(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    holiday = tmp_path / "holiday.mp4"
    holiday.write_bytes(b"the only copy")
    see(BlindDetector())
    assert redact("run", clip.path, "-o", tmp_path / "out", "--overwrite", "--allow-empty").code == 0
    plan = tmp_path / "out" / "private" / f"{clip.path.stem}.plan.json"
    assert redact("render", plan, "-o", holiday, "--allow-empty").code == 6
    with pytest.raises(OutputError):
        api.render(plan, holiday)
    assert holiday.read_bytes() == b"the only copy"
    assert redact("render", plan, "-o", tmp_path / "new.mp4").code == 8
    assert redact("render", plan, "-o", holiday, "--overwrite", "--allow-empty").code == 0


@pytest.mark.parametrize(("threshold", "covered"), [("0.05", True), ("0.1", True), ("0.15", False)])
def test_a_low_threshold_covers_what_was_seen_that_weakly(
    threshold: str, covered: bool, redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    see(Sees("face", clip.faces, 0.12))
    assert redact("analyse", clip.path, "-o", tmp_path, "--threshold", threshold).code == 0
    plan = load_plan((tmp_path / "private" / f"{clip.path.stem}.plan.json").read_text())
    assert bool(plan.tracks) == covered


def test_a_plan_for_another_excerpt_is_not_lost(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert redact("analyse", clip.path, "-o", out).code == 0
    result = redact("run", clip.path, "-o", out, "--from", "0.2")
    assert result.code == 6
    assert "--overwrite" in result.err
    assert redact("run", clip.path, "-o", out, "--from", "0.2", "--overwrite").code == 0


def test_an_excerpt_begins_at_zero_and_is_exact_to_the_frame(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    assert redact("run", clip.path, "-o", copy, "--from", "0.2", "--to", "0:00.6", "--audio", "keep").code == 0
    assert times(copy) == [Fraction(n, 25) for n in range(10)]
    assert list_contents(copy).streams == ("video h264", "audio aac")
    with av.open(str(copy)) as container:
        sound = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(sound / 48000 - 0.4) < 0.05
    assert (tmp_path / "copy.private" / f"{clip.path.stem}.plan.json").exists()


@pytest.mark.parametrize(("rate", "begin"), [(30, "0.34"), (24, "0.1"), (25, "0.3333")])
def test_an_excerpt_may_begin_at_a_time_that_the_clip_cannot_name(
    rate: int, begin: str, redact: Redact, see: Callable[[object], None], tmp_path: Path
) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (FRAMES, 96, 128, 3), dtype=np.uint8)
    clip, copy = write_clip(tmp_path / "clip.mp4", list(noise), rate=rate, sound=True), tmp_path / "copy.mp4"
    see(FakeDetector([(40, 30, 30, 40)] * FRAMES))
    result = redact("run", clip, "-o", copy, "--from", begin, "--audio", "keep")
    assert result.code == 0, result.err
    shown = [time - Fraction(begin) for time in times(clip) if time >= Fraction(begin)]
    for time, asked in zip(times(copy), shown, strict=True):
        assert 0 <= asked - time < Fraction(1, 10000)


def test_names_are_neutral_counted_and_kept_for_the_same_clip(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = tmp_path / "other" / clip.path.name
    other.parent.mkdir()
    shutil.copy(clip.path, other)
    other.write_bytes(other.read_bytes() + b"\0\0\0\x08free")
    assert redact("run", clip.path, other, "-o", out).code == 0
    assert {p.name for p in (out / "release").glob("*.mp4")} == {"excerpt-0001.mp4", "excerpt-0002.mp4"}
    assert len(list((out / "private").glob("*.plan.json"))) == 2
    assert redact("run", clip.path, "-o", out).code == 6
    assert redact("run", clip.path, "-o", out, "--overwrite").code == 0
    assert len(list((out / "release").glob("*.mp4"))) == 2
    assert redact("run", clip.path, "-o", tmp_path / "named", "--keep-names").code == 0
    assert (tmp_path / "named" / "release" / clip.path.name).exists()


def rewrite(source: Path, target: Path, clip: Path, reveal: int = -1) -> None:
    """Encode a copy again, with one frame of the clip shown."""
    with FrameReader(source) as reader, FrameReader(clip) as original, FrameWriter(target, reader, 17) as writer:
        for a, b in zip(reader, original, strict=True):
            writer.write(b.picture if a.index == reveal else a.picture, a.time)


@pytest.mark.parametrize("kind", ["one frame shown", "a tag", "a frame less", "sound", "untouched"])
def test_verify_refuses_a_copy_that_is_not_what_the_plan_says(
    kind: str, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    out, copy = tmp_path / "out", tmp_path / "tampered.mp4"
    assert redact("run", clip.path, "-o", out).code == 0
    released = out / "release" / "excerpt-0001.mp4"
    if kind == "one frame shown":
        rewrite(released, copy, clip.path, reveal=11)
    elif kind in ("a tag", "a frame less", "sound"):
        with av.open(str(released)) as source, av.open(str(clip.path)) as voice, av.open(str(copy), "w") as target:
            if kind == "a tag":
                target.metadata["comment"] = "cell 7"
            streams = {source.streams.video[0]: target.add_stream_from_template(source.streams.video[0])}
            if kind == "sound":
                streams[voice.streams.audio[0]] = target.add_stream_from_template(voice.streams.audio[0])
            for stream, new in streams.items():
                packets = [p for p in stream.container.demux(stream) if p.dts is not None]
                for packet in packets[: -1 if kind == "a frame less" else None]:
                    packet.stream = new
                    target.mux(packet)
    else:
        shutil.copy(clip.path, copy)
    plan = out / "private" / f"{clip.path.stem}.plan.json"
    assert redact("verify", released, "--plan", plan).code == 0
    result = redact("verify", copy, "--plan", plan)
    assert result.code == 7
    assert "FAILED" in result.out
    assert "Do not publish" in result.err


def test_every_option_of_the_command_line_is_one_field_of_the_settings() -> None:
    from dataclasses import fields

    from redact.cli.options import OPTIONS
    from redact.plan import Settings

    several = {"region", "camera"}  # ways to give what `regions` holds
    assert set(OPTIONS) - several == {field.name for field in fields(Settings)}


def test_the_detector_that_is_used_stands_in_the_plan(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path / "a").code == 0
    plan = load_plan((tmp_path / "a" / "private" / f"{clip.path.stem}.plan.json").read_text())
    assert dict(plan.models) == dict(FakeDetector.models)
    assert plan.source.frames == FRAMES
