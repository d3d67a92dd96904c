"""What the system refuses, too long a name or a permission, is an error with advice in every command, and no bug."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MadeClip, Result
from tests.test_faults import ROOT, WITH_FAKE

Redact = Callable[..., Result]
LONG = "n" * 300

pytestmark = pytest.mark.usefixtures("fake")


@pytest.fixture
def plan(out: Path) -> Path:
    (path,) = (out / "private").glob("*.plan.json")
    return path


@pytest.mark.parametrize(
    "command",
    [
        "run CLIP -o LONG.mp4", "run LONG.mp4 -o NEW", "run CLIP -o NEW --audio LONG", "status LONG", "review LONG",
        "doctor LONG", "bundle LONG", "export PLAN --format mot -o LONG.csv", "camera add x --clip LONG",
    ],
)  # fmt: skip
def test_a_name_that_is_too_long_ends_with_6_and_is_told(
    command: str, redact: Redact, clip: MadeClip, plan: Path, tmp_path: Path
) -> None:
    named = {"CLIP": clip.path, "NEW": tmp_path / "new", "PLAN": plan}
    result = redact(*(named.get(part, part.replace("LONG", LONG)) for part in command.split()))
    assert (result.code, "too long" in result.err, LONG in result.err) == (6, True, True), result


def test_a_clip_that_is_gone_while_its_copy_is_there_ends_with_3(
    redact: Redact, clip: MadeClip, out: Path, plan: Path
) -> None:
    assert redact("render", plan, "-o", out).code == 0
    clip.path.rename(clip.path.with_name("moved.mp4"))
    result = redact("render", plan, "-o", out, "--overwrite")
    assert (result.code, str(clip.path) in result.err, "--clip" in result.err) == (3, True, True), result


@pytest.mark.parametrize(
    "command",
    [
        "run LOCKED/clip.mp4 -o NEW", "status LOCKED/out", "review LOCKED/out", "doctor LOCKED/x", "bundle LOCKED/x",
        "mark list", "export PLAN --format mot -o LOCKED/x.csv",
    ],
)  # fmt: skip
def test_a_folder_without_permission_ends_with_6_and_is_told(command: str, plan: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    named = {"NEW": str(tmp_path / "new"), "PLAN": str(plan)}
    given = [named.get(part, part.replace("LOCKED", str(locked))) for part in command.split()]
    done = run_humbly(given, REDACT_MARKS=str(locked / "marks"))
    assert (done.returncode, "Traceback" in done.stderr) == (6, False), done.stderr
    assert f"{locked}/" in done.stderr
    assert "permissions" in done.stderr


def test_a_clip_that_may_not_be_read_does_not_keep_others_from_being_done(clip: MadeClip, tmp_path: Path) -> None:
    locked, out = tmp_path / "locked", tmp_path / "new"
    locked.mkdir(mode=0)
    done = run_humbly(["run", str(locked / "clip.mp4"), str(clip.path), "-o", str(out), "--jobs", "1"])
    assert (done.returncode, f"{locked}/clip.mp4 cannot be used: Permission" in done.stderr) == (6, True), done.stderr
    assert [path.name for path in (out / "release").glob("*.mp4")] == ["excerpt-0001.mp4"]


def test_a_log_that_may_not_be_read_ends_with_6(clip: MadeClip, redact: Redact, tmp_path: Path) -> None:
    assert redact("run", clip.path, "-o", tmp_path / "new").code == 0
    log = tmp_path / "new" / "private" / "custody.jsonl"
    log.chmod(0)
    done = run_humbly(["run", str(clip.path), "-o", str(tmp_path / "new"), "--overwrite"])
    assert (done.returncode, "Traceback" in done.stderr, str(log) in done.stderr) == (6, False, True), done.stderr


def run_humbly(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the right of root to open everything."""
    without = "-dac_override,-dac_read_search"
    humble = [] if os.geteuid() else ["setpriv", f"--inh-caps={without}", f"--bounding-set={without}"]
    if humble and not shutil.which("setpriv"):
        pytest.skip("this machine does not let the tests give up rights")
    command = [*humble, sys.executable, "-c", WITH_FAKE, *arguments]
    told = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=told)
