"""The record: release and private folders, the private hash-chained log, and the public statement.

The log says what was done, with which settings and model hashes, what was checked and what was not, and who
decided what. Each line holds the hash of the line before; a file beside it holds the hash of the last line, so that
lines missing at the end are found as well. The statement that goes with a copy holds no name, path, hash, date or
place of the source.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redact.errors import OutputError
from redact.plan import Plan, Settings, Verdict
from redact.records import to_plain

FIRST_HASH = "0" * 64
STATEMENT_SUFFIX = ".statement.json"


@dataclass(frozen=True)
class Workspace:
    """Where the files of a run go.

    Attributes:
        private: plans, detections, partial copies and the log; mode 0700.
        release: where checked copies appear; nothing else is ever in it.
        copy: the full name of the copy, where the user gave one.
    """

    private: Path
    release: Path
    copy: Path | None = None

    @property
    def log(self) -> Path:
        """The private log."""
        return self.private / "custody.jsonl"


def locate_workspace(output: Path) -> Workspace:
    """Return the folders for an output: a folder, or the name of one copy (ending in .mp4), beside NAME.private/."""
    if output.suffix.lower() == ".mp4" and not output.is_dir():
        return Workspace(output.with_suffix(".private"), output.parent, output)
    return Workspace(output / "private", output / "release")


def open_workspace(output: Path) -> Workspace:
    """Return the folders for an output, made where they are missing.

    Raises:
        OutputError: a folder cannot be made.
    """
    space = locate_workspace(output)
    try:
        space.private.mkdir(mode=0o700, parents=True, exist_ok=True)
        space.private.chmod(0o700)
        space.release.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(output, error) from error
    return space


def private_path(space: Workspace, clip: Path, source_sha256: str, suffix: str) -> Path:
    """Return where a private file of a clip is kept: under the clip's name, made longer where another clip has it."""
    plan = space.private / f"{clip.stem}.plan.json"
    taken = plan.exists() and source_sha256.encode() not in plan.read_bytes()
    name = f"{clip.stem}-{source_sha256[:8]}" if taken else clip.stem
    return space.private / (name + suffix)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def record(space: Workspace, operation: str, details: Mapping[str, Any]) -> None:
    """Add a line to the log.

    Args:
        space: whose log.
        operation: what was done, as "render".
        details: what is to be known about it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with open(os.open(space.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines()
            entry: dict[str, Any] = {
                "number": len(lines) + 1,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "operation": operation,
                **details,
                "previous": _hash(lines[-1]) if lines else FIRST_HASH,
            }
            line = json.dumps(entry, ensure_ascii=False).encode()
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
            write_private(_head(space), _hash(line).encode())
    except OSError as error:
        raise _unwritable(space.log, error) from error


@dataclass(frozen=True)
class LogReport:
    """What reading the log has shown.

    Attributes:
        entries: the lines that can be read, in order.
        faults: what is wrong with the chain, in words; empty if it is whole.
    """

    entries: tuple[Mapping[str, Any], ...]
    faults: tuple[str, ...]


def read_log(space: Workspace) -> LogReport:
    """Read the log and check its chain: every line's number, the hash of the line before, and the last line's hash.

    Raises:
        OutputError: there is no log, or it cannot be read.
    """
    try:
        lines = space.log.read_bytes().splitlines()
        head = _head(space).read_text() if _head(space).exists() else ""
    except OSError as error:
        raise OutputError(f"There is no log in {space.private}.", "Name the folder given to -o.") from error
    entries: list[Mapping[str, Any]] = []
    faults: list[str] = []
    previous = FIRST_HASH
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            sound = isinstance(entry, dict)
        except ValueError:
            sound = False
        if not sound:
            faults.append(f"line {number} cannot be read")
        else:
            entries.append(entry)
            if entry.get("number") != number:
                faults.append(f"line {number} says that it is line {entry.get('number')}: a line is missing or added")
            if entry.get("previous") != previous:
                faults.append(f"line {number} does not follow from the line before, which was changed or removed")
        previous = _hash(line)
    # A crash between writing a line and its hash leaves the head one line behind: that is no fault.
    if head not in (previous, *(_hash(line) for line in lines[-2:-1])):
        faults.append("the end of the log was changed or removed")
    return LogReport(tuple(entries), tuple(faults))


def release_name(space: Workspace, clip: Path, source_sha256: str, settings: Settings) -> str:
    """Return the name of a copy in the release folder, without its suffix.

    Neutral names are counted up; an excerpt that was released before keeps its name, so that it can be replaced.

    Raises:
        OutputError: the copy exists already and may not be overwritten, or is the clip itself.
    """
    if space.copy is not None:
        name = space.copy.stem
    elif settings.keep_names:
        name = clip.stem
    else:
        name = _known_name(space, identity(source_sha256, settings)) or _next_name(space)
    target = copy_path(space, name)
    if target.exists() and target.samefile(clip):
        raise OutputError(f"The copy would replace the clip itself: {target}.", "Choose another output with -o.")
    if target.exists() and not settings.overwrite:
        raise OutputError(f"{target} exists already.", "Use --overwrite to replace it, or choose another output.")
    return name


def copy_path(space: Workspace, name: str) -> Path:
    """Return where a copy of this name is released."""
    return space.copy or space.release / f"{name}.mp4"


def release(space: Workspace, partial: Path, name: str, plan: Plan, verdict: Verdict, clip: Path) -> Path:
    """Move a checked copy to the release folder, with its statement. The log is written first.

    Returns:
        Where the copy is.

    Raises:
        OutputError: it cannot be moved.
    """
    target = copy_path(space, name)
    statement = json.dumps(make_statement(plan, verdict), indent=1, ensure_ascii=False) + "\n"
    with partial.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record(
        space,
        "release",
        {
            "name": target.name,
            "clip": clip.name,
            **identity(plan.source.sha256, plan.settings),
            "copy_sha256": sha256,
            "statement": statement,
        },
    )
    draft = space.private / f"{name}{STATEMENT_SUFFIX}"
    write_private(draft, statement.encode())
    try:
        draft.chmod(0o644)
        draft.replace(target.with_name(name + STATEMENT_SUFFIX))
        os.replace(partial, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    return target


def identity(source_sha256: str, settings: Settings) -> dict[str, Any]:
    """Return what tells one excerpt of one clip from all others."""
    return {
        "source_sha256": source_sha256,
        "from": to_plain(settings.from_time),
        "to": to_plain(settings.to_time),
    }


def make_statement(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """Return the public statement on a copy. It claims no more than what was done and checked."""
    settings: Settings = plan.settings
    rate = plan.source.frames / max(float(plan.source.ends - plan.source.begins), 1e-9)
    seconds = round(plan.covered_frames() / rate, 1) if plan.source.frames > 1 else 0.0
    return {
        "statement": "Parts of this video were covered before publication.",
        "covered": dict(Counter(t.label for t in plan.tracks if t.action == "cover")),
        "left_visible_by_decision": dict(Counter(t.label for t in plan.tracks if t.action == "show")),
        "seconds_with_something_covered": seconds,
        "how": {
            "blur": "filled smoothly from the pixels around the region; nothing of what was there is left",
            "solid": "filled with black",
            "mosaic": "filled with blocks made from the pixels around the region; nothing of what was there is left",
        }[settings.effect],
        "sound": "the recorded sound, encoded again" if settings.audio == "keep" else "removed",
        "checked": {c.name: "held" if c.passed else "failed" for c in verdict.checks if c.passed is not None},
        "not_checked": [c.name for c in verdict.checks if c.passed is None],
        "reviewed_by_a_person": _describe_review(plan),
    }


def _describe_review(plan: Plan) -> str:
    """Return in words how much of an excerpt a person has looked at; the share is rounded down."""
    if plan.review is None:
        return "no"
    share = plan.review.frames_seen * 100 // plan.source.frames
    left = f"; {plan.review.doubts_left} doubtful stretches left undecided" if plan.review.doubts_left else ""
    return f"yes, {share} % of the frames were looked at{left}"


def _known_name(space: Workspace, excerpt: Mapping[str, Any]) -> str | None:
    """Return the neutral name under which this very excerpt was released before."""
    if not space.log.exists():
        return None
    names = [
        Path(entry["name"]).stem
        for entry in read_log(space).entries
        if entry.get("operation") == "release" and excerpt.items() <= entry.items()
    ]
    neutral = [name for name in names if re.fullmatch(r"excerpt-\d+", name)]
    return neutral[-1] if neutral else None


def _next_name(space: Workspace) -> str:
    """Return the first neutral name after those in use."""
    used = [int(m[1]) for p in space.release.iterdir() if (m := re.match(r"excerpt-(\d+)\.", p.name))]
    return f"excerpt-{max(used, default=0) + 1:04d}"


def _head(space: Workspace) -> Path:
    """Return the file that holds the hash of the log's last line."""
    return space.private / "custody.head"


def _hash(line: bytes) -> str:
    """Return the hash of a line."""
    return hashlib.sha256(line).hexdigest()


def _unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error for a file that cannot be written."""
    if error.errno == errno.ENOSPC:
        return OutputError(f"The disk is full; {path.name} was not written.", "Make room, then run the command again.")
    return OutputError(f"{path} cannot be written: {error.strerror}.")
