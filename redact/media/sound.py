"""Sound: reading a stream of it in step with the pictures, and taking out what nobody is to hear."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
from redact.plan import Plan

Samples = NDArray[np.float32]

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
USUAL_RATE = 48000  # for what AAC does not know
SLIP_S = Fraction(1, 50)  # between what was decoded and its time stamp: less than a frame, more than stamps are rounded
TONE_HZ, TONE_LEVEL = 1000, 0.1


class Chunk(NamedTuple):
    """Some sound: the position of its first sample, counted from the beginning, and samples (channels, count)."""

    position: int
    samples: Samples


class SoundReader:
    """Decodes a stream of sound between two times. A context manager and an iterator over chunks without gaps.

    Args:
        path: the file.
        begin: seconds from the beginning of the file; sound before it is left out, to the sample.
        end: sound from this time on is left out, to the sample; None for none.
        stream: which of its streams of sound, from 1.
        mute: begin and end of the stretches that are silent, in seconds from `begin`.
        beep: a tone instead of silence.

    Attributes:
        rate: samples per second.
        layout: "mono" or "stereo".

    Raises:
        InputError: the file cannot be opened, or holds no sound.
        UsageError: it has no stream of this number.
    """

    def __init__(
        self,
        path: Path,
        begin: Fraction = Fraction(0),
        end: Fraction | None = None,
        stream: int = 1,
        mute: Sequence[tuple[Fraction, Fraction]] = (),
        beep: bool = False,
    ) -> None:
        self.path = path
        self._begin, self._end, self._beep = begin, end, beep
        with ExitStack() as stack:
            self._container = stack.enter_context(open_container(path))
            streams = self._container.streams.audio
            if not streams:
                raise InputError(f"{path.name} holds no sound.", "Name a file with sound after --audio.")
            if stream > len(streams):
                raise UsageError(f"{path.name} has {len(streams)} streams of sound; {stream} is none of them.")
            self._stream = streams[stream - 1]
            context = self._stream.codec_context
            if context is None:
                raise InputError(f"The sound of {path.name} is in a form that cannot be decoded here.")
            pictures = self._container.streams.video
            unit = pictures[0].time_base if pictures else self._stream.time_base
            self._start = start_time(self._container, Fraction(unit))
            self.rate = context.sample_rate if context.sample_rate in AAC_RATES else USUAL_RATE
            self.layout = "mono" if context.channels == 1 else "stereo"
            self._mute = muted_samples(mute, self.rate)
            self._stack = stack.pop_all()

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the sound in order."""
        position: int | None = None
        for time, samples in self._decode():
            due = position if time is None else round((time - self._begin) * self.rate)
            position = due if position is None else position
            if due is not None and position is not None and abs(due - position) > SLIP_S * self.rate:
                # What is missing is silent, and what there is twice is left out: the rest stays with its pictures.
                gap = due - position
                silence = np.zeros((samples.shape[0], max(gap, 0)), np.float32)
                samples = np.hstack([silence, samples])[:, max(-gap, 0) :]
            position = position or 0
            yield from self._trim(position, samples)
            position += samples.shape[1]

    def _decode(self) -> Iterator[tuple[Fraction | None, Samples]]:
        """Yield decoded sound and its time; what cannot be decoded is skipped."""
        resampler = form = None
        for untrusted in self._frames():
            if form != (untrusted.format.name, untrusted.layout.name, untrusted.sample_rate):
                form = untrusted.format.name, untrusted.layout.name, untrusted.sample_rate
                resampler = AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
            assert resampler is not None
            time = None if untrusted.pts is None else untrusted.pts * Fraction(untrusted.time_base) - self._start
            for frame in resampler.resample(untrusted):
                yield time, np.asarray(frame.to_ndarray(), np.float32)
                time = None

    def _frames(self) -> Iterator[Any]:
        """Yield decoded sound; what cannot be decoded is skipped."""
        try:
            for packet in self._container.demux(self._stream):
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

    def _trim(self, position: int, samples: Samples) -> Iterator[Chunk]:
        """Yield the part of some sound that lies in the excerpt, without what is muted."""
        stop = samples.shape[1]
        if self._end is not None:
            stop = min(stop, round((self._end - self._begin) * self.rate) - position)
        start = max(0, -position)
        if start < stop:
            yield Chunk(position + start, self._muted(position + start, samples[:, start:stop]))

    def _muted(self, position: int, samples: Samples) -> Samples:
        """Return sound that is silent, or a tone, where it is muted."""
        samples = np.ascontiguousarray(samples)
        for begin, end in self._mute:
            where = np.arange(max(begin - position, 0), min(end - position, samples.shape[1]))
            tone = TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ / self.rate * ((where + position) % self.rate))
            samples[:, where] = tone if self._beep else 0
        return samples


def muted_samples(mute: Sequence[tuple[Fraction, Fraction]], rate: int) -> list[tuple[int, int]]:
    """Return the first sample of each stretch and the one after its last, rounded outward."""
    return [(math.floor(begin * rate), math.ceil(end * rate)) for begin, end in mute]


def open_sound(plan: Plan, clip: Path, sounds: int) -> SoundReader | None:
    """Return a reader of the sound that the copy of a plan has; None where it has none.

    Args:
        plan: what was asked for.
        clip: the clip that the plan was made for.
        sounds: how many streams of sound it has.

    Raises:
        InputError: the file that was asked for cannot be read, or holds no sound.
        UsageError: there is no stream of the number that was asked for.
    """
    settings, source = plan.settings, plan.source
    begin = settings.from_time or Fraction(0)
    mute = [(a - begin, b - begin) for a, b in settings.mute]
    if settings.audio == "keep":
        if not sounds:
            return None
        return SoundReader(clip, begin, settings.to_time, settings.audio_stream, mute, settings.beep)
    if settings.audio == "none":
        return None
    step = (source.ends - source.begins) / max(source.frames - 1, 1)
    return SoundReader(Path(settings.audio), Fraction(0), source.ends + step - begin, 1, mute, settings.beep)
