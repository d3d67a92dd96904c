"""Whatever happens to the machine or the files: nothing half-made is released, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redact import analysis, custody
from redact.batch import QUEUE
from redact.queue import Queue
from tests.conftest import Result
from tests.fakes import FakeDetector
from tests.trees import faces_of, write_small

Redact = Callable[..., Result]
ROOT = Path(__file__).parent.parent
WITH_FAKE = """
import sys
from redact import cli, detectors
from tests.trees import load_fake
detectors.load_detectors = load_fake
if __name__ == "__main__":
    cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("small") / "clip.mp4")


@pytest.fixture
def small(made: Path, tmp_path: Path, see: Callable[[Any], None]) -> Path:
    see(FakeDetector(faces_of()))
    return Path(shutil.copy(made, tmp_path / "clip.mp4"))


def run_bench(*arguments: str) -> None:
    """Run a module of bench/ and assert that it found no fault."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_that_is_killed_leaves_nothing_half_made_and_goes_on() -> None:
    run_bench("bench.faults", "--random", "3", "--real", "0", "--every", "25")


def test_damaged_files_end_with_a_checked_copy_or_a_clean_error() -> None:
    run_bench("bench.fuzz", "--count", "60")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a small disk of its own, with options of mount."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not let the tests mount a small disk")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kb", [*range(12, 100, 8)])
def test_a_disk_that_fills_up_at_any_moment_leaves_nothing_half_made_and_the_run_goes_on(
    kb: int, disk: Callable[[str], Path], redact: Redact, small: Path
) -> None:
    place = disk(f"size={kb}k")
    out = place / "out"
    result = redact("run", small, "-o", out)
    assert result.code in (0, 6), result
    if result.code:
        assert "full" in result.err
        assert not list(out.rglob("*.mp4"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        assert redact("run", small, "-o", out).code == 0
    assert custody.read_log(custody.locate_workspace(out)).faults == ()
    assert len(list((out / "release").iterdir())) == 2


@pytest.fixture
def bounded() -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A folder with a quota, in a small btrfs of its own, and what changes that quota."""

    def call(*command: object) -> bool:
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0

    def limit(size: str) -> None:
        assert call("btrfs", "qgroup", "limit", size, "0/256", place)

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        image, place = Path(scratch) / "image", Path(scratch) / "disk"
        place.mkdir()
        image.touch()
        os.truncate(image, 128 << 20)
        made = not os.geteuid() and all(map(shutil.which, ("mkfs.btrfs", "btrfs")))
        made = made and call("mkfs.btrfs", "-q", image) and call("mount", "-o", "loop", image, place)
        try:
            if not made or not call("btrfs", "quota", "enable", place):
                pytest.skip("this machine does not let the tests make a disk with quotas")
            assert call("btrfs", "subvolume", "create", place / "bounded")
            yield place / "bounded", limit
        finally:
            if place.is_mount():
                call("umount", place)


def test_a_quota_that_is_used_up_leaves_nothing_half_made_and_the_run_goes_on(
    bounded: tuple[Path, Callable[[str], None]], redact: Redact, small: Path
) -> None:
    folder, limit = bounded
    codes = []
    for kb in (40, 120, 200):
        limit(f"{kb}k")
        out = folder / f"out {kb}"
        result = redact("run", small, "-o", out)
        codes.append(result.code)
        if result.code:
            assert (result.code, "ake room" in result.err) == (6, True), result
            assert not list(folder.rglob("*.mp4"))
        limit("none")
        assert redact("run", small, "-o", out, *(["--overwrite"] if not result.code else [])).code == 0
        assert custody.read_log(custody.locate_workspace(out)).faults == ()
        shutil.rmtree(out)
    assert codes.count(6) >= 2, codes


def test_a_disk_that_can_only_be_read_ends_with_6(disk: Callable[[str], Path], redact: Redact, small: Path) -> None:
    place = disk("size=1m")
    assert redact("run", small, "-o", place / "out").code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    for command in (["run", small, "-o", place / "out", "--overwrite"], ["run", small, "-o", place / "new"]):
        result = redact(*command)
        assert (result.code, "Traceback" in result.err) == (6, False)
    assert redact("log", place / "out").code == 0


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, happen: Callable[[], object]) -> None:
    """Let something happen when a pass has been made."""
    real = getattr(analysis, name)

    def then(*given: Any) -> Any:
        result = real(*given)
        happen()
        return result

    monkeypatch.setattr(analysis, name, then)


@pytest.mark.parametrize("change", ["vanishes", "grows", "is another"])
@pytest.mark.parametrize("moment", ["while it is read", "look", "follow", "make_plan"])
def test_a_clip_that_is_not_the_same_any_more_ends_with_3_or_4(
    change: str, moment: str, redact: Redact, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    see: Callable[[Any], None],
) -> None:  # fmt: skip
    other = write_small(tmp_path / "other.mp4", 90).read_bytes()

    def happen() -> None:
        if change == "vanishes":
            small.unlink(missing_ok=True)
        elif change == "grows":
            with small.open("ab") as file:
                file.write(b"more")
        else:
            small.write_bytes(other)

    class Meddling(FakeDetector):
        def detect(self, picture: Any, frame: int, looks: Any) -> Any:
            if frame == 3:
                happen()
            return super().detect(picture, frame, looks)

    if moment == "while it is read":
        see(Meddling(faces_of()))
    else:
        stop_at(monkeypatch, moment, happen)
    result = redact("run", small, "-o", tmp_path / "out")
    assert result.code in (3, 4), result
    assert "Traceback" not in result.err
    assert not list((tmp_path / "out").rglob("*.mp4"))


@pytest.mark.parametrize("moment", ["look", "follow", "make_plan"])
def test_an_output_folder_that_is_deleted_ends_with_6_and_the_run_goes_on(
    moment: str, redact: Redact, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        stop_at(patched, moment, lambda: shutil.rmtree(out))
        result = redact("run", small, "-o", out)
    assert (result.code, "Traceback" in result.err) == (6, False), result
    assert redact("run", small, "-o", out).code == 0


def test_a_folder_without_permission_ends_with_6_and_a_clip_with_3(small: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    (tmp_path / "archive").mkdir()
    secret = Path(shutil.copy(small, tmp_path / "archive" / "secret.mp4"))
    secret.chmod(0)
    without = "-dac_override,-dac_read_search"  # root may write everywhere, unless it gives that up
    humble = [] if os.geteuid() else ["setpriv", f"--inh-caps={without}", f"--bounding-set={without}"]
    if humble and not shutil.which("setpriv"):
        pytest.skip("this machine does not let the tests give up rights")
    for clip, out, code in ((small, locked / "out", 6), (secret.parent, tmp_path / "out", 3)):
        command = [*humble, sys.executable, "-c", WITH_FAKE, "run", str(clip), "-o", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def count_begun(out: Path) -> int:
    """Return how many clips of a run were begun."""
    path = out / "private" / QUEUE
    if not path.exists():
        return 0
    with Queue(path) as queue:
        return sum(bool(row.passes) for row in queue.rows())


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_all_processes_and_leaves_nothing_unfinished(jobs: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(WITH_FAKE.replace("load_fake", "load_slow"))
    tree = tmp_path / "tree"
    for shade, name in enumerate("ab"):  # two contents: clips of one are not done beside each other
        write_small(tree / name / f"{name}.mp4", 40 * shade)
    out = tmp_path / "out"
    command = [sys.executable, str(tmp_path / "main.py"), "run", str(tree), "-o", str(out), "--jobs", jobs]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where these tests run
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while count_begun(out) < int(jobs) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert not custody.is_held(custody.locate_workspace(out))
    assert not list(out.rglob("*.mp4"))


def test_a_run_needs_no_network_interface(small: Path, tmp_path: Path) -> None:
    script = f"import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']\n{WITH_FAKE}"
    command = ["unshare", "-n", sys.executable, "-c", script, "run", str(small), "-o", str(tmp_path / "out")]
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine does not let the tests make a network namespace")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "release" / "excerpt-0001.mp4").exists()
