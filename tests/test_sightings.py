"""Kept detections that are damaged are refused, never used."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from redact.errors import PlanError
from redact.geometry import Box
from redact.plan import Detection, Source
from redact.sightings import Sightings, dump_sightings, load_sightings, load_timeline

SEEN = tuple(Detection(n, Box(0, 0, 9, 9), "face", 0.5, "fake") for n in range(3))
STILL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
WHOLE = Sightings(
    Source("clip.mp4", "0" * 64, 64, 48, 0, 3, Fraction(1, 25), Fraction(0), Fraction(2, 25), "0" * 64, 1),
    *(None, None, False, {}, "1", tuple(Fraction(n, 25) for n in range(3)), (2,), (STILL,) * 3, (1,), SEEN, (SEEN,)),
)  # fmt: skip


def test_whole_ones_are_read_as_they_were() -> None:
    assert load_sightings(dump_sightings(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"times": WHOLE.times[:2]}, {"times": WHOLE.times[::-1]}, {"cuts": (2, 1)}, {"damaged": (3,)},
        {"camera": WHOLE.camera[:2]}, {"camera": ((1.0,) * 5,) * 3}, {"camera": ((0.0,) * 6,) * 3},
        {"camera": ((float("nan"),) * 6,) * 3}, {"camera": ((float("inf"),) * 6,) * 3}, {"chains": ((),)},
        {"chains": (SEEN[::-1],)}, {"detections": (replace(SEEN[0], frame=3),)},
    ],
)  # fmt: skip
def test_what_does_not_belong_to_one_time_line_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="damaged"):
        load_sightings(dump_sightings(replace(WHOLE, **change)))


@pytest.mark.parametrize("value", [float("inf"), "1/0", "x", None])
def test_a_time_that_is_none_is_refused(value: object) -> None:
    head, *rows = gzip.decompress(dump_sightings(WHOLE)).decode().splitlines()
    damaged = json.dumps({**json.loads(head), "times": [value, "1/25", "2/25"]})
    data = gzip.compress("\n".join((damaged, *rows)).encode())
    for load in (load_sightings, load_timeline):
        with pytest.raises(PlanError, match="damaged"):
            load(data)


def test_what_was_kept_before_anything_was_judged_is_read_and_an_answer_is_kept() -> None:
    judged = replace(WHOLE, chains=((replace(SEEN[0], judged=0.25), *SEEN[1:]),))
    assert load_sightings(dump_sightings(judged)) == judged
    older = gzip.decompress(dump_sightings(WHOLE)).replace(b', "judged": null', b"")
    assert b"judged" not in older
    assert load_sightings(gzip.compress(older)) == WHOLE
