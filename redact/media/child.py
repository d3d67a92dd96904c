"""The processes in which clips are decoded: one that starts others, and those, which may do nothing but decode.

The first (`main`) reads no clip. For each order it forks a process (`_decode`) that gets the clip, two pipes and some
shared memory as descriptors, gives up every right that it does not need, and only then looks at the clip.
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
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

from redact.errors import RedactError
from redact.media.decoding import Decoded, Decoder, Header
from redact.media.jail import lock_in
from redact.media.stills import LARGEST

SLOTS = 2  # frames that wait for the other process: one is taken while the next is decoded
SLOT = LARGEST * 3  # bytes for each; what is not used takes no memory
SIGN_S = 1.0  # how often a process says that it is at work, where no frame comes out
PR_SET_PDEATHSIG = 1

Words = dict[str, Any]


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
    orders = Lines(0)
    with suppress(EOFError):
        while True:
            order = orders.read()
            if child := os.fork():
                write(1, {"order": order["order"], "pid": child})
                continue
            try:
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
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it ends with the one that started it
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
        decoder = _Busy(Path(order["path"]), order["number"], clip, replies)
        write(replies, {"header": pack_header(decoder.header)})
        words = lines.read()
        while True:
            words = _answer(decoder, words, lines, replies, memory)
    except EOFError:
        return
    except Exception as error:
        write(replies, _complaint(error))


class _Busy(Decoder):
    """A decoder that says now and then that it is at work."""

    def __init__(self, path: Path, number: int, clip: int, replies: int) -> None:
        self._replies, self._said = replies, monotonic()
        super().__init__(path, number, clip)

    def _chunks(self) -> Iterator[tuple[list[Any], bool]]:
        for chunk in super()._chunks():
            if monotonic() > self._said + SIGN_S:
                self._said = monotonic()
                write(self._replies, {})
            yield chunk


def _answer(decoder: Decoder, words: Words, lines: Lines, replies: int, memory: mmap.mmap) -> Words:
    """Send the frames that were asked for; return what is asked for next."""
    run = words["run"]
    if "near" in words:
        frames = decoder.frames_near(Fraction(*words["near"]))
    else:
        frames = decoder.frames(*(None if words[name] is None else Fraction(*words[name]) for name in ("begin", "end")))
    free, lost = SLOTS, 0
    answer: Words
    try:
        for number, frame in enumerate(frames):
            while not free or lines.waiting():
                words = lines.read()
                if "took" not in words:
                    return words
                free += 1
            slot = number % SLOTS
            answer = {"run": run, "frame": _pack_frame(frame, slot, memory), "lost": _pairs(decoder.lost[lost:])}
            lost = len(decoder.lost)
            free -= 1
            write(replies, answer)
        write(replies, {"run": run, "end": True, "lost": _pairs(decoder.lost[lost:])})
    except (RedactError, MemoryError) as error:
        write(replies, {"run": run, "lost": _pairs(decoder.lost[lost:]), **_complaint(error)})
    while "took" in (words := lines.read()):
        pass
    return words


def _pack_frame(frame: Decoded, slot: int, memory: mmap.mmap) -> list[Any]:
    """Put a picture into shared memory, and return what else there is to a frame."""
    plain = frame.plain
    if plain.nbytes > SLOT:
        raise MemoryError
    np.frombuffer(memory, np.uint8, plain.nbytes, slot * SLOT).reshape(plain.shape)[...] = plain
    turn = [frame.turn.quarters, bool(frame.turn.mirrored)]
    return [slot, int(frame.index), *_pairs([(frame.time,)])[0][0], plain.shape, turn, bool(frame.damaged)]


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
    return {"error": ""}
