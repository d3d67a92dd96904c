"""Decoders that work in processes of their own, with few rights: what they send is not believed, but checked."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from redact.errors import DependencyError, InputError, RedactError, UsageError
from redact.media.checks import (
    check_contents,
    check_fraction,
    check_header,
    check_numbers,
    check_sound_header,
    check_stretches,
)
from redact.media.child import SLOT, SLOTS, Lines, Words, write
from redact.media.decoding import Decoded, Header
from redact.media.files import Contents, open_file
from redact.media.frames import Picture
from redact.media.listening import LAYOUTS, Heard, Samples, SoundHeader
from redact.media.pixels import Turn

START = "from redact.media.child import main; main()"
QUIET_S = 300  # so long neither a frame nor a sign of work may come; a photograph of 178 million pixels took 35
LONGEST_LINE = 1 << 20
LONGEST_TEXT = 1000
LOUDEST = 4.0  # of full scale; sound in floating point may go beyond that, and an encoder refuses what has no bounds

T = TypeVar("T")


class _Apart:
    """Work on a file that is done in a process of its own. A context manager; for one thread at a time.

    Args:
        path: the file. It is only ever read.
        kind: the work, one of `child.KINDS`.
        number: which of the file's streams, from 1.
        check: what makes the header of what was sent, or raises an error.

    Attributes:
        header: what the file says.
        locked: whether the process says that the system keeps it from everything else.
        lost: stretches that could not be decoded, so far.
    """

    def __init__(self, path: Path, kind: str, number: int, check: Callable[[Any], Any]) -> None:
        self.path = path
        self.lost: list[tuple[Fraction, Fraction]] = []
        self._run = 0
        with ExitStack() as stack:
            file = stack.enter_context(open_file(path))
            self._memory = os.memfd_create("frames")
            stack.callback(os.close, self._memory)
            os.ftruncate(self._memory, SLOTS * SLOT)
            theirs, self._orders = os.pipe()
            replies, there = os.pipe()
            stack.callback(os.close, self._orders)
            stack.callback(os.close, replies)
            try:
                order = {"path": str(path), "kind": kind, "number": number, "clip": file.fileno()}
                self._process = _start({**order, "orders": theirs, "replies": there, "memory": self._memory})
                stack.callback(os.close, self._process)
                stack.callback(self.stop)
                self._lines = _UntrustedLines(replies)
                self.locked = self._answer("locked") is True
            finally:
                os.close(theirs)
                os.close(there)
            self._ask({})
            self.header = self._checked(check, self._answer("header"))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stop(self) -> None:
        """End the process; whoever waits for a frame gets an error."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _frames(self, order: Words, check: Callable[[Any], T]) -> Iterator[T]:
        """Yield what is sent for an order, checked; another one ends it."""
        self._run += 1
        run = self._run
        self._ask({"run": run, **order})
        while run == self._run:
            words = self._answer("lost", run)
            self.lost += self._checked(check_stretches, words["lost"])
            if "frame" not in words:
                return
            frame = self._checked(check, words["frame"])
            self._ask({"took": True})
            yield frame

    def _take(self, untrusted_slot: Any, numbers: NDArray[Any]) -> None:
        """Fill numbers from the shared memory: what is in there may still change."""
        if type(untrusted_slot) is not int or untrusted_slot not in range(SLOTS):
            raise ValueError
        if os.preadv(self._memory, [numbers.data], untrusted_slot * SLOT) != numbers.nbytes:
            raise ValueError

    def _ask(self, words: Words) -> None:
        """Send something to the process."""
        try:
            write(self._orders, words)
        except OSError as error:
            raise self._ended() from error

    def _answer(self, key: str, run: int | None = None) -> Any:
        """Return what the process sends next for this key; with a run, all that it sends for it.

        Raises:
            RedactError: what the decoder raised.
            InputError: the process has ended, says nothing any more, or says what makes no sense.
        """
        while True:
            words = self._lines.next(self._process)
            if words is None:
                raise self._ended()
            if run is not None and words.get("run") not in (None, run):
                continue
            if "error" in words:
                raise self._told(words)
            if key in words:
                return words[key] if run is None else words

    def _checked(self, check: Callable[[Any], T], untrusted: Any) -> T:
        """Return what a check makes of something that the process has sent."""
        try:
            return check(untrusted)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self._ended() from error

    def _told(self, words: Words) -> RedactError:
        """Return the error that the process tells of."""
        kinds = {kind.__name__: kind for kind in (InputError, UsageError, DependencyError)}
        kind = kinds.get(str(words["error"]))
        if kind is None and words.get("message"):
            self.stop()
            return InputError(
                f"The decoder failed at {self.path.name}: {str(words['message'])[:LONGEST_TEXT]}.",
                "Where other clips fail as well, a library here is not as redact needs it: ask `redact doctor`.",
            )
        if kind is None:
            return self._ended()
        return kind(str(words.get("message"))[:LONGEST_TEXT], str(words.get("advice"))[:LONGEST_TEXT])

    def _ended(self) -> InputError:
        """Return the error for a decoder that has not done its work; it is ended, if it was not."""
        self.stop()
        return InputError(
            f"{self.path.name} ended the decoder that read it, or made it hang, take too much memory or try what it "
            "may not do. The file may be damaged or hostile.",
            "Open it only on a machine that holds nothing else.",
        )


class ApartDecoder(_Apart):
    """A `Decoder` whose work is done in a process of its own. A context manager; for one thread at a time.

    Args:
        path: the clip. It is only ever read.
        number: which of its streams of pictures, from 1.
        kind: "still" for the pixels of a still picture as it holds them, in BGR.

    Attributes:
        header: what the file says.
        lost: as a `Decoder`.

    Raises:
        InputError: the clip cannot be opened, holds no picture, or ended its decoder.
        UsageError: it has no stream of this number.
    """

    header: Header

    def __init__(self, path: Path, number: int = 1, kind: str = "pictures") -> None:
        self._shape: tuple[int, ...] | None = None
        super().__init__(path, kind, number, check_header)

    def frames(self, begin: Fraction | None = None, end: Fraction | None = None) -> Iterator[Decoded]:
        """Yield the frames of an excerpt, as `Decoder.frames`."""
        self.lost.clear()
        times = {"begin": begin, "end": end}
        order = {name: None if t is None else t.as_integer_ratio() for name, t in times.items()}
        yield from self._frames(order, self._frame)

    def frames_near(self, time: Fraction) -> Iterator[Decoded]:
        """Yield frames from the last key frame before a time on, as `Decoder.frames_near`."""
        yield from self._frames({"near": time.as_integer_ratio()}, self._frame)

    def _frame(self, untrusted: Any) -> Decoded:
        """Return a frame that was sent."""
        slot, index, numerator, denominator, shape, (quarters, mirrored), damaged = untrusted
        check_numbers(index, quarters, *shape)
        if quarters not in range(4):
            raise ValueError
        whole = shape[2:] == [3] or (len(shape) == 2 and shape[0] % 3 == 0 and shape[1] % 2 == 0)
        size = int(np.prod([int(side) for side in shape], dtype=object))
        if not whole or min(shape) < 1 or size > SLOT or self._shape not in (None, tuple(shape)):
            raise ValueError
        self._shape = tuple(shape)
        plain: Picture = np.empty(shape, np.uint8)
        self._take(slot, plain)
        turn = Turn(quarters, mirrored is True)
        return Decoded(index, check_fraction((numerator, denominator)), plain, turn, damaged is not False)


class ApartSound(_Apart):
    """A `SoundDecoder` whose work is done in a process of its own. A context manager; for one thread at a time.

    Args:
        path: the file. It is only ever read.
        number: which of its streams of sound, from 1.

    Attributes:
        header: the form of what it gives.

    Raises:
        InputError: the file cannot be opened, holds no sound, or ended its decoder.
        UsageError: it has no stream of this number.
    """

    header: SoundHeader

    def __init__(self, path: Path, number: int = 1) -> None:
        super().__init__(path, "sound", number, check_sound_header)

    def sounds(self) -> Iterator[Heard]:
        """Yield the sound in order, as `SoundDecoder.sounds`; what is no number is silent."""
        for parts in self._frames({}, self._parts):
            yield from parts

    def _parts(self, untrusted: Any) -> list[Heard]:
        """Return some sound that was sent."""
        slot, parts = untrusted
        lengths = [length for _, length in parts]
        channels = 1 + LAYOUTS.index(self.header.layout)
        check_numbers(*lengths)
        if min(lengths, default=0) < 0 or sum(lengths) * channels * 4 > SLOT:
            raise ValueError
        samples: Samples = np.empty((channels, sum(lengths)), np.float32)
        self._take(slot, samples)
        samples = np.clip(np.nan_to_num(samples), -LOUDEST, LOUDEST)
        ends = np.cumsum(lengths)
        times = [None if time is None else check_fraction(time) for time, _ in parts]
        return [
            Heard(time, samples[:, end - length : end]) for time, length, end in zip(times, lengths, ends, strict=True)
        ]


def list_contents(path: Path) -> Contents:
    """Return what a file holds: streams, tags and chapters; of very many, or very long ones, the first.

    Raises:
        InputError: it cannot be opened, or ended its decoder.
    """
    with _Apart(path, "contents", 1, check_contents) as apart:
        contents: Contents = apart.header
        return contents


def ask_rights() -> tuple[bool, tuple[str, ...]]:
    """Return whether a process that decodes says that it is locked in, and what of some things it could still do.

    Raises:
        RedactError: it does not start, or has ended.
    """
    with _Apart(Path(__file__), "rights", 1, lambda told: tuple(map(str, told))) as apart:
        return apart.locked, apart.header


class _UntrustedLines(Lines):
    """Reads what a process sends that may be hostile."""

    def next(self, process: int) -> Words | None:
        """Return the next object; None where there is none in time, or what came is none."""
        try:
            while b"\n" not in self._rest:
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLIN)
                waiting.register(process, select.POLLIN)
                ready = [descriptor for descriptor, _ in waiting.poll(QUIET_S * 1000)]
                if self._descriptor not in ready or len(self._rest) > LONGEST_LINE:
                    return None
                self._take()
            words = self.read()
            return words if isinstance(words, dict) else None
        except (EOFError, OSError, ValueError, RecursionError):
            return None


class _Helper:
    """The process that starts decoders; it reads no clip."""

    def __init__(self, owner: int) -> None:
        self._lock = threading.Lock()
        self._orders = itertools.count()
        self._owner = owner
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # only a process of one thread may be forked
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {START}",
             json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet}, process_group=0, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._out = self._process.stdin.fileno()
        self._lines = Lines(self._process.stdout.fileno())
        atexit.register(self.close)

    def start(self, order: Words) -> int:
        """Start a decoder that waits for a word, and return a descriptor of its process.

        Raises:
            OSError, EOFError: the helper has died.
        """
        with self._lock:
            try:
                name = [self._owner, next(self._orders)]
                write(self._out, {"order": name, "process": self._owner, **order})
                while (words := self._lines.read())["order"] != name:  # of a copy of this process that was killed
                    pass
                return os.pidfd_open(words["pid"])
            except BaseException:  # a decoder of whom nobody knows would take what is opened next for what it was given
                self._process.kill()
                self._process.wait()
                raise

    def close(self) -> None:
        """End the process."""
        with self._process:
            pass  # closing its standard input ends it


@cache
def _helper(owner: int) -> _Helper:
    """Return the helper of this process."""
    return _Helper(owner)


def prepare() -> None:
    """Begin to start what starts decoders, so that it is ready when the first clip is opened."""
    with suppress(OSError):  # then the first clip tells
        _helper(os.getpid())


def _start(order: Words) -> int:
    """Start a decoder, by a new helper where the one there was has died."""
    try:
        return _helper(os.getpid()).start(order)
    except (OSError, EOFError):
        _helper.cache_clear()
    try:
        return _helper(os.getpid()).start(order)
    except (OSError, EOFError) as error:
        _helper.cache_clear()
        raise DependencyError(
            "The process that starts decoders has ended.", "Make room in memory; try again."
        ) from error
