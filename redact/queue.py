"""The queue of a batch, on disk: one row for each clip, and one for each of its passes.

It says what is to be done and how far that is. What was found and what was released stand in plans, copies and the log:
a queue that is lost costs no more than looking these up again. Several threads and processes may use it at once.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from redact.crew import PassProgress, Progress
from redact.disk import PRIVATE
from redact.errors import OutputError

STATES = ("done", "running", "waiting", "failed", "skipped")
WAIT_S = 60  # for another process that writes
STEP_S = 1.0  # from one note of how far a pass is to the next
PATIENCE = 3  # times that a clip may end the whole program before the others go first


_TABLES = """
CREATE TABLE IF NOT EXISTS clips (
    number INTEGER PRIMARY KEY,
    path BLOB UNIQUE NOT NULL,  -- bytes: names of files need not be text
    stem BLOB NOT NULL,  -- private files are named by it, so that clips of one stem are not run beside each other
    place INTEGER,  -- in the last run; NULL where it did not belong to that
    stamp TEXT NOT NULL,  -- size, date and settings: with others it is another clip
    size_bytes INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    log_length INTEGER NOT NULL DEFAULT 0,  -- lines of the private log when it was first begun
    code INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    copy BLOB,
    length TEXT NOT NULL DEFAULT '0',  -- seconds, a fraction
    took_ms INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS passes (
    clip INTEGER NOT NULL,
    name TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,  -- frames
    total INTEGER,
    PRIMARY KEY (clip, name)
);
"""
_NEXT = """
UPDATE clips
SET state = 'running', attempts = attempts + 1, log_length = iif(attempts, log_length, ?)
WHERE number = (
    SELECT number FROM clips
    WHERE place IS NOT NULL AND state = 'waiting' AND stem NOT IN (SELECT stem FROM clips WHERE state = 'running')
    ORDER BY attempts / ?, place LIMIT 1
)
RETURNING number, path, attempts, log_length
"""


@dataclass(frozen=True)
class Job:
    """A clip that is to be done.

    Attributes:
        number: of its row.
        clip: the file.
        attempts: how often it was begun, this time included.
        log_length: lines that the private log had when it was first begun.
    """

    number: int
    clip: Path
    attempts: int
    log_length: int


@dataclass(frozen=True)
class Row:
    """What the queue knows of one clip.

    Attributes:
        clip: the file.
        state: one of `STATES`.
        code: exit code of the error, where it failed.
        reason: why it failed or was skipped.
        copy: the released copy, where it is done.
        length: seconds of video in the copy.
        took_ms: milliseconds that were worked on it.
        size_bytes: of the file.
        passes: frames done and all frames (or None) of each pass that was begun; the last is the one that runs.
    """

    clip: Path
    state: str
    code: int
    reason: str
    copy: Path | None
    length: Fraction
    took_ms: int
    size_bytes: int
    passes: Mapping[str, tuple[int, int | None]]


class Queue:
    """The queue in a file. A context manager.

    Args:
        path: the file; it is made where it is missing.

    Raises:
        OutputError: it cannot be opened or written, or is no queue.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        with self._translated():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
            self._base = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self._base.executescript(_TABLES)
            except sqlite3.Error:
                self._base.close()
                raise

    def __enter__(self) -> Queue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def enter(self, clips: Sequence[Path], settings: str, skipped: Mapping[Path, str], again: bool) -> None:
        """Make these clips the ones to be done. What was done before with the same settings stays done.

        Args:
            clips: the files, in the order in which they are done.
            settings: what they are done with, as text.
            skipped: what else there was, and why it is left alone.
            again: do also what was done before, unless a run with these settings was interrupted.
        """
        with self._changing():
            self._run("UPDATE clips SET place = NULL")
            self._run("DELETE FROM clips WHERE state = 'skipped'")
            rows = [(os.fsencode(clip), *_stamp(clip, settings)) for clip in clips]
            kept = {path: old for path, *old in self._run("SELECT path, stamp, state, copy FROM clips")}
            held = [old for path, stamp, _ in rows if (old := kept.get(path)) and old[0] == stamp]
            again = again and not any(state in ("running", "waiting") for _, state, _ in held)
            for place, (clip, (path, stamp, size)) in enumerate(zip(clips, rows, strict=True)):
                old_stamp, state, copy = kept.get(path, ("", "", None))
                gone = state == "done" and (again or not os.path.exists(copy))
                if old_stamp != stamp or state == "failed" or gone:
                    self._forget(path)
                self._add(clip, place, stamp, size, "waiting", "")
            self._run("UPDATE clips SET state = 'waiting' WHERE state = 'running'")
            for file, reason in skipped.items():
                self._add(file, None, "", 0, "skipped", reason)

    def _forget(self, path: bytes) -> None:
        """Take the rows of a clip out."""
        self._run("DELETE FROM passes WHERE clip = (SELECT number FROM clips WHERE path = ?)", path)
        self._run("DELETE FROM clips WHERE path = ?", path)

    def _add(self, clip: Path, place: int | None, stamp: str, size: int, state: str, reason: str) -> None:
        """Add the row of a clip; where there is one, only its place is another."""
        self._run(
            "INSERT INTO clips (path, stem, place, stamp, size_bytes, state, reason) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET place = excluded.place",
            *(os.fsencode(clip), os.fsencode(clip.stem), place, stamp, size, state, reason),
        )

    def take(self, log_length: int) -> Job | None:
        """Return the next clip, which nobody else will get, or None where none can be begun now."""
        with self._changing():
            rows = self._run(_NEXT, log_length, PATIENCE)
            return Job(rows[0][0], Path(os.fsdecode(rows[0][1])), *rows[0][2:]) if rows else None

    def is_waiting(self) -> bool:
        """Return whether clips of this run wait."""
        with self._translated():
            return bool(self._run("SELECT 1 FROM clips WHERE place IS NOT NULL AND state = 'waiting' LIMIT 1"))

    def done(self) -> list[tuple[Path, Path]]:
        """Return the clips of this run that are done, and their copies."""
        with self._translated():
            rows = self._run("SELECT path, copy FROM clips WHERE place IS NOT NULL AND state = 'done' ORDER BY place")
            return [(Path(os.fsdecode(path)), Path(os.fsdecode(copy))) for path, copy in rows]

    def watch(self, job: Job, progress: PassProgress) -> PassProgress:
        """Return the progress of a clip's passes that is noted here as well."""
        begin = time.monotonic()

        def watched(name: str) -> Progress:
            show, noted = progress(name), time.monotonic()
            self._note(job, name, 0, None, begin)

            def step(done: int, total: int | None) -> None:
                nonlocal noted
                show(done, total)
                if time.monotonic() - noted >= STEP_S or done == total:
                    noted = time.monotonic()
                    self._note(job, name, done, total, begin)

            return step

        return watched

    def _note(self, job: Job, name: str, done: int, total: int | None, begin: float) -> None:
        """Write down how far a pass is; a new row makes it the last."""
        with self._changing():
            self._run("INSERT OR REPLACE INTO passes VALUES (?, ?, ?, ?)", job.number, name, done, total)
            self._run("UPDATE clips SET took_ms = ? WHERE number = ?", _since(begin), job.number)

    def finish(self, job: Job, copy: Path, length: Fraction, begin: float) -> None:
        """Note that a copy was released.

        Args:
            job: the clip.
            copy: where it is.
            length: seconds of video in it.
            begin: `time.monotonic()` when the work began.
        """
        with self._changing():
            self._run(
                "UPDATE clips SET state = 'done', copy = ?, length = ?, took_ms = ? WHERE number = ?",
                *(os.fsencode(copy.absolute()), str(length), _since(begin), job.number),
            )

    def fail(self, job: Job, code: int, reason: str) -> None:
        """Set a clip aside, with the exit code of its error and the reason."""
        text = reason.encode("utf-8", "backslashreplace").decode()
        with self._changing():
            self._run(
                "UPDATE clips SET state = 'failed', code = ?, reason = ? WHERE number = ?", code, text, job.number
            )

    def rows(self) -> list[Row]:
        """Return what is known of every clip: those of the last run in their order, then others."""
        with self._translated():
            passes: dict[int, dict[str, tuple[int, int | None]]] = {}
            for clip, name, done, total in self._run("SELECT clip, name, done, total FROM passes ORDER BY rowid"):
                passes.setdefault(clip, {})[name] = done, total
            return [
                Row(
                    *(Path(os.fsdecode(path)), state, code, reason, Path(os.fsdecode(copy)) if copy else None),
                    *(Fraction(length), took_ms, size_bytes, passes.get(number, {})),
                )
                for number, path, state, code, reason, copy, length, took_ms, size_bytes in self._run(
                    "SELECT number, path, state, code, reason, copy, length, took_ms, size_bytes FROM clips"
                    " ORDER BY place IS NULL, place, number"
                )
            ]

    def _run(self, command: str, *values: object) -> list[Any]:
        """Run one command and return all its rows."""
        return self._base.execute(command, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Make all changes of the block at once, or none."""
        with self._translated():
            self._base.execute("BEGIN IMMEDIATE")
            with self._base:
                yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Let one thread at a time use the data base, and turn its errors into one with advice."""
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise OutputError(
                f"The queue {self._path} cannot be used: {error}.",
                "Make room and check the permissions of its folder. If it is damaged, remove it: nothing else is lost.",
            ) from error


def _stamp(clip: Path, settings: str) -> tuple[str, int]:
    """Return what a row holds for, and the size of the clip; a file that cannot be seen has no size."""
    try:
        about = clip.stat()
    except OSError:
        return f"missing {settings}", 0
    return f"{about.st_size} {about.st_mtime_ns} {settings}", about.st_size


def _since(begin: float) -> int:
    """Return the milliseconds since a moment."""
    return round((time.monotonic() - begin) * 1000)
