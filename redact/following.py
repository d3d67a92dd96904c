"""Following the picture: carrying what was seen through the frames in which it was not.

The one narrow door through which tracking sees pictures. A chain of sightings is carried by optical flow from its last
sighting on, from its first one backward, and into its gaps from both sides. Now and then a small look, turned this way
and that, is taken where it should be: what it finds takes over.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from redact.crew import Crew
from redact.detectors import AskedDetector
from redact.detectors.looks import Look
from redact.flow import Picture, Rows, carry, to_grey
from redact.geometry import Box, join
from redact.plan import FLOW, FOLLOWED, Detection
from redact.resizing import at_most
from redact.sightings import Timeline
from redact.tracking import ASK_BELOW, IS_FACE, MOTION_SIGHTINGS, counts, kind, lead_s, motion_of, to_ask

LookAt = Callable[[Picture, int, Sequence[Look]], list[Detection]]

KEPT_SIDE = 1280  # longer side in pixels of the pictures that are kept for looking back
KEPT_PICTURES = 15  # how many of these are kept: enough for the farthest small look
# Of grey ones those of the last `FOLLOW_S`, but no more than this: enough for 120 frames a second of 640x360. The size
# of a picture and the rate are what the clip makes them, so memory needs a bound of its own.
KEPT_BYTES = 96 << 20
WEAK_S = Fraction(2, 5)  # how long a box is carried on while the flow is not believed
FOLLOW_S = Fraction(3)  # and how long at most; only as long as `lead_s` says where no sighting was sure
SURE_SCORE = 0.5
DECAY = 0.9  # of the motion for each step in which the flow is not believed
# Frames from a sighting at which a small look is taken, and how it is turned, in degrees from that sighting's turn.
LOOK_AFTER = {2: (0,), 6: (0, 45, -45), 14: (0, 45, -45)}
GAP_LOOK_AFTER = (6, 14)  # those that are taken between sightings as well
LOOK_PART = 3.2  # side of the part that is looked at, in sizes of the face
LOOK_SIDE = 128  # pixels to which it is brought: a face is then about 40 pixels, which detectors know best
SECOND_TURNS = (0, 45, -45)  # likewise for a second look at a sighting in doubt
SINKS = 0.6  # a score below this share of the worst of those just before is in doubt,
JUMPS = 0.5  # so is a sighting this many sizes away from where the motion would have it,
SWELLS = 1.3  # or so many times as large or small as the one before,
AGAIN_S = Fraction(8, 25)  # but no chain is looked at again sooner than this
LOOK_SCORE = 0.2  # from which a small look counts
# A weak sighting of a clock must not take the place of a face that moves on: where flow believes this share of the
# points, and has come farther from the next sighting of the chain than `NEAR`, both are covered.
OWN_TRUST = 0.7
NEAR = 0.6  # how far a sighting may lie from where the box was carried, in sizes, to take over
MAX_RATIO = 1.5  # and how many times as large or small it may be


@dataclass
class _Kept:
    """A frame that may be gone back to."""

    frame: int
    grey: Picture
    picture: Picture | None
    width: int  # of the clip's picture


@dataclass
class _Chain:
    """Sightings of one face by frame, and where it was carried between and beyond them."""

    seen: dict[int, Detection]
    carried: list[Detection] = field(default_factory=list)
    next_look: Fraction = Fraction(0)  # when a sighting in doubt may be looked at again
    answers: dict[int, Future[float]] = field(default_factory=dict)  # of another model that was asked, by frame

    # What follows from the sightings is kept: a chain may be as long as the clip, and is asked about at every frame.
    def __post_init__(self) -> None:
        self.frames = sorted(self.seen)
        self.best = max(self.sightings(), key=lambda d: d.score)
        self.counts: bool | None = None  # None: not known yet
        self.asked: set[int] | None = None  # frames

    def sightings(self) -> list[Detection]:
        """Return the sightings in the order of their frames."""
        return [self.seen[frame] for frame in self.frames]

    def put(self, sighting: Detection) -> None:
        """Take a sighting in, in the place of the one in its frame if there is one, which was not surer."""
        if sighting.frame not in self.seen:
            insort(self.frames, sighting.frame)
        self.seen[sighting.frame] = sighting
        self.best = max(self.best, sighting, key=lambda d: (d.score, -d.frame))
        self.counts, self.asked = self.counts or None, None

    def before(self, frame: int) -> list[Detection]:
        """Return the last sightings before a frame, from which the motion is taken."""
        at = bisect_left(self.frames, frame)
        return [self.seen[n] for n in self.frames[max(0, at - MOTION_SIGHTINGS) : at]]

    def since(self, frame: int) -> list[Detection]:
        """Return likewise the first ones from a frame on."""
        at = bisect_left(self.frames, frame)
        return [self.seen[n] for n in self.frames[at : at + MOTION_SIGHTINGS]]


@dataclass
class _Walk:
    """A chain on its way through frames in which it was not seen."""

    chain: _Chain
    start: Detection
    until: int  # the last frame to go to
    row: Rows  # in pixels of the clip
    motion: Rows  # its own, besides the camera's: x, y in pixels of the clip for each step
    trusted: int  # the last frame in which the flow was believed
    path: list[Detection] = field(default_factory=list)  # where it was carried


class Follower:
    """Follows chains through a clip that is shown to it frame by frame.

    Args:
        chains: of sightings, each in the order of its frames.
        timeline: the frames of the clip.
        threshold: score from which a chain counts; others get a second look and are not carried.
        look_at: takes looks at a picture.
        crew: takes them beside each other.
        judge: is asked about chains that may be no faces; None where nobody is.
    """

    def __init__(
        self,
        chains: Sequence[Sequence[Detection]],
        timeline: Timeline,
        threshold: float,
        look_at: LookAt,
        crew: Crew,
        judge: AskedDetector | None = None,
    ) -> None:
        self._chains = [_Chain({d.frame: d for d in chain}) for chain in chains]
        self._timeline, self._threshold, self._look_at, self._crew = timeline, threshold, look_at, crew
        self._judge = judge
        self._by_frame: dict[int, list[_Chain]] = defaultdict(list)
        for chain in self._chains:
            for frame in chain.seen:
                self._by_frame[frame].append(chain)
        self._kept: deque[_Kept] = deque()
        self._walks: list[_Walk] = []

    def chains(self) -> list[list[Detection]]:
        """Return the chains with what was found and carried since, each in the order of its frames."""
        whole = [[*self._judged(chain), *chain.carried] for chain in self._chains if chain.seen]
        return [sorted(chain, key=lambda d: (d.frame, d.detector == FLOW)) for chain in whole]

    def _judged(self, chain: _Chain) -> list[Detection]:
        """Return the sightings of a chain with what was answered about them, if it is still one to ask about."""
        answers = chain.answers if self._to_ask(chain) else {}
        return [replace(d, judged=answers[n].result()) if n in answers else d for n, d in chain.seen.items()]

    def show(self, picture: Picture, frame: int) -> None:
        """Take the next frame: carry what is on its way, and go back from what begins here."""
        self._keep(picture, frame)
        if len(self._kept) > 1:
            self._walks = self._step(self._walks, self._kept[-2], self._kept[-1])
        self._look_again([chain for chain in self._by_frame[frame] if self._is_in_doubt(chain, frame)], frame)
        for walk in self._walks:
            self._meet(walk, frame)
        self._walks = [w for w in self._walks if frame not in w.chain.seen]
        counted = [chain for chain in self._by_frame[frame] if self._counts(chain)]
        self._go_back([c for c in counted if frame - 1 not in c.seen and not _is_bridged(c, frame)], frame)
        self._walks += [self._begin(chain, frame, 1) for chain in self._to_carry(counted, frame)]
        for chain in counted:
            self._ask(chain, picture, frame)

    def _keep(self, picture: Picture, frame: int) -> None:
        """Keep a frame to go back to, and let go of those that are too many."""
        kept = at_most(picture, KEPT_SIDE)
        self._kept.append(_Kept(frame, to_grey(kept), kept, picture.shape[1]))
        if len(self._kept) > KEPT_PICTURES:
            self._kept[-KEPT_PICTURES - 1].picture = None
        begin = self._timeline.time(frame) - FOLLOW_S
        while len(self._kept) > KEPT_PICTURES and (
            self._timeline.time(self._kept[0].frame) < begin
            or len(self._kept) * self._kept[-1].grey.nbytes > KEPT_BYTES
        ):
            self._kept.popleft()

    def _to_carry(self, chains: Sequence[_Chain], frame: int) -> list[_Chain]:
        """Return the chains that are carried on from a frame: of those that end as one, the one that reaches farthest.

        Small looks bring chains of one face to the same sighting, and would carry all of them on for as long as it is
        there: the longer the clip, the more.
        """
        ending = [chain for chain in chains if frame + 1 not in chain.seen]
        carried: list[_Chain] = []
        for chain in sorted(ending, key=lambda c: (-self._reach(c, frame, 1), -c.best.score)):
            if not any(_goes_for(other, chain, frame) for other in carried):
                carried.append(chain)
        return carried

    def _ask(self, chain: _Chain, picture: Picture, frame: int) -> None:
        """Ask about the sighting of a chain in a frame, where it is one of its best and no answer was enough yet."""
        if self._judge is None or frame not in self._to_ask(chain):
            return
        if not any(answer.result() >= IS_FACE for answer in chain.answers.values()):
            chain.answers[frame] = self._crew.give(self._judge.ask, picture, chain.seen[frame])

    def _to_ask(self, chain: _Chain) -> set[int]:
        """Return the frames in which a chain is to be asked about: none of what others see, or say."""
        if chain.asked is None:
            sightings = chain.sightings() if chain.best.score < ASK_BELOW else []
            chain.asked = {d.frame for d in to_ask(sightings, self._judge.name)} if self._judge else set()
        return chain.asked

    def _counts(self, chain: _Chain) -> bool:
        """Return whether a chain counts."""
        if chain.counts is None:
            chain.counts = counts(chain.sightings(), self._threshold)
        return chain.counts

    def _is_in_doubt(self, chain: _Chain, frame: int) -> bool:
        """Return whether a sighting is the best of those too weak to count, one that sinks, or one that jumps."""
        seen = chain.seen[frame]
        return seen.label == "face" and (self._is_weak(chain, frame) or self._wavers(chain, seen))

    def _is_weak(self, chain: _Chain, frame: int) -> bool:
        """Return whether the sightings of a chain are too weak to count, and the best of them is that of a frame."""
        return chain.best.frame == frame and not self._counts(chain)

    def _look_again(self, chains: Sequence[_Chain], frame: int) -> None:
        """Take a second look at the sightings of chains in a frame."""
        seen = [chain.seen[frame] for chain in chains]
        looks = [self._look(self._kept[-1], _row(d.box), d, SECOND_TURNS) for d in seen]
        for chain, before, look in zip(chains, seen, looks, strict=True):
            chain.next_look = self._timeline.time(frame) + AGAIN_S
            again = look.result()
            if again is not None and again.score > before.score:
                weak = self._is_weak(chain, frame)
                chain.put(again if weak else replace(again, box=join([again.box, before.box])))

    def _wavers(self, chain: _Chain, seen: Detection) -> bool:
        """Return whether a sighting is much weaker than those before, or not where or as large as it should be."""
        earlier = chain.before(seen.frame)
        if not earlier or self._timeline.time(seen.frame) < chain.next_look:
            return False
        last = earlier[-1]
        moved = self._timeline.moved(*last.box.center, last.frame, seen.frame)
        expected = np.array(moved) + motion_of(earlier, self._timeline) * (seen.frame - last.frame)
        sizes = [math.sqrt(d.box.area) for d in (last, seen)]
        jump = float(np.linalg.norm(expected - seen.box.center)) / max(sizes)
        sinks = seen.score < SINKS * min(d.score for d in earlier)
        return sinks or jump > JUMPS or max(sizes) > SWELLS * min(sizes)

    def _meet(self, walk: _Walk, frame: int) -> None:
        """Let a chain that begins where this one was carried go on with it; regions stay what a person drew."""
        if walk.start.label == "region":
            return
        for other in self._by_frame[frame]:
            begins = other.frames[0] == frame and not other.seen.keys() & walk.chain.seen.keys()
            same = kind(other.seen[frame]) == kind(walk.start)
            if begins and same and _is_near(walk.row, _row(other.seen[frame].box)):
                for d in other.seen.values():
                    walk.chain.put(d)
                walk.chain.answers |= other.answers
                for n in other.seen:
                    self._by_frame[n] = [walk.chain if c is other else c for c in self._by_frame[n]]
                other.seen = {}
                return

    def _go_back(self, chains: Sequence[_Chain], frame: int) -> None:
        """Carry chains backward from a sighting: to their beginning, or to the sighting before."""
        walks = [self._begin(chain, frame, -1) for chain in chains]
        for later, earlier in pairwise(reversed(self._kept)):
            walks = self._step(walks, later, earlier)

    def _begin(self, chain: _Chain, frame: int, way: int) -> _Walk:
        """Return a walk from a sighting, forward (1) or backward (-1)."""
        near = chain.before(frame + 1) if way > 0 else chain.since(frame)
        motion = motion_of(near, self._timeline) * way
        start = chain.seen[frame]
        return _Walk(chain, start, self._reach(chain, frame, way), _row(start.box), motion, frame)

    def _reach(self, chain: _Chain, frame: int, way: int) -> int:
        """Return the last frame to which a chain may be carried: farther, the longer and surer it was seen."""
        label, time, (first, last) = chain.seen[frame].label, self._timeline.time, self._timeline.scene(frame)
        if label == "region":  # a person said that it is there
            return last if way > 0 else first
        reach = lead_s(label)
        if chain.best.score >= SURE_SCORE:
            most = FOLLOW_S if label in FOLLOWED else 2 * reach
            reach = min(most, reach + 2 * (time(chain.frames[-1]) - time(chain.frames[0])))
        if way > 0:
            return min(self._timeline.first_from(time(frame) + reach), last)
        return max(self._timeline.first_from(time(frame) - reach), first)

    def _step(self, walks: Sequence[_Walk], a: _Kept, b: _Kept) -> list[_Walk]:
        """Carry walks by one frame; return those that go on."""
        way = 1 if b.frame > a.frame else -1
        going = [w for w in walks if (w.until - b.frame) * way >= 0]
        if not going:
            return []
        scale = b.grey.shape[1] / b.width
        rows, motions = np.array([w.row for w in going]), np.array([w.motion for w in going])
        middles = (rows[:, :2] + rows[:, 2:]) / 2
        camera = np.array([self._timeline.moved(x, y, a.frame, b.frame) for x, y in middles.tolist()]) - middles
        moved, trusts = carry(a.grey, b.grey, rows * scale, (camera + motions) * scale)
        for n, walk in enumerate(going):
            if trusts[n]:
                own = (moved[n, :2] + moved[n, 2:]) / 2 / scale - middles[n] - camera[n]
                walk.row, walk.motion, walk.trusted = moved[n] / scale, (walk.motion + own) / 2, b.frame
            else:
                walk.row, walk.motion = walk.row + np.tile(camera[n] + walk.motion, 2), walk.motion * DECAY
        for walk, trust in zip(going, trusts, strict=True):
            seen = walk.chain.seen.get(b.frame)
            if (
                seen
                and trust >= OWN_TRUST
                and _is_elsewhere(seen, walk)
                and not self._has_another(walk, going, b.frame)
            ):
                self._part(walk, way)
        arriving = zip(going, map(float, trusts), strict=True)
        on = [w for w, trust in arriving if b.frame not in w.chain.seen and self._goes_on(w, b, trust)]
        self._look_ahead(on, b)
        return on

    def _goes_on(self, walk: _Walk, at: _Kept, trust: float) -> bool:
        """Note where a walk has come to; return whether it goes on."""
        weak = abs(self._timeline.time(at.frame) - self._timeline.time(walk.trusted)) > WEAK_S
        size = np.array(at.grey.shape[::-1]) * at.width / at.grey.shape[1]
        if weak or (walk.row[2:] <= 0).any() or (walk.row[:2] >= size).any():
            return False
        box = Box.outward(*(float(v) for v in walk.row))
        walk.path.append(Detection(at.frame, box, walk.start.label, trust, FLOW, walk.start.angle))
        walk.chain.carried.append(walk.path[-1])
        return True

    def _has_another(self, walk: _Walk, going: Sequence[_Walk], frame: int) -> bool:
        """Return whether another chain is where a walk has come to: seen there, or carried and at least as far."""
        left = abs(walk.until - frame)
        there = [(w.chain, w.start, w.row) for w in going if abs(w.until - frame) >= left]
        there += [(c, c.seen[frame], _row(c.seen[frame].box)) for c in self._by_frame[frame]]
        others = [row for chain, d, row in there if chain is not walk.chain and kind(d) == kind(walk.start)]
        return any(_is_near(walk.row, row) for row in others)

    def _part(self, walk: _Walk, way: int) -> None:
        """Let a walk go on as a chain of its own: the next sighting of its chain is elsewhere, and may be another's."""
        start, chain = walk.start.frame, walk.chain
        # What was long before, the first chain covers.
        far = self._timeline.first_from(self._timeline.time(start) - way * FOLLOW_S)
        low, high = sorted((start, far))
        frames = chain.frames[bisect_left(chain.frames, low) : bisect_left(chain.frames, high + 1)]
        seen = {frame: chain.seen[frame] for frame in frames}
        walk.chain = _Chain(seen, [*walk.path], answers={f: said for f, said in chain.answers.items() if f in seen})
        walk.until = self._reach(walk.chain, start, way)
        self._chains.append(walk.chain)

    def _look_ahead(self, walks: Sequence[_Walk], at: _Kept) -> None:
        """Take a small look where walks have come to; what it finds takes over."""
        due = [walk for walk in walks if self._is_due(walk, at)]
        looks = [self._look(at, w.row, w.start, LOOK_AFTER[abs(at.frame - w.start.frame)]) for w in due]
        for walk, look in zip(due, looks, strict=True):
            seen = look.result()
            if seen is None:
                continue
            walk.chain.put(seen)
            self._by_frame[at.frame].append(walk.chain)
            way = 1 if at.frame > walk.start.frame else -1
            walk.start, walk.row, walk.trusted = seen, _row(seen.box), at.frame
            walk.until = self._reach(walk.chain, at.frame, way)

    def _is_due(self, walk: _Walk, at: _Kept) -> bool:
        """Return whether a small look is taken where a walk has come to."""
        between = walk.chain.frames[0] < at.frame < walk.chain.frames[-1]
        due = abs(at.frame - walk.start.frame) in (GAP_LOOK_AFTER if between else LOOK_AFTER)
        return due and walk.start.label == "face" and at.picture is not None

    def _look(self, at: _Kept, row: Rows, like: Detection, turns: Sequence[int]) -> Future[Detection | None]:
        """Return what will hold the best sighting near a box by small looks, turned from that of a sighting before."""
        return self._crew.give(_look_near, self._look_at, at, row, like, turns)


def _look_near(look_at: LookAt, at: _Kept, row: Rows, like: Detection, turns: Sequence[int]) -> Detection | None:
    """Return the best sighting near a box, seen by small looks turned from the turn of a sighting before."""
    assert at.picture is not None
    scale = at.picture.shape[1] / at.width
    part = _square(row * scale, LOOK_PART)
    looks = [Look(LOOK_SIDE, (like.angle + turn) % 360, within=part, cut=True) for turn in turns]
    for seen in look_at(at.picture, at.frame, looks):
        found = _row(seen.box) / scale
        if seen.score >= LOOK_SCORE and seen.label == like.label and _is_near(row, found):
            return replace(seen, box=Box.outward(*(float(v) for v in found)))
    return None


def _goes_for(chain: _Chain, other: _Chain, frame: int) -> bool:
    """Return whether one chain may go on for another: both end in the same sighting, and nobody can deny the first."""
    a, b = chain.seen[frame], other.seen[frame]
    same = (a.label, a.box) == (b.label, b.box) and a.label == "face"
    return same and chain.frames[-1] == other.frames[-1] == frame and chain.best.score >= ASK_BELOW


def _is_bridged(chain: _Chain, frame: int) -> bool:
    """Return whether flow has carried a chain from the sighting two frames before over the one between."""
    return frame - 2 in chain.seen and any(d.frame == frame - 1 and d.score > 0 for d in chain.carried[-1:])


def _is_elsewhere(seen: Detection, walk: _Walk) -> bool:
    """Return whether the sighting of a face is too far from where it was carried to be of the same."""
    size = math.sqrt(max(1.0, float(np.prod(walk.row[2:] - walk.row[:2]))))
    return seen.label == "face" and math.dist((walk.row[:2] + walk.row[2:]) / 2, seen.box.center) > NEAR * size


def _row(box: Box) -> Rows:
    """Return a box as a row."""
    return np.array([box.x0, box.y0, box.x1, box.y1], np.float64)


def _square(row: Rows, times: float) -> Box:
    """Return a square around a box, of this many times its longer side."""
    middle, half = (row[:2] + row[2:]) / 2, (row[2:] - row[:2]).max() / 2 * times
    return Box.outward(*(float(v) for v in (*(middle - half), *(middle + half))))


def _is_near(a: Rows, b: Rows) -> bool:
    """Return whether two boxes may be of one face."""
    size_a, size_b = (max(1.0, float(np.sqrt(np.prod(r[2:] - r[:2])))) for r in (a, b))
    apart = float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2)) / ((size_a + size_b) / 2)
    return apart < NEAR and 1 / MAX_RATIO < size_a / size_b < MAX_RATIO
