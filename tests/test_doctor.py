"""The doctor finds what is wrong with a machine, and says what to do about it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redact import doctor
from redact.doctor import BAD, GOOD, LOOK, Finding
from redact.media import apart
from tests.conftest import Result


def found(name: str, output: Path = Path()) -> Finding:
    """Return what is found about one thing; whatever is not good comes with advice."""
    findings = doctor.examine(output)
    assert all(bool(f.advice) == (f.state != GOOD) for f in findings)
    (finding,) = [f for f in findings if f.name == name]
    return finding


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a library be another one, or fail while it is loaded."""

    def put(name: str, module: Any) -> None:
        load = importlib.import_module

        def import_module(wanted: str) -> Any:
            if wanted == name and isinstance(module, Exception):
                raise module
            return module if wanted == name else load(wanted)

        monkeypatch.setattr(doctor.importlib, "import_module", import_module)

    return put


def test_a_machine_that_is_fit_is_found_fit_and_nothing_is_changed_on_it(
    tmp_path: Path, redact: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_weights", lambda: [])
    result = redact("doctor", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert {line.split(": ")[0] for line in result.out.splitlines()} >= {"good  cv2", "good  encoder libx264"}
    assert not list(tmp_path.iterdir())


def test_what_is_bad_ends_with_5_and_is_named(
    redact: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path))
    for option in ((), ("--json",)):
        result = redact("doctor", *option)
        assert result.code == 5
        assert "weights centerface, weights ppocr-det-v6" in result.err
        assert "redact models fetch centerface" in result.out
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert rows["weights centerface"]["state"] == BAD
    assert rows["weights yunet-n"]["state"] == GOOD
    assert rows["weights retinaface-mnv2"]["state"] == LOOK


@pytest.mark.parametrize(("name", "state"), [("Linux", GOOD), ("Windows", BAD), ("Darwin", BAD)])
def test_a_system_that_is_not_linux_is_told_where_redact_runs(
    name: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.platform, "system", lambda: name)
    finding = found("system")
    assert (finding.state, "WSL" in finding.advice) == (state, state == BAD)


def test_the_doctor_can_be_asked_where_libraries_of_linux_are_missing() -> None:
    program = "import sys; sys.modules.update(fcntl=None, resource=None); import redact.cli, redact.doctor"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_damaged_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path))
    (tmp_path / "320n.onnx").write_bytes(b"nonsense")
    finding = found("weights nudenet-320n")
    assert finding.state == BAD
    assert "sha256" in finding.said


def test_packages_that_fight_over_cv2_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["opencv-python", "opencv-contrib-python", "opencv-python"]
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"cv2": both})
    finding = found("cv2")
    assert finding.state == BAD
    assert "uninstall -y opencv-contrib-python opencv-python &&" in finding.advice


def test_a_cv2_that_is_not_the_packages_is_found(loads: Callable[..., None], tmp_path: Path) -> None:
    loads("cv2", types.SimpleNamespace(__version__="3.1.4", __file__=str(tmp_path / "cv2" / "__init__.py")))
    finding = found("cv2")
    assert finding.state == BAD
    assert str(tmp_path / "cv2") in finding.advice


def test_a_library_that_cannot_be_loaded_is_a_finding_and_no_crash(loads: Callable[..., None]) -> None:
    loads("av", ImportError("DLL load failed"))
    assert "DLL load failed" in found("av").said
    assert found("av").state == BAD


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("cv2", "opencv-contrib-python"),
        ("numpy", "numpy"),
        ("platformdirs", "platformdirs"),
        ("packaging", "packaging"),
    ],
)
def test_where_a_library_is_broken_the_command_still_says_what_to_do(
    library: str, package: str, tmp_path: Path
) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    told = subprocess.run(
        [sys.executable, "-m", "redact", "doctor", tmp_path],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 5
    assert package in told.stderr.partition("redact will not work on this machine yet: ")[2]
    (line, advice) = told.stdout.partition(f"bad   {package}: ")[2].splitlines()[:2]
    assert "libGL.so.1" in line
    assert ("libgl1" if library != "packaging" else "--force-reinstall packaging") in advice
    assert "disk: " in told.stdout


def test_an_encoder_that_is_missing_is_found(loads: Callable[..., None]) -> None:
    loads("av", types.SimpleNamespace(codecs_available={"aac"}))
    assert [found(f"encoder {codec}").state for codec in ("aac", "libx264")] == [GOOD, BAD]


@pytest.mark.parametrize(("line", "said"), [("numpy>=99", "needs >=99"), ("no-such-thing>=1", "not installed")])
def test_a_package_that_is_old_or_missing_is_found(line: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: [line, "pytest>=99; extra == 'test'"])
    finding = found(line.split(">=")[0])
    assert finding.state == BAD
    assert said in finding.said
    assert line in finding.advice


def test_little_room_and_a_folder_that_cannot_be_written_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=10**9))
    assert found("disk", tmp_path / "not" / "yet").said == f"1.0 GB free at {tmp_path}"
    assert found("disk", tmp_path).state == LOOK
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert found("disk", tmp_path).state == BAD


def test_a_private_folder_that_others_can_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDACT_MARKS", str(tmp_path))
    tmp_path.chmod(0o755)
    assert (found("folder of marks").state, found("folder of marks").advice) == (LOOK, f"Run: chmod 700 '{tmp_path}'")
    tmp_path.chmod(0o700)
    assert found("folder of marks").state == GOOD


@pytest.mark.parametrize(
    ("lock", "state"),
    [
        ("None", GOOD if os.uname().machine == "x86_64" else LOOK),
        ("child.lock_in = lambda: False", LOOK),
        ("child.lock_in = lambda: True", BAD),
        ("raise SystemExit", BAD),
    ],
    ids=["as it is", "not filtered", "filtered in vain", "does not start"],
)
def test_how_far_decoding_is_kept_apart_is_tried_and_not_believed(
    lock: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "START", f"from redact.media import child; exec({lock!r}); child.main()")
    apart._helper.cache_clear()
    finding = found("decoding apart")
    apart._helper.cache_clear()
    assert finding.state == state
    assert ("it can open files, open connections" in finding.said) == ("lambda" in lock)


@pytest.mark.parametrize(
    ("cut", "state"),
    [
        ("jail.cut_off_network()", GOOD if os.uname().machine == "x86_64" else LOOK),
        ("True", LOOK),
        ("raise ModuleNotFoundError", LOOK),
    ],
    ids=["as it is", "not refused", "Windows"],
)
def test_whether_the_network_is_refused_is_tried_and_not_believed(
    cut: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CONNECT", doctor.CONNECT.replace("jail.cut_off_network()", cut))
    assert found("network").state == state


def test_a_clip_is_written_and_read_again_so_that_a_library_that_has_changed_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert found("made clip").state == GOOD
    monkeypatch.setattr(apart, "START", "from redact.media import child, files; del files.av.open; child.main()")
    apart._helper.cache_clear()
    finding = found("made clip")
    apart._helper.cache_clear()
    assert finding.state == BAD
    assert "AttributeError" in finding.said
