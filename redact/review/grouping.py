"""Which tracks seem to be of one person: by place, time, clothes and face. Pure; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, product

from redact.clothes import Colours, alike, mean
from redact.geometry import covered_share
from redact.likeness import Vector, distance
from redact.plan import Track
from redact.sightings import Timeline

APART_S = Fraction(2)  # how long somebody may be out of sight and still be taken for the same
NEAR = 1.5  # sizes of a box within which the next track of the same person begins
MAX_RATIO = 1.6  # and how many times as large or small its box may be
SAME_SHARE = 0.6  # of one box that lies in another one of the same time: a head in its person
SAME_CLOTHES = 0.75  # from which likeness on two may wear the same
OTHER_CLOTHES = 0.4  # and up to which they do not
SAME_FACE = 0.4  # how unlike two faces of one person may be: of 1,865 pairs of two people none is so near
OTHER_FACE = 0.6  # from which on they are of two people, whatever else speaks for one: the network was trained for it
NEARER = 0.75  # of how unlike two people of this clip are at least, who are to be seen at one time
BODIES = ("face", "head", "person")


def group(
    tracks: Sequence[Track],
    timeline: Timeline,
    worn: Mapping[int, Colours] | None = None,
    faces: Mapping[int, Vector] | None = None,
) -> dict[int, int]:
    """Return for each track's number that of the first track of the same person, or its own.

    A track goes on with another where that begins soon after it, near its end and about as large, in the same scene;
    and tracks of one time are of one person where the smaller box lies in the larger one. Where two could go on with
    the same one, the nearer does: a row that holds two people would let one decision fall on both.
    Whoever comes back with the same face, wherever and whenever, is of the same row; so is who comes back in the same
    clothes, unless two are to be seen at one time in such clothes, which then tell nobody apart. Who has another face,
    or goes on in other clothes, is somebody else.

    Args:
        tracks: of a plan.
        timeline: the frames of its excerpt.
        worn: by track, as far as it is known; not stored anywhere.
        faces: likewise.
    """
    worn, faces = worn or {}, faces or {}
    people = sorted((t for t in tracks if t.label in BODIES), key=lambda t: (t.first, t.id))
    parent = {track.id: track.id for track in tracks}
    followed: set[int] = set()
    for n, track in enumerate(people):
        soonest = timeline.first_from(timeline.time(track.first) - APART_S)
        before = [t for t in people[:n] if soonest <= t.last < track.first and t.id not in followed]
        before = [t for t in before if not _differ(t, track, worn, faces)]
        best = min((t for t in before if _goes_on(t, track, timeline)), key=lambda t: _apart(t, track), default=None)
        if best is not None:
            followed.add(best.id)
            parent[track.id] = parent[best.id]
    for track in people:
        holders = [t for t in people if t.label == "person" != track.label and _is_in(track, t)]
        if len(holders) == 1:
            parent = {id: parent[holders[0].id] if p == parent[track.id] else p for id, p in parent.items()}
    return _come_back(people, parent, worn, faces)


def _come_back(
    people: Sequence[Track], parent: Mapping[int, int], worn: Mapping[int, Colours], faces: Mapping[int, Vector]
) -> dict[int, int]:
    """Return the same persons, of whom those are one who come back with the same face, or in clothes of nobody else."""
    rows: dict[int, list[Track]] = {}
    for track in people:
        rows.setdefault(parent[track.id], []).append(track)
    limit = _limit(people, faces)

    def by_face(n: int, others: Sequence[int]) -> int | None:
        far = {m: _unlike(rows[m], rows[n], faces) for m in others}
        near = {m: unlike for m, unlike in far.items() if unlike is not None and unlike <= limit}
        return min(near, key=lambda m: near[m], default=None)

    if faces:  # to compare all rows takes a while
        _join(rows, by_face)
    looks = {n: mean(seen) for n, row in rows.items() if (seen := [worn[t.id] for t in row if t.id in worn])}
    common = [
        looks[a]
        for a, b in combinations(looks, 2)
        if _meet(rows[a], rows[b], apart=True) and alike(looks[a], looks[b]) >= SAME_CLOTHES
    ]
    telling = {n for n, look in looks.items() if not any(alike(look, other) >= SAME_CLOTHES for other in common)}

    def by_clothes(n: int, others: Sequence[int]) -> int | None:
        fits = [m for m in others if {m, n} <= telling and alike(looks[m], looks[n]) >= SAME_CLOTHES]
        fits = [m for m in fits if (_unlike(rows[m], rows[n], faces) or 0) < OTHER_FACE]
        return fits[0] if len(fits) == 1 else None

    _join(rows, by_clothes)
    return {**parent, **{track.id: n for n, row in rows.items() for track in row}}


def _join(rows: dict[int, list[Track]], choose: Callable[[int, Sequence[int]], int | None]) -> None:
    """Join each row, in their order, with the one that is chosen from those before it that are of other times."""
    kept: list[int] = []
    for n in list(rows):
        same = choose(n, [m for m in kept if not _meet(rows[m], rows[n])])
        if same is None:
            kept.append(n)
        else:
            rows[same] += rows.pop(n)


def _limit(people: Sequence[Track], faces: Mapping[int, Vector]) -> float:
    """Return how unlike faces may be here to be of one person.

    In noise and in the dark all faces become alike. How much so is seen where two people are there at one time.
    """
    seen = [track for track in people if track.id in faces]
    apart = [distance(faces[a.id], faces[b.id]) for a, b in combinations(seen, 2) if _meet([a], [b], apart=True)]
    return min([SAME_FACE, *(NEARER * far for far in apart)])


def _unlike(a: Sequence[Track], b: Sequence[Track], faces: Mapping[int, Vector]) -> float | None:
    """Return how unlike the two least alike faces of two rows are; None where of one no face is known."""
    far = [distance(faces[s.id], faces[t.id]) for s, t in product(a, b) if s.id in faces and t.id in faces]
    return max(far, default=None)


def _differ(a: Track, b: Track, worn: Mapping[int, Colours], faces: Mapping[int, Vector]) -> bool:
    """Return whether two tracks are of two people, by what they wear or by their faces."""
    if a.id in worn and b.id in worn and alike(worn[a.id], worn[b.id]) <= OTHER_CLOTHES:
        return True
    far = _unlike([a], [b], faces)
    return far is not None and far >= OTHER_FACE


def _meet(a: Sequence[Track], b: Sequence[Track], apart: bool = False) -> bool:
    """Return whether two rows have a moment in common; with `apart`, one in which they are at two places."""
    for one, other in product(a, b):
        first, last = max(one.first, other.first), min(one.last, other.last)
        middle = (first + last) // 2
        if first <= last and not (apart and one.boxes[middle - one.first].intersect(other.boxes[middle - other.first])):
            return True
    return False


def _goes_on(a: Track, b: Track, timeline: Timeline) -> bool:
    """Return whether track b, which begins soon after track a, may be where the same person appears again."""
    if a.label != b.label or timeline.scene(a.last) != timeline.scene(b.first):
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
