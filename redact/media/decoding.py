"""Decoding: from a file to its pictures, their times, and what is wrong with them. All of it touches hostile data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.video.frame import PictureType

from redact.errors import InputError, UsageError
from redact.media.files import open_container, picture_stream, start_time, unreadable
from redact.media.frames import Colour, Picture
from redact.media.pixels import BT601, Levelling, Turn, colour_of, form_of, link, to_420, turn_of
from redact.media.stills import is_still, read_still

BESIDE = 2  # so many frames before it go into one that is made whole from its fields
ONE_FROM_EACH = "mode=send_frame:parity=auto:deint=interlaced"  # frames that are not interlaced stay as they are


@dataclass(frozen=True)
class Header:
    """What a file says of its pictures. Only the colours and the unit of time are used for more than guesses.

    Attributes:
        time_base: the unit of the time stamps, in seconds.
        rate: frames per second.
        colour: the colour description of the decoded pictures.
        sounds: how many streams of sound there are.
        still: it is a still picture.
        untrusted_frames: how many frames there are, or None.
        untrusted_end: when the last one ends, in seconds from the beginning of the clip, or None.
    """

    time_base: Fraction
    rate: Fraction
    colour: Colour
    sounds: int
    still: bool
    untrusted_frames: int | None
    untrusted_end: Fraction | None


STILL = Header(Fraction(1, 25), Fraction(25), Colour(matrix=BT601), 0, True, 1, None)


@dataclass(frozen=True)
class Decoded:
    """A decoded frame: as `Frame`, but its picture is in the form in which it travels, and not upright yet."""

    index: int
    time: Fraction
    plain: Picture
    turn: Turn
    damaged: bool


class _Raw(NamedTuple):
    """A frame as the decoder gives it, and its pixels, which may be made from those of several."""

    frame: Any
    pixels: Any
    damaged: bool


class Decoder:
    """Decodes one stream of pictures. A context manager.

    Args:
        path: the clip. It is only ever read.
        number: which of its streams of pictures, from 1.
        handed: the clip's descriptor, in a process that may not open it itself.

    Attributes:
        header: what the file says.
        lost: begin and end of the stretches in which something could not be decoded at all, in seconds from the
            beginning of the clip; complete after the last frame.

    Raises:
        InputError: the clip cannot be opened, or holds no picture.
        UsageError: it has no stream of this number.
    """

    def __init__(self, path: Path, number: int = 1, handed: int | None = None) -> None:
        self.path = path
        self._handed = handed
        self.lost: list[tuple[Fraction, Fraction]] = []
        self._last: Fraction | None = None  # time of the frame before
        self._gap = False  # something could not be decoded since then
        self._levelling: Levelling | None = None
        self._still = is_still(path, handed)
        with ExitStack() as stack:
            if self._still:
                if number > 1:
                    raise UsageError(f"{path.name} is a still picture; --stream {number} is none of its streams.")
                self.header = STILL
            else:
                self._container = stack.enter_context(open_container(path, handed))
                self._stream = picture_stream(path, self._container, number)
                # One thread: several report errors late or not at all, and guess differently each time.
                self._stream.codec_context.thread_count = 1
                self.header = self._read_header()
            self._stack = stack.pop_all()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _read_header(self) -> Header:
        """Return what the file says."""
        stream, container = self._stream, self._container
        unit = Fraction(stream.time_base or Fraction(1, 1000))
        self._start = start_time(container, unit)
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        width, height = _square_size(stream, stream.codec_context)
        untrusted_end: Fraction | None = None
        if stream.duration:
            untrusted_end = (stream.duration + (stream.start_time or 0)) * unit - self._start
        elif container.duration and len(container.streams) == 1:
            untrusted_end = Fraction(container.duration, av.time_base)
        return Header(
            time_base=unit,
            rate=rate,
            colour=colour_of(stream.codec_context, width % 2 == 0 and height % 2 == 0),
            sounds=len(container.streams.audio),
            still=False,
            untrusted_frames=stream.frames or (int(untrusted_end * rate) if untrusted_end else None),
            untrusted_end=untrusted_end,
        )

    def frames(self, begin: Fraction | None = None, end: Fraction | None = None) -> Iterator[Decoded]:
        """Yield the frames of an excerpt in display order.

        Args:
            begin: the first frame is the first one shown at this time or later; None for the clip's first.
            end: the frame shown at this time and those after it are left out; None for none.

        Raises:
            InputError: not one frame could be decoded, or reading failed.
        """
        self.lost.clear()
        if self._still:
            picture = read_still(self.path, self._handed)
            even = picture.shape[0] % 2 == 0 and picture.shape[1] % 2 == 0
            if not begin:
                yield Decoded(0, Fraction(0), to_420(picture) if even else picture, Turn(), False)
            return
        self._last = None
        ends = Fraction(0)
        index = -1
        for index, (untrusted, pixels, damaged) in enumerate(_whole(self._decode())):
            before: Fraction | None = self._last
            time = self._time(untrusted)
            self._last = time
            if self._gap:
                self.lost.append((before or Fraction(0), time))
                self._gap = False
            if end is not None and time >= end:
                return
            ends = time + max(untrusted.duration * self._unit(untrusted), 1 / self.header.rate)
            self._level(pixels)
            if begin is not None and time < begin:
                continue
            yield self._decoded(index, time, untrusted, pixels, damaged)
        if index < 0:
            raise InputError(f"{self.path.name} holds no frame that can be decoded.")
        until = self.header.untrusted_end
        if self._gap or (until is not None and until > ends + 1 / self.header.rate):
            self.lost.append((ends, max(ends, until or ends)))

    def frames_near(self, time: Fraction) -> Iterator[Decoded]:
        """Yield frames in display order from the last key frame before a time on; their index is not known, and -1.

        Only where their times are those that `frames` gave may they be believed. There are none where the format cannot
        be sought in. Those made whole from fields differ at first, where what came before them is missing: they count
        as damaged.

        Raises:
            InputError: reading failed.
        """
        if self._still:
            yield from (replace(frame, index=-1) for frame in self.frames())
            return
        try:
            offset = int(max(time + self._start, Fraction(0)) / self.header.time_base)
            self._container.seek(offset, stream=self._stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return
        for number, (untrusted, pixels, damaged) in enumerate(_whole(self._decode())):
            if untrusted.pts is None:
                return
            shown = untrusted.pts * self._unit(untrusted) - self._start
            alone = untrusted.interlaced_frame and number < BESIDE
            yield self._decoded(-1, shown, untrusted, pixels, damaged or alone)

    def _decoded(self, index: int, time: Fraction, untrusted: Any, pixels: Any, damaged: bool) -> Decoded:
        """Return a frame with its picture in the form in which it travels."""
        return Decoded(index, time, self._level(pixels).plain(pixels), turn_of(untrusted), damaged)

    def _level(self, pixels: Any) -> Levelling:
        """Return what makes all pictures as large as the first one of the clip."""
        self._levelling = self._levelling or Levelling(*_square_size(self._stream, pixels))
        return self._levelling

    def _decode(self) -> Iterator[_Raw]:
        """Yield each decoded frame, and whether the decoder had to guess it.

        After data that cannot be decoded, or a frame that was guessed, everything up to a key frame that comes later in
        the file counts as guessed: it is made from what came before. So do the frames that are made from both sides,
        up to the next that is not, where one of them is guessed or that next one: it may have gone into all of them.
        """
        broken = self._gap = False
        run: list[_Raw] = []
        for frames, sound in self._chunks():
            broken = broken or not sound
            for frame in frames:
                fresh = self._is_fresh(frame)
                broken = frame.is_corrupt or (broken and not fresh)
                run.append(_Raw(frame, frame, broken))
                if frame.pict_type != PictureType.B:
                    yield from _with_beside(run)
                    run = []
        yield from _with_beside(run)

    def _is_fresh(self, frame: Any) -> bool:
        """Return whether a frame is a key frame that was read after the last data that could not be decoded."""
        if not frame.key_frame:
            return False
        fresh = not self._keys.isdisjoint({frame.pts, None})  # what has no time stamp is not told
        self._keys.discard(frame.pts)
        return fresh

    def _chunks(self) -> Iterator[tuple[list[Any], bool]]:
        """Yield the frames that come out after each packet, and whether it was sound."""
        self._keys = set[int | None]()
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_keyframe:
                    self._keys.add(packet.pts)
                try:
                    yield packet.decode(), not packet.is_corrupt
                except av.error.EOFError:
                    return
                except av.error.FFmpegError:
                    self._gap = True
                    self._keys.clear()
                    yield [], False
        except OSError as error:
            raise unreadable(self.path, error) from error
        except av.error.FFmpegError:  # the rest of the file cannot be read
            self._gap = True
            self._keys.clear()
            yield self._stream.decode(None), False

    def _unit(self, untrusted: Any) -> Fraction:
        """Return the unit of a frame's times."""
        return Fraction(untrusted.time_base or self.header.time_base)

    def _time(self, untrusted: Any) -> Fraction:
        """Return a frame's time: strictly later than the one before it, also where the file says otherwise."""
        if untrusted.pts is None:
            return Fraction(0) if self._last is None else self._last + 1 / self.header.rate
        time = untrusted.pts * self._unit(untrusted) - self._start
        return time if self._last is None or time > self._last else self._last + self.header.time_base


def _square_size(stream: Any, holder: Any) -> tuple[int, int]:
    """Return the width and height of a picture in square pixels, before it is turned upright."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    return (max(1, round(holder.width * aspect)) if aspect > 0 else holder.width), holder.height


def _with_beside(run: Sequence[_Raw]) -> Iterator[_Raw]:
    """Yield frames, of which all but the last one are made from both sides: all these are damaged where one is."""
    guessed = any(raw.damaged for raw in run)
    yield from (raw._replace(damaged=raw.damaged or guessed) for raw in run[:-1])
    yield from run[-1:]


def _whole(raws: Iterator[_Raw]) -> Iterator[_Raw]:
    """Yield frames with those that are interlaced made whole: one from each, from its fields and those beside it."""
    fields: _Fields | None = None
    for raw in raws:
        if fields is not None and fields.form != form_of(raw.pixels):
            yield from fields.flush()
            fields = None
        if fields is None and not raw.pixels.interlaced_frame:
            yield raw
            continue
        fields = fields or _Fields(raw.pixels)
        yield from fields.push(raw)
    if fields is not None:
        yield from fields.flush()


class _Fields:
    """Makes whole pictures of interlaced ones; each comes out when the next has gone in.

    A frame beside a damaged one is damaged then: it may hold something of it.
    """

    def __init__(self, frame: Any) -> None:
        self.form = form_of(frame)
        self._graph = link(frame, ("bwdif", ONE_FROM_EACH))
        self._waiting: deque[_Raw] = deque()
        self._damaged = False  # the frame before the one that waits longest

    def push(self, raw: _Raw) -> Iterator[_Raw]:
        """Take the next frame; yield what is done."""
        self._waiting.append(raw)
        self._graph.push(raw.pixels)
        return self._done()

    def flush(self) -> Iterator[_Raw]:
        """Yield the rest."""
        self._graph.push(None)
        return self._done()

    def _done(self) -> Iterator[_Raw]:
        """Yield the frames that are done."""
        while self._waiting:
            try:
                pixels = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            raw = self._waiting.popleft()
            beside = self._damaged or any(other.damaged for other in list(self._waiting)[:1])
            self._damaged = raw.damaged
            yield raw._replace(pixels=pixels, damaged=raw.damaged or beside)
