"""What was seen is carried through the picture: as far as the picture says, and no farther."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from redact.crew import Crew
from redact.detectors.looks import Look
from redact.following import (
    FOLLOW_S,
    KEPT_FRAMES,
    KEPT_PICTURES,
    LOOK_AFTER,
    LOOK_SIDE,
    WEAK_S,
    Follower,
    LookAt,
    carry,
    to_grey,
)
from redact.geometry import Box
from redact.plan import FLOW, Detection
from redact.sightings import Timeline
from redact.tracking import LEAD_S, counts, link, make_tracks
from tests.clips import textured_background

RATE = 25
WIDTH, HEIGHT = 480, 360
SIDE = 40  # of a face
THRESHOLD = 0.3

Place = tuple[float, float]
Path = Callable[[int], Place | None]  # from a frame to where a face is, if it is there


def face(seed: int, side: int = SIDE) -> np.ndarray:
    """Return a picture of hard patches that can be followed."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def carry_one(before: np.ndarray, after: np.ndarray, row: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, float]:
    moved, trust = carry(before, after, row[None], motion[None])
    return moved[0], float(trust[0])


def film(frames: int, *paths: Path, cuts: Sequence[int] = (), camera: float = 0) -> list[np.ndarray]:
    """Return pictures of faces that move over a ground, the last one in front; places move with the camera too."""
    pictures = []
    for n in range(frames):
        ground = textured_background(3 * WIDTH, HEIGHT, 1 + sum(cut <= n for cut in cuts))
        ground = np.roll(ground, round(camera * n), axis=1)[:, WIDTH : 2 * WIDTH].copy()
        for seed, path in enumerate(paths):
            place = path(n)
            if place is not None:
                paste(ground, face(seed), round(place[0]), round(place[1]))
        pictures.append(ground)
    return pictures


def paste(picture: np.ndarray, what: np.ndarray, x: int, y: int) -> None:
    """Put one picture into another, as far as it lies in it."""
    seen = Box(x, y, x + what.shape[1], y + what.shape[0]).clip(picture.shape[1], picture.shape[0])
    if seen:
        picture[seen.y0 : seen.y1, seen.x0 : seen.x1] = what[seen.y0 - y : seen.y1 - y, seen.x0 - x : seen.x1 - x]


def box_at(place: Place | None, side: int = SIDE) -> Box:
    assert place is not None
    return Box(round(place[0]), round(place[1]), round(place[0]) + side, round(place[1]) + side)


def sighting(frame: int, place: Place | None, score: float = 0.8, angle: int = 0) -> Detection:
    return Detection(frame, box_at(place), "face", score, "test", angle)


def sightings(path: Path, frames: Sequence[int], score: float = 0.8) -> list[Detection]:
    return [sighting(n, path(n), score) for n in frames]


def timeline(frames: int, cuts: Sequence[int] = (), camera: float = 0) -> Timeline:
    moved = ((1.0, 0.0, camera, 0.0, 1.0, 0.0),) * frames if camera else ()
    return Timeline(0, tuple(Fraction(n, RATE) for n in range(frames)), tuple(cuts), moved)


def see_nothing(picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
    return []


def follow(
    pictures: Sequence[np.ndarray],
    chains: Sequence[Sequence[Detection]],
    line: Timeline | None = None,
    look_at: LookAt = see_nothing,
) -> list[list[Detection]]:
    with Crew() as crew:
        follower = Follower(chains, line or timeline(len(pictures)), THRESHOLD, look_at, crew)
        for n, picture in enumerate(pictures):
            follower.show(picture, n)
    return follower.chains()


def uncovered(chains: Sequence[Sequence[Detection]], line: Timeline, path: Path, frames: Sequence[int]) -> list[int]:
    """Return the frames in which a face is not inside the box of any track."""
    tracks = make_tracks(chains, line, THRESHOLD)
    return [
        n for n in frames
        if not any(t.first <= n <= t.last and t.boxes[n - t.first].contains(box_at(path(n))) for t in tracks)
    ]  # fmt: skip


def reach(chain: Sequence[Detection]) -> tuple[int, int]:
    return chain[0].frame, chain[-1].frame


def straight(n: int) -> Place:
    """Move slowly across the picture."""
    return 60 + 3 * n, 100 + n


def still(n: int) -> Place:
    return 220, 150


ROW = np.array([100.0, 100, 140, 140])


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, -2), (-9, 6), (14, 11)])
def test_a_box_is_carried_with_what_it_holds(dx: int, dy: int) -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + dx * n, 100 + dy * n)))
    moved, trust = carry_one(before, after, ROW, np.zeros(2))
    assert trust > 0.7
    assert np.abs(moved - ROW - np.tile((dx, dy), 2)).max() < 0.5


def test_a_guess_of_the_motion_brings_a_box_farther() -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + 120 * n, 100), camera=120))
    assert carry_one(before, after, ROW, np.zeros(2))[1] < 0.7
    moved, trust = carry_one(before, after, ROW, np.array([115.0, 4]))
    assert trust > 0.7
    assert np.abs(moved - ROW - (120, 0, 120, 0)).max() < 0.5


@pytest.mark.parametrize("zoom", [0.93, 1.06])
def test_a_box_grows_and_shrinks_with_what_it_holds(zoom: float) -> None:
    before = to_grey(film(1, lambda n: (100, 100))[0])
    after = cv2.warpAffine(before, cv2.getRotationMatrix2D((119.5, 119.5), 0, zoom), (WIDTH, HEIGHT))
    moved, trust = carry_one(before, after, ROW, np.zeros(2))
    assert trust > 0.7
    assert np.abs((moved[2:] - moved[:2]) / SIDE - zoom).max() < 0.01
    assert np.abs((moved[:2] + moved[2:]) / 2 - 120).max() < 0.5


@pytest.mark.parametrize("kind", ["flat", "another picture", "noise", "became flat"])
def test_where_the_picture_says_nothing_a_box_stays_and_is_not_trusted(kind: str) -> None:
    before = to_grey(film(1, lambda n: (100, 100))[0])
    flat = np.full_like(before, 90)
    after = {
        "flat": flat,
        "another picture": to_grey(textured_background(WIDTH, HEIGHT, 9)),
        "noise": np.random.default_rng(1).integers(0, 256, before.shape, dtype=np.uint8),
        "became flat": flat,
    }[kind]
    moved, trust = carry_one(flat if kind == "flat" else before, after, ROW, np.array([3.0, 1]))
    assert trust == 0
    assert (moved == ROW).all()


@pytest.mark.parametrize("row", [(-30, -30, 10, 10), (470, 350, 510, 390), (-900, 0, -800, 90), (0, 0, 480, 360),
                                 (100, 100, 101, 101), (-500, -500, 1500, 1500)])  # fmt: skip
def test_a_box_of_any_size_and_place_can_be_carried(row: tuple[float, ...]) -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + n, 100)))
    moved, trust = carry_one(before, after, np.array(row, np.float64), np.array([5.0, -700]))
    assert np.isfinite(moved).all()
    assert 0 <= trust <= 1


def test_boxes_are_carried_together_as_they_are_alone() -> None:
    paths = lambda n: (60 + 3 * n, 60), lambda n: (300, 80 + 5 * n), lambda n: (200 - 4 * n, 250)
    before, after = (to_grey(p) for p in film(2, *paths))
    rows = np.array([(x, y, x + SIDE, y + SIDE) for x, y in (path(0) for path in paths)] + [(-90, -90, -50, -50)])
    motions = np.array([(0, 0), (0, 4), (-9, 3), (0, 0)], np.float64)
    moved, trust = carry(before, after, rows.astype(np.float64), motions)
    for n, path in enumerate(paths):
        alone, sure = carry_one(before, after, rows[n].astype(np.float64), motions[n])
        assert np.abs(moved[n] - alone).max() < 0.1
        assert abs(trust[n] - sure) < 0.1
        assert np.abs(moved[n, :2] - path(1)).max() < 0.5
    assert trust[3] == 0
    assert (moved[3] == rows[3]).all()


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


def test_a_long_gap_is_looked_into() -> None:
    watcher = Watcher(still)
    seen = sightings(still, [*range(5, 11), *range(40, 46)])
    (chain,) = follow(film(60, still), [seen], look_at=watcher)
    found = {d.frame for d in chain if d.detector == "small look"}
    assert any(10 < frame < 40 for frame in found)
    assert not any(frame in {*range(5, 11), *range(40, 46)} for frame, _ in watcher.asked)


def test_a_short_gap_is_filled_by_the_picture_alone() -> None:
    watcher = Watcher(still)
    follow(film(60, still), [sightings(still, [n for n in range(5, 46) if n % 5 < 2])], look_at=watcher)
    assert not any(5 <= frame <= 45 for frame, _ in watcher.asked)


@pytest.mark.parametrize(
    ("doubtful", "looked_at"),
    [
        (sighting(20, still(20), score=0.4), True),
        (sighting(20, still(20), score=0.6), False),
        (sighting(20, (still(20)[0] + 0.55 * SIDE, still(20)[1])), True),
        (sighting(20, (still(20)[0] + 0.2 * SIDE, still(20)[1])), False),
        (replace(sighting(20, still(20)), box=box_at(still(20)).grow(0.2, 0.2, 0.2, 0.2)), True),
        (replace(sighting(20, still(20)), box=box_at(still(20)).grow(0.1, 0.1, 0.1, 0.1)), False),
    ],
    ids=["sinks", "sinks a little", "jumps", "moves", "swells", "grows"],
)
def test_a_sighting_that_does_not_fit_those_before_is_looked_at_again(doubtful: Detection, looked_at: bool) -> None:
    watcher = Watcher(still)
    seen = [*sightings(still, range(5, 20)), doubtful, *sightings(still, range(21, 40))]
    (chain,) = follow(film(60, still), [seen], look_at=watcher)
    assert (20 in {frame for frame, _ in watcher.asked}) == looked_at
    at = next(d for d in chain if d.frame == 20)
    assert at.box.contains(doubtful.box)
    if looked_at:
        assert at.box.contains(box_at(still(20)))
        assert at.detector == "small look"


def test_a_face_in_doubt_is_not_looked_at_in_every_frame() -> None:
    watcher = Watcher(still)
    flicker = [sighting(n, still(n), score=0.9 if n % 6 else 0.3) for n in range(5, 55)]
    follow(film(60, still), [flicker], look_at=watcher)
    asked = sorted({frame for frame, _ in watcher.asked if 5 <= frame <= 54})
    assert 3 <= len(asked) <= 9
    assert all(b - a >= 8 for a, b in itertools.pairwise(asked))


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


class Watcher:
    """Finds the face of `film` in what is shown, and notes the looks that were asked for."""

    def __init__(self, path: Path, score: float = 0.9, scale: float = 1, label: str = "face") -> None:
        self.path, self.score, self.scale, self.label = path, score, scale, label
        self.asked: list[tuple[int, Sequence[Look]]] = []

    def __call__(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face where it is near what is shown."""
        self.asked.append((frame, looks))
        place = self.path(frame)
        if place is None:
            return []
        box = box_at(place)
        small = Box.outward(*(v * self.scale for v in (box.x0, box.y0, box.x1, box.y1)))
        if all(look.within and look.within.contains(small) for look in looks):
            return [Detection(frame, small, self.label, self.score, "small look", looks[-1].angle)]
        return []


def test_what_a_small_look_finds_takes_over() -> None:
    """A face in the picture that cannot be followed, because it changes from frame to frame."""

    def path(n: int) -> Place:
        return 60 + 4 * n, 150

    pictures = []
    for n in range(80):
        picture = textured_background(WIDTH, HEIGHT, 1)
        paste(picture, face(1000 + n), round(path(n)[0]), round(path(n)[1]))
        pictures.append(picture)
    seen = sightings(path, range(38, 43))
    (blind,) = follow(pictures, [seen])
    watcher = Watcher(path)
    (chain,) = follow(pictures, [seen], look_at=watcher)
    assert reach(blind)[1] < 70
    assert len(uncovered([blind], timeline(80), path, range(28, 80))) > 20
    assert reach(chain)[1] == 79
    assert reach(chain)[0] < reach(blind)[0]
    found = [d.frame for d in chain if d.detector == "small look"]
    assert 42 + min(LOOK_AFTER) in found
    assert uncovered([chain], timeline(80), path, range(28, 80)) == []


def test_small_looks_are_few_near_and_turned_like_what_was_seen() -> None:
    watcher = Watcher(lambda n: None)
    follow(film(80, still), [[sighting(40, still(40), angle=90)]], look_at=watcher)
    assert {abs(frame - 40) for frame, _ in watcher.asked} <= set(LOOK_AFTER)
    assert len(watcher.asked) == 4
    for frame, looks in watcher.asked:
        assert [look.angle for look in looks] == ([90] if abs(frame - 40) == 2 else [90, 135, 45])
        assert all(look.side == LOOK_SIDE and not look.mirrored for look in looks)
        assert all(look.within and look.within.contains(box_at(still(0))) for look in looks)
        assert all(look.within and look.within.width < 4 * SIDE for look in looks)


@pytest.mark.parametrize("fault", ["too weak", "too far", "too large", "another label"])
def test_a_small_look_that_finds_something_else_does_not_take_over(fault: str) -> None:
    def path(n: int) -> Place:
        return (still(n)[0] + 30, 150) if fault == "too far" else still(n)

    watcher = Watcher(path, score=0.15 if fault == "too weak" else 0.9)
    watcher.label = "text" if fault == "another label" else "face"
    if fault == "too large":
        watcher.scale, watcher.path = 1.8, lambda n: (still(n)[0] / 1.8 - 8, 150 / 1.8 - 8)
    (chain,) = follow(film(80, still), [[sighting(40, still(40))]], look_at=watcher)
    assert {d.detector for d in chain} == {"test", FLOW}


def test_a_weak_chain_gets_a_second_look_at_its_best_frame() -> None:
    weak = [sighting(n, still(n), 0.25 if n == 12 else 0.2) for n in range(10, 15)]
    watcher = Watcher(still)
    (chain,) = follow(film(40, still), [weak], look_at=watcher)
    assert watcher.asked[0][0] == 12
    assert not counts(weak, THRESHOLD)
    assert counts(chain, THRESHOLD)
    assert len(make_tracks([chain], timeline(40), THRESHOLD)) == 1
    assert reach(chain)[1] > 20


def test_a_second_look_that_finds_nothing_changes_nothing() -> None:
    weak = [sighting(n, still(n), 0.25 if n == 12 else 0.2) for n in range(10, 15)]
    watcher = Watcher(lambda n: None)
    assert follow(film(40, still), [weak], look_at=watcher) == [weak]
    assert [frame for frame, _ in watcher.asked] == [12]


def test_looks_are_taken_where_the_face_is_also_in_a_picture_that_is_kept_smaller() -> None:
    large = [cv2.resize(p, None, fx=4, fy=4) for p in film(20, still)]
    chain = [Detection(10, Box(880, 600, 1040, 760), "face", 0.8, "test")]
    watcher = Watcher(still, scale=1280 / WIDTH)
    (found,) = follow(large, [chain], look_at=watcher)
    assert {d.detector for d in found} == {"test", FLOW, "small look"}
    for d in found:
        assert np.abs(np.array((d.box.x0, d.box.y0, d.box.x1, d.box.y1)) - (880, 600, 1040, 760)).max() < 8


@pytest.mark.parametrize("rate", [1, 25, 240])
def test_only_a_few_frames_are_kept_however_long_the_clip_is(rate: int) -> None:
    line = Timeline(0, tuple(Fraction(n, rate) for n in range(300)), ())
    with Crew() as crew:
        follower = Follower([], line, THRESHOLD, see_nothing, crew)
        pictures: list[weakref.ref[np.ndarray]] = []
        for n in range(300):
            picture = np.zeros((30, 40, 3), np.uint8)
            pictures.append(weakref.ref(picture))
            follower.show(picture, n)
            del picture
            assert len(follower._kept) <= KEPT_FRAMES
            assert sum(p() is not None for p in pictures) <= KEPT_PICTURES
    assert len(follower._kept) >= min(KEPT_FRAMES, FOLLOW_S * rate)


def test_pictures_are_not_changed() -> None:
    pictures = film(20, still)
    before = [p.copy() for p in pictures]
    for p in pictures:
        p.flags.writeable = False
    follow(pictures, [[sighting(10, still(10))]], look_at=Watcher(still))
    assert all((a == b).all() for a, b in zip(pictures, before, strict=True))


class Judge:
    """Says what it was told of every face, and keeps what it was asked about."""

    name = "test"
    labels = ("face",)
    models: Mapping[str, str] = {}

    def __init__(self, *answers: float) -> None:
        self._answers, self.asked = iter(answers), list[Detection]()

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """See nothing."""
        return []

    def ask(self, picture: np.ndarray, detection: Detection) -> float:
        """Return the next answer."""
        box, ground = detection.box, textured_background(3 * WIDTH, HEIGHT, 1)[:, WIDTH : 2 * WIDTH]
        assert (picture[box.y0 : box.y1, box.x0 : box.x1] != ground[box.y0 : box.y1, box.x0 : box.x1]).any()
        self.asked.append(detection)
        return next(self._answers)


def follow_judged(judge: Judge, *chains: Sequence[Detection]) -> list[list[Detection]]:
    frames = 14
    with Crew() as crew:
        follower = Follower(chains, timeline(frames), THRESHOLD, see_nothing, crew, judge)
        for n, picture in enumerate(film(frames, line)):
            follower.show(picture, n)
        return follower.chains()


def line(n: int) -> Place:
    return 60.0 + 4 * n, 120.0


def unsure(*scores: float, detector: str = "test") -> list[Detection]:
    return [replace(sighting(n, line(n), score), detector=detector) for n, score in enumerate(scores)]


def test_another_model_is_asked_about_the_three_best_sightings_and_what_it_says_is_kept() -> None:
    judge = Judge(0.1, 0.0, 0.05)
    (chain,) = follow_judged(judge, unsure(0.4, 0.5, 0.35, 0.55, 0.34))
    assert [(d.frame, d.score) for d in judge.asked] == [(0, 0.4), (1, 0.5), (3, 0.55)]
    assert {d.frame: d.judged for d in chain if d.judged is not None} == {0: 0.1, 1: 0.0, 3: 0.05}
    assert any(d.detector == FLOW for d in chain)  # it was carried as ever: who is right is not known before the end
    assert not counts(chain, THRESHOLD)


def test_it_is_asked_no_more_once_it_has_seen_a_face() -> None:
    judge = Judge(0.1, 0.2)
    (chain,) = follow_judged(judge, unsure(0.4, 0.5, 0.35, 0.55))
    assert len(judge.asked) == 2
    assert counts(chain, THRESHOLD)


@pytest.mark.parametrize(
    "seen",
    [
        unsure(0.4, 0.5, 0.7),  # surely a face
        unsure(0.2, 0.2, 0.2),  # dropped as it is
        unsure(0.4, 0.5, 0.4, detector="file.csv"),  # what somebody else has found
        [*unsure(0.4, 0.5), *unsure(0, 0, 0.4, detector="file.csv")[2:]],
        [replace(d, box=Box(d.box.x0, d.box.y0, d.box.x0 + 30, d.box.y0 + 36)) for d in unsure(0.4, 0.5, 0.4)],
        [replace(d, label="region") for d in unsure(0.4, 0.5, 0.4)],
    ],
    ids=["sure", "weak", "brought", "mixed", "small", "drawn"],
)
def test_it_is_not_asked_about_what_is_sure_small_or_said_by_others(seen: list[Detection]) -> None:
    judge = Judge()
    (chain,) = follow_judged(judge, seen)
    assert judge.asked == []
    assert all(d.judged is None for d in chain)


def test_nothing_that_was_said_holds_where_a_chain_became_sure() -> None:
    later = [replace(sighting(n, line(n), 0.8)) for n in (6, 7, 8)]
    (chain,) = follow_judged(Judge(0.0, 0.0, 0.0), unsure(0.4, 0.4, 0.4), later)
    assert {d.frame for d in chain if d.detector != FLOW} == {0, 1, 2, 6, 7, 8}
    assert all(d.judged is None for d in chain)
    assert counts(chain, THRESHOLD)
