"""The private log of a workspace.

It says what was done, with which settings and model hashes, what was checked and what was not, and who decided what.
Each line holds the hash of the line before; a file beside it holds the hash of the last line, so that lines missing
at the end are found as well.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from redact.custody.folders import Workspace, write_private
from redact.disk import PRIVATE, unwritable
from redact.errors import OutputError, PlanError
from redact.records import to_bytes

FIRST_HASH = "0" * 64
BLOCK_BYTES = 1 << 16  # of the end of the log that are read first: more than nearly every line has
TEXTS = {
    "release": ("name", "copy_sha256", "statement"),
    "not release": ("name",),
    "report": ("name", "sha256"),
}  # that lines of a kind must hold


def record(space: Workspace, operation: str, details: Mapping[str, Any]) -> None:
    """Add a line to the log.

    Args:
        space: whose log.
        operation: what was done, as "render".
        details: what is to be known about it.

    Raises:
        OutputError: it cannot be written.
        PlanError: its end is not as it was written, so that no line can follow from it.
    """
    try:
        with open(os.open(space.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number, last, size = _last_line(file)
            previous = _hash(last) if number else FIRST_HASH
            _require_end(space, last, previous)
            file.truncate(size)
            if not number:
                write_private(_head(space), FIRST_HASH.encode())
            entry: dict[str, Any] = {
                "number": number + 1,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "operation": operation,
                **details,
                "previous": previous,
            }
            line = to_bytes(json.dumps(entry, ensure_ascii=False))
            try:
                if os.write(file.fileno(), line + b"\n") <= len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
                write_private(_head(space), _hash(line).encode())
            except (OSError, OutputError):
                os.ftruncate(file.fileno(), size)  # a line that is not whole would break the chain for good
                with suppress(OutputError):
                    write_private(_head(space), previous.encode())
                raise
    except OSError as error:
        raise unwritable(space.log, error) from error


def _last_line(file: BinaryIO) -> tuple[int, bytes, int]:
    """Return number, text and end of the last whole line: a crash may leave a piece of one behind it.

    Only the end of the log is read. Number and end are 0 where there is no whole line.

    Raises:
        PlanError: the line does not say its number.
    """
    size, taken, tail = file.seek(0, os.SEEK_END), 0, b""
    while tail.count(b"\n") < 2 and taken < size:
        taken = min(size, 2 * taken or BLOCK_BYTES)
        file.seek(size - taken)
        tail = file.read(taken)
    whole, end, torn = tail.rpartition(b"\n")
    if not end:
        return 0, b"", 0
    line = whole.rpartition(b"\n")[2]
    number = (read_line(line) or {}).get("number")
    if type(number) is not int or number < 1:
        raise _changed_end()
    return number, line, size - len(torn)


def _require_end(space: Workspace, last: bytes, last_hash: str) -> None:
    """Refuse a log whose last line is not the one that was written last: a new line would hide that.

    Raises:
        PlanError: it is not.
    """
    head = _read_head(space)
    # A crash between writing a line and its hash leaves the head one line behind.
    if head != last_hash and (head or last) and head != (read_line(last) or {}).get("previous"):
        raise _changed_end()


def _changed_end() -> PlanError:
    """Return the error for a log whose end is not as it was written."""
    return PlanError(
        "The last line of the log is not as it was written. Nothing is added to it.",
        "Find out who could write to the folder, and put back a backup of the log; or give another folder to -o.",
    )


def released(entries: Iterable[Mapping[str, Any]], operation: str = "release") -> dict[str, Mapping[str, Any]]:
    """Return the last lines about what was released, by its name.

    Args:
        entries: lines of the log.
        operation: "release" for copies, "report" for public pages.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if entry["operation"] == operation:
            found.setdefault(entry["name"], []).append(entry)
        elif entry["operation"] == f"not {operation}":  # it was to be, but could not be moved
            found.get(entry["name"], [entry]).pop()
    return {name: lines[-1] for name, lines in found.items() if lines}


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
        *lines, _torn = space.log.read_bytes().split(b"\n")  # a crash may leave a piece of a line at the end
        head = _read_head(space)
    except FileNotFoundError as error:
        raise OutputError(f"There is no log in {space.private}.", "Name the folder given to -o.") from error
    except OSError as error:
        raise OutputError(f"The log {space.log} cannot be read: {error.strerror}.", "Check its permissions.") from error
    entries: list[Mapping[str, Any]] = []
    faults: list[str] = []
    before = previous = FIRST_HASH
    for number, line in enumerate(lines, start=1):
        entry = read_line(line)
        if entry is None:
            faults.append(f"line {number} cannot be read, or does not say what a line of its kind has to")
        else:
            entries.append(entry)
            if entry.get("number") != number:
                faults.append(f"line {number} says that it is line {entry.get('number')}: a line is missing or added")
            if entry.get("previous") != previous:
                faults.append(f"line {number} does not follow from the line before, which was changed or removed")
        before, previous = previous, _hash(line)
    # A crash between writing a line and its hash leaves the head one line behind: that is no fault.
    if head not in (previous, before) and (lines or head):
        faults.append("the end of the log was changed or removed")
    return LogReport(tuple(entries), tuple(faults))


def require_whole(report: LogReport, consequence: str = "") -> None:
    """Refuse a log that is not as it was written.

    Args:
        report: what reading it has shown.
        consequence: a sentence that says what cannot be done therefore.

    Raises:
        PlanError: something is wrong with its chain.
    """
    if report.faults:
        raise PlanError(
            f"The log is not as it was written: {'; '.join(report.faults)}. {consequence}".rstrip(),
            "Find out who could write to the folder; compare with a backup of it.",
        )


def read_line(line: bytes) -> Mapping[str, Any] | None:
    """Return what a line of the log says; None where it is damaged, or lacks what is read from lines of its kind."""
    try:
        entry = json.loads(line)
        operation = entry["operation"]
        texts = [operation, *(entry[key] for key in TEXTS.get(operation, ()))]
        if operation == "release":
            texts += [json.loads(entry["statement"])["statement"], *entry.get("joined", ())]
        if operation == "verify":
            texts += [check[key] for check in entry["checks"] for key in ("name", "figure")]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return entry if all(isinstance(text, str) and "\0" not in text for text in texts) else None


def log_length(space: Workspace) -> int:
    """Return how many lines the log has.

    Raises:
        PlanError: its last line does not say its number.
    """
    if not space.log.exists():
        return 0
    with space.log.open("rb") as file:
        return _last_line(file)[0]


def _head(space: Workspace) -> Path:
    """Return the file that holds the hash of the log's last line."""
    return space.private / "custody.head"


def _read_head(space: Workspace) -> str:
    """Return the hash that is kept of the log's last line; an empty text where none is kept."""
    return _head(space).read_bytes().decode("ascii", "replace") if _head(space).exists() else ""


def _hash(line: bytes) -> str:
    """Return the hash of a line."""
    return hashlib.sha256(line).hexdigest()
