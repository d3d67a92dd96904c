"""Moving what was checked to the release folder, and finding what was released there. The log is written first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from redact.custody.folders import COPY_SUFFIXES, Workspace, copy_path, portable_name, write_private
from redact.custody.log import read_line, record
from redact.custody.statement import make_statement
from redact.disk import sync_folder, unwritable
from redact.errors import OutputError
from redact.media import hash_file
from redact.plan import PERMISSIONS, Plan, Settings, Verdict
from redact.records import to_bytes, to_plain

STATEMENT_SUFFIX = ".statement.json"
RELEASED = b'"release"'  # what is in each line about one
READABLE = 0o644  # what is released is for everybody


def release_name(space: Workspace, clip: Path, source_sha256: str, settings: Settings, suffix: str) -> str:
    """Return the name of a copy in the release folder, without its suffix.

    Neutral names are counted up; an excerpt that was released before keeps its name, so that it can be replaced.

    Raises:
        OutputError: the copy exists already and may not be overwritten, is the clip itself, or has another suffix; or
            what is there under its name is of another clip.
    """
    if space.copy is not None:
        if space.copy.suffix.lower() != suffix:
            raise OutputError(f"The copy of {clip.name} is a {suffix} file, not {space.copy.name}.")
        name = space.copy.stem
    elif settings.keep_names:
        name = portable_name(clip.stem)
    else:
        name = _known_name(space, identity(source_sha256, settings)) or next_name(space)
    target = copy_path(space, name, suffix)
    if target.exists() and target.samefile(clip):
        raise OutputError(f"The copy would replace the clip itself: {target}.", "Choose another output with -o.")
    if target.exists() and not settings.overwrite:
        raise OutputError(f"{target} exists already.", "Use --overwrite to replace it, or choose another output.")
    if (other := _of_another(space, name, source_sha256)) and (space.copy is None or not target.exists()):
        raise OutputError(
            f"{other} is of another clip than {clip.name}, and would be replaced.",
            "Choose another output with -o for one of them; or leave --keep-names out.",
        )
    return name


def _of_another(space: Workspace, name: str, source_sha256: str) -> Path | None:
    """Return a file that is there under the name of a copy, and was released for another clip; None where none is."""
    written = to_bytes(json.dumps(name, ensure_ascii=False)[1:-1])
    last = [entry for entry in _releases(space, written) if Path(entry["name"]).stem == name][-1:]
    if not last or last[0].get("source_sha256") == source_sha256:
        return None
    there = [copy_path(space, name, suffix) for suffix in COPY_SUFFIXES]
    return next((p for p in (*there, there[0].with_name(name + STATEMENT_SUFFIX)) if p.exists()), None)


def next_name(space: Workspace, kind: str = "excerpt") -> str:
    """Return the first neutral name after those in use, and after those that were: copies may have been moved away."""
    log = space.log.read_text("utf-8", "replace") if space.log.exists() else ""
    names = [*(path.name for path in space.release.iterdir()), *re.findall(rf'"name": "({kind}-\d+\.)', log)]
    used = [int(m[1]) for name in names if (m := re.match(rf"{kind}-(\d+)\.", name))]
    return f"{kind}-{max(used, default=0) + 1:04d}"


def release(space: Workspace, partial: Path, sha256: str, plan: Plan, verdict: Verdict, clip: Path) -> Path:
    """Move a checked copy of a clip to the release folder, with its statement. The log is written first.

    Args:
        space: where it is released.
        partial: the copy in the private folder.
        sha256: of what was checked.
        plan: that it was made from.
        verdict: what checking it has shown.
        clip: that it is a copy of.

    Returns:
        Where the copy is.

    Raises:
        OutputError: it is not what was checked, or cannot be moved.
    """
    details = {
        "clip": clip.name,
        **identity(plan.source.sha256, plan.settings),
        "settings": to_plain(plan.settings),
        "length": to_plain(plan.source.ends - plan.source.begins),
    }

    def name() -> str:
        return release_name(space, clip, plan.source.sha256, plan.settings, partial.suffix)

    return publish(space, partial, sha256, name, details, make_statement(plan, verdict))


def publish(
    space: Workspace,
    partial: Path,
    sha256: str,
    choose_name: Callable[[], str],
    details: Mapping[str, Any],
    statement: Mapping[str, Any],
) -> Path:
    """Move a checked file to the release folder, with its statement. The log is written first.

    Files get their names here, one at a time, so that two that are finished together get different ones.

    Args:
        space: where it is released.
        partial: the file in the private folder.
        sha256: of what was checked.
        choose_name: returns its name in the release folder, without suffix.
        details: what the log says of it besides its name, its hash and its statement.
        statement: what is published with it.

    Returns:
        Where the file is.

    Raises:
        OutputError: it is not what was checked, or cannot be moved.
    """
    text = json.dumps(statement, indent=1, ensure_ascii=False) + "\n"
    try:
        with partial.open("rb") as file, _one_at_a_time(space):
            os.fsync(file.fileno())
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise OutputError(
                    f"{partial} is not the file that was checked. It was not released.",
                    "Find out what else writes to that folder, and run the same command again.",
                )
            target = copy_path(space, choose_name(), partial.suffix)
            line = {"name": target.name, **details, "copy_sha256": sha256, "statement": text}
            _move(space, partial, target, line)
            sync_folder(target.parent)
    except OSError as error:
        raise unwritable(space.copy or space.release, error) from error
    return target


def _move(space: Workspace, partial: Path, target: Path, line: Mapping[str, Any]) -> None:
    """Move a checked file and its statement to where they are released, both or none; the line of the log comes first.

    What has to be written, also to undo it, is written before: where a disk is full, renaming still works.
    """
    statement, moved = target.with_name(target.stem + STATEMENT_SUFFIX), partial.stat()
    draft, before = space.private / statement.name, space.private / f"{statement.name}.before"
    try:
        before.unlink(missing_ok=True)
        if statement.exists():
            _write_readable(before, statement.read_bytes())
        _write_readable(draft, to_bytes(line["statement"]))
        partial.chmod(READABLE)
        record(space, "release", line)
        try:
            draft.replace(statement)
            os.replace(partial, target)
        except BaseException as error:
            if not (target.exists() and os.path.samestat(target.stat(), moved)):
                _undo(statement, before)
                record(space, "not release", {"name": target.name, "reason": str(error) or type(error).__name__})
            raise
    finally:
        for left in (draft, before):
            left.unlink(missing_ok=True)


def _write_readable(path: Path, data: bytes) -> None:
    """Write a file that is for everybody to a private folder."""
    write_private(path, data)
    path.chmod(READABLE)


def _undo(statement: Path, before: Path) -> None:
    """Put the statement back that was there before; where there was none, there is none again."""
    with suppress(OSError):  # the log says in any case that nothing was released
        if before.exists():
            before.replace(statement)
        else:
            statement.unlink(missing_ok=True)


@contextmanager
def _one_at_a_time(space: Workspace) -> Iterator[None]:
    """Let the processes of a run release one after the other."""
    descriptor = os.open(space.private, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_public(space: Workspace, path: Path, data: bytes) -> None:
    """Write a page that goes with the copies, whole or not at all. The log is written first.

    Raises:
        OutputError: it cannot be written.
    """
    draft = space.private / f"{path.name}.draft"
    write_private(draft, data)
    record(space, "report", {"name": path.name, "sha256": hashlib.sha256(data).hexdigest()})
    try:
        draft.chmod(READABLE)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error


@dataclass(frozen=True)
class Released:
    """A copy that was released: where it is, and the seconds from its first frame to its last."""

    copy: Path
    length: Fraction


def find_released(space: Workspace, source_sha256: str, settings: Settings, after: int) -> Released | None:
    """Return the copy of this excerpt that was released with these settings and is there as it was, or None.

    Args:
        space: where it was released.
        source_sha256: of the clip.
        settings: that it was made with; what it was allowed to do is no matter.
        after: number of the line of the log after which that has to be.
    """
    excerpt, wanted = identity(source_sha256, settings), to_plain(settings.without_permissions())
    for entry in _releases(space, source_sha256.encode()):
        made_with = entry.get("settings")
        same = isinstance(made_with, dict) and {**made_with, **dict.fromkeys(PERMISSIONS, False)} == wanted
        if same and entry["number"] > after and excerpt.items() <= entry.items():
            name = Path(entry["name"])
            copy = copy_path(space, name.stem, name.suffix)
            if copy.exists() and hash_file(copy) == entry["copy_sha256"]:
                with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
                    return Released(copy, Fraction(entry["length"]))
    return None


def _releases(space: Workspace, text: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the log about copies that were released, in which a text stands.

    Those that cannot be read are left out.
    """
    if not space.log.exists():
        return
    with space.log.open("rb") as file:
        for line in file:
            entry = read_line(line) if RELEASED in line and text in line else None
            if entry and entry["operation"] == "release" and isinstance(entry.get("number"), int):
                yield entry


def _known_name(space: Workspace, excerpt: Mapping[str, Any]) -> str | None:
    """Return the neutral name under which this very excerpt was released before."""
    entries = _releases(space, excerpt["source_sha256"].encode())
    names = [Path(entry["name"]).stem for entry in entries if excerpt.items() <= entry.items()]
    neutral = [name for name in names if re.fullmatch(r"excerpt-\d+", name)]
    return neutral[-1] if neutral else None


def identity(source_sha256: str, settings: Settings) -> dict[str, Any]:
    """Return what tells one excerpt of one clip from all others."""
    return {
        "source_sha256": source_sha256,
        "from": to_plain(settings.from_time),
        "to": to_plain(settings.to_time),
        "stream": settings.stream,
    }
