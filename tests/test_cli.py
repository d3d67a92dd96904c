"""What bad input gets: its exit code, a clear message with advice, nothing released, the source unchanged."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import stat
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from redact import custody, weights
from redact.detectors.looks import Look
from redact.plan import Detection
from redact.records import load_plan
from tests.clips import write_sample
from tests.conftest import FRAMES, MadeClip, Result
from tests.fakes import BlindDetector, CrashingDetector, FakeDetector

Redact = Callable[..., Result]


@pytest.fixture(autouse=True)
def nothing_is_released_and_the_source_is_unchanged(clip: MadeClip, tmp_path: Path) -> Iterator[None]:
    before = clip.sha256()
    yield
    assert clip.sha256() == before
    assert not list(tmp_path.rglob("*.partial.mp4"))


def refused(result: Result, code: int, out: Path) -> None:
    """Assert that a command failed as it should, and released nothing."""
    assert result.code == code, result
    message, advice = result.err.rstrip("\n").split("\n")[-2:]
    assert message.startswith("redact: ")
    assert len(advice.strip()) > 10
    assert "Traceback" not in result.err
    assert not list(out.rglob("*.mp4"))


def make_bad_clip(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "text":
        path.write_text("This is a letter, not a film.\n" * 50)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 48000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def no_frames(clip: Path, folder: Path) -> Path:
    """Return a file whose header is whole and whose pictures are all zeros."""
    data = bytearray(clip.read_bytes())
    start = data.find(b"mdat") + 4
    end = data.find(b"moov") - 4 if data.find(b"moov") > start else len(data)
    data[start:end] = bytes(end - start)
    path = folder / "zeros.mp4"
    path.write_bytes(data)
    return path


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", ["missing", "text", "empty", "folder", "sound"])
def test_what_is_no_clip_ends_with_3(kind: str, redact: Redact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(redact("run", make_bad_clip(kind, tmp_path), "-o", out), 3, out)


@pytest.mark.usefixtures("fake")
def test_a_clip_without_a_single_frame_ends_with_3(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(redact("run", no_frames(clip.path, tmp_path), "-o", out), 3, out)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("way", ["itself", "symlink", "hard link"])
def test_the_clip_is_never_overwritten_by_its_copy(way: str, redact: Redact, clip: MadeClip) -> None:
    target = clip.path.with_name("copy.mp4")
    if way == "itself":
        target = clip.path
    elif way == "symlink":
        target.symlink_to(clip.path)
    else:
        os.link(clip.path, target)
    result = redact("run", clip.path, "-o", target, "--overwrite")
    assert result.code == 6
    assert "the clip itself" in result.err


@pytest.mark.usefixtures("fake")
def test_an_existing_output_is_kept_unless_told_otherwise(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(b"precious")
    result = redact("run", clip.path, "-o", copy)
    assert (result.code, copy.read_bytes()) == (6, b"precious")
    assert "--overwrite" in result.err
    assert redact("run", clip.path, "-o", copy, "--overwrite").code == 0
    assert copy.read_bytes() != b"precious"


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("size_kb", [4, 16, 32])
def test_a_full_disk_ends_with_6(size_kb: int, redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "none", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let the tests mount a small disk")
    try:
        refused(redact("run", clip.path, "-o", disk / "out"), 6, disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.usefixtures("fake")
def test_a_folder_that_cannot_be_made_ends_with_6(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(redact("run", clip.path, "-o", tmp_path / "file" / "out"), 6, tmp_path / "file")


def test_missing_weights_end_with_5_and_the_command_to_run(
    redact: Redact, clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path / "none"))
    result = redact("run", clip.path, "-o", tmp_path / "out")
    refused(result, 5, tmp_path / "out")
    assert "redact models fetch centerface" in result.err


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("fault", ["another clip", "unknown key", "garbled", "box outside"])
def test_a_plan_that_does_not_fit_ends_with_4(fault: str, redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path / "a").code == 0
    plan = tmp_path / "a" / "private" / f"{clip.path.stem}.plan.json"
    arguments: list[object] = []
    data = json.loads(plan.read_text())
    if fault == "another clip":
        arguments = ["--clip", write_sample(tmp_path / "sample.avi")]
    elif fault == "unknown key":
        data["tracks"][0]["hide"] = True
    elif fault == "box outside":
        data["tracks"][0]["first"] = 900
    plan.write_text(json.dumps(data) if fault != "garbled" else plan.read_text()[:-40])
    refused(redact("render", plan, "-o", tmp_path / "out", *arguments), 4, tmp_path / "out")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "options",
    [["--from", "soon"], ["--from", "2", "--to", "1"], ["--threshold", "7"], ["--crf", "99"], ["--effect", "glow"],
     ["--strength", "3"], ["--audio", "loud"], ["--from", "-1"]],
)  # fmt: skip
def test_wrong_options_end_with_2(options: list[str], redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    result = redact("run", clip.path, "-o", tmp_path / "out", *options)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert not (tmp_path / "out" / "release").exists()


@pytest.mark.usefixtures("fake")
def test_an_excerpt_beyond_the_clip_ends_with_3(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    refused(redact("run", clip.path, "-o", tmp_path / "out", "--from", "99"), 3, tmp_path / "out")


def test_ctrl_c_ends_with_130(redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]) -> None:
    see(CrashingDetector(9, KeyboardInterrupt()))
    result = redact("run", clip.path, "-o", tmp_path / "out")
    assert result.code == 130
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_a_bug_ends_with_1_and_its_traceback_is_in_the_private_log(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    see(CrashingDetector(9, RuntimeError("division by cucumber")))
    refused(redact("run", clip.path, "-o", tmp_path / "out"), 1, tmp_path / "out")
    log = custody.read_log(custody.locate_workspace(tmp_path / "out"))
    assert "division by cucumber" in log.entries[-1]["traceback"]


def test_a_bad_clip_does_not_stop_the_others(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    see(FakeDetector(clip.faces))
    out = tmp_path / "out"
    bad, missing = make_bad_clip("text", tmp_path), tmp_path / "missing.mp4"
    copy = out / "release" / "excerpt-0001.mp4"
    result = redact("run", bad, clip.path, missing, "-o", out, "--json")
    assert result.code == 3
    rows = json.loads(result.out)
    assert [row.get("exit_code", 0) for row in rows] == [3, 0, 3]
    assert rows[1]["copy"] == str(copy)
    assert copy.exists()


def test_with_several_clips_the_output_is_a_folder(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    refused(redact("run", clip.path, clip.path, "-o", tmp_path / "copy.mp4"), 2, tmp_path / "copy.private")


def test_nothing_found_ends_with_8_unless_somebody_looked(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    see(BlindDetector())
    result = redact("run", clip.path, "-o", tmp_path / "out")
    refused(result, 8, tmp_path / "out")
    assert "--allow-empty" in result.err
    assert redact("run", clip.path, "-o", tmp_path / "out", "--allow-empty").code == 0


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_models_are_listed(options: list[str], redact: Redact) -> None:
    result = redact("models", "list", *options)
    assert result.code == 0
    assert all(card_id in result.out for card_id in weights.cards())


@pytest.mark.usefixtures("real_weights")
def test_on_a_terminal_there_are_bars_and_a_table_and_no_noise(clip: MadeClip, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    command = [sys.executable, "-m", "redact", "run", str(clip.path), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    text = shown.decode()
    assert process.wait() == 0, text
    for word in (
        "look",
        "follow",
        "render",
        "verify",
        "frames/s",
        "found",
        "covered",
        "held",
        "NOT CHECKED",
        "excerpt-0001.mp4",
    ):
        assert word in text
    assert "arning" not in text


@pytest.fixture
def doubtful(redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]) -> Path:
    """The plan of a clip in which the face was seen once: where it begins and ends is in doubt."""
    see(FakeDetector([face if n == 12 else None for n, face in enumerate(clip.faces)]))
    assert redact("analyse", clip.path, "-o", tmp_path / "a").code == 0
    plan = tmp_path / "a" / "private" / f"{clip.path.stem}.plan.json"
    assert len(load_plan(plan.read_text()).doubts) == 2
    return plan


def test_a_sheet_of_what_is_in_doubt_lies_beside_the_plan_for_nobody_else(redact: Redact, doubtful: Path) -> None:
    before = doubtful.read_bytes()
    sheet = doubtful.with_name(doubtful.name.replace(".plan.json", ".doubts.png"))
    result = redact("sheet", doubtful)
    assert (result.code, result.out, result.err) == (0, f"{sheet}\n", "")
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape[1] > 2 * 240
    assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
    assert doubtful.read_bytes() == before
    assert redact("sheet", doubtful).code == 0


def test_an_uncovered_sheet_has_another_name_and_shows_more(redact: Redact, doubtful: Path) -> None:
    covered = redact("sheet", doubtful)
    uncovered = redact("sheet", doubtful, "--uncovered")
    assert (covered.code, uncovered.code) == (0, 0)
    paths = [Path(result.out.strip()) for result in (covered, uncovered)]
    assert paths[1].parent == paths[0].parent == doubtful.parent
    assert "uncovered" in paths[1].name
    assert "uncovered" not in paths[0].name
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    hidden, seen = (cv2.imread(str(path)).astype(int) for path in paths)
    middle = np.s_[88:168, 98:158]
    assert np.abs(np.diff(hidden[middle], axis=0)).mean() < 0.35 * np.abs(np.diff(seen[middle], axis=0)).mean()


def test_a_sheet_goes_where_it_is_told_and_the_clip_may_have_moved(
    redact: Redact, doubtful: Path, clip: MadeClip, tmp_path: Path
) -> None:
    moved, sheet = tmp_path / "moved.mp4", tmp_path / "sheet.png"
    clip.path.rename(moved)
    assert redact("sheet", doubtful, "-o", sheet).code == 3
    assert not sheet.exists()
    result = redact("sheet", doubtful, "-o", sheet, "--clip", moved)
    assert (result.code, result.out) == (0, f"{sheet}\n")
    assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
    moved.rename(clip.path)


@pytest.mark.parametrize(("fault", "code"), [("missing", 3), ("garbled", 4), ("another clip", 4), ("no folder", 6)])
def test_a_sheet_that_cannot_be_drawn_says_why(
    fault: str, code: int, redact: Redact, doubtful: Path, tmp_path: Path
) -> None:
    arguments: list[object] = []
    if fault == "missing":
        doubtful.unlink()
    elif fault == "garbled":
        doubtful.write_text(doubtful.read_text()[:-40])
    elif fault == "another clip":
        arguments = ["--clip", write_sample(tmp_path / "sample.avi")]
    else:
        arguments = ["-o", tmp_path / "none" / "sheet.png"]
    refused(redact("sheet", doubtful, *arguments), code, tmp_path / "a")
    assert not list(tmp_path.rglob("*.png"))


class NotingDetector(FakeDetector):
    """Sees what it is told, and notes the looks that are taken."""

    def __init__(self, faces: Sequence[tuple[int, int, int, int] | None]) -> None:
        super().__init__(faces)
        self.looks: list[Look] = []

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        self.looks += looks
        return super().detect(picture, frame, looks)


def test_fast_looks_less_and_stands_in_the_plan(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    looks = {}
    for option in ((), ("--fast",)):
        detector = NotingDetector(clip.faces[:12])
        see(detector)
        out = tmp_path / f"out{len(option)}"
        assert redact("run", clip.path, "-o", out, *option).code == 0
        assert (out / "release" / "excerpt-0001.mp4").exists()
        plan = out / "private" / f"{clip.path.stem}.plan.json"
        assert load_plan(plan.read_text()).settings.fast == bool(option)
        assert json.loads(plan.read_text())["settings"]["fast"] == bool(option)
        looks[bool(option)] = detector.looks
    assert any(look.angle and not look.within for look in looks[False])
    assert any(look.within for look in looks[False])
    assert not any(look.angle or look.within for look in looks[True])
    assert FRAMES <= len(looks[True]) < 0.6 * len(looks[False])


@pytest.mark.parametrize(("first", "second"), [(["--fast"], []), ([], ["--fast"])])
def test_a_plan_of_another_speed_is_not_used_again(
    first: list[str], second: list[str], redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[[object], None]
) -> None:
    detector, out = NotingDetector(clip.faces), tmp_path / "out"
    see(detector)
    assert redact("analyse", clip.path, "-o", out, *first).code == 0
    result = redact("run", clip.path, "-o", out, *second)
    refused(result, 6, out)
    assert "(fast)" in result.err
    assert "--overwrite" in result.err
    looked = len(detector.looks)
    assert redact("analyse", clip.path, "-o", out, *first, "--overwrite").code == 0
    assert len(detector.looks) == looked
    assert redact("analyse", clip.path, "-o", out, *second, "--overwrite").code == 0
    assert len(detector.looks) > looked
    assert redact("run", clip.path, "-o", out, *second).code == 0
