"""Handing over what was released: a folder that holds it and nothing else, each file checked against the log."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from redact import custody
from redact.custody import COPY_SUFFIXES, STATEMENT_SUFFIX, Workspace
from redact.disk import sync_folder, unwritable
from redact.errors import OutputError, VerificationError
from redact.media import hash_file

HOW = (
    "Make it again: a copy with `redact run CLIP -o OUT --overwrite`, a film with `redact reel OUT`, a page with "
    "`redact report OUT`."
)


def hand_over(space: Workspace, target: Path) -> list[Path]:
    """Copy what was released to a folder, every file as the log says that it was when it was released.

    Args:
        space: where it was released.
        target: a folder that is not there yet or is empty, or holds what was handed over of the same output before.

    Returns:
        The copied files.

    Raises:
        OutputError: there is no log or no copy, a run is at work, the folder holds something else, or it cannot be
            written.
        PlanError: the log is not as it was written.
        VerificationError: a file is not the one that was released; nothing was copied.
    """
    if not space.log.exists():  # taking the lock would leave a file in whatever folder was named
        raise OutputError(f"There is no log in {space.private}.", "Name the folder given to -o.")
    with custody.hold(space):
        entries = _read_log(space)
        last = (*custody.released(entries).values(), *custody.released(entries, "report").values())
        hashes = {name: sha256 for entry in last for name, sha256 in _hashes(entry).items()}
        files = _find_files(space, hashes)
        _refuse_strangers(space, target, files, entries)
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".redact-", dir=target) as drafts:
                for name, path in files.items():
                    _copy(path, Path(drafts, name), hashes[name])
                for name in files:
                    Path(drafts, name).replace(target / name)
            sync_folder(target)
        except OSError as error:
            raise unwritable(target, error) from error
        custody.record(space, "hand over", {"to": str(target.absolute()), "files": {n: hashes[n] for n in files}})
    return [target / name for name in files]


def released(space: Workspace) -> dict[str, Mapping[str, Any]]:
    """Return what the log says of every copy that was released, by its name.

    Raises:
        OutputError: there is no log.
        PlanError: it is not as it was written.
    """
    return custody.released(_read_log(space))


def _read_log(space: Workspace) -> tuple[Mapping[str, Any], ...]:
    """Return the lines of the log, which has to be whole."""
    report = custody.read_log(space)
    custody.require_whole(report, "It cannot say what was released.")
    return report.entries


def _hashes(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that a line of the log says were made public, and their hashes."""
    name = entry.get("name", "")
    if entry["operation"] == "report":
        return {name: entry["sha256"]}
    if entry["operation"] != "release":
        return {}
    text = hashlib.sha256(entry["statement"].encode()).hexdigest()
    return {name: entry["copy_sha256"], Path(name).stem + STATEMENT_SUFFIX: text}


def _find_files(space: Workspace, hashes: Mapping[str, str]) -> dict[str, Path]:
    """Return the files to hand over by their names: all that is in the release folder, and all of that released."""
    if space.copy is not None:
        if space.copy.name not in hashes:
            raise VerificationError(
                f"The log does not say that {space.copy.name} was released. Nothing was copied.",
                f"Make it with `redact run CLIP -o {space.copy.name}`.",
            )
        statement = space.copy.with_name(space.copy.stem + STATEMENT_SUFFIX)
        return {path.name: path for path in (space.copy, statement)}
    try:
        files = {path.name: path for path in sorted(space.release.iterdir())}
    except OSError as error:
        raise OutputError(
            f"{space.release} cannot be read: {error.strerror}.", "Name the folder given to -o."
        ) from error
    if strangers := [name for name in files if name not in hashes]:
        raise VerificationError(
            f"{strangers[0]} is in the release folder, but redact did not release it. Nothing was copied.",
            "Take it out of that folder, and find out who put it there.",
        )
    copies = [name for name in hashes if Path(name).suffix in COPY_SUFFIXES]
    pairs = [{name, Path(name).stem + STATEMENT_SUFFIX} for name in copies]
    if missing := sorted(name for pair in pairs if pair & files.keys() for name in pair - files.keys()):
        what = f"{missing[0]} was released, but is not in the release folder. Nothing was copied."
        raise VerificationError(what, HOW)
    if not any(name in files for name in copies):
        raise OutputError(f"There is no copy in {space.release}: nothing is handed over.", HOW)
    return files


def _refuse_strangers(
    space: Workspace, target: Path, files: Mapping[str, Path], entries: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse a folder that holds anything but what was released here under its name, or lies where there is more."""
    copied = (space.private,) if space.copy else (space.private, space.release)  # one copy lies among the user's files
    if any(target.resolve().is_relative_to(folder.resolve()) for folder in copied):
        raise OutputError(f"{target} lies in the folder that is copied.", "Choose a folder of its own.")
    try:
        there = sorted(target.iterdir()) if target.exists() else []
    except OSError as error:
        raise unwritable(target, error) from error
    known = {pair for entry in entries for pair in _hashes(entry).items()}
    for path in there:
        if path.name in files and path.is_file() and not path.is_symlink() and (path.name, hash_file(path)) in known:
            continue
        raise OutputError(
            f"{target} holds what was not released here, as {path.name}: what is handed over has to be told from it.",
            "Choose a folder that is empty or not there yet.",
        )


def _copy(path: Path, draft: Path, sha256: str) -> None:
    """Copy a file, and read the copy back: it has to be what was released."""
    if path.is_symlink() or not path.is_file():
        raise VerificationError(f"{path.name} is not a file. Nothing was copied.", HOW)
    with path.open("rb") as source, draft.open("xb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    if hash_file(draft) != sha256:
        raise VerificationError(
            f"{path.name} is not the file that was released: it was changed, or a disk failed. Nothing was copied.",
            HOW,
        )
