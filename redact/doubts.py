"""What could not be told: stretches of a clip that a person should look at first. Pure: it sees no pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from redact.geometry import Box, covered_share
from redact.plan import FLOW, FOLLOWED, Detection, Doubt, Track
from redact.sightings import Timeline
from redact.tracking import counted, counts, is_denied, seen_in

UNSEEN_S = Fraction(1, 2)  # how long nothing was seen of a face that is covered before that is in doubt
HIDDEN = 0.8  # share of a box that a track must cover for it to be covered
LOST_RISK = 0.6  # of a track that ends where people do not vanish; somebody may be there still
UNSEEN_RISK = 0.3  # of a long stretch without a sighting, and as much again where the picture could not be followed
DROPPED_RISK = 1.5  # times the score of what was left out


def find_doubts(
    chains: Sequence[Sequence[Detection]],
    tracks: Sequence[Track],
    timeline: Timeline,
    size: tuple[int, int],
    threshold: float,
) -> tuple[Doubt, ...]:
    """Return what is in doubt after chains have become tracks, the highest risk first.

    Args:
        chains: followed.
        tracks: what `make_tracks` made of them with the same threshold.
        timeline: the frames of the clip.
        size: width and height of the picture.
        threshold: the score from which one sighting makes a track.
    """
    doubts: list[Doubt] = []
    for chain, track in zip(counted(chains, threshold), tracks, strict=True):
        if chain[0].label in FOLLOWED:
            doubts += [*_unseen(chain, track, timeline), *_lost(chain, track, timeline, size)]
    dropped = [chain for chain in chains if chain[0].label in FOLLOWED and not counts(chain, threshold)]
    doubts += [_dropped(chain) for chain in dropped if not _is_covered(chain, tracks)]
    return tuple(sorted(doubts, key=lambda d: (-d.risk, d.first, d.box.x0, d.box.y0)))


def _unseen(chain: Sequence[Detection], track: Track, timeline: Timeline) -> Iterator[Doubt]:
    """Yield the stretches in which a track is covered but was not seen for long."""
    seen = [d.frame for d in seen_in(chain)]
    trust = {d.frame: d.score for d in chain if d.detector == FLOW}
    for a, b in zip([track.first - 1, *seen], [*seen, track.last + 1], strict=True):
        first, last = a + 1, b - 1
        if first > last:
            continue
        seconds = timeline.time(last) - timeline.time(first)
        if seconds >= UNSEEN_S:
            weak = sum(1 - trust.get(n, 0.0) for n in range(first, last + 1)) / (last - first + 1)
            middle = (first + last) // 2
            reason = f"covered for {float(seconds):.1f} s without being seen"
            yield Doubt(first, last, middle, track.boxes[middle - track.first], reason, UNSEEN_RISK * (1 + weak))


def _lost(chain: Sequence[Detection], track: Track, timeline: Timeline, size: tuple[int, int]) -> Iterator[Doubt]:
    """Yield the ends of a track that lie inside the picture and inside a scene."""
    best = max(d.score for d in seen_in(chain))
    scene_first, scene_last = timeline.scene(track.first)[0], timeline.scene(track.last)[1]
    for frame, edge, word in ((track.first, scene_first, "begins"), (track.last, scene_last, "ends")):
        box = track.boxes[frame - track.first]
        if frame != edge and Box(0, 0, *size).contains(box):
            yield Doubt(frame, frame, frame, box, f"{word} inside the picture", LOST_RISK * best)


def _dropped(chain: Sequence[Detection]) -> Doubt:
    """Return the doubt about sightings that do not count: too weak, or no face to another model."""
    seen = seen_in(chain)
    best = max(seen, key=lambda d: d.score)
    times = f"{len(seen)} times" if len(seen) > 1 else "once"
    why = "by one model of two" if is_denied(seen) else "weakly"
    reason = f"not covered: seen {times}, and {why} (score {best.score:.2f})"
    risk = min(1.0, DROPPED_RISK * best.score)
    return Doubt(chain[0].frame, chain[-1].frame, best.frame, best.box, reason, risk)


def _is_covered(chain: Sequence[Detection], tracks: Sequence[Track]) -> bool:
    """Return whether all sightings of a chain lie in what is covered anyway."""
    return all(
        any(t.first <= d.frame <= t.last and covered_share(d.box, t.boxes[d.frame - t.first]) >= HIDDEN for t in tracks)
        for d in chain
    )
