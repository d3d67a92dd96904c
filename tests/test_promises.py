"""The six promises of SECURITY.md."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from redact import custody, media, pipeline, rendering, verification
from redact.effects import Coverer
from redact.geometry import Box
from redact.media import Frame, FrameReader, list_contents
from redact.plan import Check, Plan, Verdict
from redact.records import dump_plan
from redact.verification import Findings
from tests.clips import moving_portrait, textured_background, write_clip
from tests.conftest import FRAMES, MadeClip, Result
from tests.fakes import BlindDetector, FakeDetector

Redact = Callable[..., Result]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("end", ["passes", "fails", "crashes"])
def test_promise_1_no_unchecked_copy(
    end: str, redact: Redact, clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tmp_path / "out" / "release"
    real = verification.verify

    def watch(copy: Path, *rest: Any) -> Findings:
        assert list(release.iterdir()) == []
        assert copy.parent.name == "private"
        findings = real(copy, *rest)
        assert list(release.iterdir()) == []
        if end == "crashes":
            raise RuntimeError("power cut")
        failed = Verdict((*findings.verdict.checks, Check("a look", False, "a face")))
        return findings if end == "passes" else replace(findings, verdict=failed)

    monkeypatch.setattr(verification, "verify", watch)
    result = redact("run", clip.path, "-o", tmp_path / "out")
    assert result.code == {"passes": 0, "fails": 7, "crashes": 1}[end]
    assert len(list(tmp_path.rglob("excerpt-*.mp4"))) == (end == "passes")
    assert not list(tmp_path.rglob("*.partial.mp4"))


def plan_of(redact: Redact, clip: Path, folder: Path) -> Plan:
    assert redact("analyse", clip, "-o", folder).code == 0
    return pipeline.read_plan(next((folder / "private").glob("*.plan.json")))


def rendered(plan: Plan, clip: Path, target: Path) -> bytes:
    rendering.render(plan, clip, target, lambda done, total: None)
    return target.read_bytes()


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("effect", ["blur", "solid", "mosaic"])
def test_promise_2_what_is_covered_is_gone(
    effect: str, redact: Redact, clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(redact, clip.path, tmp_path / "a")
    plan = plan.with_settings(replace(plan.settings, effect=effect))
    before = rendered(plan, clip.path, tmp_path / "before.mp4")
    coverer, random, digest = Coverer(plan), np.random.default_rng(7), media.Digest()
    real = FrameReader.__iter__

    def with_noise(reader: FrameReader) -> Iterator[Frame]:
        for frame in real(reader):
            _, mask = coverer.cover(frame.picture, frame.index)
            assert mask.any()
            picture = frame.picture.copy()
            picture[mask > 0] = random.integers(0, 256, (int((mask > 0).sum()), 3))
            yield replace(frame, picture=picture)

    with FrameReader(clip.path) as reader:
        monkeypatch.setattr(FrameReader, "__iter__", with_noise)
        for frame in reader:
            digest.add(frame)
    random = np.random.default_rng(7)
    noisy = replace(plan, source=replace(plan.source, digest=digest.hexdigest()))
    assert digest.hexdigest() != plan.source.digest
    assert rendered(noisy, clip.path, tmp_path / "after.mp4") == before


def test_promise_2_holds_for_files_too(redact: Redact, tmp_path: Path, see: Callable[[object], None]) -> None:
    """Two lossless 4:2:0 files that differ only under the cover give the same copy."""
    frames = list(moving_portrait(12, 160, 120, 0.25))
    see(FakeDetector([face for _, face in frames]))
    base = write_clip(tmp_path / "base.mp4", (p for p, _ in frames))
    first, second = tmp_path / "one.mp4", tmp_path / "two.mp4"
    with FrameReader(base) as reader, media.FrameWriter(first, reader, crf=0) as writer:
        for frame in reader:
            writer.write(frame.picture, frame.time)
    plan = plan_of(redact, first, tmp_path / "a")
    coverer, random = Coverer(plan), np.random.default_rng(7)
    with FrameReader(base) as reader, media.FrameWriter(second, reader, crf=0) as writer:
        for frame in reader:
            _, mask = coverer.cover(frame.picture, frame.index)
            noise = random.integers(0, 256, (60, 80, 3), dtype=np.uint8).repeat(2, axis=0).repeat(2, axis=1)
            writer.write(np.where(mask[..., None] > 0, noise, frame.picture), frame.time)
    twin = replace(plan_of(redact, second, tmp_path / "b"), tracks=plan.tracks)
    with FrameReader(first) as one, FrameReader(second) as two:
        for a, b in zip(one, two, strict=True):
            _, mask = coverer.cover(a.picture, a.index)
            assert (a.picture[mask == 0] == b.picture[mask == 0]).all()
            assert not (a.picture[mask > 0] == b.picture[mask > 0]).all()
    one_copy = rendered(plan, first, tmp_path / "one copy.mp4")
    assert rendered(twin, second, tmp_path / "two copy.mp4") == one_copy


@pytest.mark.usefixtures("fake")
def test_promise_3_nothing_rides_along(redact: Redact, tmp_path: Path) -> None:
    tags = {"title": "Interrogation of 2019", "comment": "Ana Horvat", "location": "+48.1+017.1/"}
    frames = [picture for picture, _ in moving_portrait(FRAMES, 320, 240, 0.5)]
    clip = write_clip(tmp_path / "cell 7 north.mkv", frames, sound=True, metadata=tags)
    assert b"Ana Horvat" in clip.read_bytes()
    assert redact("run", clip, "-o", tmp_path / "out").code == 0
    copy = tmp_path / "out" / "release" / "excerpt-0001.mp4"
    contents = list_contents(copy)
    assert (contents.streams, contents.tags, contents.chapters) == (("video h264",), (), 0)
    for text in (*tags.values(), "cell 7", "north", "x264", "Lavc", "Lavf"):
        assert text.encode() not in copy.read_bytes()


@pytest.mark.usefixtures("fake")
def test_promise_4_the_source_is_not_changed(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    before, stat = clip.sha256(), clip.path.stat()
    clip.path.chmod(0o400)
    clip.path.parent.chmod(0o500)
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0
    clip.path.parent.chmod(0o700)
    assert clip.sha256() == before
    assert clip.path.stat().st_mtime_ns == stat.st_mtime_ns
    assert [p.name for p in clip.path.parent.iterdir()] == [clip.path.name]


@pytest.mark.usefixtures("fake")
def test_promise_4_a_run_opens_no_connection(
    redact: Redact, clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0


@pytest.mark.parametrize("script", ["import redact.detectors.faces", "import redact, onnxruntime"])
def test_promise_4_what_runs_the_models_sends_nothing_and_notes_nothing_to_be_sent(script: str, tmp_path: Path) -> None:
    quiet = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}  # the last moves its files
    clean = {name: value for name, value in os.environ.items() if name not in quiet}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**clean, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.rglob("*")) == []


ATTEMPT = """
import socket
from redact import cli
def attempt():
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            print(socket.socket(family).family == family)
        except PermissionError:
            print("refused")
    for made in socket.socketpair():
        made.close()
cli.main = attempt
cli.start()
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system calls are filtered on x86-64 only")
@pytest.mark.parametrize(
    ("arguments", "free"),
    [
        ("run clip.mp4 -o out", False),
        ("analyse review", False),
        ("-h", False),
        ("run clips -o out --cluster tcp://127.0.0.1:8786", True),
        ("run clips -o out --cluster=tcp://127.0.0.1:8786", True),
        ("review out", True),
        ("models fetch", True),
        ("bundle out", True),
    ],
)
def test_promise_4_the_program_itself_can_open_no_connection(arguments: str, free: bool) -> None:
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", ATTEMPT, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == [*(["True"] * 2 if free else ["refused"] * 2), "True"]


def test_promise_5_doubt_covers(redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]) -> None:
    seen_once: list[tuple[int, int, int, int] | None] = [None] * FRAMES
    seen_once[12] = clip.faces[12]
    see(FakeDetector(seen_once))
    (track,) = plan_of(redact, clip.path, tmp_path / "a").tracks
    assert (track.first, track.last) == (2, 22)

    frames = [textured_background(320, 240, n) for n in range(30)]
    broken = write_clip(tmp_path / "broken.mp4", frames)
    data = bytearray(broken.read_bytes())
    start = data.find(b"mdat") + 4
    middle = start + (len(data) - start) // 2
    data[middle : middle + 400] = bytes(400)
    broken.write_bytes(data)
    see(BlindDetector())
    plan = plan_of(redact, broken, tmp_path / "b")
    whole = Box(0, 0, 320, 240)
    covered = {t.first + n for t in plan.tracks for n, box in enumerate(t.boxes) if box == whole}
    with FrameReader(broken) as reader:
        damaged = {frame.index for frame in reader if frame.damaged}
    assert damaged
    assert covered == damaged


def test_promise_5_nothing_found_is_not_released(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    see(BlindDetector())
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 8
    assert not list((tmp_path / "out" / "release").iterdir())


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("change", ["edit", "remove first", "remove middle", "remove last", "swap", "add", "nothing"])
def test_promise_6_a_changed_log_is_found(change: str, redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert redact("run", clip.path, "-o", out).code == 0
    log = out / "private" / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    operations = [json.loads(line)["operation"] for line in lines]
    assert operations == ["analyse", "render", "verify", "release"]
    if change == "edit":
        lines[1] = lines[1].replace(b"blur", b"blot")
    elif change == "swap":
        lines[1:3] = lines[2:0:-1]
    elif change == "add":
        lines.append(b'{"number": 5}\n')
    elif change != "nothing":
        del lines[{"remove first": 0, "remove middle": 1, "remove last": -1}[change]]
    log.write_bytes(b"".join(lines))
    result = redact("log", out)
    assert result.code == (0 if change == "nothing" else 4)
    assert ("not as it was written" in result.err) == (change != "nothing")


def test_promise_6_a_crash_between_a_line_and_its_hash_is_no_fault(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    head = (space.private / "custody.head").read_bytes()
    custody.record(space, "two", {})
    (space.private / "custody.head").write_bytes(head)
    assert custody.read_log(space).faults == ()


@pytest.mark.usefixtures("fake")
def test_promise_6_the_statement_says_nothing_of_the_source(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "release" / "excerpt-0001.statement.json").read_text()
    statement = json.loads(text)
    assert statement["covered"] == {"head": 1}
    assert statement["reviewed_by_a_person"] == "no"
    assert statement["checked"]["a second look for faces by fake"] == "held"
    for part in (*clip.path.parts[-2:], str(tmp_path), clip.path.stem, clip.sha256()):
        assert part not in text
    assert not re.search(r"[0-9a-f]{16}|\d{4}-\d\d|/|anonym|\bsafe\b", text)


def test_a_plan_says_the_same_however_often_it_is_made(
    redact: Redact, clip: MadeClip, tmp_path: Path, fake: FakeDetector
) -> None:
    one, two = (plan_of(redact, clip.path, tmp_path / name) for name in ("a", "b"))
    assert dump_plan(one) == dump_plan(two)
