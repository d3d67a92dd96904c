"""Calls run beside each other; their results and errors come back."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from redact import crew as room
from redact.crew import WAITING, Crew


def test_results_are_those_of_the_calls_in_their_order() -> None:
    with Crew() as crew:
        given = [crew.give(pow, n, 2) for n in range(100)]
    assert [one.result() for one in given] == [n * n for n in range(100)]


def test_few_calls_wait_at_a_time() -> None:
    started, go, most, waiting = threading.Semaphore(0), threading.Event(), [0], [0]

    def work() -> None:
        started.release()
        assert go.wait(10)
        waiting[0] -= 1

    with Crew() as crew:
        threading.Timer(0.2, go.set).start()
        for _ in range(200):
            waiting[0] += 1
            most[0] = max(most[0], waiting[0])
            crew.give(work)
    assert started.acquire(blocking=False)
    assert 1 <= most[0] < 100


def test_each_item_comes_in_its_order_with_what_became_of_it_and_few_are_taken_ahead() -> None:
    taken, behind = [0], [0]

    def items() -> Iterator[int]:
        for n in range(200):
            taken[0] += 1
            yield n

    def square(n: int) -> int:
        time.sleep(0.01 * (n % 5 == 0))
        return n * n

    with Crew() as crew:
        for at, (n, squared) in enumerate(crew.each(square, items())):
            assert (n, squared) == (at, at * at)
            behind.append(taken[0] - at)
    assert at == 199
    assert max(behind) <= WAITING * len(os.sched_getaffinity(0)) + 1


def test_what_comes_after_an_item_whose_call_failed_does_not_come() -> None:
    came = []

    def go_through() -> None:
        with Crew() as crew:
            came.extend(n for n, _ in crew.each(lambda n: 1 / n, [3, 2, 1, 0, -1, -2]))

    with pytest.raises(ZeroDivisionError):
        go_through()
    assert came == [3, 2, 1][: len(came)]


def test_a_call_that_comes_after_another_begins_when_that_is_done_and_keeps_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    go, order = threading.Event(), []
    with Crew() as crew:
        first = crew.give(go.wait, 10)
        second = crew.give_after(first, order.append, "second")
        crew.give(order.append, "third").result(10)
        assert not second.done()
        go.set()
        second.result(10)
        assert crew.give_after(first, pow, 3, 2).result(10) == 9
    assert order == ["third", "second"]


def test_what_a_later_call_was_given_is_let_go_when_it_is_done_though_its_result_is_kept() -> None:
    class Picture:
        pass

    go = threading.Event()
    with Crew() as crew:
        picture = Picture()
        there = weakref.ref(picture)
        first = crew.give(go.wait, 10)
        second = crew.give_after(first, isinstance, picture, int)
        del picture
        go.set()
        assert second.result(10) is False
    assert there() is None
    assert first.result()


def test_an_error_of_a_call_that_comes_after_another_is_its_own() -> None:
    with Crew() as crew:
        failed = crew.give_after(crew.give_after(None, int), int, "none")
        with pytest.raises(ValueError, match="none"):
            failed.result(10)


def test_what_should_come_after_a_call_does_not_where_an_error_has_ended_the_crew() -> None:
    go, given = threading.Event(), []

    def give_up() -> None:
        with Crew() as crew:
            first = crew.give(go.wait, 10)
            given.append(crew.give_after(first, int))
            threading.Timer(0.1, go.set).start()
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        give_up()
    assert given[0].cancelled()


def test_a_long_call_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    go = threading.Event()
    with Crew() as crew:
        long = crew.give(go.wait, 5)
        for n in range(100):
            crew.give(abs, n)
        go.set()
    assert long.result()


def test_an_error_ends_the_giving() -> None:
    def fail() -> None:
        raise KeyError("broken")

    def give_many() -> int:
        with Crew() as crew:
            crew.give(fail)
            for n in range(1000):
                crew.give(abs, n)
        return n

    with pytest.raises(KeyError, match="broken"):
        give_many()


def test_what_waits_is_dropped_where_giving_fails() -> None:
    go, done, given = threading.Event(), [], []

    def work(n: int) -> None:
        assert go.wait(10)
        done.append(n)

    def give_and_fail() -> None:
        with Crew() as crew:
            given.extend(crew.give(work, n) for n in range(WAITING * len(os.sched_getaffinity(0))))
            threading.Timer(0.2, go.set).start()
            raise KeyError("elsewhere")

    with pytest.raises(KeyError, match="elsewhere"):
        give_and_fail()
    assert len(done) == len(given) // WAITING


@pytest.mark.parametrize(
    ("clips", "cores", "gigabytes", "number"),
    [(40, 8, 64, 8), (3, 8, 64, 3), (40, 8, 9, 4), (40, 8, 1, 1), (0, 8, 64, 1), (1, 8, 64, 1)],
)
def test_there_are_as_many_processes_as_clips_cores_and_memory_allow(
    clips: int, cores: int, gigabytes: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(room, "memory_bytes", lambda: gigabytes << 30)
    assert room.processes_for(clips) == number


@pytest.mark.parametrize(("bound", "held"), [("1048576\n", 1 << 20), ("max\n", None), (None, None)])
def test_a_container_may_have_less_memory_than_its_machine(
    bound: str | None, held: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CONTAINER", tmp_path / "memory.max")
    whole = room.memory_bytes()
    if bound:
        (tmp_path / "memory.max").write_text(bound)
    assert whole > 1 << 20
    assert room.memory_bytes() == (held or whole)
