"""On the way small looks find a face again, and another model is asked about what may be none."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from redact.crew import Crew
from redact.detectors.looks import Look
from redact.following import LOOK_AFTER, LOOK_SIDE, Follower
from redact.geometry import Box
from redact.plan import FLOW, Detection
from redact.tracking import counts, make_tracks
from tests.clips import textured_background
from tests.walks import (
    HEIGHT,
    SIDE,
    THRESHOLD,
    WIDTH,
    Place,
    Watcher,
    box_at,
    face,
    film,
    follow,
    paste,
    reach,
    see_nothing,
    sighting,
    sightings,
    still,
    timeline,
    uncovered,
)


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


def seen_from(first: int, score: float = 0.8, label: str = "face") -> list[Detection]:
    return [replace(d, label=label) for d in sightings(still, range(first, 21), score)]


@pytest.mark.parametrize(
    ("one", "other", "on"),
    [
        (seen_from(4), seen_from(15), {0}),
        (seen_from(15), seen_from(4), {1}),
        (seen_from(4), seen_from(4, score=0.9), {1}),
        (seen_from(4), seen_from(4, score=0.5), {0}),
        (seen_from(4), [*seen_from(4, score=0.5)[:-1], sighting(20, (222, 151))], {0, 1}),
        (seen_from(4, score=0.5), seen_from(15, score=0.5), {0, 1}),
        ([*seen_from(4), sighting(30, still(30))], seen_from(4), {0, 1}),
        (seen_from(4, label="region"), seen_from(4, label="region"), {0, 1}),
    ],
    ids=["longer", "later", "surer", "less sure", "elsewhere", "may be denied", "seen later", "regions"],
)
def test_of_chains_that_end_in_one_sighting_the_one_that_reaches_farthest_is_carried_on(
    one: list[Detection], other: list[Detection], on: set[int]
) -> None:
    chains = follow(film(120, still), [one, other])
    assert {n for n, chain in enumerate(chains) if any(d.frame == 21 for d in chain)} == on
    alone = [follow(film(120, still), [each])[0] for each in (one, other)]
    assert max(chain[-1].frame for chain in chains) == max(chain[-1].frame for chain in alone)
    last = max(chain[-1].frame for chain in chains)
    assert uncovered(chains, timeline(120), still, range(4, last + 1)) == []


def test_chains_of_one_face_that_small_looks_bring_together_are_not_all_carried_for_as_long_as_it_is_there() -> None:
    watcher = Watcher(still)
    chains = [sightings(lambda n, k=k: (220 + 2 * k, 150), range(5, 12)) for k in range(4)]
    followed = follow(film(120, still), chains, look_at=watcher)
    assert sum(chain[-1].frame == 119 for chain in followed) == 1
    assert uncovered(followed, timeline(120), still, range(5, 120)) == []


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


def test_another_model_is_asked_about_the_best_sightings_of_three_stretches_and_what_it_says_is_kept() -> None:
    judge = Judge(0.1, 0.0, 0.05)
    (chain,) = follow_judged(judge, unsure(0.4, 0.5, 0.35, 0.55, 0.34))
    assert [(d.frame, d.score) for d in judge.asked] == [(1, 0.5), (2, 0.35), (3, 0.55)]
    assert {d.frame: d.judged for d in chain if d.judged is not None} == {1: 0.1, 2: 0.0, 3: 0.05}
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
