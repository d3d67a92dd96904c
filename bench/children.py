"""Calls in processes of their own, with bounds on time and memory, that may be killed at any moment.

They share the process that starts decoders (`redact.media.child`): starting it takes longer than most of them. Each
decoder is still a process of its own, which ends with what it reads.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from redact.media import apart

POLL_S = 0.002
POLLS_OF_DECODERS = 5  # they are looked at in every so many-th
PATIENCE = 10  # times its limit that a process may take on a busy machine, where it works less
# What changes names and files; audit events of the interpreter. The kill comes before the change is made.
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.truncate", "fcntl.flock", "sqlite3.connect"}


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, or minus the number of the signal that ended it.
        hung: it was killed because it ran too long.
        seconds: how long it ran.
        cpu_s: seconds that the processors worked on it, without its decoders.
        decoding_s: seconds that they worked on its decoders, as far as was seen while these were there.
        peak_bytes: the most memory that it and its decoders held at once, the program's own included; what they share
            counts for each of them.
        output: what it printed.
    """

    code: int
    hung: bool
    seconds: float
    cpu_s: float
    decoding_s: float
    peak_bytes: int
    output: str


def run_child(
    call: Callable[[], int],
    limit_s: float = 60,
    memory_bytes: int = 0,
    kill_after_cpu_s: float | None = None,
    kill_at_change: int = 0,
) -> Ended:
    """Call something in a copy of this process, and return how that ended.

    Args:
        call: what to do; its result is the exit code.
        limit_s: it is killed when it has worked so long, or waited ten times as long.
        memory_bytes: address space that it, and each decoder, may use; 0 for any.
        kill_after_cpu_s: it is killed when it has worked so long, whatever else the machine does; None for never.
        kill_at_change: it kills itself before it changes a file for this many times; 0 for never.
    """
    helper = apart._helper(os.getpid())
    if memory_bytes:
        resource.prlimit(helper._process.pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            helper._owner = os.getpid()
            apart._helper = lambda _: helper  # type: ignore[assignment]
            _be_child(call, output.fileno(), memory_bytes, kill_at_change)
        status, usage, hung, seen = _wait(child, helper._process.pid, begin, limit_s, kill_after_cpu_s)
        output.seek(0)
        text = output.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    peak = max(seen.peak_bytes, usage.ru_maxrss * 1024)
    return Ended(code, hung, time.monotonic() - begin, cpu_s, sum(seen.worked_s.values()), peak, text)


def _be_child(call: Callable[[], int], output: int, memory_bytes: int, kill_at_change: int) -> None:
    """Do the call and end this process."""
    code = 99
    try:
        # The lock that it has is shared with all others of its parent: if this one is killed, it stays shut for them.
        tqdm.set_lock(threading.RLock())
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (open(fd, "w", buffering=1, closefd=False) for fd in (1, 2))  # noqa: SIM115
        if memory_bytes:
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        if kill_at_change:
            _kill_at_change(kill_at_change)
        code = call()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _kill_at_change(number: int) -> None:
    """Kill this process when it begins to change a file for this many times."""
    left = number

    def count(event: str, details: tuple[object, ...]) -> None:
        nonlocal left
        if event not in CHANGES or (event == "open" and not _is_for_writing(details)):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _is_for_writing(details: tuple[object, ...]) -> bool:
    """Return whether an audit event of opening a file is about writing."""
    flags = details[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@dataclass
class _Seen:
    """What was seen of a process and its decoders: the seconds of work of each of these, and the most memory of all."""

    worked_s: dict[int, float] = field(default_factory=dict)
    peak_bytes: int = 0

    def look(self, child: int, helper: int) -> None:
        """Look at them."""
        decoders = [int(number) for number in Path(f"/proc/{helper}/task/{helper}/children").read_text().split()]
        self.peak_bytes = max(self.peak_bytes, sum(_held(process) for process in (child, *decoders)))
        for decoder in decoders:
            with contextlib.suppress(OSError):
                self.worked_s[decoder] = _worked_s(decoder)


def _wait(
    child: int, helper: int, begin: float, limit_s: float, kill_after_cpu_s: float | None
) -> tuple[int, resource.struct_rusage, bool, _Seen]:
    """Wait for a process; kill it when it is time."""
    killed = hung = False
    seen = _Seen()
    for poll in itertools.count():
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            break
        if poll % POLLS_OF_DECODERS == 0:
            seen.look(child, helper)
        worked, now = _worked_s(child), time.monotonic() - begin
        hung = hung or (not killed and (worked + sum(seen.worked_s.values()) > limit_s or now > PATIENCE * limit_s))
        if not killed and (hung or (kill_after_cpu_s is not None and worked >= kill_after_cpu_s)):
            killed = True
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL_S)
    return status, usage, hung, seen


def _held(process: int) -> int:
    """Return the most bytes of memory that a process has held so far; 0 if it has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
    return 0


def _worked_s(child: int) -> float:
    """Return the seconds that the processors have worked on a process."""
    return time.clock_gettime((~child << 3) | 2)  # its clock, as clock_getcpuclockid(3) makes it
