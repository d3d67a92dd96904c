"""Writing a copy."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import av
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.video.reformatter import ColorRange

from redact.crew import one_thread
from redact.disk import unwritable
from redact.errors import OutputError
from redact.media.frames import FRAMES_AHEAD, Colour, Picture
from redact.media.pixels import as_encoded, to_420
from redact.media.reading import FrameReader
from redact.media.sound import Chunk, SoundReader
from redact.media.stills import encode_still
from redact.residue import blank_user_data

ENCODER_THREADS = 4  # fixed: the number of threads changes the bytes that x264 writes
SOUND_BITS = 128_000  # a second and channel: even white noise stays like itself (see `compare_sounds`)
PRESET = "veryfast"  # bench/speed.py: half the time of "medium"; at one crf the sizes differ by under a tenth


class Form(Protocol):
    """What a copy takes from what it is made of."""

    @property
    def rate(self) -> Fraction:
        """Frames per second; good for guesses only."""

    @property
    def time_base(self) -> Fraction:
        """The unit of the times, in seconds."""

    @property
    def colour(self) -> Colour:
        """How numbers become colours."""


class FrameWriter:
    """Writes H.264 in MP4: one picture stream, at most one sound stream, and nothing else. A context manager.

    The same pictures, times and settings give the same bytes. The file is removed if the block is left by an error.

    Args:
        path: the file to write; what is there is replaced.
        like: whose rate, time base and colours the copy takes, as a reader.
        crf: constant rate factor.
        sound: the sound to encode beside the pictures.

    Raises:
        OutputError: the file cannot be written, or the encoder failed.
    """

    def __init__(self, path: Path, like: Form, crf: int, sound: SoundReader | None = None) -> None:
        self.path = path
        self._like, self._crf = like, crf
        self._unit = Fraction(1, like.time_base.denominator)
        self._size: tuple[int, int] | None = None
        self._pending: tuple[Picture, Fraction] | None = None
        self._encoder = one_thread()
        self._encoding: deque[Future[None]] = deque()
        self._broken = False
        self._step = 1 / like.rate
        self._sound = sound
        self._chunks = iter(sound) if sound else iter(())
        self._next_chunk: Chunk | None = None
        try:
            # A late first picture is an edit of the movie's time line, whose default unit of 1/1000 s is too coarse.
            options = {
                "movie_timescale": str(self._unit.denominator),
                "movflags": "+faststart",
                "fflags": "+bitexact",
            }
            self._container = av.open(str(path), "w", format="mp4", options=options)
        except (av.error.FFmpegError, OSError) as error:
            raise unwritable(path, error) from error

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
            raise unwritable(self.path, error) from error

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
            # Without noise substitution: it would put other noise than the recorded one into noisy sound.
            voice = self._container.add_stream("aac", rate=self._sound.rate, options={"aac_pns": "0"})
            voice.codec_context.layout = self._sound.layout
            voice.codec_context.bit_rate = SOUND_BITS * voice.codec_context.channels
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
        frame = av.VideoFrame.from_ndarray(to_420(picture), format="yuv420p")
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
            chunk = self._next_chunk or next(self._chunks, None)
            self._next_chunk = chunk
            if chunk is None or (until is not None and chunk.position > until * self._sound.rate):
                return
            self._next_chunk = None
            frame = av.AudioFrame.from_ndarray(chunk.samples, format="fltp", layout=self._sound.layout)
            frame.sample_rate, frame.pts = self._sound.rate, chunk.position
            frame.time_base = Fraction(1, self._sound.rate)
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
            raise unwritable(self.path, error) from error

    def _discard(self) -> None:
        """Close and remove the unfinished file."""
        self._encoder.shutdown(cancel_futures=True)
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            logging.getLogger(__name__).debug("closing an unfinished file failed", exc_info=True)
        self.path.unlink(missing_ok=True)


class Writer(Protocol):
    """What writes a copy."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, picture: Picture, time: Fraction) -> None:
        """Write one picture, shown from this time on."""


class StillWriter:
    """Writes one picture as PNG and nothing else. A context manager like `FrameWriter`, which it stands in for.

    Args:
        path: the file to write; what is there is replaced.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._picture: Picture | None = None

    def __enter__(self) -> StillWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        if self._picture is None:
            raise OutputError(f"{self.path.name}: no picture was written.")
        try:
            with self.path.open("wb") as file:
                file.write(encode_still(self._picture))
        except OSError as failure:
            self.path.unlink(missing_ok=True)
            raise unwritable(self.path, failure) from failure

    def write(self, picture: Picture, time: Fraction) -> None:
        """Take the picture: BGR, uint8, (height, width, 3). An odd size is padded by repeating the edge."""
        self._picture = as_encoded(picture)


def open_writer(path: Path, like: FrameReader, crf: int, sound: SoundReader | None = None) -> Writer:
    """Return what writes a copy of what a reader reads; the arguments are those of `FrameWriter`."""
    return StillWriter(path) if like.still else FrameWriter(path, like, crf, sound)
