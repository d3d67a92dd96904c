"""Many clips: one after the other or several beside each other, on past those that fail."""

from __future__ import annotations

import json
import platform
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from redact import analysis, custody, pipeline
from redact.crew import PassProgress, Progress, show_nothing
from redact.custody import Workspace
from redact.detectors import Detector
from redact.detectors.eyes import Eyes
from redact.errors import DependencyError, InputError, OutputError, RedactError, refused
from redact.executors import Died, Executor, Processes
from redact.media import hash_file
from redact.pipeline import HERE, Outcome
from redact.plan import Settings
from redact.queue import Job, Queue, Row
from redact.records import to_plain
from redact.trees import Tree

QUEUE = "queue.sqlite"
PAUSE_S = 0.2  # before a thread without work asks again
Load = Callable[[], Sequence[Detector]]


@dataclass(frozen=True)
class Failure:
    """A clip of which no copy was released, and why."""

    clip: Path
    error: RedactError


@dataclass(frozen=True)
class Done:
    """A clip whose copy was released before, and is there as it was."""

    clip: Path
    copy: Path


class OtherWorker(DependencyError):
    """A worker of a cluster that would see something else than the others."""


Result = Outcome | Failure | Done


@dataclass(frozen=True)
class _Order:
    """How clips are to be done."""

    space: Workspace
    settings: Settings
    detectors: Sequence[Detector]
    executor: Executor
    known: bool  # a clip whose copy was released before, under another path as well, is done
    contents: dict[str, threading.Lock] = field(default_factory=dict)  # by sha256: the same is not done twice at once


def run_clips(
    tree: Tree,
    space: Workspace,
    settings: Settings,
    load: Load,
    progress: Callable[[Path, str], Progress],
    jobs: int = 1,
    cluster: str | None = None,
) -> Generator[Result]:
    """Run every clip; one that fails does not keep the others from being done. A run goes on where it was interrupted.

    Args:
        tree: the clips.
        space: where everything goes.
        settings: for all clips.
        load: makes the detectors. Other processes that carry out passes call it as well: it has to be importable then.
        progress: from a clip and the name of a pass to its progress. With other processes only the queue tells.
        jobs: processes; each has its share of the cores.
        cluster: address of the scheduler of a Dask cluster whose workers carry out the passes instead.

    Yields:
        What became of each clip, as soon as that is known; in their order where no other process is at work.

    Raises:
        OutputError: another run is at work there, or the queue or the log cannot be written.
        DependencyError: weights are missing, or the cluster cannot be reached.
    """
    with custody.hold(space) as lock, Queue(space.private / QUEUE) as queue:
        again = tree.named or settings.overwrite
        # Without --allow-empty: what was done stays done. With --overwrite: it is no run without it that goes on.
        kept = json.dumps(to_plain(replace(settings, allow_empty=False)))
        queue.enter(tree.clips, kept, tree.skipped, again)
        yield from _look_up(queue.done(), space)
        if not queue.is_waiting():
            return
        with _executor(jobs, cluster, lock) as executor:
            if executor.apart:
                eyes = _try_eyes(executor, load, checked=cluster is not None)
                yield from _run_beside(queue, _Order(space, settings, eyes, executor, not again))
            else:
                yield from _work_through(queue, _Order(space, settings, load(), executor, not again), progress)


def _look_up(done: Sequence[tuple[Path, Path]], space: Workspace) -> Iterator[Done | Failure]:
    """Yield the clips that were done before: as done where the copy that is there is the one that was released."""
    entries = custody.read_log(space).entries if done and space.log.exists() else ()
    hashes = {name: entry["copy_sha256"] for name, entry in custody.released(entries).items()}
    for clip, copy in done:
        try:
            if hash_file(copy) == hashes.get(copy.name):
                yield Done(clip, copy)
                continue
            error: RedactError = OutputError(
                f"{copy} is not the file that was released for {clip.name}: it was changed or replaced, and nobody has "
                "checked what is there now.",
                "Put the copy that was released back; or remove that file, and run the same command again to make it.",
            )
        except InputError as unreadable:
            error = unreadable
        yield Failure(clip, error)


def _executor(jobs: int, cluster: str | None, lock: int) -> Executor:
    """Return what carries out the passes of a run."""
    if cluster is None:
        return Processes(jobs, lock) if jobs > 1 else HERE
    from redact.cluster import Cluster

    return Cluster(cluster)


def _work_through(queue: Queue, order: _Order, progress: Callable[[Path, str], Progress]) -> Iterator[Result]:
    """Do what waits, until nothing does."""
    while True:
        job = queue.take(custody.log_length(order.space))
        if job is not None:
            yield _run_job(job, queue, order, partial(progress, job.clip))
        elif queue.is_waiting():  # for the end of a clip of the same name, whose files it must not share
            time.sleep(PAUSE_S)
        else:
            return


def _run_job(job: Job, queue: Queue, order: _Order, progress: PassProgress) -> Result:
    """Run one clip, and note what became of it."""
    begin, clip = time.monotonic(), job.clip
    try:
        sha256 = _hash_content(job, order)
        with order.contents.setdefault(sha256, threading.Lock()) if sha256 else nullcontext():
            if found := _find_done(job, order, sha256):
                queue.finish(job, found.copy, found.length, begin)
                return Done(clip, found.copy)
            watched = queue.watch(job, progress)
            outcome = pipeline.run(clip, order.space, order.settings, order.detectors, watched, order.executor)
            queue.finish(job, outcome.copy, outcome.plan.source.ends - outcome.plan.source.begins, begin)
            return outcome
    except (CancelledError, OtherWorker):  # the whole run ends
        raise
    except RedactError as error:
        failure = Failure(clip, error)
    except Died as died:
        failure = Failure(clip, _died(clip, died))
    except MemoryError:
        failure = Failure(
            clip, InputError(f"There is not enough memory for {clip.name}.", "Cut it, or make it smaller.")
        )
    except OSError as error:
        failure = Failure(clip, refused(error))
    except Exception as error:
        custody.record(order.space, "bug", {"clip": str(clip), "traceback": traceback.format_exc()})
        message = f"redact has a bug: {type(error).__name__} at {clip.name}. The details are in the private log."
        failure = Failure(clip, RedactError(message))
    queue.fail(job, failure.error.exit_code, str(failure.error))
    return failure


def _died(clip: Path, died: Died) -> InputError:
    """Return the error for a clip whose processes have died."""
    return InputError(
        f"The process that worked on {clip.name} {died}. The file may be damaged or hostile, or memory was short.",
        "Run this clip again on its own; if that fails too, open it only on a machine that holds nothing else.",
    )


def _hash_content(job: Job, order: _Order) -> str | None:
    """Return the sha256 of a clip that may have been done before; None where it is done in any case."""
    if job.clip.exists() and not job.clip.is_file():
        raise InputError(f"{job.clip.name} is not a file.", "Name a clip, or a folder that holds clips.")
    return hash_file(job.clip) if order.known or job.attempts > 1 else None


def _find_done(job: Job, order: _Order, sha256: str | None) -> custody.Released | None:
    """Return the copy that was released before: by a run that was ended right after that, or for the same content."""
    if sha256 is None:
        return None
    return custody.find_released(order.space, sha256, order.settings, 0 if order.known else job.log_length)


def _run_beside(queue: Queue, order: _Order) -> Iterator[Result]:
    """Do what waits, several clips at once: a thread for each asks for its passes, one after the other."""
    told: SimpleQueue[Result | Exception | None] = SimpleQueue()
    stopping = threading.Event()

    def work() -> None:
        try:
            for result in _work_through(queue, order, _quiet):
                told.put(result)
                if stopping.is_set():
                    break
        except Exception as error:
            told.put(error)
        told.put(None)

    threads = [threading.Thread(target=work) for _ in range(order.executor.places)]
    try:
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            result = told.get()
            if isinstance(result, CancelledError):
                raise DependencyError(
                    "The cluster is no longer there, or has cancelled what it was given.",
                    "Look at its scheduler, and run the same command again: it goes on where it stopped.",
                )
            if isinstance(result, Exception):
                raise result
            if result is None:
                left -= 1
            else:
                yield result
    finally:
        stopping.set()
        order.executor.__exit__(None, None, None)  # ends what the threads wait for
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _try_eyes(executor: Executor, load: Load, checked: bool) -> Eyes:
    """Return the detectors, loaded once, so that what keeps all clips from being done is told before the first.

    Args:
        executor: loads them.
        load: makes them.
        checked: whether other processes may have other ones, and have to make sure that theirs are the same.

    Raises:
        RedactError: that cannot be.
    """
    try:
        models = executor.submit(analysis.models_of, Eyes(load)).result()
    except Died as died:
        raise RedactError(
            f"A process that redacts {died}, before it had begun.", "Make room in memory, or take fewer --jobs."
        ) from died
    return Eyes(partial(_load_alike, load, analysis.versions(), models) if checked else load)


def _load_alike(load: Load, versions: str, models: Mapping[str, str]) -> Sequence[Detector]:
    """Return the detectors of this machine.

    Raises:
        OtherWorker: they are others than those of the run, and would see something else.
    """
    detectors = load()
    if (analysis.versions(), analysis.models_of(detectors)) != (versions, models):
        raise OtherWorker(
            f"The worker on {platform.node()} has other versions or models than this run: {analysis.versions()}.",
            "Install the same redact and av on all machines, and the same weights: `redact models list` shows them.",
        )
    return detectors


def _quiet(clip: Path, name: str) -> Progress:
    """Return a progress that is not shown."""
    return show_nothing


@dataclass(frozen=True)
class Report:
    """How far a batch is.

    Attributes:
        at_work: whether a run is at work now.
        rows: every clip.
        time_left_s: seconds that the rest may take; None where nothing is done yet to tell by, or nothing is left.
    """

    at_work: bool
    rows: tuple[Row, ...]
    time_left_s: int | None

    @property
    def length(self) -> Fraction:
        """Seconds of video that are done."""
        return sum((row.length for row in self.rows), Fraction(0))


def report(space: Workspace) -> Report:
    """Return how far the batch in an output is; a run that is at work goes on.

    Raises:
        OutputError: there is none, or it cannot be read.
    """
    path = space.private / QUEUE
    if not path.exists():
        raise OutputError(f"No run was begun in {space.private.parent}.", "Name the folder given to -o.")
    with Queue(path) as queue:
        rows = tuple(queue.rows())
    return Report(custody.is_held(space), rows, _time_left(rows))


def _time_left(rows: Sequence[Row]) -> int | None:
    """Return the seconds that the rest may take, by what the clips done so far took for each of their bytes."""
    done = [row for row in rows if row.state == "done" and row.took_ms]
    running = [row for row in rows if row.state == "running"]
    left = [row for row in rows if row.state == "waiting"] + running
    if not done or not left:
        return None
    ms_per_byte = sum(row.took_ms for row in done) / max(1, sum(row.size_bytes for row in done))
    needed = sum(max(0, row.size_bytes * ms_per_byte - (row.took_ms if row in running else 0)) for row in left)
    return round(needed / 1000 / max(1, len(running)))
