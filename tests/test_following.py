"""What was seen is carried through the picture: as far as the picture says, and no farther."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from redact import following
from redact.crew import Crew
from redact.following import (
    FOLLOW_S,
    KEPT_BYTES,
    KEPT_PICTURES,
    WEAK_S,
    Follower,
    _Chain,
)
from redact.plan import FLOW, Detection
from redact.scenes import Clock
from redact.sightings import Timeline
from redact.tracking import LEAD_S, link
from tests.walks import (
    HEIGHT,
    RATE,
    THRESHOLD,
    WIDTH,
    Place,
    Watcher,
    box_at,
    film,
    follow,
    reach,
    see_nothing,
    sighting,
    sightings,
    still,
    straight,
    timeline,
    uncovered,
)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (9, 2000), (2000, 30), (1, 2000)],
)  # fmt: skip
def test_pictures_of_any_size_can_be_followed(size: tuple[int, int]) -> None:
    chains = follow([np.zeros((*size, 3), np.uint8)] * 9, [[sighting(4, (0, 0))]])
    assert any(d.detector != FLOW for d in chains[0])


def test_a_face_seen_once_is_carried_both_ways() -> None:
    pictures = film(60, lambda n: (60 + 6 * n, 180 - 2 * n))
    (chain,) = follow(pictures, [[sighting(30, (240, 120))]])
    assert reach(chain) == (30 - LEAD_S * RATE, 30 + LEAD_S * RATE)
    assert uncovered([chain], timeline(60), lambda n: (60 + 6 * n, 180 - 2 * n), range(20, 41)) == []
    assert all(d.score > 0.7 for d in chain if d.detector == FLOW)


def test_what_is_carried_keeps_the_label_and_the_turn_of_what_was_seen() -> None:
    (chain,) = follow(film(20, still), [[sighting(10, still(10), angle=90)]])
    assert {(d.label, d.angle) for d in chain} == {("face", 90)}
    assert {d.detector for d in chain} == {"test", FLOW}


def test_a_face_seen_once_is_not_carried_where_the_picture_does_not_support_it_beyond_the_shortest_time() -> None:
    pictures = film(90, still)
    pictures[31:] = [np.full_like(pictures[0], 90)] * 59
    (chain,) = follow(pictures, [sightings(still, range(10, 31))])
    assert reach(chain)[1] == 30 + WEAK_S * RATE
    assert all(d.score == 0 for d in chain if d.frame > 30)
    (chain,) = follow(film(90, still), [sightings(still, range(10, 31))])
    assert reach(chain)[1] > 30 + 2 * WEAK_S * RATE


def test_a_short_cover_does_not_stop_what_is_followed() -> None:
    pictures = film(60, straight)
    for n in range(34, 40):
        pictures[n] = np.full_like(pictures[n], 90)
    (chain,) = follow(pictures, [sightings(straight, range(10, 31))])
    assert reach(chain)[1] == 59
    assert uncovered([chain], timeline(60), straight, range(10, 60)) == []


def test_nothing_is_carried_over_a_cut() -> None:
    pictures = film(60, still, cuts=(25, 45))
    (chain,) = follow(pictures, [sightings(still, range(30, 41))], timeline(60, cuts=(25, 45)))
    assert reach(chain) == (25, 44)


def test_one_black_picture_does_not_end_what_is_followed() -> None:
    pictures, clock = film(60, still), Clock()
    pictures[31] = np.zeros_like(pictures[0])
    for n, picture in enumerate(pictures):
        clock.show(picture, n, Fraction(n, RATE))
    (chain,) = follow(pictures, [sightings(still, range(10, 31))], clock.timeline)
    assert reach(chain)[1] == 59


def test_a_face_that_leaves_the_picture_is_carried_to_its_edge_and_no_farther() -> None:
    def leaving(n: int) -> Place:
        return 300 + 10 * n, 150

    (chain,) = follow(film(60, leaving), [sightings(leaving, range(11))])
    assert uncovered([chain], timeline(60), leaving, range(18)) == []
    assert reach(chain)[1] <= 20
    assert all(d.box.clip(WIDTH, HEIGHT) for d in chain)


def test_nothing_is_carried_beyond_the_beginning_and_the_end_of_the_clip() -> None:
    (chain,) = follow(film(20, still), [sightings(still, range(3, 18))])
    assert reach(chain) == (0, 19)


def test_what_was_seen_longer_and_more_surely_is_carried_longer() -> None:
    pictures, ends = film(140, still), {}
    for score in (0.4, 0.8):
        for last in (60, 64, 80):
            (chain,) = follow(pictures, [sightings(still, range(60, last + 1), score)])
            first, end = reach(chain)
            assert 60 - first == end - last
            ends[score, last] = end - last
    assert ends[0.4, 60] == ends[0.4, 64] == ends[0.4, 80] == ends[0.8, 60] == LEAD_S * RATE
    assert ends[0.8, 60] < ends[0.8, 64] < ends[0.8, 80] <= FOLLOW_S * RATE
    (chain,) = follow(film(200, still), [sightings(still, range(75))])
    assert reach(chain) == (0, 74 + FOLLOW_S * RATE)


def test_a_chain_that_does_not_count_is_not_carried() -> None:
    weak = sightings(still, range(10, 14), THRESHOLD - 0.05)
    assert follow(film(30, still), [weak]) == [weak]


def test_a_long_chain_is_not_gone_through_at_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, through = [0], _Chain.sightings

    def sightings_of(chain: _Chain) -> list[Detection]:
        gone[0] += 1
        return through(chain)

    monkeypatch.setattr(_Chain, "sightings", sightings_of)
    seen = [frame for frame in range(120) if frame % 10]
    follow(film(120, still), [sightings(still, seen)])
    assert gone[0] < 12


def test_a_gap_is_filled_from_both_sides_also_where_the_motion_is_a_curve() -> None:
    def curve(n: int) -> Place:
        turn = math.pi * (n - 10) / 30
        return 200 - 80 * math.cos(turn), 130 + 80 * math.sin(turn)

    seen = [*sightings(curve, [10]), *sightings(curve, [40])]
    line = timeline(60)
    assert len(uncovered([seen], line, curve, range(10, 41))) > 15
    (chain,) = follow(film(60, curve), [seen], line)
    assert uncovered([chain], line, curve, range(10, 41)) == []
    ways = [sum(d.frame == n for d in chain) for n in range(10, 41)]
    assert ways == [1, *[2] * 29, 1]


@pytest.mark.parametrize("away", [50, 70, 90])
@pytest.mark.parametrize("later", [True, False])
def test_a_wrong_sighting_does_not_take_the_place_of_a_face_that_moves_on(later: bool, away: int) -> None:
    def clock(n: int) -> Place:
        return straight(30)[0], straight(30)[1] + away

    seen, wrong = sightings(straight, range(25, 36)), sightings(clock, [39 if later else 21], 0.4)
    whole = sorted([*seen, *wrong], key=lambda d: d.frame)
    chains = follow(film(70, straight), [whole])
    assert uncovered(chains, timeline(70), straight, range(15, 46)) == []
    assert uncovered(chains, timeline(70), clock, [wrong[0].frame]) == []
    assert all(d in chains[0] for d in whole)
    assert seen in [[d for d in own if d.detector != FLOW] for own in chains[1:]]


def test_a_face_that_another_chain_sees_there_need_not_part_from_its_own() -> None:
    seen = sightings(straight, range(25, 36))
    wrong = sighting(39, (straight(30)[0], straight(30)[1] + 90), 0.4)
    other = [replace(d, detector="other") for d in sightings(straight, range(38, 50))]
    for others, parted in (([], True), ([other], False)):
        chains = follow(film(70, straight), [[*seen, wrong], *others])
        assert any([d for d in c if d.detector == "test"] == seen for c in chains) is parted


def test_a_sighting_where_a_face_was_carried_to_goes_on_with_the_chain() -> None:
    seen = [*sightings(straight, range(10, 31)), *sightings(straight, [34])]
    assert len(follow(film(60, straight), [seen])) == 1


def test_a_face_on_a_wall_is_carried_where_the_camera_pans_fast() -> None:
    """The pan is farther than the flow alone can follow."""
    speed = 30

    def path(n: int) -> Place:
        return 440 - speed * n, 150

    pictures = film(16, path, camera=-speed)
    line = timeline(16, camera=-speed)
    (chain,) = follow(pictures, [[sighting(7, path(7))]], line)
    assert uncovered([chain], line, path, range(1, 15)) == []
    assert all(d.score > 0.5 for d in chain if d.detector == FLOW and 1 <= d.frame <= 14)
    for d in chain:
        assert abs(d.box.center[0] - box_at(path(d.frame)).center[0]) < 4


def test_two_chains_that_meet_become_one() -> None:
    def path(n: int) -> Place:
        return 120 + 60 * math.sin(n / 8), 60 + 3 * n

    one, two = sightings(path, range(5, 16)), sightings(path, range(40, 50))
    (chain,) = follow(film(60, path), [one, two])
    assert [d for d in chain if d.detector != FLOW] == [*one, *two]
    assert uncovered([chain], timeline(60), path, range(60)) == []


def test_chains_of_different_places_stay_apart() -> None:
    def other(n: int) -> Place:
        return 40, 290

    one, two = sightings(still, range(5, 16)), sightings(other, range(20, 30))
    assert len(follow(film(60, still, other), [one, two])) == 2


def test_people_who_cross_are_covered_in_every_frame() -> None:
    def right(n: int) -> Place:
        return 60 + 5 * n, 120

    def left(n: int) -> Place:
        return 360 - 5 * n, 130

    line = timeline(60)
    seen = sightings(right, [n for n in range(60) if not 25 <= n <= 35])
    seen += sightings(left, [n for n in range(60) if not 22 <= n <= 38])
    chains = follow(film(60, right, left), link(seen, line), line)
    for path in (right, left):
        assert uncovered(chains, line, path, range(60)) == []


@pytest.mark.parametrize(("speed", "turns"), [(12, 10), (15, 9), (15, 11)])
def test_who_walks_behind_somebody_stays_covered_when_that_one_turns_around(speed: int, turns: int) -> None:
    """The flow sticks to who is in front, whose face is seen from then on; who walked on is seen again as well."""

    def walking(n: int) -> Place:
        return 175 + speed * (n - 5), 120

    def standing(n: int) -> Place:
        return 190, 124

    line = timeline(40)
    seen_walking = sightings(walking, [n for n in range(24) if n <= 5 or n >= 12])
    seen_standing = sightings(standing, range(turns, 35))
    chains = follow(film(40, walking, standing), link(seen_walking + seen_standing, line), line)
    for path, seen in ((walking, seen_walking), (standing, seen_standing)):
        assert uncovered(chains, line, path, [d.frame for d in seen]) == []


@pytest.mark.parametrize("rate", [1, 25, 240])
@pytest.mark.parametrize("most", [KEPT_BYTES, 100 * 30 * 40])
def test_only_a_few_frames_are_kept_however_long_the_clip_is(
    rate: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "KEPT_BYTES", most)
    line = Timeline(0, tuple(Fraction(n, rate) for n in range(900)), ())
    with Crew() as crew:
        follower = Follower([], line, THRESHOLD, see_nothing, crew)
        pictures: list[weakref.ref[np.ndarray]] = []
        for n in range(900):
            picture = np.zeros((30, 40, 3), np.uint8)
            pictures.append(weakref.ref(picture))
            follower.show(picture, n)
            del picture
            assert sum(kept.grey.nbytes for kept in follower._kept) <= most
            assert sum(p() is not None for p in pictures) <= KEPT_PICTURES
    assert len(follower._kept) == min(max(FOLLOW_S * rate + 1, KEPT_PICTURES), most // (30 * 40))


@pytest.mark.parametrize("rate", [60, 120])
def test_a_face_that_was_seen_surely_and_long_is_carried_as_far_back_in_quick_clips(rate: int) -> None:
    begin, seen = 4 * rate, range(4 * rate, 6 * rate)
    line = Timeline(0, tuple(Fraction(n, rate) for n in range(6 * rate)), ())
    (chain,) = follow(film(1, still) * (6 * rate), [sightings(still, seen)], line)
    assert chain[0].frame == begin - FOLLOW_S * rate


def test_as_many_grey_pictures_are_kept_as_clips_of_120_frames_a_second_need() -> None:
    assert KEPT_BYTES >= (FOLLOW_S * 120 + 1) * 640 * 360


def test_pictures_are_not_changed() -> None:
    pictures = film(20, still)
    before = [p.copy() for p in pictures]
    for p in pictures:
        p.flags.writeable = False
    follow(pictures, [[sighting(10, still(10))]], look_at=Watcher(still))
    assert all((a == b).all() for a, b in zip(pictures, before, strict=True))
