"""What a person implies: somewhere a head, and a head a body. Pure: it sees no pictures.

Detectors of faces miss people who turn away, bend down or are seen from above; detectors of persons miss those of whom
little more than the head shows. Each knows of people that the other does not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from redact.geometry import Box, join
from redact.plan import HEADS, Track

UPPER = 0.35  # share of a person's height that holds the head, also of one who bends
CLOSE = 0.75  # and of the shorter side: of one who is near the camera or cut off little more than the head shows
LYING = 1.1  # times as wide as high: the head may be at either end
HEAD_REACH = 0.45  # share of a person's height, from the top, in which its head is looked for
HEAD_SIDE = 0.35  # and of its width, on each side of the middle
SHORT = 3  # frames before and after those without a head that are covered as well
BODY_LENGTH = 6.5  # heads that a body is long below its head: it may stretch out
BODY_SIDE = 1.2  # heads that it reaches farther on each side


def add_heads(tracks: Sequence[Track], sure: Mapping[int, Collection[int]], start: int) -> list[Track]:
    """Return tracks for the upper parts of persons in the frames in which no head of theirs is covered.

    Args:
        tracks: of persons and heads; others are left alone.
        sure: by the id of a track of a head, the frames in which it is sure to be where the head is; elsewhere it was
            carried there, and may have lost it.
        start: number of the first new track.
    """
    heads: dict[int, list[Box]] = defaultdict(list)
    for track in tracks:
        for n in sure.get(track.id, ()) if track.label in HEADS else ():
            heads[n].append(track.boxes[n - track.first])
    found = []
    for person in (track for track in tracks if track.label == "person"):

        def headless(n: int, person: Track = person) -> bool:
            box = person.boxes[n - person.first]
            return not any(is_head_of(head, box) for head in heads.get(n, ()))

        found += _parts(person, headless, upper_part)
    return [
        Track(n, "head", first, boxes, reason="a person of whom no head was found")
        for n, (first, boxes) in enumerate(found, start)
    ]


def add_bodies(tracks: Sequence[Track], angles: Mapping[int, int], start: int) -> list[Track]:
    """Return tracks for the bodies of heads in the frames in which no person is around them.

    Args:
        tracks: of persons and heads; others are left alone.
        angles: by the id of a track of a head, how far it is turned, in degrees; 0 where it is missing.
        start: number of the first new track.
    """
    persons = _by_frame(track for track in tracks if track.label == "person")
    found = []
    for head in (track for track in tracks if track.label in HEADS):

        def lone(n: int, head: Track = head) -> bool:
            box = head.boxes[n - head.first]
            return not any(is_head_of(box, person) for person in persons.get(n, ()))

        angle = angles.get(head.id, 0)
        found += _parts(head, lone, lambda box, angle=angle: body_of(box, angle))  # type: ignore[misc]
    return [
        Track(n, "person", first, boxes, reason="a head of which no person was found")
        for n, (first, boxes) in enumerate(found, start)
    ]


def upper_part(person: Box) -> Box:
    """Return the part of a person that holds the head: all of one who lies."""
    if person.width >= LYING * person.height:
        return person
    tall = math.ceil(max(UPPER * person.height, CLOSE * min(person.width, person.height)))
    return Box(person.x0, person.y0, person.x1, min(person.y0 + tall, person.y1))


def body_of(head: Box, angle: int) -> Box:
    """Return where the body of a head may be that was seen in a picture turned by an angle, in degrees."""
    size = math.sqrt(head.area)
    down = -math.sin(math.radians(angle)), math.cos(math.radians(angle))
    wide = head.grow(BODY_SIDE, BODY_SIDE, BODY_SIDE, BODY_SIDE)
    x, y = (BODY_LENGTH - BODY_SIDE) * size * down[0], (BODY_LENGTH - BODY_SIDE) * size * down[1]
    return join((head, wide, wide.shift(x, y)))


def is_head_of(head: Box, person: Box) -> bool:
    """Return whether a head is where that of a person should be: at the upper end of one who stands or sits."""
    x, y = head.center
    if person.width >= LYING * person.height:
        return person.x0 <= x < person.x1 and person.y0 <= y < person.y1
    beside = abs(x - person.center[0])
    return (
        beside < HEAD_SIDE * person.width and person.y0 - head.height / 2 <= y < person.y0 + HEAD_REACH * person.height
    )


def _by_frame(tracks: Iterable[Track]) -> dict[int, list[Box]]:
    """Return the boxes in each frame."""
    boxes: dict[int, list[Box]] = defaultdict(list)
    for track in tracks:
        for frame, box in enumerate(track.boxes, track.first):
            boxes[frame].append(box)
    return boxes


def _parts(
    track: Track, wanted: Callable[[int], bool], part: Callable[[Box], Box]
) -> list[tuple[int, tuple[Box, ...]]]:
    """Return a part of what a track covers in each stretch of wanted frames, and a little around it, with its begin."""
    bare = {n for n in range(track.first, track.last + 1) if wanted(n)}
    wide = sorted({m for n in bare for m in range(max(n - SHORT, track.first), min(n + SHORT, track.last) + 1)})
    stretches: list[list[int]] = []
    for n in wide:
        if stretches and stretches[-1][-1] == n - 1:
            stretches[-1].append(n)
        else:
            stretches.append([n])
    return [(s[0], tuple(part(track.boxes[n - track.first]) for n in s)) for s in stretches]
