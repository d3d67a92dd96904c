"""What could not be told is in the plan, the highest risk first, and what is told is not."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from redact.doubts import find_doubts
from redact.geometry import Box
from redact.plan import FLOW, Detection, Doubt
from redact.sightings import Timeline
from redact.tracking import make_tracks

RATE = 25
FRAMES = 100
SIZE = 640, 480
THRESHOLD = 0.3


def timeline(cuts: tuple[int, ...] = ()) -> Timeline:
    return Timeline(0, tuple(Fraction(n, RATE) for n in range(FRAMES)), cuts)


def face(frame: int, x: int = 300, y: int = 200, score: float = 0.8) -> Detection:
    return Detection(frame, Box(x, y, x + 40, y + 40), "face", score, "test")


def carried(frame: int, x: int = 300, y: int = 200, trust: float = 1.0) -> Detection:
    return Detection(frame, Box(x, y, x + 40, y + 40), "face", trust, FLOW)


def doubts_of(*chains: Sequence[Detection], cuts: tuple[int, ...] = ()) -> tuple[Doubt, ...]:
    return find_doubts(chains, make_tracks(chains, timeline(cuts), THRESHOLD), timeline(cuts), SIZE, THRESHOLD)


def test_a_face_that_is_seen_in_every_frame_is_no_doubt() -> None:
    assert doubts_of([face(n) for n in range(FRAMES)]) == ()


def test_what_was_too_weak_to_be_covered_is_in_doubt_where_it_was_seen_best() -> None:
    chain = [face(n, x=300 + n, score=0.25 if n == 42 else 0.2) for n in range(40, 45)]
    assert make_tracks([chain], timeline(), THRESHOLD) == ()
    (doubt,) = doubts_of(chain)
    assert (doubt.first, doubt.last, doubt.frame, doubt.box) == (40, 44, 42, chain[2].box)
    assert "not covered" in doubt.reason
    assert "5 times" in doubt.reason
    assert "0.25" in doubt.reason
    (once,) = doubts_of([face(7, score=0.2)])
    assert (once.first, once.frame, once.last) == (7, 7, 7)
    assert "once" in once.reason


def test_what_was_weak_but_is_covered_anyway_is_no_doubt() -> None:
    strong = [face(n) for n in range(FRAMES)]
    assert doubts_of(strong, [face(n, x=310, score=0.2) for n in range(40, 44)]) == ()
    assert doubts_of([face(n, x=310, score=0.2) for n in range(40, 44)], strong) == ()


def test_what_is_covered_in_some_frames_only_is_in_doubt() -> None:
    strong = [face(n) for n in range(40)]
    weak = [face(n, score=0.2) for n in range(46, 53)]
    doubts = doubts_of(strong, weak)
    assert make_tracks([strong], timeline(), THRESHOLD)[0].last == 49
    assert any("not covered" in d.reason for d in doubts)
    beside = [face(n, x=360, score=0.2) for n in range(10, 14)]
    assert any("not covered" in d.reason for d in doubts_of(strong, beside))


def test_what_is_covered_by_one_track_after_the_other_is_no_doubt() -> None:
    first, second = [face(n) for n in range(48)], [face(n, x=302) for n in range(48, FRAMES)]
    assert not any(
        "not covered" in d.reason for d in doubts_of(first, second, [face(n, score=0.2) for n in range(46, 53)])
    )


def test_a_long_stretch_without_a_sighting_is_in_doubt_and_a_short_one_is_not() -> None:
    def gap(frames: int) -> list[Doubt]:
        chain = [face(n) for n in range(FRAMES) if not 40 <= n < 40 + frames]
        return [d for d in doubts_of(chain) if "without being seen" in d.reason]

    assert gap(0) == gap(1) == gap(13) == []
    (doubt,) = gap(14)
    assert (doubt.first, doubt.last) == (40, 53)
    assert 40 < doubt.frame < 53
    assert doubt.box.contains(Box(300, 200, 340, 240))


def test_a_stretch_that_the_picture_could_follow_is_less_in_doubt() -> None:
    seen = [face(n) for n in range(FRAMES) if not 40 <= n < 70]

    def risk(trust: float) -> float:
        between = [carried(n, trust=trust) for n in range(40, 70)]
        (doubt,) = doubts_of(sorted([*seen, *between], key=lambda d: d.frame))
        return doubt.risk

    (guessed,) = doubts_of(seen)
    assert 0 < risk(1.0) < risk(0.5) < risk(0.0) == guessed.risk


def test_a_track_that_begins_or_ends_inside_the_picture_is_in_doubt() -> None:
    begins, ends = sorted(doubts_of([face(n) for n in range(30, 70)]), key=lambda d: d.frame)
    assert (begins.first, begins.frame, begins.last) == (20, 20, 20)
    assert (ends.first, ends.frame, ends.last) == (79, 79, 79)
    assert "begins inside the picture" in begins.reason
    assert "ends inside the picture" in ends.reason


def test_a_track_that_begins_and_ends_with_its_scene_is_no_doubt() -> None:
    assert doubts_of([face(n) for n in range(FRAMES)]) == ()
    assert doubts_of([face(n) for n in range(30, 70)], cuts=(25, 75)) == ()
    assert len(doubts_of([face(n) for n in range(30, 70)], cuts=(25,))) == 1


def test_a_track_that_leaves_the_picture_at_its_edge_is_no_doubt() -> None:
    leaving = [face(n, x=300 + 6 * n) for n in range(55)]
    assert doubts_of(leaving) == ()
    coming = [face(n, x=300 - 6 * (FRAMES - 1 - n)) for n in range(50, FRAMES)]
    assert doubts_of(coming) == ()


def test_who_vanishes_after_being_seen_surely_is_a_higher_risk() -> None:
    (weak,) = doubts_of([face(n, score=0.4) for n in range(60)])
    (sure,) = doubts_of([face(n, score=0.95) for n in range(60)])
    assert sure.risk > weak.risk


def test_the_highest_risk_comes_first() -> None:
    doubts = doubts_of(
        [face(n) for n in range(FRAMES) if not 40 <= n < 70],
        [face(n, x=100, score=0.5) for n in range(30)],
        [face(20, x=500, score=0.2)],
        [face(60, x=500, score=0.28)],
        [face(n, x=60, y=60, score=0.95) for n in range(50, FRAMES)],
    )
    assert len(doubts) == 5
    risks = [d.risk for d in doubts]
    assert risks == sorted(risks, reverse=True)
    assert len(set(risks)) > 3


@st.composite
def chains(draw: st.DrawFn) -> list[list[Detection]]:
    """Return chains as following leaves them."""
    made = []
    numbers = st.integers(0, FRAMES - 1)
    for _ in range(draw(st.integers(0, 5))):
        seen = draw(st.sets(numbers, min_size=1, max_size=9))
        flow = draw(st.lists(numbers, max_size=12)) if len(seen) > 2 else []
        chain = []
        for n, detector in [*((n, "test") for n in seen), *((n, FLOW) for n in flow)]:
            x, y, w, h = (draw(st.integers(low, 600)) for low in (-60, -60, 1, 1))
            chain.append(Detection(n, Box(x, y, x + w, y + h), "face", draw(st.floats(0, 1)), detector))
        made.append(sorted(chain, key=lambda d: (d.frame, d.detector == FLOW)))
    return made


@settings(deadline=None, max_examples=100)
@given(chains(), st.sets(st.integers(1, FRAMES - 1), max_size=3), st.floats(0.05, 0.9))
def test_every_risk_is_between_0_and_1_in_order_and_no_chain_is_passed_over(
    made: list[list[Detection]], cuts: set[int], threshold: float
) -> None:
    line = timeline(tuple(sorted(cuts)))
    doubts = find_doubts(made, make_tracks(made, line, threshold), line, SIZE, threshold)
    assert [d.risk for d in doubts] == sorted((d.risk for d in doubts), reverse=True)
    for doubt in doubts:
        assert 0 <= doubt.risk <= 1
        assert 0 <= doubt.first <= doubt.frame <= doubt.last < FRAMES
        assert doubt.reason
    tracks = make_tracks(made, line, threshold)
    for chain in made:
        if make_tracks([chain], line, threshold):
            continue
        best = max((d for d in chain if d.detector != FLOW), key=lambda d: d.score)
        told = any("not covered" in d.reason and (d.frame, d.box) == (best.frame, best.box) for d in doubts)
        hidden = all(
            any(
                t.first <= d.frame <= t.last and (shared := d.box.intersect(t.boxes[d.frame - t.first]))
                and shared.area >= 0.8 * d.box.area
                for t in tracks
            )
            for d in chain
        )  # fmt: skip
        assert told != hidden


def test_what_another_model_took_for_no_face_is_in_doubt_with_that_reason() -> None:
    box = Box(100, 100, 160, 160)
    seen = [Detection(n, box, "face", 0.4 + 0.01 * n, "eyes", judged=0.02) for n in range(5)]
    carried = [Detection(n, box, "face", 1.0, FLOW) for n in range(5, 9)]
    (doubt,) = find_doubts([[*seen, *carried]], [], timeline(20), (640, 480), THRESHOLD)
    assert (doubt.first, doubt.last, doubt.frame, doubt.box) == (0, 8, 4, box)
    assert doubt.reason == "not covered: seen 5 times, and by one model of two (score 0.44)"
