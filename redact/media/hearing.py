"""Comparing two sounds: whether one is the other, encoded again and in step, and silent where it has to be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from redact.media.listening import Samples
from redact.media.sound import SoundReader, muted_samples

BLOCKS_PER_S = 50
WINDOW = 50  # blocks over which likeness is judged
EDGE = 2048  # samples beside a cut, in which an AAC encoder's windows reach over it
# So much of a short stretch, in its middle, is as silent as a long one: 0.0001 of full scale at most, in stretches from
# 640 samples on beside loud noise, voices, tones and clicks. Shorter ones cannot be told from the noise of the encoder.
MIDDLE, TOO_SHORT = 1 / 4, 640
LONGER_S = 60  # from which nothing more is compared: how long a sound is may be a lie
QUIET = 1e-3  # of full scale; below, only noise of the encoder is compared


@dataclass(frozen=True)
class SoundComparison:
    """What comparing two sounds has shown.

    Attributes:
        likeness: correlation of the least alike second, 1 for the same sound; that of silence with silence is 1.
        muted_off: root mean square of the worst muted block's difference from silence, or from the tone.
        short_off: likewise in the middle of the worst stretch that is too short for whole blocks.
        untold: how many muted stretches are too short for that as well.
        missing_s: by how much their lengths differ, in seconds; `LONGER_S` or a little more also for all above.
    """

    likeness: float
    muted_off: float
    missing_s: float
    short_off: float = 0.0
    untold: int = 0


def compare_sounds(
    asked: SoundReader, heard: SoundReader, mute: Sequence[tuple[Fraction, Fraction]]
) -> SoundComparison:
    """Compare what is heard with what was asked for.

    Args:
        asked: the sound that was asked for.
        heard: the sound of the copy.
        mute: begin and end of the muted stretches, in seconds from the beginning of both.

    Raises:
        InputError: one of them cannot be read.
    """
    if (asked.rate, asked.layout) != (heard.rate, heard.layout):
        return SoundComparison(0.0, 0.0, 0.0)
    size = asked.rate // BLOCKS_PER_S
    muted = [(max(a, 0), b) for a, b in muted_samples(mute, asked.rate) if b > 0]
    spans = [(a + EDGE, b - EDGE) for a, b in muted]  # each holds a whole block, except where the stretch is short
    short = [_Middle(a, b) for a, b in muted if TOO_SHORT <= b - a < 2 * (EDGE + size)]
    worst, off, lengths = 1.0, 0.0, [0, 0]
    window: list[tuple[Samples, Samples]] = []
    pairs = itertools.zip_longest(_blocks(asked, size), _blocks(heard, size))
    for n, (a, b) in enumerate(pairs):
        lengths = [lengths[0] + (a is not None), lengths[1] + (b is not None)]
        if abs(lengths[0] - lengths[1]) > LONGER_S * BLOCKS_PER_S:
            break
        silence = np.zeros_like(b if a is None else a)
        a, b = (silence if x is None else x for x in (a, b))
        for middle in short:
            middle.take(n * size, b - a)
        if any(first <= n * size and (n + 1) * size <= last for first, last in spans):
            off = max(off, _level(b - a))
            continue
        window.append((a, b))
        if len(window) == WINDOW:
            worst, window = min(worst, _likeness(window)), []
    worst = min(worst, _likeness(window)) if window else worst
    untold = sum(b - a < TOO_SHORT for a, b in muted)
    missing_s = abs(lengths[0] - lengths[1]) / BLOCKS_PER_S
    return SoundComparison(worst, off, missing_s, max((m.off() for m in short), default=0.0), untold)


class _Middle:
    """The middle of a short muted stretch, from its first sample to the one after its last."""

    def __init__(self, first: int, last: int) -> None:
        rim = round((last - first) * (1 - MIDDLE) / 2)
        self._first, self._last = first + rim, last - rim
        self._parts: list[Samples] = []

    def take(self, begin: int, apart: Samples) -> None:
        """Take what belongs to it of the difference of two sounds, which begins at a sample."""
        part = apart[:, max(self._first - begin, 0) : max(self._last - begin, 0)]
        if part.size:
            self._parts.append(part)

    def off(self) -> float:
        """Return the root mean square; 0 where the sounds have ended before."""
        return _level(np.hstack(self._parts)) if self._parts else 0.0


def _blocks(reader: SoundReader, size: int) -> Iterator[Samples]:
    """Yield a sound from its beginning in blocks of one size; before its first sample it is silent."""
    rest: Samples | None = None
    for position, samples in reader:
        if rest is None:
            for _ in range(position // size):
                yield np.zeros((samples.shape[0], size), np.float32)
            rest = np.zeros((samples.shape[0], position % size), np.float32)
        rest = np.hstack([rest, samples])
        while rest.shape[1] >= size:
            yield rest[:, :size]
            rest = rest[:, size:]


def _level(samples: Samples) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(samples))))


def _likeness(window: Sequence[tuple[Samples, Samples]]) -> float:
    """Return the correlation of two sounds."""
    a, b = (np.hstack([pair[n] for pair in window]) for n in (0, 1))
    levels = _level(a), _level(b)
    if max(levels) < QUIET:
        return 1.0
    if min(levels) < QUIET / 10:
        return 0.0
    return float(np.mean(a * b)) / (levels[0] * levels[1])
