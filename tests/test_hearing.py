"""Comparing sounds ends, however long one of them says that it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from redact.media.hearing import LONGER_S, compare_sounds
from redact.media.sound import Chunk

RATE = 8000


class Sound(SimpleNamespace):
    """A second of noise after another, from a time on."""

    rate, layout = RATE, "mono"

    def __iter__(self) -> Iterator[Chunk]:
        noise = np.random.default_rng(5).normal(0, 0.1, (1, RATE)).astype(np.float32)
        for second in range(self.seconds):
            yield Chunk((self.begin + second) * RATE, noise)


@pytest.mark.parametrize(("begin", "seconds"), [(0, 10**9), (10**9, 1)])
def test_a_sound_that_never_ends_or_begins_late_is_too_long_and_not_heard_out(begin: int, seconds: int) -> None:
    asked, heard = Sound(begin=0, seconds=2), Sound(begin=begin, seconds=seconds)
    seen = compare_sounds(cast(Any, asked), cast(Any, heard), [])
    assert LONGER_S <= seen.missing_s < LONGER_S + 1


def test_a_sound_that_begins_late_is_compared_from_the_beginning() -> None:
    asked, heard = Sound(begin=3, seconds=2), Sound(begin=3, seconds=2)
    seen = compare_sounds(cast(Any, asked), cast(Any, heard), [])
    assert (round(seen.likeness, 3), seen.missing_s) == (1, 0)
