"""Single frames of a clip by their index, without decoding all that is before them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from redact.errors import InputError
from redact.media import Frame, FrameReader
from redact.media.apart import ApartDecoder
from redact.media.decoding import Decoded
from redact.media.pixels import upright

SEEK_S = Fraction(2)  # frames so near ahead are decoded without seeking; and how far before a frame it is tried again
KEPT_BEHIND = 24  # frames before a sought one that are kept, for stepping back
KEPT_BYTES = 200 << 20  # and how much of them: 32 pictures of 1920x1080


class FrameSeeker:
    """Decodes single frames of an excerpt, by their index. A context manager; for one thread.

    It gives the very frames that a `FrameReader` gives in order: a frame that was sought is only believed where it and
    those decoded on the way to it have the times of the excerpt; else the clip is decoded from its beginning.

    Args:
        path: the clip. It is only ever read.
        first: index of the excerpt's first frame.
        times: presentation time of each of its frames, as a `FrameReader` gave them.
        stream: which of its streams of pictures, from 1.

    Raises:
        InputError: as a `FrameReader`.
    """

    def __init__(self, path: Path, first: int, times: Sequence[Fraction], stream: int = 1) -> None:
        self.path = path
        self._first, self._times, self._stream = first, times, stream
        self._numbers = {time: first + n for n, time in enumerate(times)}
        self._coming: Iterator[Decoded] = iter(())
        self._next: int | None = None  # index of the frame that is decoded next, where it is known
        self._kept: dict[int, Frame | Decoded] = {}  # made upright and coloured only when they are asked for
        self._decoder = ApartDecoder(path, stream)
        try:
            next(self._decoder.frames(), None)  # the first frame says how large pictures are
        except InputError:
            self._decoder.__exit__()
            raise

    def __enter__(self) -> FrameSeeker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.__exit__(kind, error, trace)

    def read(self, frame: int) -> Frame:
        """Return a frame of the excerpt.

        Raises:
            IndexError: it is not in the excerpt.
            InputError: the clip cannot be read, or no longer holds it.
        """
        return self.seek(frame) or self._from_beginning(frame)

    def seek(self, frame: int) -> Frame | None:
        """Return a frame of the excerpt, or None where it can only be had from the clip's beginning on.

        Raises:
            IndexError: it is not in the excerpt.
        """
        if not 0 <= frame - self._first < len(self._times):
            raise IndexError(f"frame {frame} is not in the excerpt")
        if frame in self._kept:
            return self._shown(frame)
        ahead = math.ceil(float(SEEK_S) * float(self._decoder.header.rate))
        if self._next is None or not 0 <= frame - self._next <= ahead:
            self._next = None
        for back in (Fraction(0), SEEK_S, 5 * SEEK_S):
            if self._next is None:
                self._coming = self._decoder.frames_near(self._times[frame - self._first] - back)
            if found := self._walk(frame):
                return found
            self._next = None
        return None

    def _walk(self, frame: int) -> Frame | None:
        """Decode up to a frame; None where what is decoded does not have the times that it should have."""
        try:
            for decoded in self._coming:
                number = self._numbers.get(decoded.time)
                if self._next is None and (decoded.damaged or (number is None and decoded.time < self._times[0])):
                    continue
                if number is None or decoded.damaged or self._next not in (None, number) or number > frame:
                    return None
                self._next = number + 1
                if number > frame - KEPT_BEHIND:
                    self._keep(number, decoded)
                if number == frame:
                    return self._shown(frame)
        except InputError:  # where it cannot be decoded from here, it may still be from the beginning
            return None
        return None

    def _from_beginning(self, frame: int) -> Frame:
        """Decode the clip from its beginning to a frame, as a reader does."""
        self._next = None
        with FrameReader(self.path, self._begin_time(), stream=self._stream) as reader:
            for found in reader:
                if found.index > frame - KEPT_BEHIND:
                    self._keep(found.index, found)
                if found.index == frame:
                    return found
        raise InputError(f"{self.path.name} no longer holds frame {frame}.", "Check the disk that it is on.")

    def _begin_time(self) -> Fraction | None:
        """Return where the excerpt begins; None at the clip's first frame."""
        return self._times[0] if self._first else None

    def _shown(self, number: int) -> Frame:
        """Return a frame that is kept."""
        kept = self._kept[number]
        if isinstance(kept, Decoded):
            kept = Frame(number, kept.time, upright(kept.plain, kept.turn), kept.damaged)
            self._kept[number] = kept
        return kept

    def _keep(self, number: int, frame: Frame | Decoded) -> None:
        """Keep a frame for stepping back, and let go of the oldest where they are too many."""
        self._kept[number] = frame
        while len(self._kept) > 1 and sum(map(_size_bytes, self._kept.values())) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]


def _size_bytes(frame: Frame | Decoded) -> int:
    return frame.picture.nbytes if isinstance(frame, Frame) else frame.plain.nbytes
