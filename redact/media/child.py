"""The processes in which files are decoded: one that starts others, and those, which may do nothing but decode.

The first (`main`) reads no clip. For each order it forks a process (`_decode`) that gets the file, two pipes and some
shared memory as descriptors, gives up every right that it does not need, and only then looks at the file.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import os
import pkgutil
import select
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from redact.errors import RedactError
from redact.jail import lock_in
from redact.media.decoding import STILL, Decoded, Decoder, Header
from redact.media.files import read_contents
from redact.media.listening import Heard, SoundDecoder
from redact.media.pixels import Turn
from redact.media.stills import LARGEST, read_still

SLOTS = 2  # frames that wait for the other process: one is taken while the next is decoded
SLOT = LARGEST * 3  # bytes for each; what is not used takes no memory
PARTS = 256  # of sound that are sent at once, at most
TOGETHER = 1 << 17  # samples, after which they are sent
LONGEST_LIST, LONGEST_TAG = 500, 200  # of what is told of a file's streams and tags
SIGN_S = 1.0  # how often a process says that it is at work, where no frame comes out
PR_SET_PDEATHSIG, AF_INET, SOCK_STREAM = 1, 2, 1
LIBC = ctypes.CDLL(None)

Words = dict[str, Any]
Numbers = NDArray[Any]


class Lines:
    """Reads JSON objects, one a line, from a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def waiting(self) -> bool:
        """Return whether there is something to read."""
        return b"\n" in self._rest or bool(select.select([self._descriptor], [], [], 0)[0])

    def read(self) -> Words:
        """Return the next object.

        Raises:
            EOFError: there is none, and there will be none.
        """
        while b"\n" not in self._rest:
            self._take()
        line, _, self._rest = self._rest.partition(b"\n")
        words: Words = json.loads(line)
        return words

    def _take(self) -> None:
        """Read what has come."""
        block = os.read(self._descriptor, 1 << 16)
        if not block:
            raise EOFError
        self._rest += block


def write(descriptor: int, words: Words) -> None:
    """Write an object as a line."""
    data = json.dumps(words).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    """Fork a process for each order that comes by standard input, until that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    _load_all()
    orders, helper = Lines(0), os.getpid()
    with suppress(EOFError):
        while True:
            order = orders.read()
            if child := os.fork():
                write(1, {"order": order["order"], "pid": child})
                continue
            try:
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it ends with the one that started it
                if os.getppid() == helper:
                    _decode(order)
            finally:
                os._exit(1)


def _load_all() -> None:
    """Load what the libraries load when they first need it: a process that may open no file could not."""
    Image.init()
    import PIL.ImageCms
    import PIL.ImageOps
    import PIL.ImagePalette  # noqa: F401

    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _decode(order: Words) -> None:
    """Decode a clip, in this process, as the one at the other end asks."""
    here = f"/proc/{order['process']}/fd/"
    ways = {"orders": os.O_RDONLY, "replies": os.O_WRONLY, "clip": os.O_RDONLY, "memory": os.O_RDWR}
    orders, replies, clip, shared = (os.open(here + str(order[name]), way) for name, way in ways.items())
    memory = mmap.mmap(shared, SLOTS * SLOT)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    kept = (orders, replies, clip, shared)
    for descriptor in range(3, max(kept)):
        if descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)
    os.closerange(max(kept) + 1, os.sysconf("SC_OPEN_MAX"))
    lines = Lines(orders)
    write(replies, {"locked": lock_in()})
    try:
        lines.read()
        work = KINDS[order["kind"]](Path(order["path"]), order["number"], clip, replies)
        write(replies, {"header": work.told()})
        words = lines.read()
        while True:
            words = _answer(work, words, lines, replies, memory)
    except EOFError:
        return
    except Exception as error:
        write(replies, _complaint(error))


class _Work:
    """What is asked of a process. It says now and then that it is at work.

    Args:
        path: the file; only its name is used.
        number: which of its streams.
        file: its descriptor.
        replies: where what it says goes.

    Attributes:
        lost: stretches that could not be decoded, so far.
    """

    def __init__(self, path: Path, number: int, file: int, replies: int) -> None:
        self._replies, self._said = replies, monotonic()
        self.lost: list[tuple[Fraction, Fraction]] = []

    def told(self) -> list[Any]:
        """Return what is said of the file."""
        raise NotImplementedError

    def asked(self, words: Words) -> Iterator[tuple[Numbers, list[Any]]]:
        """Yield what is asked for: numbers for the shared memory, and what else there is to them."""
        raise NotImplementedError

    def _working(self) -> None:
        """Say that it is at work, if that was not said lately."""
        if monotonic() > self._said + SIGN_S:
            self._said = monotonic()
            write(self._replies, {})


class _Pictures(_Work, Decoder):
    """Decodes pictures."""

    def __init__(self, path: Path, number: int, file: int, replies: int) -> None:
        _Work.__init__(self, path, number, file, replies)
        Decoder.__init__(self, path, number, file)

    def told(self) -> list[Any]:
        return pack_header(self.header)

    def asked(self, words: Words) -> Iterator[tuple[Numbers, list[Any]]]:
        if "near" in words:
            frames = self.frames_near(Fraction(*words["near"]))
        else:
            times = (None if words[name] is None else Fraction(*words[name]) for name in ("begin", "end"))
            frames = self.frames(*times)
        for frame in frames:
            yield frame.plain, _pack_frame(frame)

    def _chunks(self) -> Iterator[tuple[list[Any], bool]]:
        for chunk in super()._chunks():
            self._working()
            yield chunk


class _Still(_Work):
    """Decodes a still picture to the very pixels that it holds, before they are brought into another form."""

    def __init__(self, path: Path, number: int, file: int, replies: int) -> None:
        super().__init__(path, number, file, replies)
        self._path, self._file = path, file

    def told(self) -> list[Any]:
        return pack_header(STILL)

    def asked(self, words: Words) -> Iterator[tuple[Numbers, list[Any]]]:
        picture = read_still(self._path, self._file)
        yield picture, _pack_frame(Decoded(0, Fraction(0), picture, Turn(), False))


class _Sound(_Work, SoundDecoder):
    """Decodes sound."""

    def __init__(self, path: Path, number: int, file: int, replies: int) -> None:
        _Work.__init__(self, path, number, file, replies)
        SoundDecoder.__init__(self, path, number, file)

    def told(self) -> list[Any]:
        return list(self.header)

    def asked(self, words: Words) -> Iterator[tuple[Numbers, list[Any]]]:
        parts: list[Heard] = []
        for part in self.sounds():
            parts.append(part)
            if len(parts) == PARTS or sum(heard.samples.shape[1] for heard in parts) > TOGETHER:
                yield _pack_sound(parts)
                parts = []
        if parts:
            yield _pack_sound(parts)

    def _packets(self) -> Iterator[Any]:
        for packet in super()._packets():
            self._working()
            yield packet


class _Contents(_Work):
    """Says what a container holds."""

    def __init__(self, path: Path, number: int, file: int, replies: int) -> None:
        super().__init__(path, number, file, replies)
        self._contents = read_contents(path, file)

    def told(self) -> list[Any]:
        found = self._contents
        tags = [tag[:LONGEST_TAG] for tag in found.tags[:LONGEST_LIST]]
        return [found.streams[:LONGEST_LIST], found.pixel_format, tags, found.chapters]


class _Rights(_Work):
    """Tries what it may not do."""

    def told(self) -> list[Any]:
        attempts: dict[str, Callable[[], int]] = {
            "open files": lambda: os.open(os.devnull, os.O_RDONLY),
            "open connections": lambda: LIBC.socket(AF_INET, SOCK_STREAM, 0),
            "make files": lambda: os.memfd_create("x"),
            "signal other processes": lambda: LIBC.kill(os.getppid(), 0),
        }
        done = []
        for name, attempt in attempts.items():
            with suppress(OSError):
                if attempt() >= 0:
                    done.append(name)
        return done


KINDS: dict[str, type[_Work]] = {
    "pictures": _Pictures,
    "still": _Still,
    "sound": _Sound,
    "contents": _Contents,
    "rights": _Rights,
}


def _answer(work: _Work, words: Words, lines: Lines, replies: int, memory: mmap.mmap) -> Words:
    """Send what was asked for; return what is asked for next."""
    run = words["run"]
    free, lost = SLOTS, 0
    answer: Words
    try:
        for number, (numbers, details) in enumerate(work.asked(words)):
            while not free or lines.waiting():
                words = lines.read()
                if "took" not in words:
                    return words
                free += 1
            slot = number % SLOTS
            _show(numbers, slot, memory)
            answer = {"run": run, "frame": [slot, *details], "lost": _pairs(work.lost[lost:])}
            lost = len(work.lost)
            free -= 1
            write(replies, answer)
        write(replies, {"run": run, "end": True, "lost": _pairs(work.lost[lost:])})
    except (RedactError, MemoryError) as error:
        write(replies, {"run": run, "lost": _pairs(work.lost[lost:]), **_complaint(error)})
    while "took" in (words := lines.read()):
        pass
    return words


def _show(numbers: Numbers, slot: int, memory: mmap.mmap) -> None:
    """Put numbers into shared memory."""
    if numbers.nbytes > SLOT:
        raise MemoryError
    np.frombuffer(memory, numbers.dtype, numbers.size, slot * SLOT).reshape(numbers.shape)[...] = numbers


def _pack_frame(frame: Decoded) -> list[Any]:
    """Return what there is to a frame besides its picture."""
    turn = [frame.turn.quarters, bool(frame.turn.mirrored)]
    return [int(frame.index), *_pairs([(frame.time,)])[0][0], frame.plain.shape, turn, bool(frame.damaged)]


def _pack_sound(parts: Sequence[Heard]) -> tuple[Numbers, list[Any]]:
    """Return parts of sound one after the other, and the time and length of each."""
    times = [None if part.time is None else _pairs([(part.time,)])[0][0] for part in parts]
    lengths = [part.samples.shape[1] for part in parts]
    return np.hstack([part.samples for part in parts]), [list(zip(times, lengths, strict=True))]


def _pairs(times: Any) -> list[list[tuple[int, int]]]:
    """Return times as numerators and denominators."""
    return [[(int(time.numerator), int(time.denominator)) for time in some] for some in times]


def pack_header(header: Header) -> list[Any]:
    """Return a header as what JSON knows."""
    colour = [int(value) for value in (header.colour.matrix, header.colour.primaries, header.colour.transfer)]
    end = None if header.untrusted_end is None else _pairs([(header.untrusted_end,)])[0][0]
    base, rate = _pairs([(header.time_base, header.rate)])[0]
    return [base, rate, colour, int(header.sounds), bool(header.still), header.untrusted_frames, end]


def _complaint(error: Exception) -> Words:
    """Return an error as what JSON knows."""
    if isinstance(error, RedactError):
        return {"error": type(error).__name__, "message": str(error), "advice": error.advice}
    if isinstance(error, MemoryError):
        return {"error": "MemoryError"}
    return {"error": "", "message": f"{type(error).__name__}: {error}"}
