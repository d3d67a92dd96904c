"""Kill `redact run` at random moments, and before each change of a file, and see that nothing is lost or half made.

    python -m bench.faults [--random 200] [--real 20] [--every 1] [--seed 1]

After each kill the release folder may hold finished files only, the log's chain has to be whole, and private files
private. The same command is then run again, with more kills or to its end: the copies have to equal those of an
undisturbed run, byte for byte. `--real` kills whole processes with the real detectors, also such with two workers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from bench.children import Ended, run_child
from redact import cli, custody, detectors
from tests.trees import load_fake, write_small

MOST_CHANGES = 10_000  # of files in one run
MOST_KILLS = 4  # of one output, before the command may run to its end
FRAMES_REAL = 25  # of the clips that the real detectors see; the others are shorter
OPTIONS = ("--allow-empty",)  # the face in small clips is too small for a real detector


@dataclass
class Tally:
    """What was done, and what went wrong."""

    kills: int = 0
    finished: int = 0
    passes: Counter[str] = field(default_factory=Counter)  # kills by what the log or the queue says was done before
    faults: list[str] = field(default_factory=list)


def run_redact(*arguments: object) -> int:
    """Run a command in this process and return its exit code."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def released(out: Path) -> dict[str, bytes]:
    """Return every file in the release folder of an output, by its name."""
    folder = out / "release"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def check_killed(out: Path, wanted: dict[str, bytes], tally: Tally) -> None:
    """Note what may not be after a kill: an unfinished file, a broken chain, a private file that others may read."""
    finished = set(wanted.values())
    tally.faults += [f"{name} is not finished" for name, data in released(out).items() if data not in finished]
    space = custody.locate_workspace(out)
    operations = ["nothing"]
    if space.log.exists():
        report = custody.read_log(space)
        tally.faults += report.faults
        operations += [str(entry["operation"]) for entry in report.entries]
    tally.passes[operations[-1]] += 1
    for path in space.private.iterdir() if space.private.exists() else ():
        # What is about to be released may be read by everybody a moment before it has its place.
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.read_bytes() not in finished:
            tally.faults.append(f"others may read {path.name}")


def check_finished(out: Path, wanted: dict[str, bytes], code: int, said: str, tally: Tally) -> None:
    """Note where a run that was not killed did not do what an undisturbed one does."""
    tally.finished += 1
    if code != 0:
        tally.faults.append(f"the command ended with {code}: {said[-300:]}")
    if sorted(released(out).values()) != sorted(wanted.values()):
        tally.faults.append(f"the copies are others: {sorted(released(out))}")
    left = [path.name for path in (out / "private").iterdir() if ".partial" in path.name or path.name.endswith(".new")]
    tally.faults += [f"{name} was left" for name in left]
    if custody.read_log(custody.locate_workspace(out)).faults:
        tally.faults.append("the chain of the log is broken")


def kill_at_random(command: Callable[[Path], Callable[[], int]], folder: Path, kills: int, seed: int) -> Tally:
    """Kill a run at random moments, a few times each, and let it finish then.

    Args:
        command: from an output folder to the call.
        folder: for the outputs.
        kills: how many.
        seed: of the moments.
    """
    moments, tally = random.Random(seed), Tally()
    undisturbed = run_child(command(folder / "undisturbed"))
    wanted = released(folder / "undisturbed")
    assert undisturbed.code == 0, undisturbed.output
    number = 0
    while tally.kills < kills:
        number += 1
        out = folder / str(number)
        for _ in range(moments.randint(1, MOST_KILLS)):
            ended = run_child(command(out), kill_after_cpu_s=moments.uniform(0, undisturbed.cpu_s))
            if ended.code != -signal.SIGKILL:
                break
            tally.kills += 1
            check_killed(out, wanted, tally)
        finish(command(out), out, wanted, tally)
    return tally


def kill_at_changes(command: Callable[[Path], Callable[[], int]], folder: Path, numbers: Sequence[int]) -> Tally:
    """Kill a run before each change of a file that it makes, once for each, and let it finish then."""
    tally = Tally()
    run_child(command(folder / "undisturbed"))
    wanted = released(folder / "undisturbed")
    for number in numbers:
        out = folder / str(number)
        if run_child(command(out), kill_at_change=number).code != -signal.SIGKILL:
            break
        tally.kills += 1
        check_killed(out, wanted, tally)
        finish(command(out), out, wanted, tally)
    return tally


def finish(call: Callable[[], int], out: Path, wanted: dict[str, bytes], tally: Tally) -> None:
    """Run the command to its end, check what came of it, and remove it."""
    ended: Ended = run_child(call)
    check_finished(out, wanted, ended.code, ended.output, tally)
    shutil.rmtree(out)


def kill_processes(tree: Path, folder: Path, kills: int, seed: int, jobs: int) -> Tally:
    """Kill whole processes with the real detectors at random moments; those that they started end by themselves."""
    moments, tally = random.Random(seed), Tally()

    def start(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "redact", "run", tree, "-o", out, "--jobs", str(jobs), *OPTIONS]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    begin = time.monotonic()
    process = start(folder / f"undisturbed {jobs}")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    length, wanted = time.monotonic() - begin, released(folder / f"undisturbed {jobs}")
    number = 0
    while tally.kills < kills:
        number += 1
        out = folder / f"real {jobs} {number}"
        for _ in range(moments.randint(1, MOST_KILLS)):
            process = start(out)
            time.sleep(moments.uniform(0, length))
            process.kill()
            process.communicate()
            if process.returncode != -signal.SIGKILL:
                break
            tally.kills += 1
            check_killed(out, wanted, tally)
        process = start(out)
        said, _ = process.communicate()
        check_finished(out, wanted, process.returncode, said, tally)
        shutil.rmtree(out)
    return tally


def fake_command(tree: Path) -> Callable[[Path], Callable[[], int]]:
    """Return the command that does a tree with a detector that knows where the faces are."""
    detectors.load_detectors = lambda *_: load_fake()  # type: ignore[assignment]
    cv2.setNumThreads(1)  # a copy of this process would wait for threads that it does not have

    def command(out: Path) -> Callable[[], int]:
        return lambda: run_redact("run", tree, "-o", out, "--jobs", "1", *OPTIONS)

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        command(tree.with_name("before"))()  # so that everything is loaded in the copies
    return command


def print_tally(title: str, tally: Tally) -> int:
    """Print a row of the table, and what went wrong; return how much that is."""
    passes = ", ".join(f"{count} {name}" for name, count in sorted(tally.passes.items()))
    print(f"| {title} | {tally.kills} | {passes} | {tally.finished} | {len(tally.faults)} |", flush=True)
    for fault in tally.faults[:20]:
        print(f"  FAULT {fault}")
    return len(tally.faults)


def main() -> None:
    """Run the harness and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=200, help="kills at random moments")
    parser.add_argument("--real", type=int, default=20, help="kills of whole processes, with one and two workers each")
    parser.add_argument("--every", type=int, default=1, help="kill before each so many-th change of a file only")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, shade in (("one", 0), ("two", 60)):
            write_small(folder / "short" / f"{name}.mp4", shade)
            write_small(folder / "tree" / f"{name}.mp4", shade, FRAMES_REAL)
        print("| killed | kills | last line of the log at the kill | runs that then finished | faults |")
        print("|---|---|---|---|---|")
        command = fake_command(folder / "short")
        changes = kill_at_changes(command, folder / "changes", range(1, MOST_CHANGES, given.every))
        faults += print_tally("before each change of a file", changes)
        at_random = kill_at_random(command, folder / "random", given.random, given.seed)
        faults += print_tally("at random moments", at_random)
        for jobs in (1, 2) if given.real else ():
            tally = kill_processes(folder / "tree", folder, given.real, given.seed, jobs)
            faults += print_tally(f"whole processes, `--jobs {jobs}`, real detectors", tally)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
