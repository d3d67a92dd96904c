"""Model cards (`models/*.toml`): what a model is, where it comes from, and the sha256 that its file must have."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from redact.errors import DependencyError, UsageError


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a weight file comes from: `member` of the pinned `wheel` ("name==1.2.3"), or an https address."""

    wheel: str = ""
    member: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The scores that are enough to begin a track, and to go on with one."""

    start: float
    keep: float


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about one model.

    Attributes:
        id: its name, which is the card's file name without ".toml".
        file: name of the weight file.
        sha256: of that file as it comes from upstream.
        size_bytes: its size.
        licence: SPDX identifier.
        source: where it comes from.
        labels: what it finds.
        input_multiple: width and height of its input are multiples of this.
        colour: order of its input's channels, "RGB" or "BGR".
        score: what its score means.
        thresholds: the scores from which a detection counts.
        weaknesses: what it is known to miss, with figures.
        clean: whether its graph is cleaned when it is installed (see `clean_graph`), or a network of dlib's (.dat)
            translated (see `translate_dlib`).
        required: whether redact does not work without it.
        usual: whether `redact models fetch` gets it without being asked to, as what is required, although redact works
            without it, only not as well.
        outputs: the outputs of the model, where it is translated from a graph of TensorFlow's when it is installed (see
            `translate`).
    """

    id: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    source: Upstream
    labels: tuple[str, ...]
    input_multiple: int
    colour: str
    score: str
    thresholds: Thresholds
    weaknesses: tuple[str, ...]
    clean: bool
    required: bool
    usual: bool = False
    outputs: tuple[str, ...] = ()

    @property
    def run_file(self) -> str:
        """Name of the file that is run: the cleaned one where the card asks for it."""
        return f"{Path(self.file).stem}.clean.onnx" if self.clean else self.file


def cards() -> dict[str, Card]:
    """Return every model card by id, in the order of the ids.

    Raises:
        DependencyError: a card has an unknown, missing or wrong key.
    """
    entries = sorted(files("redact.models").iterdir(), key=lambda entry: entry.name.removesuffix(".toml"))
    read = [_parse(entry.name, entry.read_bytes()) for entry in entries if entry.name.endswith(".toml")]
    return {card.id: card for card in read}


def find_card(card_id: str) -> Card:
    """Return the card with this id.

    Raises:
        UsageError: there is none.
    """
    known = cards()
    if card_id not in known:
        raise UsageError(f"There is no model called {card_id!r}.", f"Choose from: {', '.join(known)}.")
    return known[card_id]


def ranges(card_id: str) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Return what `quantise_graph` has to know of a model, as `bench/calibrate.py` measured it.

    Returns:
        The lowest and highest value of each tensor between layers, and the outputs of the layers that stay in floats.

    Raises:
        DependencyError: they are missing or damaged.
    """
    try:
        table = json.loads((files("redact.models") / f"{card_id}.ranges.json").read_text("utf-8"))
        measured = {str(name): (float(low), float(high)) for name, (low, high) in table["ranges"].items()}
        return measured, [str(name) for name in table["floats"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_card(f"{card_id}.ranges.json", f"cannot be used: {error}") from error


_KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("file", "sha256", "licence", "colour", "score"), str),
    **dict.fromkeys(("bytes", "input_multiple"), int),
    **dict.fromkeys(("clean", "required", "usual"), bool),
    **dict.fromkeys(("labels", "weaknesses", "outputs"), list),
    **dict.fromkeys(("source", "thresholds"), dict),
}

_DEFAULTS: dict[str, Any] = {"usual": False, "outputs": []}

_PATTERNS = {
    "file": r"[\w-]+(\.[\w-]+)+",
    "sha256": r"[0-9a-f]{64}",
    "colour": r"RGB|BGR",
    "wheel": r"[\w.-]+==[\w.]+",
    "url": r"https://\S+",
}


def _parse(name: str, content: bytes) -> Card:
    """Return the card that a TOML file holds."""
    try:
        table = _DEFAULTS | tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _bad_card(name, f"is not TOML: {error}") from error
    _check_keys(name, table, _KINDS)
    source, thresholds = table["source"], table["thresholds"]
    _check_keys(name, source, {"url": str} if "url" in source else {"wheel": str, "member": str})
    _check_keys(name, thresholds, {"start": float, "keep": float})
    table |= {"id": name.removesuffix(".toml"), "size_bytes": table.pop("bytes")}
    table |= {"source": Upstream(**source), "thresholds": Thresholds(**thresholds)}
    table |= {key: tuple(table[key]) for key in ("labels", "weaknesses", "outputs")}
    return Card(**table)


def _check_keys(name: str, table: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> None:
    """Refuse a table that has not exactly these keys, with values of these kinds."""
    for key in sorted(kinds.keys() ^ table.keys()):
        raise _bad_card(name, f"has no key {key!r}" if key in kinds else f"has an unknown key {key!r}")
    for key, kind in kinds.items():
        value = table[key]
        if type(value) is not kind or (kind is list and not all(isinstance(item, str) for item in value)):
            raise _bad_card(name, f"has a value of the wrong kind for {key!r}")
        if key in _PATTERNS and not re.fullmatch(_PATTERNS[key], value):
            raise _bad_card(name, f"has a wrong value for {key!r}: {value!r}")


def _bad_card(name: str, problem: str) -> DependencyError:
    return DependencyError(f"The model card {name} {problem}.", "Install redact again, or correct the card.")
