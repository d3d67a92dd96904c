"""Sound: reading a stream of it in step with the pictures, and taking out what nobody is to hear."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from redact.media.apart import ApartSound
from redact.media.listening import Samples
from redact.plan import Plan

SLIP_S = Fraction(1, 50)  # between what was decoded and its time stamp: less than a frame, more than stamps are rounded
SILENCE = 1 << 16  # samples of silence that are given at once
TAIL_S = Fraction(3600)  # how long after the last frame sound may go on; a later time stamp is not believed
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
        self._begin, self._beep = begin, beep
        self._decoder = ApartSound(path, stream)
        self.rate, self.layout = self._decoder.header
        self._stop = math.inf if end is None else round((end - begin) * self.rate)
        self._mute = muted_samples(mute, self.rate)

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.__exit__()

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the sound in order.

        Raises:
            InputError: reading failed, or the file ended its decoder.
        """
        position: int | None = None
        late = False
        for time, samples in self._decoder.sounds():
            due = position if time is None else round((time - self._begin) * self.rate)
            late = late if time is None else due is not None and due >= self._stop
            if late:
                continue  # what is missing before it is not made up for: its time may be a lie
            position = due if position is None else position
            if due is not None and position is not None and abs(due - position) > SLIP_S * self.rate:
                # What is missing is silent, and what there is twice is left out: the rest stays with its pictures.
                position = max(position, min(due, 0))
                while position < due:
                    silence = np.zeros((samples.shape[0], min(due - position, SILENCE)), np.float32)
                    yield from self._trim(position, silence)
                    position += silence.shape[1]
                samples = samples[:, position - due :]
            position = position or 0
            yield from self._trim(position, samples)
            position += samples.shape[1]

    def _trim(self, position: int, samples: Samples) -> Iterator[Chunk]:
        """Yield the part of some sound that lies in the excerpt, without what is muted."""
        start, stop = max(0, -position), int(min(samples.shape[1], self._stop - position))
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
    begin = plan.begin
    mute = [(a - begin, b - begin) for a, b in settings.mute]
    if settings.audio == "keep":
        if not sounds:
            return None
        end = settings.to_time or source.ends + TAIL_S
        return SoundReader(clip, begin, end, settings.audio_stream, mute, settings.beep)
    if settings.audio == "none":
        return None
    step = (source.ends - source.begins) / max(source.frames - 1, 1)
    return SoundReader(Path(settings.audio), Fraction(0), source.ends + step - begin, 1, mute, settings.beep)
