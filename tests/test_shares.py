"""The share of a thing that is covered is measured by its pixels, over all tracks, and a miss has a cause."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from bench import shares
from bench.shares import Ran, Truth
from redact.geometry import Box
from redact.plan import Detection, Plan, Settings, Source, Track
from redact.sightings import Sightings

WIDTH, HEIGHT, FRAMES = 64, 48, 10
SOURCE = Source(
    "clip.mp4", "", WIDTH, HEIGHT, 0, FRAMES, Fraction(1, 10), Fraction(0), Fraction(9, 10), "", 0
)  # fmt: skip
THING = Box(20, 20, 30, 30)


def whole(frame: int) -> Truth:
    return Truth(frame, THING, np.ones((THING.height, THING.width), bool))


def ran(*tracks: Track, seen: tuple[Detection, ...] = ()) -> Ran:
    times = tuple(Fraction(n, 10) for n in range(FRAMES))
    sightings = Sightings(SOURCE, None, None, False, {}, "", times, (), (), (), seen, ())
    return Ran(Plan(SOURCE, Settings(), {}, tracks), sightings)


def test_only_the_pixels_of_a_thing_count() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:30, 20:25] = 255
    left = np.zeros((10, 10), bool)
    left[:, :5] = True
    assert shares.share_covered(mask, whole(0)) == 0.5
    assert shares.share_covered(mask, Truth(0, THING, left)) == 1
    assert shares.share_covered(mask, Truth(0, THING, ~left)) == 0


def test_all_tracks_cover_together_but_not_those_that_show() -> None:
    left, right = Track(1, "mark", 0, (Box(20, 20, 26, 30),)), Track(2, "code", 0, (Box(26, 20, 30, 30),))
    shown = Track(2, "code", 0, (Box(26, 20, 30, 30),), "show", "person", "me", "known")
    assert shares.judge(ran(left, right), [whole(0)], "mark").shares == [1]
    assert shares.judge(ran(left, shown), [whole(0)], "mark").shares == [0.6]


def test_a_miss_has_a_cause() -> None:
    half, away = Box(20, 20, 26, 30), Box(40, 40, 44, 44)
    track = Track(1, "mark", 1, (half, half, THING, away))
    judged = shares.judge(
        ran(track, seen=(Detection(1, half, "mark", 0.9, "mark:a"),)), [whole(n) for n in range(5)], "mark"
    )
    assert judged.causes == ["no track", "in part", "carried", "", "no track"]
    assert judged.ratio() == "1 of 5 (20.0%)"
    assert shares.misses("clip", judged) == [
        "- clip: carried, 60% to 60% covered, in frames 2",
        "- clip: in part, 60% to 60% covered, in frames 1",
        "- clip: no track, 0% to 0% covered, in frames 0, 4",
    ]


def test_frames_that_are_neighbours_are_told_together() -> None:
    assert shares.runs([7, 1, 2, 3]) == "1-3, 7"
    assert shares.runs([]) == ""
