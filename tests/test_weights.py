"""Weights are run only if they are, byte for byte, the ones that their card describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redact import weights
from redact.errors import DependencyError, UsageError
from redact.graphs import clean_graph
from tests.tiny import TINY, session
from tests.tiny_weights import AS_IS, CLEANED, flip_a_byte

pytestmark = pytest.mark.usefixtures("no_network")


def test_the_weights_folder_is_the_one_in_the_environment_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(tmp_path))
    assert weights.folder() == tmp_path
    monkeypatch.delenv("REDACT_WEIGHTS")
    assert weights.folder().parts[-2:] == ("redact", "weights")


def test_an_installed_model_is_loaded_as_it_was_checked(installed: Path) -> None:
    assert weights.load("tiny", installed) == clean_graph(TINY)
    assert weights.load("plain", installed) == TINY


def test_the_folder_of_the_environment_is_used_without_being_named(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_WEIGHTS", str(installed))
    assert weights.is_installed(CLEANED)
    assert weights.load("plain") == TINY


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
@pytest.mark.usefixtures("tiny_cards")
def test_an_unknown_model_is_a_wrong_option_and_the_known_ones_are_listed(use: Callable[[str], Any]) -> None:
    with pytest.raises(UsageError, match="'retina'") as caught:
        use("retina")
    assert "plain, tiny" in caught.value.advice


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
