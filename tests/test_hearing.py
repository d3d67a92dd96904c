"""Comparing sounds ends, however long one of them says that it is, and measures what is muted."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from redact.media.hearing import LONGER_S, TOO_SHORT, compare_sounds
from redact.media.sound import Chunk

RATE = 8000


class Sound(SimpleNamespace):
    """A second of noise after another, from a time on."""

    rate, layout = RATE, "mono"

    def __iter__(self) -> Iterator[Chunk]:
        noise = np.random.default_rng(5).normal(0, 0.1, (1, RATE)).astype(np.float32)
        for second in range(self.seconds):
            yield Chunk((self.begin + second) * RATE, noise)


class Pieces(SimpleNamespace):
    """Samples, some at a time."""

    layout = "mono"

    def __iter__(self) -> Iterator[Chunk]:
        for begin in range(0, self.samples.shape[1], 1000):
            yield Chunk(begin, self.samples[:, begin : begin + 1000])


@pytest.mark.parametrize(("begin", "seconds"), [(0, 10**9), (10**9, 1)])
def test_a_sound_that_never_ends_or_begins_late_is_too_long_and_not_heard_out(begin: int, seconds: int) -> None:
    asked, heard = Sound(begin=0, seconds=2), Sound(begin=begin, seconds=seconds)
    seen = compare_sounds(cast(Any, asked), cast(Any, heard), [])
    assert LONGER_S <= seen.missing_s < LONGER_S + 1


def test_a_sound_that_begins_late_is_compared_from_the_beginning() -> None:
    asked, heard = Sound(begin=3, seconds=2), Sound(begin=3, seconds=2)
    seen = compare_sounds(cast(Any, asked), cast(Any, heard), [])
    assert (round(seen.likeness, 3), seen.missing_s) == (1, 0)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("duration", [Fraction(1, 10), Fraction(1, 7), Fraction(1, 5), Fraction(1, 2), Fraction(3, 5)])
@pytest.mark.parametrize("begin", [Fraction(0), Fraction(1), Fraction(4, 3)])
def test_a_part_that_was_to_be_muted_is_heard_however_short_it_is(
    rate: int, duration: Fraction, begin: Fraction
) -> None:
    noise = np.random.default_rng(5).normal(0, 0.1, (1, 3 * rate)).astype(np.float32)
    muted = noise.copy()
    muted[:, int(begin * rate) : int((begin + duration) * rate)] = 0

    def compare(heard: Any) -> float:
        asked, other = (Pieces(samples=samples, rate=rate) for samples in (muted, heard))
        seen = compare_sounds(cast(Any, asked), cast(Any, other), [(begin, begin + duration)])
        assert seen.untold == 0
        return max(seen.muted_off, seen.short_off)

    assert compare(noise) > 0.05
    assert compare(muted) == 0


def test_parts_that_are_too_short_to_measure_are_counted() -> None:
    asked, heard = Sound(begin=0, seconds=2), Sound(begin=0, seconds=2)
    spans = [(Fraction(1), 1 + Fraction(samples, RATE)) for samples in (TOO_SHORT - 1, TOO_SHORT)]
    assert compare_sounds(cast(Any, asked), cast(Any, heard), spans).untold == 1
