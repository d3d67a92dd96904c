"""What a person drew in one frame, followed by the picture from there, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew, Progress
from redact.detectors.looks import Look
from redact.following import FOLLOW_S, Follower
from redact.geometry import Box
from redact.media import Frame
from redact.plan import FLOW, Detection
from redact.regions import PERSON
from redact.sightings import Timeline
from redact.tracking import make_tracks

Between = Callable[[int, int], Iterator[Frame]]

AT_ONCE_S = Fraction(10)  # how far a box is followed each way; a person looks before it goes on


def follow_box(
    box: Box, frame: int, timeline: Timeline, between: Between, progress: Progress
) -> tuple[int, tuple[Box, ...]]:
    """Return the first frame and the boxes of what was drawn in one frame and carried from there by the picture.

    It goes on to the end of the scene, to `AT_ONCE_S` from the frame, or to where the picture cannot be followed.

    Args:
        box: what was drawn.
        frame: where.
        timeline: the frames of the excerpt.
        between: yields the frames of the clip from one to another, in order.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read.
    """
    time, (scene_first, scene_last) = timeline.time(frame), timeline.scene(frame)
    first = max(timeline.first_from(time - AT_ONCE_S), scene_first)
    last = min(timeline.first_from(time + AT_ONCE_S), scene_last)
    drawn = Detection(frame, box, "region", 1.0, PERSON)
    done = [0]

    def count(frames: Iterator[Frame]) -> Iterator[Frame]:
        for found in frames:
            done[0] += 1
            progress(done[0], max(last - first + 1, done[0]))
            yield found

    chain = [drawn, *_ahead(drawn, timeline, count(between(frame, last)))]
    start = drawn
    while start.frame > first:
        hop = min(timeline.first_from(timeline.time(start.frame) - FOLLOW_S), start.frame - 1)
        back = _carried(start, timeline, count(between(max(hop, first), start.frame)))
        back = [d for d in back if d.frame < start.frame]
        if not back:
            break
        chain += back
        start = min(back, key=lambda d: d.frame)
    (track,) = make_tracks([sorted(chain, key=lambda d: d.frame)], timeline, 0)
    return track.first, track.boxes


def _ahead(start: Detection, timeline: Timeline, frames: Iterator[Frame]) -> list[Detection]:
    """Return where a sighting is carried to in the frames from its own on, until it is lost."""
    with Crew() as crew:
        follower = Follower([[start]], timeline, 0, _blind, crew)
        for frame in frames:
            follower.show(frame.picture, frame.index)
            if follower.chains()[0][-1].frame < frame.index:
                break
    return [d for d in follower.chains()[0] if d.detector == FLOW]


def _carried(start: Detection, timeline: Timeline, frames: Iterator[Frame]) -> list[Detection]:
    """Return where a sighting is carried to in the frames before its own, the last of those that are given."""
    with Crew() as crew:
        follower = Follower([[start]], timeline, 0, _blind, crew)
        for frame in frames:
            follower.show(frame.picture, frame.index)
    return [d for d in follower.chains()[0] if d is not start]


def _blind(picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
    """See nothing: what was drawn is not looked for."""
    return []
