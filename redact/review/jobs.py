"""Work that takes longer than an answer may: done in a thread of its own, with its progress."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from redact.errors import RedactError


class Stopped(BaseException):
    """The job was told to stop. No error of the work: nothing may catch it as one."""


class Progress:
    """Where a job is. Called by its work with what is done and how much there is."""

    def __init__(self) -> None:
        self.title, self.done, self.total = "", 0, 0
        self.stopped = False

    def __call__(self, done: int, total: int | None) -> None:
        """Note how far the work is.

        Raises:
            Stopped: it is not wanted any more.
        """
        if self.stopped:
            raise Stopped
        self.done, self.total = done, total or 0

    def named(self, title: str) -> Progress:
        """Return this progress for another pass."""
        self.title, self.done, self.total = title, 0, 0
        return self


class Job:
    """One piece of work.

    Args:
        kind: of work, as "follow".
        work: does it, and returns what the page is told.

    Attributes:
        running: whether it is still being done.
        result: what came of it; None where nothing has yet.
        error: why nothing came of it.
    """

    def __init__(self, kind: str, work: Callable[[Progress], dict[str, Any]]) -> None:
        self.kind, self.progress = kind, Progress()
        self.running = True
        self.result: dict[str, Any] | None = None
        self.error: RedactError | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name=kind)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the work to stop, and wait until it has."""
        self.progress.stopped = True
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        """Do the work; what goes wrong is kept for the page."""
        try:
            self.result = self._work(self.progress)
        except RedactError as error:
            self.error = error
        except Stopped:
            self.error = RedactError("It was stopped.", "Nothing was changed.")
        except Exception as error:
            logging.getLogger(__name__).exception("a job of the review failed")
            self.error = RedactError(f"redact has a bug: {type(error).__name__}: {error}.")
        finally:
            self.running = False
