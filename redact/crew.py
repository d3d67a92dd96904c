"""Calls that run beside each other, on as many threads as there are cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

Args = ParamSpec("Args")
Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int | None], None]  # is told how many frames are done, and of how many, if known
PassProgress = Callable[[str], Progress]  # from the name of a pass to its progress

PROCESS_BYTES = 2 << 30  # memory for each process that does clips: they take 0.64 GB at 720p, large pictures more
CONTAINER = Path("/sys/fs/cgroup/memory.max")
WAITING = 2  # calls for each thread that may wait or run: enough that none is idle, few enough to hold their pictures


def show_nothing(done: int, total: int | None) -> None:
    """Be told how far something is, and show it to nobody."""


def take_cores(cores: Collection[int], number: int, parts: int) -> None:
    """Let this thread, and those that it starts, use their share of some cores.

    Args:
        cores: those that are shared out to several processes.
        number: of this process, from 0.
        parts: how many there are; where they are more than cores, some have one together.
    """
    order = sorted(cores)
    os.sched_setaffinity(0, set(order[number::parts]) or {order[number % len(order)]})


def processes_for(clips: int) -> int:
    """Return how many processes clips are worth: one process keeps few cores busy, but each takes its memory."""
    return max(1, min(clips, len(os.sched_getaffinity(0)), memory_bytes() // PROCESS_BYTES))


def memory_bytes() -> int:
    """Return how much memory this machine has, or the container in which this runs."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # "max" where a container has no bound
        return min(whole, int(CONTAINER.read_text()))
    return whole


def one_thread() -> ThreadPoolExecutor:
    """Return an executor whose one thread runs already.

    Ctrl-C while it starts with work to do would leave it working, unknown to the executor, on what is closed then.
    """
    executor = ThreadPoolExecutor(1)
    executor.submit(int).result()
    return executor


class Crew:
    """Runs calls in threads. What they are given must not be changed meanwhile."""

    def __init__(self) -> None:
        threads = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(threads)
        self._most = WAITING * threads
        self._given: set[Future[Any]] = set()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)

    def give(self, call: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Future[Result]:
        """Run a call as soon as a thread is free, and return what will hold its result.

        Where too many wait already, it first waits until one of them is done, and raises the error that ended it.
        """
        self._make_room()
        given = self._pool.submit(call, *args, **kwargs)
        self._given.add(given)
        return given

    def give_after(
        self, before: Future[Any] | None, call: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Future[Result]:
        """Likewise, but not before an earlier call is done, if there is one: no thread stands idle and waits for it."""
        if before is None:
            return self.give(call, *args, **kwargs)
        self._make_room()
        given: Future[Result] = Future()
        waiting = [partial(call, *args, **kwargs)]  # taken out: the earlier call's future keeps `begin` for good

        def begin(_: Future[Any]) -> None:
            try:
                begun = self._pool.submit(waiting.pop())
            except RuntimeError:  # an error has ended the crew
                given.cancel()
            else:
                begun.add_done_callback(lambda done: _hand_on(done, given))

        before.add_done_callback(begin)
        self._given.add(given)
        return given

    def _make_room(self) -> None:
        """Wait until not too many calls wait or run; raise the error that ended one."""
        if len(self._given) >= self._most:
            done, self._given = wait(self._given, return_when=FIRST_COMPLETED)
            for ended in done:
                ended.result()

    def each(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield each item in its order, and what a call returns of it; it is made of the next ones meanwhile."""
        begun: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            begun.append((item, self.give(call, item)))
            while begun and (begun[0][1].done() or len(begun) > self._most):
                first, given = begun.popleft()
                yield first, given.result()
        yield from ((item, one.result()) for item, one in begun)


def _hand_on(done: Future[Result], given: Future[Result]) -> None:
    """Let what was promised hold what a call has come to."""
    if done.cancelled():
        given.cancel()
    elif error := done.exception():
        given.set_exception(error)
    else:
        given.set_result(done.result())
