"""Reading and writing video. The only room that imports av.

A frame is known by its index (0-based, in display order) and its presentation time: an exact fraction of a second
from the beginning of the clip, which is where a player starts to count. The picture is upright (rotation applied)
with square pixels: BGR, uint8, (height, width, 3). What a file says of itself is called `untrusted_...` until decoding
has confirmed it.

Pictures travel as 8-bit 4:2:0, the form in which the copy is encoded. Turning 4:2:0 into BGR and back loses nothing
(cv2 keeps one colour per 2x2 block), so pixels that are not covered reach the encoder as the decoder gave them.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.format import Flags as FormatFlags
from av.stream import Disposition
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from redact.errors import InputError, OutputError, PlanError, UsageError
from redact.plan import Plan
from redact.residue import blank_user_data

Picture = NDArray[np.uint8]

av.logging.set_level(None)
logging.getLogger("libav").setLevel(logging.CRITICAL)

UNSPECIFIED = 2  # what ITU-T H.273 calls a colour description that is not given
HDR_TRANSFERS = (16, 18)  # PQ and HLG, ITU-T H.273
HASH_BLOCK = 1 << 20
FRAMES_AHEAD = 3  # frames that wait between two threads: enough to hide one's work behind the other's
ENCODER_THREADS = 4  # fixed: the number of threads changes the bytes that x264 writes
PRESET = "veryfast"  # bench/speed.py: half the time of "medium"; at one crf the sizes differ by under a tenth


@dataclass(frozen=True)
class Colour:
    """How numbers become colours (ITU-T H.273): matrix, primaries and transfer, as the source declares them."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes:
        index: 0-based, in display order, counted from the beginning of the clip.
        time: presentation time in seconds from the beginning of the clip.
        picture: upright, square pixels, BGR, uint8, (height, width, 3).
        damaged: the decoder reported that it had to guess.
    """

    index: int
    time: Fraction
    picture: Picture
    damaged: bool


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(HASH_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


class Digest:
    """The hash of a run of frames: their times and their pictures."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, frame: Frame) -> None:
        """Take in the next frame."""
        self._hash.update(f"{frame.time}\n".encode())
        self._hash.update(np.ascontiguousarray(frame.picture).data)

    def hexdigest(self) -> str:
        """Return the hash of the frames so far, in hexadecimal."""
        return self._hash.hexdigest()


class FrameReader:
    """Decodes the frames of a clip, or of an excerpt of it, in display order. A context manager and an iterator.

    Args:
        path: the clip. It is only ever read.
        begin: the first frame is the first one shown at this time or later; None for the clip's first.
        end: the frame shown at this time and those after it are left out; None for none.

    Attributes:
        rate: frames per second, as the file says; good for guesses only.
        time_base: the unit of the clip's time stamps, in seconds.
        colour: the clip's colour description.
        untrusted_frames: how many frames the file says it has, or None.
        has_sound: whether the file says that it has sound.

    Raises:
        InputError: the clip cannot be opened, holds no picture, or holds one of an unsupported kind.
    """

    def __init__(self, path: Path, begin: Fraction | None = None, end: Fraction | None = None) -> None:
        self.path = path
        self._begin, self._end = begin, end
        self._container = _open(path)
        try:
            self._stream = _picture_stream(path, self._container)
            context = self._stream.codec_context
            self.time_base = Fraction(self._stream.time_base or Fraction(1, 1000))
            self._start = _start_time(self._container, self.time_base)
            self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
            self.colour = _colour_of(context)
            self.has_sound = bool(self._container.streams.audio)
            self.untrusted_frames = self._guess_frames()
            if self.colour.transfer in HDR_TRANSFERS:
                raise InputError(
                    f"{path.name} is a high dynamic range video, which this version would show in wrong colours.",
                    "Convert it to standard dynamic range first.",
                )
            self._stream.thread_type = "AUTO"
            self._width = 0
            self._height = 0
            self._ahead = ThreadPoolExecutor(1)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ahead.shutdown(cancel_futures=True)
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the excerpt; the next few are decoded meanwhile.

        Raises:
            InputError: not one frame could be decoded, or reading failed.
        """
        frames = self._frames()
        coming = deque(self._ahead.submit(next, frames, None) for _ in range(FRAMES_AHEAD))
        while (frame := coming.popleft().result()) is not None:
            coming.append(self._ahead.submit(next, frames, None))
            yield frame

    def _frames(self) -> Iterator[Frame]:
        """Yield the frames of the excerpt."""
        last: Fraction | None = None
        index = -1
        for index, (untrusted, damaged) in enumerate(self._decode()):
            time = self._time(untrusted, last)
            last = time
            if self._end is not None and time >= self._end:
                return
            if self._begin is not None and time < self._begin:
                continue
            yield Frame(index, time, self._upright(untrusted), damaged)
        if index < 0:
            raise InputError(f"{self.path.name} holds no frame that can be decoded.")

    def _guess_frames(self) -> int | None:
        """Return a guess of the number of frames in the excerpt, for progress only."""
        untrusted_total = self._stream.frames
        if not untrusted_total and self._container.duration:
            untrusted_total = int(self._container.duration * self.rate / av.time_base)
        if self._begin is None and self._end is None:
            return untrusted_total or None
        whole = untrusted_total / self.rate if untrusted_total else None
        end = whole if self._end is None else self._end if whole is None else min(self._end, whole)
        return None if end is None else max(1, int((end - (self._begin or 0)) * self.rate))

    def _jump(self, time: Fraction) -> bool:
        """Go to the last key frame before a time of the clip; return whether the format allows it."""
        offset = int(max(time + self._start, Fraction(0)) / self.time_base)
        try:
            self._container.seek(offset, stream=self._stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _decode(self) -> Iterator[tuple[Any, bool]]:
        """Yield each decoded frame, and whether the decoder had to guess it.

        After data that cannot be decoded at all, everything up to the next key frame counts as damaged.
        """
        broken = False
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    broken = True
                    continue
                for frame in frames:
                    broken = broken and not frame.key_frame
                    yield frame, broken or frame.is_corrupt
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise _unreadable(self.path, error) from error

    def _time(self, untrusted: Any, last: Fraction | None) -> Fraction:
        """Return a frame's time: strictly later than the one before it, also where the file says otherwise."""
        if untrusted.pts is None:
            return Fraction(0) if last is None else last + 1 / self.rate
        time = untrusted.pts * Fraction(untrusted.time_base or self.time_base) - self._start
        return time if last is None or time > last else last + self.time_base

    def _upright(self, untrusted: Any) -> Picture:
        """Return the picture as a viewer sees it; later frames of another size are brought to the first one's."""
        turns = round((untrusted.rotation or 0) / 90) % 4
        if not self._width:
            aspect = Fraction(self._stream.sample_aspect_ratio or 1)
            self._width = round(untrusted.width * aspect) if aspect > 0 else untrusted.width
            self._height = untrusted.height
        width, height = self._width, self._height
        even = width % 2 == 0 and height % 2 == 0
        plain = (
            untrusted.to_ndarray()
            if _is_plain(untrusted, width, height)
            else untrusted.reformat(
                width=width,
                height=height,
                format="yuv420p" if even else "bgr24",
                dst_color_range=ColorRange.MPEG if even else None,
                interpolation=Interpolation.AREA,
            ).to_ndarray()
        )
        picture: Picture = cv2.cvtColor(plain, cv2.COLOR_YUV2BGR_I420) if even else plain
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def open_excerpt(plan: Plan, clip: Path) -> FrameReader:
    """Return a reader of the excerpt that a plan was made for.

    Raises:
        InputError: the clip cannot be read.
        PlanError: it is not the clip that the plan was made for.
    """
    if hash_file(clip) != plan.source.sha256:
        raise PlanError(
            f"The plan was made for another clip than {clip.name}, or the clip has been changed since. "
            "The plan's boxes would cover the wrong places."
        )
    return FrameReader(clip, plan.settings.from_time, plan.settings.to_time)


class FrameWriter:
    """Writes H.264 in MP4: one picture stream, at most one sound stream, and nothing else. A context manager.

    The same pictures, times and settings give the same bytes. The file is removed if the block is left by an error.

    Args:
        path: the file to write; it must not exist.
        like: the reader whose rate, time base and colours the copy takes.
        crf: constant rate factor.
        sound: the sound to encode beside the pictures.

    Raises:
        OutputError: the file cannot be written, or the encoder failed.
    """

    def __init__(self, path: Path, like: FrameReader, crf: int, sound: SoundReader | None = None) -> None:
        self.path = path
        self._like, self._crf = like, crf
        self._unit = Fraction(1, like.time_base.denominator)
        self._size: tuple[int, int] | None = None
        self._pending: tuple[Picture, Fraction] | None = None
        self._encoder = ThreadPoolExecutor(1)
        self._encoding: deque[Future[None]] = deque()
        self._broken = False
        self._step = 1 / like.rate
        self._sound = sound
        self._sound_frames = iter(sound) if sound else iter(())
        self._next_sound: Any = None
        try:
            # A late first picture is an edit of the movie's time line, whose default unit of 1/1000 s is too coarse.
            options = {
                "movie_timescale": str(self._unit.denominator),
                "movflags": "+faststart",
                "fflags": "+bitexact",
            }
            self._container = av.open(str(path), "w", format="mp4", options=options)
        except (av.error.FFmpegError, OSError) as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
                self._encoder.shutdown()
        except BaseException:
            self._discard()
            raise
        if error is not None:
            self._discard()

    def write(self, picture: Picture, time: Fraction) -> None:
        """Encode one picture, shown from this time on. The work is done meanwhile, in a thread of its own.

        Args:
            picture: BGR, uint8, (height, width, 3); all of one size. Odd sizes are padded by repeating the edge.
            time: presentation time in seconds; later than the one before.
        """
        try:
            if self._size is None:
                self._size = picture.shape[1], picture.shape[0]
                self._add_streams()
            if len(self._encoding) >= FRAMES_AHEAD:
                self._encoding.popleft().result()
            self._encoding.append(self._encoder.submit(self._encode, picture, time))
        except (av.error.FFmpegError, OSError) as error:
            raise _unwritable(self.path, error) from error

    def _add_streams(self) -> None:
        """Open the encoders, now that the picture's size is known."""
        assert self._size is not None
        width, height = (side + side % 2 for side in self._size)
        options = {"preset": PRESET, "crf": str(self._crf), "x264-params": "cpu-independent=1"}
        stream = self._container.add_stream("libx264", rate=self._like.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = self._unit
        context = stream.codec_context
        context.time_base = self._unit
        context.thread_count = ENCODER_THREADS
        context.flags |= Flags.bitexact | Flags.global_header
        colour = self._like.colour
        context.color_range = ColorRange.MPEG
        context.colorspace = colour.matrix
        context.color_primaries = colour.primaries
        context.color_trc = colour.transfer
        self._stream = stream
        self._no_sei = BitStreamFilterContext("filter_units=remove_types=6", "h264")
        if self._sound:
            voice = self._container.add_stream("aac", rate=self._sound.rate)
            voice.codec_context.layout = self._sound.layout
            voice.codec_context.flags |= Flags.bitexact | Flags.global_header
            self._voice = voice

    def _encode(self, picture: Picture, time: Fraction) -> None:
        """Encode the picture before, and keep this one until it is known how long it is shown."""
        if self._broken:
            return
        self._broken = True  # until this frame is through: a muxer that failed once crashes if it is used again
        self._encode_pending(time)
        self._pending = picture, time
        self._broken = False

    def _encode_pending(self, until: Fraction | None) -> None:
        """Encode the picture that waits, which is shown until this time, and the sound up to it."""
        if self._pending is None:
            return
        picture, time = self._pending
        self._step = until - time if until is not None else self._step
        frame = av.VideoFrame.from_ndarray(_to_420(picture), format="yuv420p")
        frame.time_base = self._unit
        frame.pts = int(time / self._unit)
        frame.duration = int(self._step / self._unit)
        self._mux_pictures(self._stream.encode(frame))
        self._mux_sound(time)

    def _mux_pictures(self, packets: list[Any]) -> None:
        """Write packets without their SEI units: x264 leaves its settings there as text."""
        for packet in packets:
            for clean in self._no_sei.filter(packet):
                clean.stream = self._stream
                self._container.mux(clean)

    def _mux_sound(self, until: Fraction | None) -> None:
        """Encode the sound that is heard before this time; None for all that is left."""
        while self._sound:
            frame = self._next_sound or next(self._sound_frames, None)
            self._next_sound = frame
            if frame is None or (until is not None and frame.pts > until * self._sound.rate):
                return
            self._next_sound = None
            for packet in self._voice.encode(frame):
                self._container.mux(packet)

    def _finish(self) -> None:
        """Flush the encoders and close the file."""
        try:
            if self._size is None:
                raise OutputError(f"{self.path.name}: not one frame was written.")
            while self._encoding:
                self._encoding.popleft().result()
            self._encode_pending(None)
            self._mux_pictures(self._stream.encode(None))
            self._mux_sound(None)
            if self._sound:
                for packet in self._voice.encode(None):
                    self._container.mux(packet)
            self._container.close()
            blank_user_data(self.path)
        except (av.error.FFmpegError, OSError) as error:
            raise _unwritable(self.path, error) from error

    def _discard(self) -> None:
        """Close and remove the unfinished file."""
        self._encoder.shutdown(cancel_futures=True)
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            logging.getLogger(__name__).debug("closing an unfinished file failed", exc_info=True)
        self.path.unlink(missing_ok=True)


def as_encoded(picture: Picture) -> Picture:
    """Return a picture as `FrameWriter` gives it to the encoder: of even size, with one colour per 2x2 block."""
    return np.asarray(cv2.cvtColor(_to_420(picture), cv2.COLOR_YUV2BGR_I420), np.uint8)


def _is_plain(frame: Any, width: int, height: int) -> bool:
    """Return whether a decoded frame is in the form in which pictures travel, so that it need not be converted."""
    even = width % 2 == 0 and height % 2 == 0
    limited = frame.color_range in (ColorRange.UNSPECIFIED, ColorRange.MPEG)
    return bool(even and limited and frame.format.name == "yuv420p" and (frame.width, frame.height) == (width, height))


def _to_420(picture: Picture) -> Picture:
    """Return a picture as planar 4:2:0, of even size: the last row or column of an odd one is repeated."""
    tall, wide = picture.shape[0] % 2, picture.shape[1] % 2
    even = cv2.copyMakeBorder(picture, 0, tall, 0, wide, cv2.BORDER_REPLICATE) if tall or wide else picture
    return np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)


class SoundReader:
    """Decodes the first sound stream of a clip between two times. A context manager and an iterator.

    It yields av.AudioFrame (planar float) whose pts count samples from `begin`.

    Args:
        path: the clip.
        begin: seconds from the beginning of the clip; sound before it is left out, to the sample.
        end: sound from this time on is left out, to the sample; None for none.
    """

    def __init__(self, path: Path, begin: Fraction, end: Fraction | None) -> None:
        self.path = path
        self._begin, self._end = begin, end
        self._container = _open(path)
        self._stream = self._container.streams.audio[0]
        self._start = _start_time(self._container, Fraction(_picture_stream(path, self._container).time_base))
        self.rate = int(self._stream.codec_context.sample_rate)
        self.layout = "mono" if self._stream.codec_context.channels == 1 else "stereo"

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Any]:
        """Yield the sound in order."""
        resampler = AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        position: int | None = None
        for untrusted in self._decode():
            for frame in resampler.resample(untrusted):
                if position is None:
                    time = untrusted.pts * Fraction(untrusted.time_base) - self._start if untrusted.pts else Fraction(0)
                    position = round((time - self._begin) * self.rate)
                yield from self._trim(frame, position)
                position += frame.samples

    def _decode(self) -> Iterator[Any]:
        """Yield decoded sound; what cannot be decoded is skipped."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    continue
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise _unreadable(self.path, error) from error

    def _trim(self, frame: Any, position: int) -> Iterator[Any]:
        """Yield the part of a frame that lies in the excerpt."""
        stop = frame.samples
        if self._end is not None:
            stop = min(stop, round((self._end - self._begin) * self.rate) - position)
        start = max(0, -position)
        if start >= stop:
            return
        samples = np.ascontiguousarray(frame.to_ndarray()[:, start:stop])
        part = av.AudioFrame.from_ndarray(samples, format="fltp", layout=self.layout)
        part.sample_rate = self.rate
        part.time_base = Fraction(1, self.rate)
        part.pts = position + start
        yield part


def frame_at(path: Path, time: Fraction) -> Frame:
    """Return the frame of a clip that is shown at a time.

    Raises:
        InputError: the clip cannot be read.
        UsageError: it ends before that time, so far as its last frame tells.
    """
    shown: Frame | None = None
    with FrameReader(path) as reader:
        for frame in reader:
            if frame.time > time:
                return shown or frame
            shown = frame
    assert shown is not None
    if time > shown.time + 1 / reader.rate:
        raise UsageError(f"{path.name} ends at {float(shown.time):.2f} s, before {float(time):g} s.")
    return shown


@dataclass(frozen=True)
class Contents:
    """What a file holds besides pictures, as its container says.

    Attributes:
        streams: the kind and codec of each stream, as "video h264".
        pixel_format: of the first picture stream.
        tags: every metadata entry that is not forced by the format, as "key=value".
        chapters: number of chapters.
    """

    streams: tuple[str, ...]
    pixel_format: str
    tags: tuple[str, ...]
    chapters: int


NEUTRAL_TAGS = {
    "major_brand": {"isom"},
    "minor_version": {"512"},
    "compatible_brands": {"isomiso2avc1mp41"},
    "language": {"und"},
    "handler_name": {"VideoHandler", "SoundHandler"},
    "vendor_id": {"[0][0][0][0]"},
}


def list_contents(path: Path) -> Contents:
    """Return what a file holds: streams, tags and chapters.

    Raises:
        InputError: it cannot be opened.
    """
    with _open(path) as container:
        streams = [f"{s.type} {s.codec_context.name if s.codec_context else '?'}" for s in container.streams]
        tags = [t for holder in (container, *container.streams) for t in holder.metadata.items()]
        loose = tuple(f"{k}={v}" for k, v in tags if v not in NEUTRAL_TAGS.get(k, ()))
        video = container.streams.video
        pixel_format = str(video[0].codec_context.pix_fmt) if video else "none"
        return Contents(tuple(streams), pixel_format, loose, len(container.chapters()))


def _open(path: Path) -> Any:
    """Open a container for reading."""
    if path.is_dir():
        raise InputError(f"{path.name} is a folder, not a clip.", "Name the clips in it.")
    try:
        return av.open(str(path), "r", metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error


def _picture_stream(path: Path, container: Any) -> Any:
    """Return the first stream of pictures that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"The pictures of {path.name} are in a form that cannot be decoded here.")
            return stream
    raise InputError(f"{path.name} holds no moving picture.", "If it is a sound file, there is nothing to cover in it.")


def _start_time(container: Any, unit: Fraction) -> Fraction:
    """Return the time stamp at which the clip begins, in whole units of the pictures' time stamps.

    That is zero, except where the format lets clocks begin anywhere (MPEG) or the file begins before zero.
    """
    kinds = [s for s in container.streams if s.type in ("video", "audio")]
    starts = [s.start_time * Fraction(s.time_base) for s in kinds if s.start_time is not None and s.time_base]
    first = min(starts, default=Fraction(0)) // unit * unit
    free_clock = container.format.flags & FormatFlags.ts_discont.value
    return first if free_clock or first < 0 else Fraction(0)


def _colour_of(context: Any) -> Colour:
    """Return the colour description; pictures stored as RGB become BT.601 on their way to 4:2:0."""
    if context.format is not None and context.format.is_rgb:
        return Colour(matrix=6)
    values = (context.colorspace, context.color_primaries, context.color_trc)
    return Colour(*(int(v) if v else UNSPECIFIED for v in values))


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"There is no file {path}.", "Check the name; put names with spaces in quotes.")
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read.", "Check the permissions of the file.")
    if path.exists() and path.stat().st_size == 0:
        return InputError(f"{path.name} is empty (0 bytes).", "Copy it again from where it came from.")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path.name} cannot be read as a video: {reason}.")


def _unwritable(path: Path, error: Exception) -> OutputError:
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:
        return OutputError(f"The disk is full; {path.name} was not finished.", "Make room, then run the command again.")
    if number in (errno.EACCES, errno.EROFS, errno.EPERM):
        return OutputError(f"{path.parent} may not be written to.")
    return OutputError(f"{path.name} could not be written: {getattr(error, 'strerror', None) or error}.")
