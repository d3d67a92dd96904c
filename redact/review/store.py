"""The file of a plan that is reviewed: one review holds it, and every change is on disk before it is answered."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from redact import custody, pipeline
from redact.errors import OutputError
from redact.plan import Plan
from redact.records import Texts, dump_plan, to_bytes


class PlanFile:
    """A plan's file. A context manager: no other review may open it meanwhile.

    The texts of its tracks are kept, so that a change of one among hundreds does not turn the others into text again.

    Args:
        path: the plan's file.

    Raises:
        OutputError: the plan is being reviewed already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hold = _hold(path)
        self._file = custody.WatchedFile(path)
        self._texts: Texts = {}

    def __enter__(self) -> PlanFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._hold)

    def read(self) -> Plan:
        """Return the plan that is on disk.

        Raises:
            InputError: there is none any more.
            PlanError: it is no plan.
        """
        file = custody.WatchedFile(self.path)  # first: if another program writes after this line, that is noticed later
        plan = pipeline.read_plan(self.path)
        self._file = file
        return plan

    def is_changed(self) -> bool:
        """Return whether another program has changed or removed the file since it was read or written here."""
        return self._file.is_changed()

    def write(self, plan: Plan) -> None:
        """Write a plan; after a crash the file holds it, or what it held before.

        Raises:
            OutputError: it cannot be written.
        """
        self._file.write(to_bytes(dump_plan(plan, self._texts)))


def _hold(plan_path: Path) -> int:
    """Return the lock of a plan, which is held as long as it is open.

    Raises:
        OutputError: another review holds it, or it cannot be made.
    """
    path = plan_path.with_name(plan_path.name + ".lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OutputError(
            f"{plan_path.name} is being reviewed already.", "Go on in that window, or end it with Ctrl-C first."
        ) from error
    return lock
