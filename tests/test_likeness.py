"""Likeness of faces: where a face is looked at, how it is brought upright, and whose it is."""

from __future__ import annotations

import numpy as np
import pytest

from bench.likeness import Seen, apart, judge, pairs
from redact import likeness
from redact.geometry import Box
from redact.likeness import BEST, LEAST_EYES, LOOKS, UPRIGHT, Face
from redact.plan import Track

EYES = UPRIGHT[1, 0] - UPRIGHT[0, 0]


def seen(angle: float, zoom: float = 1.0) -> np.ndarray:
    """Return the points of a face that looks at the camera, turned and zoomed."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(zoom * UPRIGHT @ turn.T + (300, 40))


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, -3.0])
def test_a_face_is_brought_upright_however_it_lies(angle: float) -> None:
    matrix, off = likeness.align(seen(angle, 0.3))
    assert seen(angle, 0.3) @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(UPRIGHT)
    assert off == pytest.approx(0, abs=1e-6)


def test_nothing_is_told_from_a_face_that_is_small_or_seen_from_the_side() -> None:
    assert likeness.quality(seen(0, LEAST_EYES / EYES * 0.99)) == 0
    assert likeness.quality(seen(0, LEAST_EYES / EYES * 1.01)) > LEAST_EYES * 0.99
    profile = UPRIGHT.copy()
    profile[[1, 4], 0] -= 45  # the far eye and corner of the mouth come near the others; the nose stands out
    assert likeness.quality(profile) == 0
    a_little = UPRIGHT.copy()
    a_little[2, 0] += 6
    assert 0 < likeness.quality(a_little) < likeness.quality(UPRIGHT)


def test_a_track_is_looked_at_where_it_is_largest_in_each_part_of_it() -> None:
    boxes = tuple(Box(0, 0, 20 + n % 10, 20) for n in range(50))
    other = Track(2, "head", 105, (Box(15, 0, 35, 20),) * 3 + (Box(40, 0, 60, 20),) * 30)
    places = likeness.places(Track(1, "head", 100, boxes), [other, Track(1, "head", 100, boxes)])
    assert [frame for frame, _, _ in places] == [109, 119, 129, 139, 149]
    assert all(box == boxes[frame - 100] for frame, box, _ in places)
    assert [others for _, _, others in places] == [()] * LOOKS
    near = Track(3, "head", 105, (Box(15, 0, 35, 20),) * 10)
    assert [len(others) for _, _, others in likeness.places(Track(1, "head", 100, boxes), [near])] == [1, 0, 0, 0, 0]
    assert len(likeness.places(Track(1, "head", 0, boxes[:2]), [])) == 2


def test_a_face_belongs_to_the_box_whose_middle_its_nose_is_nearest_to() -> None:
    hidden, before = Box(584, 103, 672, 218), Box(621, 162, 733, 314)
    points = np.tile([[680.0, 240.0]], (5, 1))
    assert likeness.belongs(points, before, [hidden])
    assert not likeness.belongs(points, hidden, [before])


def test_only_the_best_sightings_of_a_track_count() -> None:
    faces = [Face(np.full(4, n, np.float32), float(n)) for n in range(BEST + 3)]
    mean = likeness.mean(faces)
    assert mean is not None
    assert mean == pytest.approx(np.full(4, BEST + 2 - (BEST - 1) / 2))
    assert likeness.mean([]) is None


def test_the_bench_counts_pairs_that_rows_join_rightly_and_wrongly() -> None:
    tracks = [Track(n, "face", 0, (Box(50 * n, 0, 50 * n + 40, 40),) * 5) for n in range(1, 5)]
    seen = Seen(tracks, {1: "0-0", 2: "0-0", 3: "0-1", 4: "0-1"}, {}, {})
    alike, other = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert pairs(seen) == [2, 4]
    assert judge(apart(tracks), seen, {}, {}) == [0, 0]
    assert judge(apart(tracks), seen, {}, {1: alike, 2: alike, 3: other, 4: other}) == [2, 0]
    assert judge(apart(tracks), seen, {}, {1: alike, 4: alike, 3: other}) == [0, 1]
