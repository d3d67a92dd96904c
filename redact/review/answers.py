"""What the page is told of a review."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse, Response

from redact.edits import at, chosen, subject
from redact.errors import UsageError
from redact.geometry import Box
from redact.keyframes import key_frames
from redact.plan import AUDIO, Settings, Track
from redact.records import to_bytes
from redact.review.jobs import Job
from redact.review.session import Session

LATEST_EDITS = 200  # that are told with the plan after each change; all of them are told when they are asked for
LEAST_WIDTH, MOST_WIDTH = 16, 4096  # pixels of a picture that is asked for


class Answer(JSONResponse):
    """An answer in JSON. Names of files that are no UTF-8 are in it too."""

    def render(self, content: Any) -> bytes:
        """Return its bytes."""
        return to_bytes(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def clip(session: Session) -> dict[str, Any]:
    """Return what does not change in a review: the clip's name, its size, its times in milliseconds, its cuts."""
    source, line = session.plan.source, session.desk.timeline
    return {
        "name": session.desk.clip.name,
        "plan": session.desk.file.path.name,
        "width": source.width,
        "height": source.height,
        "first": line.first,
        "times": [time.numerator * 1000 // time.denominator for time in line.times],
        "cuts": line.cuts,
        "who": session.desk.who,
        "never_show": session.desk.never_show,
    }


def state(session: Session) -> dict[str, Any]:
    """Return the plan as it is now."""
    plan, revision = session.now()
    source = plan.source
    undo, redo = session.can_undo()
    groups = session.groups(plan)
    return {
        "revision": revision,
        "plan": session.desk.file.path.name,
        "first": source.first,
        "frames": source.frames,
        "tracks": [_track(track, groups[track.id]) for track in plan.tracks],
        "doubts": [
            {"first": d.first, "last": d.last, "frame": d.frame, "box": sides(d.box), "reason": d.reason,
             "risk": round(d.risk, 2), "track": subject(plan, d)}
            for d in plan.doubts
        ],
        "edits": edits(session)[-LATEST_EDITS:],
        "undo": undo,
        "redo": redo,
        "seen": session.seen.count(source),
        "sound": _sound(plan.settings),
        "looking": session.groups_may_change(),
        "review": plan.review and {"who": plan.review.who, "when": plan.review.when},
        "job": job(session.job),
    }  # fmt: skip


def edits(session: Session) -> list[dict[str, str]]:
    """Return all changes of the plan, in their order."""
    return [{"who": e.who, "when": e.when, "what": e.what} for e in session.plan.edits]


def picture(session: Session, frame: int, width: str | None) -> Response:
    """Return a covered frame as a JPEG file, and in a header which regions are in it.

    Raises:
        IndexError: the frame is not in the excerpt.
        InputError: the clip cannot be read.
        UsageError: the width is none.
    """
    if width is not None and not (width.isascii() and width.isdecimal() and len(width) < 6):
        raise UsageError("The width is a number of pixels.")
    plan, revision = session.now()
    least = max(int(width), LEAST_WIDTH) if width else None
    data = session.frames.show(plan, frame, min(least, MOST_WIDTH) if least else None)
    session.seen.serve(frame)
    regions = [[t.id, *sides(t.boxes[0]), t.action == "cover"] for t in at(plan, frame).tracks]
    headers = {"x-regions": json.dumps(regions, separators=(",", ":")), "x-revision": str(revision)}
    return Response(data, media_type="image/jpeg", headers=headers)


def keys(session: Session, id: int) -> list[int]:
    """Return the key frames of a track.

    Raises:
        UsageError: it is not there.
    """
    (track,) = chosen(session.plan, [id])
    return key_frames(track)


def job(work: Job | None) -> dict[str, Any] | None:
    """Return how far a job is, and what came of it."""
    if work is None:
        return None
    error = work.error and {"error": str(work.error), "advice": work.error.advice}
    progress = work.progress
    return {"kind": work.kind, "running": work.running, "title": progress.title, "done": progress.done,
            "total": progress.total, "result": work.result, "error": error}  # fmt: skip


def sides(box: Box) -> list[int]:
    """Return left, top, right and bottom of a box."""
    return [box.x0, box.y0, box.x1, box.y1]


def _sound(settings: Settings) -> dict[str, Any]:
    """Return what becomes of the sound; times in milliseconds. Where a file takes its place, its name is not said."""
    how = settings.audio if settings.audio in AUDIO else "file"
    mute = [[round(begin * 1000), round(end * 1000)] for begin, end in settings.mute]
    return {"audio": how, "beep": settings.beep, "mute": mute}


def _track(track: Track, group: int) -> dict[str, Any]:
    """Return a track without its boxes: those of a frame come with its picture."""
    return {"id": track.id, "label": track.label, "first": track.first, "last": track.last, "action": track.action,
            "origin": track.origin, "reason": track.reason, "by": track.decided_by, "group": group}  # fmt: skip
