"""Tracks have no holes, reach beyond what was seen, and never uncover."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib.machinery import PathFinder

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.geometry import Box
from redact.plan import FLOW, Detection, Track
from redact.sightings import Timeline
from redact.tracking import ASK_BELOW, KEEP_SCORE, TURNED, counts, head, link, make_tracks, smooth, solver

RATE = 25


def timeline(frames: int, cuts: tuple[int, ...] = (), camera: tuple[tuple[float, ...], ...] = ()) -> Timeline:
    return Timeline(0, tuple(Fraction(n, RATE) for n in range(frames)), cuts, camera)


def pan(frames: int, x: float, y: float = 0) -> tuple[tuple[float, ...], ...]:
    """Return the motion of a camera that makes everything move by x, y from frame to frame."""
    return ((1.0, 0.0, x, 0.0, 1.0, y),) * frames


def face(frame: int, x: int = 100, y: int = 100, size: int = 40, score: float = 0.8) -> Detection:
    return Detection(frame, Box(x, y, x + size, y + size), "face", score, "test")


def carried(frame: int, x: int = 100, y: int = 100, size: int = 40, trust: float = 0.9) -> Detection:
    return Detection(frame, Box(x, y, x + size, y + size), "face", trust, FLOW)


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


@pytest.mark.parametrize("threshold", [0.05, 0.1, KEEP_SCORE, 0.33])
def test_one_sighting_makes_a_track_from_the_threshold_on_however_low_that_is(threshold: float) -> None:
    line = timeline(60)
    for score, tracks in ((threshold, 1), (threshold - 0.01, 0)):
        chains = link([face(30, score=score)], line, threshold)
        assert len(make_tracks(chains, line, threshold)) == tracks


def test_the_lead_is_a_time_also_where_frames_come_irregularly() -> None:
    times = [Fraction(n, 10) for n in range(10)] + [1 + Fraction(n, 100) for n in range(100)]
    (track,) = tracks_of([face(50)], Timeline(0, tuple(times), ()), 0.2)
    assert times[50] - times[track.first] >= Fraction(2, 5)
    assert times[track.last] - times[50] >= Fraction(2, 5)


def test_a_gap_grows_by_its_seconds_also_where_most_frames_come_quicker() -> None:
    def widest(before: int) -> int:
        """Return how wide a gap of 1 s at 4 frames a second is, with so many frames at 60 a second around it."""
        quick = [Fraction(n, 60) for n in range(before)]
        slow = [quick[-1] + Fraction(n, 4) for n in range(1, 30)]
        line = Timeline(0, (*quick, *slow, *(slow[-1] + t + Fraction(1, 60) for t in quick)), ())
        seen = [face(before + n) for n in (*range(5), *range(8, 12))]
        (track,) = tracks_of(seen, line, 0.2)
        return max(box.width for box in track.boxes[before + 5 - track.first : before + 8 - track.first])

    assert widest(1) == widest(600) > 70


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


def test_faces_that_move_with_the_camera_are_one_track() -> None:
    """1.5 times their size from frame to frame: without the camera's motion they would be many."""
    seen = [face(n, x=60 * n, y=200 - 7 * n) for n in range(5, 15)]
    assert len(link(seen, timeline(20))) == len(seen)
    line = timeline(20, camera=pan(20, 60, -7))
    assert [len(chain) for chain in link(seen, line)] == [len(seen)]
    (track,) = tracks_of(seen, line, 0.3)
    assert all(covers((track,), d) for d in seen)


def test_a_face_out_of_sight_is_expected_where_the_camera_brings_it() -> None:
    turning = ((0.98, -0.17, 40.0, 0.17, 0.98, -20.0),) * 40
    line = timeline(40, camera=turning)
    places = {n: line.moved(300, 200, 10, n) for n in range(40)}
    seen = [face(n, x=round(places[n][0]) - 20, y=round(places[n][1]) - 20) for n in (10, 11, 16, 17)]
    assert [len(chain) for chain in link(seen, line)] == [4]
    assert len(link(seen, timeline(40))) > 1


def test_a_track_reaches_beyond_what_was_seen_with_the_camera() -> None:
    line = timeline(40, camera=pan(40, 9, 4))
    (track,) = tracks_of([face(20)], line, 0.3)
    for n in range(track.first, track.last + 1):
        assert covers((track,), face(n, x=100 + 9 * (n - 20), y=100 + 4 * (n - 20)))


def test_a_turned_sighting_must_be_surer_than_an_upright_one() -> None:
    for angle, least in ((0, 0.3), (45, 0.3 + TURNED), (270, 0.3 + TURNED)):
        chain = [replace(face(9, score=least + 0.001), angle=angle)]
        assert counts(chain, 0.3)
        assert not counts([replace(chain[0], score=least - 0.001)], 0.3)


def test_what_was_only_carried_makes_no_track() -> None:
    assert not counts([carried(n, trust=1.0) for n in range(30)], 0.3)
    assert not counts([face(9, score=0.2), *(carried(n, trust=1.0) for n in range(10, 30))], 0.3)


@pytest.mark.parametrize(("angle", "side"), [(0, "y0"), (90, "x1"), (180, "y1"), (270, "x0")])
def test_a_head_reaches_farther_where_its_hair_is(angle: int, side: str) -> None:
    """Turning the picture counter-clockwise by 90 degrees brings what is at its right to its top."""
    whole = head(np.array([100.0, 100, 140, 140]), angle, rim=3)
    reach = dict(zip(("x0", "y0", "x1", "y1"), np.abs(whole - (100, 100, 140, 140)), strict=True))
    assert reach.pop(side) > max(reach.values())
    assert min(reach.values()) > 0


def test_a_gap_follows_what_was_carried_where_the_motion_is_no_line() -> None:
    """Between two sightings at the same place the face went far down and came back."""

    def y(n: int) -> int:
        return 100 + round(60 * np.sin(np.pi * (n - 10) / 20))

    between = [carried(n, y=y(n)) for n in range(11, 30) for _ in range(2)]
    (track,) = make_tracks([[face(10), *between, face(30)]], timeline(41), 0.3)
    assert all(covers((track,), face(n, y=y(n))) for n in range(10, 31))


def test_where_the_two_ways_of_filling_a_gap_disagree_both_are_covered() -> None:
    ways = [carried(n, x=x) for n in range(11, 30) for x in (40, 160)]
    (track,) = make_tracks([[face(10), *ways, face(30)]], timeline(41), 0.3)
    assert all(covers((track,), d) for d in ways)
    assert covers((track,), face(20))


def test_a_track_reaches_as_far_as_the_picture_carried_it() -> None:
    there = [carried(n, x=100 + 5 * (n - 30)) for n in range(31, 60)]
    back = [carried(n, x=100 + 5 * (n - 20)) for n in range(3, 20)]
    chain = [*back, *(face(n, x=100 + 5 * (n - 20)) for n in range(20, 31)), *there]
    (track,) = make_tracks([chain], timeline(90), 0.3)
    assert (track.first, track.last) == (3, 59)
    assert all(covers((track,), d) for d in back + there)


def test_what_was_carried_with_less_trust_is_covered_wider() -> None:
    def last(trust: float) -> Box:
        chain = [face(10), *(carried(n, trust=trust) for n in range(11, 30))]
        return make_tracks([chain], timeline(60), 0.3)[0].boxes[-1]

    assert last(0.4).area > 1.3 * last(1.0).area
    assert last(0.4).contains(last(1.0))


def test_boxes_glide_also_where_they_were_carried() -> None:
    noise = np.random.default_rng(1).integers(-3, 4, 60)
    chain = [(face if n % 10 == 0 else carried)(n, x=100 + int(noise[n])) for n in range(60)]
    (track,) = make_tracks([chain], timeline(60), 0.3)
    middles = np.array([box.center[0] for box in track.boxes])
    assert np.abs(np.diff(middles)).mean() < np.abs(np.diff(noise)).mean() / 2


def test_a_sighting_counts_more_than_what_was_carried_to_its_frame() -> None:
    """Where a small look finds a face, the box that was carried there is in the chain as well."""
    line = Timeline(0, tuple(Fraction(n, 5) for n in range(40)), ())
    seen = [face(16), face(20, x=120)]
    chain = [seen[0], *(carried(n) for n in range(17, 20)), seen[1], carried(20)]
    tracks = make_tracks([chain], line, 0.3)
    assert all(covers(tracks, d) for d in seen)


cameras = st.one_of(
    st.just(()),
    st.lists(
        st.tuples(st.floats(-0.3, 0.3), st.floats(0.9, 1.1), st.floats(-60, 60), st.floats(-60, 60)).map(
            lambda m: (m[1] * np.cos(m[0]), -m[1] * np.sin(m[0]), m[2], m[1] * np.sin(m[0]), m[1] * np.cos(m[0]), m[3])
        ),
        min_size=40,
        max_size=40,
    ).map(tuple),
)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(-20, 300), st.integers(-20, 200), st.integers(1, 80), st.integers(1, 80),
)  # fmt: skip


@st.composite
def followed(draw: st.DrawFn) -> list[Detection]:
    """Return one chain as following leaves it: sightings, and boxes that were carried beside, between and beyond."""
    seen = draw(st.dictionaries(st.integers(0, 39), boxes, min_size=1, max_size=8))
    angles, scores = st.integers(0, 359), st.floats(0.3, 1)
    chain = [Detection(n, box, "face", draw(scores), "test", draw(angles)) for n, box in seen.items()]
    for n in draw(st.lists(st.integers(0, 39), max_size=20)):
        chain.append(Detection(n, draw(boxes), "face", draw(st.floats(0, 1)), FLOW, draw(angles)))
    return sorted(chain, key=lambda d: (d.frame, d.detector == FLOW))


@settings(deadline=None, max_examples=200)
@given(followed(), cameras)
def test_every_sighting_lies_inside_its_tracks_box_also_where_boxes_were_carried(
    chain: list[Detection], camera: tuple[tuple[float, ...], ...]
) -> None:
    (track,) = make_tracks([chain], timeline(40, camera=camera), 0.2)
    for detection in chain:
        assert track.first <= detection.frame <= track.last
        if detection.detector != FLOW:
            assert covers((track,), detection), detection


@settings(deadline=None, max_examples=150)
@given(sightings(), st.sets(st.integers(1, 39), max_size=3), cameras, st.data())
def test_every_detection_that_counts_is_covered_however_it_was_turned_and_the_camera_moved(
    seen: list[Detection], cuts: set[int], camera: tuple[tuple[float, ...], ...], data: st.DataObject
) -> None:
    turned = [replace(d, angle=data.draw(st.integers(0, 359))) for d in seen]
    line = timeline(40, tuple(sorted(cuts)), camera)
    tracks = tracks_of(turned, line, 0.3)
    chains = [chain for chain in link(turned, line) if counts(chain, 0.3)]
    assert len(chains) == len(tracks)
    for chain in chains:
        assert any(all(covers((track,), d) for d in chain) for track in tracks)
        assert len({d.frame for d in chain}) == len(chain)


def test_a_line_of_text_that_stands_still_is_covered_whole_where_only_a_part_of_it_was_seen() -> None:
    parts = [Detection(0, Box(60, 10, 100, 30), "text", 0.8, "t"), Detection(16, Box(20, 10, 98, 31), "text", 0.8, "t")]
    (track,) = make_tracks([parts], Timeline(0, tuple(Fraction(n, 25) for n in range(30)), ()), 0.3)
    assert track.label == "text"
    assert all(box.contains(Box(20, 10, 100, 31)) for box in track.boxes)
    panned = Timeline(0, tuple(Fraction(n, 25) for n in range(30)), (), ((1.0, 0.0, 2.0, 0.0, 1.0, 0.0),) * 30)
    (track,) = make_tracks([parts], panned, 0.3)
    assert not track.boxes[0].contains(Box(20, 10, 100, 31))


def test_a_line_of_text_is_covered_where_it_was_seen_only_as_long_as_the_camera_stands() -> None:
    times = tuple(Fraction(n, 25) for n in range(30))
    turns = ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0),) * 15 + ((1.0, 0.0, 9.0, 0.0, 1.0, 0.0),) * 15
    seen = [Detection(n, Box(60, 10, 100, 30), "text", 0.8, "t") for n in (10, 14)]
    carried = [
        Detection(n, Box(60 + 9 * (n - 14), 10, 100 + 9 * (n - 14), 30), "text", 1.0, FLOW) for n in range(15, 25)
    ]
    for sightings in (seen, seen[1:]):
        (track,) = make_tracks([[*sightings, *carried]], Timeline(0, times, (), turns), 0.3)
        assert track.boxes[14 - track.first].contains(seen[0].box)
        assert track.boxes[24 - track.first].x0 > 100


LARGE, SMALL = Box(0, 0, 40, 40), Box(0, 0, 30, 36)


def judged(box: Box, *answers: float | None, score: float = 0.5) -> list[Detection]:
    return [Detection(n, box, "face", score, "eyes", judged=answer) for n, answer in enumerate(answers)]


def test_a_chain_that_another_model_denies_at_its_three_best_sightings_does_not_count() -> None:
    assert not counts(judged(LARGE, 0.1, 0.0, None, 0.14), 0.33)
    assert counts(judged(LARGE, 0.1, 0.15, None, 0.1), 0.33)  # one answer is enough,
    clock, face = judged(LARGE, 0.0, 0.0, 0.0), judged(LARGE, *[None] * 20, score=0.45)
    assert counts([*clock, *(replace(d, frame=d.frame + 3) for d in face)], 0.33)  # a clock that became a face
    assert counts(judged(LARGE, 0.1, 0.1, None), 0.33)  # and one that was not asked for
    assert not counts(judged(LARGE, 0.1, 0.1), 0.33)  # unless it was not seen more often
    assert counts(judged(LARGE, None, None, None), 0.33)  # where nobody was asked, as ever


def test_small_faces_and_sure_ones_count_whatever_another_model_says() -> None:
    assert counts(judged(SMALL, 0.0, 0.0, 0.0), 0.33)
    assert counts([*judged(LARGE, 0.0, 0.0, 0.0), Detection(3, LARGE, "face", ASK_BELOW, "eyes")], 0.33)
    assert counts([replace(d, label="person") for d in judged(LARGE, 0.0, 0.0, 0.0)], 0.33)


def test_a_box_that_was_carried_is_no_sighting_that_was_not_asked_about() -> None:
    carried = [Detection(n, LARGE, "face", 1.0, FLOW) for n in range(3, 9)]
    assert not counts([*judged(LARGE, 0.1, 0.1, 0.1), *carried], 0.33)


def test_assigning_loads_nothing_else_of_scipy() -> None:
    program = "import sys; from redact.tracking import solver; solver(); print('scipy.optimize' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", ["_lsap", "there_is_none", "version"])
def test_a_scipy_that_keeps_the_assignment_elsewhere_assigns_alike(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.optimize import linear_sum_assignment

    find = PathFinder.find_spec
    monkeypatch.setattr(PathFinder, "find_spec", lambda _, folders: find(module, [*folders, *scipy.__path__]))
    cost = np.random.default_rng(5).random((7, 9))
    assert [list(n) for n in solver.__wrapped__()(cost)] == [list(n) for n in linear_sum_assignment(cost)]
