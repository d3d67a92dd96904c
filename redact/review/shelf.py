"""The plans of a folder: one is being reviewed, the others can be turned to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from redact.errors import UsageError
from redact.plan import Plan
from redact.review.session import Conflict, Desk, Session
from redact.review.store import PlanFile

MakeDesk = Callable[[PlanFile, Plan], Desk]


@dataclass(frozen=True)
class Entry:
    """A plan in the list: its clip's name, and how far its review is, in words.

    Attributes:
        name: of the clip.
        words: how far the review is.
        waits: whether it has not been signed off as it is.
    """

    name: str
    words: str
    waits: bool


class Shelf:
    """Opens the first plan that nobody has signed off, and others when asked. A context manager.

    Args:
        paths: the plans' files, at least one.
        make_desk: from a plan's file, and the plan, to what its review works on.

    Raises:
        RedactError: of its kinds; the first one cannot be opened.
    """

    def __init__(self, paths: Sequence[Path], make_desk: MakeDesk) -> None:
        self._paths, self._make_desk = paths, make_desk
        self._entries = [_read(path) for path in paths]
        self._lock = threading.Lock()
        self.number = next((n for n, entry in enumerate(self._entries) if entry.waits), 0)
        self.session = self._begin(self.number)

    def __enter__(self) -> Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.__exit__(kind, error, trace)

    def entries(self) -> list[Entry]:
        """Return the list of all plans."""
        plan = self.session.plan
        self._entries[self.number] = _entry(self.session.desk.clip.name, len(plan.doubts), plan.review is not None)
        return list(self._entries)

    def open(self, number: int) -> None:
        """Turn to another plan; the one before stays as it is when that cannot be opened.

        Raises:
            Conflict: something is still being done.
            RedactError: of its kinds; the plan is not there, or cannot be opened.
        """
        with self._lock:
            if not 0 <= number < len(self._paths):
                raise UsageError(f"There is no plan {number}.")
            if self.session.job and self.session.job.running:
                raise Conflict("Something is still being done for this clip.", "Wait for it to be done.")
            if number == self.number:
                return
            opened = self._begin(number)
            self.entries()
            # Revisions go on, so that a tab that still shows the clip before cannot change this one by mistake.
            opened.revision = self.session.end() + 1
            left, self.session, self.number = self.session, opened, number
            left.__exit__(None, None, None)

    def _begin(self, number: int) -> Session:
        """Return the review of a plan, which holds the plan's file."""
        with ExitStack() as stack:
            file = stack.enter_context(PlanFile(self._paths[number]))
            session = Session(self._make_desk(file, file.read()))
            stack.pop_all()
        return session


def describe(shelf: Shelf) -> list[dict[str, Any]]:
    """Return what the page is told of the list."""
    return [{"name": entry.name, "words": entry.words, "waits": entry.waits} for entry in shelf.entries()]


def _read(path: Path) -> Entry:
    """Return the entry of a plan that is not open, without checking it: a folder may hold hundreds."""
    try:
        plan = json.loads(path.read_bytes())
        return _entry(Path(plan["source"]["path"]).name, len(plan["doubts"]), plan["review"] is not None)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Entry(path.name, "cannot be read", waits=False)


def _entry(name: str, doubts: int, signed: bool) -> Entry:
    words = "signed off" if signed else f"{doubts} doubt{'' if doubts == 1 else 's'}"
    return Entry(name, words, waits=not signed)
