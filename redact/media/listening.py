"""Decoding sound: from a file to samples and their times. All of it touches hostile data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from redact.errors import InputError, UsageError
from redact.media.files import open_container, start_time, unreadable

Samples = NDArray[np.float32]

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
USUAL_RATE = 48000  # for what AAC does not know
LAYOUTS = ("mono", "stereo")  # of one channel, and of two


class SoundHeader(NamedTuple):
    """The form in which a sound is given: samples per second, and one of `LAYOUTS`."""

    rate: int
    layout: str


class Heard(NamedTuple):
    """Some sound: its time in seconds from the beginning of the file, None where it follows what was before it."""

    time: Fraction | None
    samples: Samples


class SoundDecoder:
    """Decodes one stream of sound. A context manager.

    Args:
        path: the file. It is only ever read.
        number: which of its streams of sound, from 1.
        handed: the file's descriptor, in a process that may not open it itself.

    Attributes:
        header: the form of what it gives.

    Raises:
        InputError: the file cannot be opened, or holds no sound.
        UsageError: it has no stream of this number.
    """

    def __init__(self, path: Path, number: int = 1, handed: int | None = None) -> None:
        self.path = path
        with ExitStack() as stack:
            self._container = stack.enter_context(open_container(path, handed))
            streams = self._container.streams.audio
            if not streams:
                raise InputError(f"{path.name} holds no sound.", "Name a file with sound after --audio.")
            if number > len(streams):
                raise UsageError(f"{path.name} has {len(streams)} streams of sound; {number} is none of them.")
            self._stream = streams[number - 1]
            context = self._stream.codec_context
            if context is None:
                raise InputError(f"The sound of {path.name} is in a form that cannot be decoded here.")
            pictures = self._container.streams.video
            unit = pictures[0].time_base if pictures else self._stream.time_base
            self._start = start_time(self._container, Fraction(unit))
            rate = context.sample_rate if context.sample_rate in AAC_RATES else USUAL_RATE
            self.header = SoundHeader(rate, LAYOUTS[context.channels != 1])
            self._stack = stack.pop_all()

    def __enter__(self) -> SoundDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def sounds(self) -> Iterator[Heard]:
        """Yield the sound in order; what cannot be decoded is skipped.

        Raises:
            InputError: reading failed.
        """
        resampler = form = None
        for untrusted in self._frames():
            if form != (untrusted.format.name, untrusted.layout.name, untrusted.sample_rate):
                form = untrusted.format.name, untrusted.layout.name, untrusted.sample_rate
                resampler = AudioResampler(format="fltp", layout=self.header.layout, rate=self.header.rate)
            assert resampler is not None
            time = None if untrusted.pts is None else untrusted.pts * Fraction(untrusted.time_base) - self._start
            for frame in resampler.resample(untrusted):
                yield Heard(time, np.asarray(frame.to_ndarray(), np.float32))
                time = None

    def _frames(self) -> Iterator[Any]:
        """Yield decoded sound; what cannot be decoded is skipped."""
        try:
            for packet in self._packets():
                try:
                    yield from packet.decode()
                except av.error.EOFError:
                    return
                except av.error.FFmpegError:
                    continue
        except OSError as error:
            raise unreadable(self.path, error) from error
        except av.error.FFmpegError:  # the rest of the file cannot be read
            return

    def _packets(self) -> Iterator[Any]:
        """Yield what the stream consists of."""
        yield from self._container.demux(self._stream)
