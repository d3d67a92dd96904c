"""Which tracks seem to be of one person: by place, time and clothes. Pure; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations, product

from redact.clothes import Colours, alike, mean
from redact.geometry import covered_share
from redact.plan import Track
from redact.sightings import Timeline

APART_S = Fraction(2)  # how long somebody may be out of sight and still be taken for the same
NEAR = 1.5  # sizes of a box within which the next track of the same person begins
MAX_RATIO = 1.6  # and how many times as large or small its box may be
SAME_SHARE = 0.6  # of one box that lies in another one of the same time: a head in its person
SAME_CLOTHES = 0.75  # from which likeness on two may wear the same
OTHER_CLOTHES = 0.4  # and up to which they do not
BODIES = ("face", "head", "person")


def group(tracks: Sequence[Track], timeline: Timeline, worn: Mapping[int, Colours] | None = None) -> dict[int, int]:
    """Return for each track's number that of the first track of the same person, or its own.

    A track goes on with another where that begins soon after it, near its end and about as large, in the same scene;
    and tracks of one time are of one person where the smaller box lies in the larger one. Where two could go on with
    the same one, the nearer does: a row that holds two people would let one decision fall on both.
    Whoever comes back in the same clothes, wherever and whenever, is of the same row, unless two are to be seen at one
    time in such clothes, which then tell nobody apart. Who wears other clothes is somebody else.

    Args:
        tracks: of a plan.
        timeline: the frames of its excerpt.
        worn: by track, as far as it is known; not stored anywhere.
    """
    worn = worn or {}
    people = sorted((t for t in tracks if t.label in BODIES), key=lambda t: (t.first, t.id))
    parent = {track.id: track.id for track in tracks}
    followed: set[int] = set()
    for n, track in enumerate(people):
        soonest = timeline.first_from(timeline.time(track.first) - APART_S)
        before = [t for t in people[:n] if soonest <= t.last < track.first and t.id not in followed]
        best = min(
            (t for t in before if _goes_on(t, track, timeline, worn)), key=lambda t: _apart(t, track), default=None
        )
        if best is not None:
            followed.add(best.id)
            parent[track.id] = parent[best.id]
    for track in people:
        holders = [t for t in people if t.label == "person" != track.label and _is_in(track, t)]
        if len(holders) == 1:
            parent = {id: parent[holders[0].id] if p == parent[track.id] else p for id, p in parent.items()}
    return _come_back(people, parent, worn)


def _come_back(people: Sequence[Track], parent: Mapping[int, int], worn: Mapping[int, Colours]) -> dict[int, int]:
    """Return the same persons, of whom those are one who come back in the same clothes, which nobody else wears."""
    rows: dict[int, list[Track]] = {}
    for track in people:
        rows.setdefault(parent[track.id], []).append(track)
    known = {n: [worn[track.id] for track in row if track.id in worn] for n, row in rows.items()}
    looks = {n: mean(seen) for n, seen in known.items() if seen}
    common = [
        looks[a]
        for a, b in combinations(looks, 2)
        if _meet(rows[a], rows[b], apart=True) and alike(looks[a], looks[b]) >= SAME_CLOTHES
    ]
    same: dict[int, int] = {}
    kept: list[int] = []
    for n, look in looks.items():
        if any(alike(look, other) >= SAME_CLOTHES for other in common):
            continue
        fits = [m for m in kept if alike(looks[m], look) >= SAME_CLOTHES and not _meet(rows[m], rows[n])]
        if len(fits) == 1:
            same[n] = fits[0]
            rows[fits[0]] += rows[n]
        else:
            kept.append(n)
    return {id: same.get(n, n) for id, n in parent.items()}


def _meet(a: Sequence[Track], b: Sequence[Track], apart: bool = False) -> bool:
    """Return whether two rows have a moment in common; with `apart`, one in which they are at two places."""
    for one, other in product(a, b):
        first, last = max(one.first, other.first), min(one.last, other.last)
        middle = (first + last) // 2
        if first <= last and not (apart and one.boxes[middle - one.first].intersect(other.boxes[middle - other.first])):
            return True
    return False


def _goes_on(a: Track, b: Track, timeline: Timeline, worn: Mapping[int, Colours]) -> bool:
    """Return whether track b, which begins soon after track a, may be where the same person appears again."""
    if a.label != b.label or timeline.scene(a.last) != timeline.scene(b.first):
        return False
    if a.id in worn and b.id in worn and alike(worn[a.id], worn[b.id]) <= OTHER_CLOTHES:
        return False
    sizes = [box.area**0.5 for box in (a.boxes[-1], b.boxes[0])]
    return max(sizes) <= MAX_RATIO * min(sizes) and _apart(a, b) <= NEAR


def _apart(a: Track, b: Track) -> float:
    """Return how far the end of one track is from the beginning of another, in sizes of their boxes."""
    (x, y), (u, v) = a.boxes[-1].center, b.boxes[0].center
    size = (a.boxes[-1].area ** 0.5 + b.boxes[0].area ** 0.5) / 2
    return float(((x - u) ** 2 + (y - v) ** 2) ** 0.5 / size)


def _is_in(inner: Track, outer: Track) -> bool:
    """Return whether one track lies in another for most of the time."""
    first, last = max(inner.first, outer.first), min(inner.last, outer.last)
    if (last - first + 1) * 2 <= len(inner.boxes):
        return False
    frames = range(first, last + 1, max(1, (last - first) // 8))
    shares = [covered_share(inner.boxes[n - inner.first], outer.boxes[n - outer.first]) for n in frames]
    return sum(shares) / len(shares) >= SAME_SHARE
