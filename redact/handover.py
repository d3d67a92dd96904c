"""Handing over what was released: a folder that holds it and nothing else, each file checked against the log."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
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
        target: a folder that is not there yet or is empty, or holds an earlier copy of the same.

    Returns:
        The copied files.

    Raises:
        OutputError: there is no log, the folder holds something else, or it cannot be written.
        PlanError: the log is not as it was written.
        VerificationError: a file is not the one that was released; nothing was copied.
    """
    entries = released(space)
    hashes = {name: entry["copy_sha256"] for name, entry in entries.items()}
    texts = {Path(name).stem + STATEMENT_SUFFIX: entry["statement"].encode() for name, entry in entries.items()}
    hashes |= {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    hashes |= {name: entry["sha256"] for name, entry in released(space, "report").items()}
    files = _find_files(space, hashes)
    _refuse_strangers(space, target, files)
    drafts = {target / name: target / f"{name}.new" for name in files}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path, draft in zip(files.values(), drafts.values(), strict=True):
            _copy(path, draft, hashes[path.name])
        for place, draft in drafts.items():
            draft.replace(place)
        sync_folder(target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        with suppress(OSError):
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
    custody.record(space, "hand over", {"to": str(target.absolute()), "files": {n: hashes[n] for n in files}})
    return [target / name for name in files]


def released(space: Workspace, operation: str = "release") -> dict[str, Mapping[str, Any]]:
    """Return what the log says of every copy that was released, by its name; or of every public page ("report").

    Raises:
        OutputError: there is no log.
        PlanError: it is not as it was written.
    """
    report = custody.read_log(space)
    custody.require_whole(report, "It cannot say what was released.")
    return custody.released(report.entries, operation)


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
    return files


def _refuse_strangers(space: Workspace, target: Path, files: Mapping[str, Path]) -> None:
    """Refuse a folder that holds, or lies where there is, anything but what is handed over."""
    copied = (space.private,) if space.copy else (space.private, space.release)  # one copy lies among the user's files
    if any(target.resolve().is_relative_to(folder.resolve()) for folder in copied):
        raise OutputError(f"{target} lies in the folder that is copied.", "Choose a folder of its own.")
    try:
        names = {path.name.removesuffix(".new") for path in target.iterdir()} if target.exists() else set()
    except OSError as error:
        raise unwritable(target, error) from error
    if others := sorted(names - files.keys()):
        raise OutputError(
            f"{target} holds other files already, as {others[0]}: what is handed over has to be told from them.",
            "Choose a folder that is empty or not there yet.",
        )


def _copy(path: Path, draft: Path, sha256: str) -> None:
    """Copy a file, and read the copy back: it has to be what was released."""
    if path.is_symlink() or not path.is_file():
        raise VerificationError(f"{path.name} is not a file. Nothing was copied.", HOW)
    draft.unlink(missing_ok=True)
    with path.open("rb") as source, draft.open("xb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    if hash_file(draft) != sha256:
        raise VerificationError(
            f"{path.name} is not the file that was released: it was changed, or a disk failed. Nothing was copied.",
            HOW,
        )
