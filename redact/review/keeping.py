"""What a review keeps for other clips: examples of marks, and regions of cameras."""

from __future__ import annotations

from collections.abc import Sequence

from redact import cameras, custody, edits, marks
from redact.errors import UsageError
from redact.geometry import Box
from redact.plan import LONGEST_NAME, Keyframe, Region
from redact.review.session import Session


def keep_mark(session: Session, name: str, frame: int, box: Box) -> int:
    """Keep a part of a frame as an example of a mark; return how many details it has.

    Raises:
        UsageError: it is not fit for one.
    """
    session.check_place(frame, box)
    desk = session.desk
    details = marks.add(name, marks.crop(session.frames.read(frame).picture, box))
    custody.record(desk.space, "keep a mark", {"clip": desk.clip.name, "by": desk.who, "mark": name})
    return details


def keep_camera(session: Session, name: str, ids: Sequence[int]) -> int:
    """Add the first boxes of tracks to the profile of a camera; return how many regions it has.

    Raises:
        UsageError: the name is not one, a track is not there, or the profile is for pictures of another size.
    """
    source = session.plan.source
    chosen = edits.chosen(session.plan, ids)
    there = cameras.load(name) if name in cameras.names() else None
    if there and (there.width, there.height) != (source.width, source.height):
        raise UsageError(
            f"The camera {name!r} has pictures of {there.width}x{there.height}; this clip's are another size.",
            "Choose another name.",
        )
    added = [
        Region((track.reason or track.label)[:LONGEST_NAME], (Keyframe(None, track.boxes[0]),)) for track in chosen
    ]
    regions = (*(there.regions if there else ()), *added)
    cameras.save(name, source.width, source.height, regions, overwrite=there is not None)
    return len(regions)
