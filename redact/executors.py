"""Who carries out calls: this process, others on this machine, or, in `cluster`, other machines."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from redact.crew import Progress, take_cores

TRIES = 2  # of a call whose process dies: it may have been ended for something else
GRACE_S = 30  # for processes that are told to end
STEP_S = 0.5  # from one note of how far a call is to the next

T = TypeVar("T")


class Died(Exception):
    """Each process that carried out a call has died; the text says how the last one did, as "was ended by SIGKILL"."""


class Executor(Protocol):
    """Carries out calls. A context manager; for any number of threads. At its end, calls that go on are cancelled.

    Attributes:
        apart: they are carried out in other processes; what they are given, and what they return, is pickled.
        places: how many are worth being asked for at once.
    """

    apart: bool
    places: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submit(self, call: Callable[..., T], *args: Any, progress: Progress | None = None) -> Future[T]:
        """Have a call carried out, and return what will hold its result.

        That raises what the call raises, `Died` where its process died again and again, and `CancelledError` where
        the executor has ended.

        Args:
            call: a function of a module.
            args: what it is given.
            progress: its last argument, where it takes one. It may be called from another thread, seldom or never.
        """
        ...


class Here:
    """Carries out calls in this process, at once."""

    apart, places = False, 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., T], *args: Any, progress: Progress | None = None) -> Future[T]:
        """Carry out a call; what it raises is raised here."""
        done: Future[T] = Future()
        done.set_result(call(*args, *([progress] if progress else [])))
        return done


@dataclass
class _Worker:
    """A process that carries out calls, and the pipe to it."""

    process: SpawnProcess
    pipe: Connection


class Processes:
    """Carries out calls in processes of this machine. One that dies is replaced.

    Each has its share of the cores; a call that begins while the others have none gets all of them.

    Args:
        count: how many there are.
        held: a descriptor that each of them holds open for as long as it lives.
    """

    apart = True

    def __init__(self, count: int, held: int) -> None:
        self.places, self._held = count, held
        self._lock = threading.Lock()
        self._closed = False
        self._workers: dict[int, _Worker] = {}
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in range(count):
            self._free.put(number)
        self._threads = ThreadPoolExecutor(count)  # each waits for one process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            workers = list(self._workers.values())
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(GRACE_S)
            worker.process.kill()
        self._threads.shutdown(cancel_futures=True)

    def submit(self, call: Callable[..., T], *args: Any, progress: Progress | None = None) -> Future[T]:
        """Have a call carried out by the next process that is free."""
        with self._lock:
            if self._closed:
                raise CancelledError
            return self._threads.submit(self._carry_out, call, args, progress)

    def _carry_out(self, call: Callable[..., T], args: Sequence[Any], progress: Progress | None) -> T:
        """Give a call to a process, and to another one where that dies."""
        number = self._free.get()
        try:
            for last in [False] * (TRIES - 1) + [True]:
                worker = self._worker(number)
                try:
                    share = (number, self.places) if self._free.qsize() < self.places - 1 else (0, 1)
                    error, result = _ask(worker.pipe, share, call, args, progress)
                    break
                except (EOFError, ConnectionError):
                    died = self._bury(number)
                    if last:
                        raise died from None
                except BaseException:  # of this process: the other one goes on, and the next call would get its answer
                    worker.process.kill()
                    self._bury(number)
                    raise
        finally:
            self._free.put(number)
        if self._closed:  # a call that took its interruption for something else would leave its process waiting
            worker.process.kill()
        if error is not None:
            if self._closed:  # a library that is interrupted while it is loaded says something else
                raise CancelledError from error
            raise error
        value: T = result
        return value

    def _worker(self, number: int) -> _Worker:
        """Return the process of a number; it is started where there is none."""
        with self._lock:
            if self._closed:
                raise CancelledError
            if number not in self._workers:
                ours, theirs = multiprocessing.Pipe()
                held = Connection(os.dup(self._held))  # only what the module knows can be handed over
                process = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, held))
                process.start()
                theirs.close()
                held.close()
                self._workers[number] = _Worker(process, ours)
            return self._workers[number]

    def _bury(self, number: int) -> Died:
        """Forget a process that has died, and return how it did."""
        with self._lock:
            if self._closed:
                raise CancelledError
            worker = self._workers.pop(number)
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        return Died(f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}")


def _ask(
    pipe: Connection, share: tuple[int, int], call: Callable[..., Any], args: Sequence[Any], progress: Progress | None
) -> tuple[Exception | None, Any]:
    """Give a call to a process with its share of the cores, and return the error that it raises, and what it returns.

    Raises:
        EOFError, ConnectionError: the process has died.
    """
    pipe.send((share, call, args, progress is not None))
    while True:
        kind, value = pipe.recv()
        if kind == "step" and progress:
            progress(*value)
        elif kind == "error":
            return value, None
        elif kind == "done":
            return None, value


def _work(pipe: Connection, held: Connection) -> None:
    """Carry out calls, in a process of its own, until there are no more.

    Args:
        pipe: brings calls, and takes how far they are and what becomes of them.
        held: stays open for as long as this process lives.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cores = os.sched_getaffinity(0)
    with suppress(KeyboardInterrupt, EOFError):
        while True:
            share, call, args, watched = pipe.recv()
            take_cores(cores, *share)
            try:
                answer = "done", call(*args, *([_teller(pipe)] if watched else []))
            except Exception as error:
                error.add_note(traceback.format_exc())  # where it was raised would be lost on the way
                answer = "error", error
            pipe.send(answer)
    held.close()


def _teller(pipe: Connection) -> Progress:
    """Return a progress that says now and then how far a call is."""
    said = 0.0

    def step(done: int, total: int | None) -> None:
        nonlocal said
        if done == total or time.monotonic() >= said + STEP_S:
            said = time.monotonic()
            pipe.send(("step", (done, total)))

    return step


def _end_with_parent() -> None:
    """End this process when the one that started it has died: nobody would hear what becomes of its call."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
