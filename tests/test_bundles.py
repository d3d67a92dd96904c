"""A bundle holds everything that the other machine needs, says how to install it, and is whole or not there."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from redact import bundles, weights
from redact.errors import DependencyError
from tests.conftest import Result

Redact = Callable[..., Result]
WHEEL = "redact-0.1.0-py3-none-any.whl"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Pip puts a wheel where it is told to; what it was told is noted."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[command.index("-q") + 1 :])
        if "wheel" in command and Path(command[-1]).is_dir():
            assert sorted(p.name for p in Path(command[-1]).iterdir()) == sorted(bundles.SOURCES)
        folder = Path(next(b for a, b in pairwise(command) if a in ("--wheel-dir", "--dest")))
        folder.mkdir(exist_ok=True)
        (folder / (WHEEL if "wheel" in command else "numpy-2.0-cp311-linux.whl")).write_text("a wheel")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(bundles.subprocess, "run", run)
    monkeypatch.setattr(weights, "obtain", lambda card, folder: f"weights of {card.id}".encode())
    return commands


def test_a_bundle_holds_wheels_weights_a_note_and_the_hash_of_each_file(
    redact: Redact, pip: list[list[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "carry"
    result = redact("bundle", folder, "--weights", "yunet-n")
    assert (result.code, result.out) == (0, f"{folder}\n")
    (build, _), (download, wheel) = ((c[0], c[-1]) for c in pip)
    assert (build, download) == ("wheel", "download")
    assert wheel.endswith(f"{WHEEL}[review]"), "else there is no review page without a network"
    assert "--only-binary=:all:" in pip[1]
    inside = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    models = {"centerface.onnx", "PP-OCRv6_det_small.onnx", "frozen_graph.pb", "yunet_n_dynamic.onnx"}
    texts, wheels = {"INSTALL.txt", "Containerfile", "SHA256SUMS"}, {WHEEL, "numpy-2.0-cp311-linux.whl"}
    assert inside == texts | {f"wheels/{name}" for name in wheels} | {f"weights/{name}" for name in models}
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in inside - {"SHA256SUMS"}}
    note = (folder / "INSTALL.txt").read_text()
    assert "models fetch centerface ppocr-det-v6 retinaface-mnv2 yunet-n --from weights" in note
    assert '--no-index --find-links wheels "redact[review]"' in note
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in note
    assert "$" not in note
    assert [p.name for p in tmp_path.iterdir()] == ["carry"]


def test_what_the_note_tells_to_type_is_a_command_of_the_program(redact: Redact, tmp_path: Path) -> None:
    note = bundles.NOTE.substitute(system="a system", python="3.11", sums="SHA256SUMS", extra="review", ids="")
    typed = {line.split("redact ")[-1].split(" --from")[0] for line in note.splitlines() if "/bin/redact " in line}
    assert typed == {"models fetch", "doctor"}
    for command in typed:
        assert redact(*command.split(), "--help").code == 0


def test_without_a_network_nothing_is_left(redact: Redact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = redact("bundle", tmp_path / "a" / "carry")
    assert result.code == 5
    assert "network" in result.err
    assert not list((tmp_path / "a").iterdir())


def test_weights_that_cannot_be_got_leave_nothing(
    redact: Redact, pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(card: weights.Card, folder: Path | None) -> bytes:
        raise DependencyError(f"The model {card.id} could not be fetched.")

    monkeypatch.setattr(weights, "obtain", fail)
    assert redact("bundle", tmp_path / "carry").code == 5
    assert not list(tmp_path.iterdir())


def test_sources_that_cannot_be_copied_are_an_error_that_says_why(
    redact: Redact, pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        raise shutil.Error([(str(source), str(target), "Permission denied")])

    monkeypatch.setattr(bundles.shutil, "copytree", fail)
    result = redact("bundle", tmp_path / "carry")
    assert (result.code, "Permission denied" in result.err, "None" in result.err) == (3, True, False)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_bundled_is_an_error(
    redact: Redact, pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert redact("bundle", tmp_path).code == 6
    assert redact("bundle", tmp_path / "new", "--weights", "nonsense").code == 2
    monkeypatch.setattr(bundles, "__file__", str(tmp_path / "site-packages" / "redact" / "bundles.py"))
    result = redact("bundle", tmp_path / "new")
    assert (result.code, "--wheel" in result.err) == (2, True)
    assert redact("bundle", tmp_path / "new", "--wheel", tmp_path / WHEEL).code == 3
    (tmp_path / WHEEL).write_text("a wheel")
    assert redact("bundle", tmp_path / "new", "--wheel", tmp_path / WHEEL).code == 0
    assert pip[0][-1] == str(tmp_path / WHEEL)


def test_the_container_file_has_no_mistakes_and_is_built_from_what_a_bundle_holds() -> None:
    file = Path(bundles.__file__).parent / "Containerfile"
    copied = {line.split()[1] for line in file.read_text().splitlines() if line.startswith("COPY")}
    assert copied == {"wheels", "weights"}
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    ended = subprocess.run([linter, str(file)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
