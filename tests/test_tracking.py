"""Tracks have no holes, reach beyond what was seen, and never uncover."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.geometry import Box
from redact.plan import Detection, Track
from redact.sightings import Timeline
from redact.tracking import KEEP_SCORE, counts, link, make_tracks, smooth

RATE = 25


def timeline(frames: int, cuts: tuple[int, ...] = ()) -> Timeline:
    return Timeline(0, tuple(Fraction(n, RATE) for n in range(frames)), cuts)


def face(frame: int, x: int = 100, y: int = 100, size: int = 40, score: float = 0.8) -> Detection:
    return Detection(frame, Box(x, y, x + size, y + size), "face", score, "test")


def tracks_of(seen: list[Detection], line: Timeline, threshold: float) -> tuple[Track, ...]:
    return make_tracks(link(seen, line), line, threshold)


def covers(tracks: tuple[Track, ...], detection: Detection) -> bool:
    frame = detection.frame
    return any(t.first <= frame <= t.last and t.boxes[frame - t.first].contains(detection.box) for t in tracks)


def test_a_face_seen_once_is_covered_before_and_after() -> None:
    (track,) = tracks_of([face(30)], timeline(60), 0.2)
    assert track.label == "head"
    assert track.first <= 30 - 0.4 * RATE
    assert track.last >= 30 + 0.4 * RATE


def test_the_lead_is_a_time_also_where_frames_come_irregularly() -> None:
    times = [Fraction(n, 10) for n in range(10)] + [1 + Fraction(n, 100) for n in range(100)]
    (track,) = tracks_of([face(50)], Timeline(0, tuple(times), ()), 0.2)
    assert times[50] - times[track.first] >= Fraction(2, 5)
    assert times[track.last] - times[50] >= Fraction(2, 5)


def test_a_gap_is_filled_from_both_sides() -> None:
    seen = [face(n, x=100 + 4 * n) for n in (*range(10), *range(25, 40))]
    (track,) = tracks_of(seen, timeline(60), 0.2)
    for n in range(10, 25):
        assert covers((track,), face(n, x=100 + 4 * n))


def test_a_track_stops_at_a_cut() -> None:
    tracks = tracks_of([face(n) for n in range(20, 30)], timeline(60, cuts=(15, 32)), 0.2)
    assert [(t.first, t.last) for t in tracks] == [(15, 31)]


def test_a_face_on_both_sides_of_a_cut_is_two_tracks() -> None:
    tracks = tracks_of([face(n) for n in range(20, 40)], timeline(60, cuts=(30,)), 0.2)
    assert [(t.first, t.last) for t in tracks] == [(10, 29), (30, 49)]


def test_weak_sightings_beside_a_good_one_are_covered_before_and_after_it() -> None:
    seen = [face(n, x=100 + 9 * n, score=0.5 if n == 20 else KEEP_SCORE) for n in range(10, 31)]
    (track,) = tracks_of(seen, timeline(60), 0.4)
    assert all(covers((track,), d) for d in seen)


def test_one_weak_sighting_is_no_track_but_a_steady_row_of_them_is() -> None:
    assert tracks_of([face(9, score=0.19)], timeline(30), 0.2) == ()
    assert tracks_of([face(n, score=0.19) for n in range(9, 19)], timeline(30), 0.2) != ()


def test_people_who_cross_stay_covered() -> None:
    seen = [face(n, x=10 + 8 * n) for n in range(40)] + [face(n, x=330 - 8 * n, y=110) for n in range(40)]
    tracks = tracks_of([d for d in seen if not 18 <= d.frame <= 21], timeline(40), 0.2)
    assert all(covers(tracks, d) for d in seen)


@st.composite
def sightings(draw: st.DrawFn) -> list[Detection]:
    found = []
    for _ in range(draw(st.integers(1, 25))):
        x, y = draw(st.integers(-20, 300)), draw(st.integers(-20, 200))
        w, h = draw(st.integers(1, 80)), draw(st.integers(1, 80))
        box = Box(x, y, x + w, y + h)
        found.append(Detection(draw(st.integers(0, 39)), box, "face", draw(st.floats(0, 1)), "test"))
    return found


@settings(deadline=None, max_examples=200)
@given(sightings(), st.sets(st.integers(1, 39), max_size=3), st.floats(0.05, 0.9))
def test_every_detection_that_counts_lies_inside_its_tracks_box(
    seen: list[Detection], cuts: set[int], threshold: float
) -> None:
    line = timeline(40, tuple(sorted(cuts)))
    tracks = tracks_of(seen, line, threshold)
    chains = [chain for chain in link(seen, line) if counts(chain, threshold)]
    assert len(chains) == len(tracks)
    for chain in chains:
        assert any(all(covers((track,), d) for d in chain) for track in tracks)


@given(st.lists(st.integers(0, 200), min_size=3, max_size=60))
def test_smoothing_only_ever_widens(lefts: list[int]) -> None:
    rows = np.array([(x, 0, x + 30, 40) for x in lefts], np.float64)
    wider = smooth(rows, 1.5)
    assert (wider[:, :2] <= rows[:, :2] + 1e-9).all()
    assert (wider[:, 2:] >= rows[:, 2:] - 1e-9).all()


def test_boxes_glide_where_sightings_jitter() -> None:
    noise = np.random.default_rng(1).integers(-3, 4, 60)
    (track,) = tracks_of([face(n, x=100 + int(noise[n])) for n in range(60)], timeline(60), 0.2)
    middles = np.array([box.center[0] for box in track.boxes])
    assert np.abs(np.diff(middles)).mean() < np.abs(np.diff(noise)).mean() / 2


@pytest.mark.parametrize("cuts", [(), (5,), (1, 2, 3)])
def test_every_frame_is_in_the_scene_that_it_says(cuts: tuple[int, ...]) -> None:
    line = timeline(10, cuts)
    for n in range(10):
        first, last = line.scene(n)
        assert first <= n <= last
        assert not any(first < cut <= last for cut in cuts)
