"""The boxes of one track over its frames: key frames, gaps, longer ends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from redact.geometry import Box, join
from redact.plan import Track

KEY_ERROR = 1.5  # pixels by which a box may be off the straight line between two key frames


def key_frames(track: Track) -> list[int]:
    """Return the fewest frames between which a track moves in straight lines, to within `KEY_ERROR` pixels.

    The first and the last are among them (after Ramer, 1972, and Douglas and Peucker, 1973).
    """
    keys = {0, len(track.boxes) - 1}
    spans = [(0, len(track.boxes) - 1)]
    while spans:
        a, b = spans.pop()
        worst, at = 0.0, -1
        start, stop = sides(track.boxes[a]), sides(track.boxes[b])
        for n in range(a + 1, b):
            share = (n - a) / (b - a)
            off = max(abs(p + (q - p) * share - v) for p, q, v in zip(start, stop, sides(track.boxes[n]), strict=True))
            if off > worst:
                worst, at = off, n
        if worst > KEY_ERROR:
            keys.add(at)
            spans += [(a, at), (at, b)]
    return [track.first + n for n in sorted(keys)]


def move_box(track: Track, frame: int, box: Box) -> Track:
    """Return a track with a box in one of its frames, which moves in straight lines to the key frames beside it."""
    keys = [n for n in key_frames(track) if n != frame]
    boxes = list(track.boxes)
    boxes[frame - track.first] = box
    for end in (*[n for n in keys if n < frame][-1:], *[n for n in keys if n > frame][:1]):
        for n in range(min(end, frame) + 1, max(end, frame)):
            boxes[n - track.first] = _between(boxes[end - track.first], box, abs(n - end), abs(frame - end))
    return replace(track, boxes=tuple(boxes))


def prolong_track(track: Track, first: int, boxes: Sequence[Box]) -> Track:
    """Return a track that also covers boxes from a frame on; in frames of both, the box that holds both.

    In a gap between them the nearer end of the track stays where it is. Without boxes the track reaches `first`.
    """
    held = {track.first + n: box for n, box in enumerate(track.boxes)}
    for n, box in enumerate(boxes, first):
        held[n] = join((box, held.get(n, box)))
    begin, end = min(track.first, first), max(track.last, first + max(len(boxes) - 1, 0))
    inner = [held.get(n) or track.boxes[0 if n < track.first else -1] for n in range(begin, end + 1)]
    return replace(track, first=begin, boxes=tuple(inner))


def unite_boxes(parts: Sequence[Track]) -> tuple[Box, ...]:
    """Return boxes that hold those of all tracks, from the first one's beginning on without gaps.

    In a gap the box holds the ends on both sides of it.

    Args:
        parts: in the order of their first frames.
    """
    held: dict[int, Box] = {}
    end = parts[0].first - 1
    for part in parts:
        for n in range(end + 1, part.first):
            held[n] = join((held[end], part.boxes[0]))
        for n, box in enumerate(part.boxes, part.first):
            held[n] = join((box, held.get(n, box)))
        end = max(end, part.last)
    return tuple(held[n] for n in sorted(held))


def sides(box: Box) -> tuple[int, int, int, int]:
    """Return the sides of a box: left, top, right, bottom."""
    return box.x0, box.y0, box.x1, box.y1


def _between(a: Box, b: Box, part: int, whole: int) -> Box:
    """Return the box a part of the way from one to another, rounded outward."""
    x0, y0, x1, y1 = (p * (whole - part) + q * part for p, q in zip(sides(a), sides(b), strict=True))
    return Box(x0 // whole, y0 // whole, -(-x1 // whole), -(-y1 // whole))
