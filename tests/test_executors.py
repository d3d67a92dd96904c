"""Calls that other processes carry out: each gets its own answer, whatever happens to the one before."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from redact.crew import Progress
from redact.executors import Processes


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Processes]:
    """One process that carries out calls."""
    held = os.open(tmp_path, os.O_RDONLY)
    with Processes(1, held) as processes:
        yield processes
    os.close(held)


def work(name: str, wait_s: float, progress: Progress) -> tuple[str, int]:
    """Say at once that it has begun; return its name and the process."""
    progress(1, 1)
    time.sleep(wait_s)
    return name, os.getpid()


class Unreadable(Exception):
    """Can be sent, but not be made again by who gets it."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one)


def fail(progress: Progress) -> None:
    raise Unreadable("a", "b")


def refuse(done: int, total: int | None) -> None:
    raise ValueError("the disk is full")


def break_off(done: int, total: int | None) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("progress", [refuse, break_off])
def test_a_progress_that_fails_does_not_give_its_answer_to_the_next_call(one: Processes, progress: Progress) -> None:
    failed = one.submit(work, "a", 0.2, progress=progress)
    with pytest.raises((ValueError, KeyboardInterrupt)):
        failed.result()
    for name in "bcd":
        assert one.submit(work, name, 0, progress=lambda *_: None).result()[0] == name


@pytest.mark.parametrize(
    ("call", "given", "error"), [(fail, (), TypeError), (work, (threading.Lock(), 0), TypeError)], ids=["back", "forth"]
)
def test_what_cannot_be_sent_does_not_give_its_answer_to_the_next_call(
    one: Processes, call: Callable[..., object], given: tuple[object, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        one.submit(call, *given, progress=lambda *_: None).result()
    assert one.submit(work, "b", 0, progress=lambda *_: None).result()[0] == "b"


def test_a_process_whose_call_was_given_up_has_ended_before_that_is_told(one: Processes) -> None:
    _, process = one.submit(work, "a", 0, progress=lambda *_: None).result()
    with pytest.raises(ValueError, match="full"):
        one.submit(work, "b", 60, progress=refuse).result()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def stumble(progress: Progress) -> None:
    """Take being interrupted for something else."""
    try:
        progress(1, 1)
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("numpy is broken") from None


def test_what_a_process_says_that_is_ended_is_no_error_of_its_call(one: Processes) -> None:
    begun = threading.Event()
    call = one.submit(stumble, progress=lambda *_: begun.set())
    assert begun.wait(60)
    one.__exit__()
    with pytest.raises(CancelledError):
        call.result()


def cores(wait_s: float) -> set[int]:
    """Return the cores that this may use, also in a thread that it starts, after a while."""
    time.sleep(wait_s)
    with ThreadPoolExecutor(1) as pool:
        return set(pool.submit(os.sched_getaffinity, 0).result())


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one core")
def test_calls_beside_each_other_share_the_cores_and_one_that_is_alone_has_all_of_them(tmp_path: Path) -> None:
    every, held = os.sched_getaffinity(0), os.open(tmp_path, os.O_RDONLY)
    with Processes(2, held) as processes:
        assert processes.submit(cores, 0).result() == every
        long = processes.submit(cores, 2)
        time.sleep(0.5)
        beside = processes.submit(cores, 0).result()
        assert 0 < len(beside) < len(every)
        assert long.result() == every  # it began alone
        assert processes.submit(cores, 0).result() == every
    os.close(held)
