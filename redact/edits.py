"""Changes of a plan that a person makes. Pure: each returns another plan, whose list of edits is one longer.

What the program found can only grow here: boxes are widened, tracks made longer, gaps filled. To take its cover away
(`show`) is a decision of its own, which needs a reason and stays in the plan; only what a person drew can be moved and
removed. Any change takes a review's sign-off back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from redact.errors import UsageError
from redact.geometry import Box, covered_share
from redact.keyframes import move_box, prolong_track, sides, unite_boxes
from redact.plan import FARTHEST, LABELS, LONGEST_NAME, Doubt, Edit, Plan, Settings, Source, Track

PERSON = "person"  # the origin of tracks that a person drew
LEAST_WIDENING, MOST_WIDENING = 0.01, 1.0  # share of a box by which each side may be moved outward at once
LONGEST_REASON = 500  # letters


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change, and when (ISO 8601, UTC)."""

    who: str
    when: str

    def __post_init__(self) -> None:
        """Check the invariants."""
        if not (self.who.strip() and self.who.isprintable() and len(self.who) <= LONGEST_NAME):
            raise UsageError(f"Who decides needs a name of one line and at most {LONGEST_NAME} letters.")


def widen(plan: Plan, ids: Collection[int], share: float, by: By) -> Plan:
    """Return a plan in which boxes reach farther out on every side.

    Args:
        plan: to change.
        ids: of the tracks.
        share: of its width and height by which each side of a box is moved outward.
        by: who does it.

    Raises:
        UsageError: a track is not there, or the share is out of bounds.
    """
    if not LEAST_WIDENING <= share <= MOST_WIDENING:
        raise UsageError(f"A box can be widened by {LEAST_WIDENING:.0%} to {MOST_WIDENING:.0%} at once.")

    def wider(track: Track) -> Track:
        return replace(track, boxes=tuple(_bounded(box.grow(share, share, share, share)) for box in track.boxes))

    return _edited(plan, by, f"widened {_named(ids)} by {share:.0%}", _changed(plan, ids, wider))


def extend(plan: Plan, ids: Collection[int], to: int, by: By) -> Plan:
    """Return a plan in which tracks that begin after a frame or end before it reach it; the box stays where it was.

    Raises:
        UsageError: a track is not there, all reach the frame already, or it is not in the excerpt.
    """
    check_frame(plan, to)

    def longer(track: Track) -> Track:
        return prolong_track(track, to, ()) if track.last < to or to < track.first else track

    tracks = _changed(plan, ids, longer)
    if tracks == plan.tracks:
        raise UsageError(f"What is selected reaches frame {to} already.")
    return _edited(plan, by, f"extended {_named(ids)} to frame {to}", tracks)


def prolong(plan: Plan, id: int, first: int, boxes: Sequence[Box], by: By) -> Plan:
    """Return a plan in which a track also covers boxes of consecutive frames, as where it was followed to.

    Args:
        plan: to change.
        id: of the track.
        first: frame of the first box.
        boxes: one for each frame from the first on.
        by: who does it.

    Raises:
        UsageError: the track is not there.
    """
    tracks = _changed(plan, [id], lambda track: prolong_track(track, first, boxes))
    return _edited(plan, by, f"followed track {id} to frames {first} to {first + len(boxes) - 1}", tracks)


def remove(plan: Plan, ids: Collection[int], by: By) -> Plan:
    """Return a plan without some tracks that a person drew.

    Raises:
        UsageError: a track is not there, or the program found it: that is shown with a reason instead.
    """
    gone = chosen(plan, ids)
    if found := [track.id for track in gone if track.origin != PERSON]:
        raise UsageError(
            f"Track {found[0]} was found by the program; it is not removed.",
            "If nobody is there, let it be shown, with the reason; it stays in the plan and in the list of decisions.",
        )
    named = ", ".join(f"{t.id} (drawn, frames {t.first} to {t.last}: {t.reason})" for t in gone)
    return _edited(plan, by, f"removed track {named}", (track for track in plan.tracks if track not in gone))


def split(plan: Plan, id: int, frame: int, by: By) -> Plan:
    """Return a plan in which a track is two: one up to the frame before, and one from the frame on.

    Raises:
        UsageError: the track is not there, or the frame is not after its first and in it.
    """
    (track,) = chosen(plan, [id])
    if not track.first < frame <= track.last:
        raise UsageError(f"Track {id} cannot be split at frame {frame}: that is not inside it.")
    at = frame - track.first
    parts = replace(track, boxes=track.boxes[:at]), replace(track, id=_next(plan), first=frame, boxes=track.boxes[at:])
    tracks = (part for t in plan.tracks for part in (parts if t is track else (t,)))
    return _edited(plan, by, f"split track {id} at frame {frame} into {id} and {parts[1].id}", tuple(tracks))


def unite(plan: Plan, ids: Collection[int], by: By) -> Plan:
    """Return a plan in which several tracks are one, with the lowest number; gaps between them are covered.

    In a gap the box holds the ends on both sides of it. The result is covered unless all parts are shown.

    Raises:
        UsageError: a track is not there, there are fewer than two, or they are of different kinds.
    """
    parts = sorted(chosen(plan, ids), key=lambda t: (t.first, t.id))
    if len(parts) < 2 or len({part.label for part in parts}) > 1:
        raise UsageError("Only two or more tracks of one kind can be joined.")
    covered = [part for part in parts if part.action == "cover"]
    found = [part for part in covered or parts if part.origin != PERSON]
    like = (found or covered or parts)[0]
    number = min(part.id for part in parts)
    whole = replace(like, id=number, first=parts[0].first, boxes=unite_boxes(parts))
    tracks = tuple(whole if t.id == number else t for t in plan.tracks if t.id == number or t not in parts)
    return _edited(plan, by, f"joined {_named(ids)} to track {number}", tracks)


def draw(plan: Plan, label: str, first: int, boxes: Sequence[Box], name: str, by: By) -> Plan:
    """Return a plan with another track, which a person drew.

    Args:
        plan: to change.
        label: one of `LABELS`: a "head" is covered as an ellipse, a "region" as a rectangle.
        first: frame of the first box.
        boxes: one for each frame from the first on.
        name: what it is, in the person's words; it becomes the reason of the track.
        by: who does it.

    Raises:
        UsageError: the label is unknown, a box covers nothing of the picture, or a frame is not in the excerpt.
    """
    if label not in LABELS:
        raise UsageError(f"There is no label {label!r}.")
    for frame in (first, first + len(boxes) - 1):
        check_frame(plan, frame)
    if not any(box.clip(plan.source.width, plan.source.height) for box in boxes):
        raise UsageError("What was drawn lies outside the picture and would cover nothing.")
    number, reason = _next(plan), name.strip()[:LONGEST_NAME] or "drawn"
    held = tuple(_bounded(box) for box in boxes)
    track = Track(number, label, first, held, origin=PERSON, decided_by=by.who, reason=reason)
    what = f"drew track {number} ({label}, frames {first} to {track.last}): {reason}"
    return _edited(plan, by, what, (*plan.tracks, track))


def bring_in(plan: Plan, tracks: Sequence[Track], file: str, by: By) -> Plan:
    """Return a plan that covers tracks from a file as well.

    Args:
        plan: to change.
        tracks: with numbers that it does not have.
        file: name of the file.
        by: who brings them in.
    """
    return _edited(plan, by, f"{len(tracks)} tracks brought in from {file}", (*plan.tracks, *tracks))


def move(plan: Plan, id: int, frame: int, box: Box, by: By) -> Plan:
    """Return a plan in which a drawn track has a box in a frame, and moves in a straight line to its next key frames.

    Raises:
        UsageError: the track is not there, was not drawn by a person, or is not in this frame.
    """
    (track,) = chosen(plan, [id])
    if track.origin != PERSON:
        raise UsageError(
            f"Track {id} was found by the program: it can be widened, but not moved, for that would uncover.",
            "Draw a region beside it, or let it be shown, with the reason.",
        )
    if not track.first <= frame <= track.last:
        raise UsageError(f"Track {id} is not in frame {frame}.")
    moved = move_box(track, frame, _bounded(box))
    return _edited(plan, by, f"moved track {id} in frame {frame}", _changed(plan, [id], lambda _: moved))


def show(plan: Plan, ids: Collection[int], reason: str, by: By) -> Plan:
    """Return a plan in which tracks are left visible.

    Raises:
        UsageError: a track is not there, or there is no reason.
    """
    _check_reason(reason)
    tracks = _changed(plan, ids, lambda t: replace(t, action="show", decided_by=by.who.strip(), reason=reason.strip()))
    return _edited(plan, by, f"shows {_named(ids)}: {reason.strip()}", tracks)


def cover(plan: Plan, ids: Collection[int], by: By) -> Plan:
    """Return a plan in which tracks are covered.

    Raises:
        UsageError: a track is not there.
    """
    tracks = _changed(
        plan, ids, lambda t: replace(t, action="cover", decided_by=by.who.strip()) if t.action == "show" else t
    )
    return _edited(plan, by, f"covers {_named(ids)}", tracks)


def settle(plan: Plan, doubts: Collection[Doubt], how: str, by: By) -> Plan:
    """Return a plan in which doubts are decided.

    Args:
        plan: to change.
        doubts: of it.
        how: what was decided, as "accepted".
        by: who decided.
    """
    named = ", ".join(f"frames {d.first} to {d.last} ({d.reason})" for d in doubts)
    left = tuple(doubt for doubt in plan.doubts if doubt not in doubts)
    return replace(_edited(plan, by, f"{how} the doubt about {named}", plan.tracks), doubts=left)


def check_cut(plan: Plan, first: int, last: int) -> None:
    """Refuse to cut a plan to frames that are not in its excerpt.

    Raises:
        UsageError: they are not, or they are turned round.
    """
    for frame in (first, last):
        check_frame(plan, frame)
    if first > last:
        raise UsageError("The excerpt would end before it begins.")


def cut(plan: Plan, source: Source, settings: Settings, by: By) -> Plan:
    """Return a plan of a shorter excerpt of the same clip. Of tracks and doubts what lies in it is left.

    Args:
        plan: to change.
        source: the excerpt.
        settings: with its times.
        by: who does it.
    """
    first, end = source.first, source.first + source.frames
    tracks = []
    for track in plan.tracks:
        boxes = track.boxes[max(first - track.first, 0) : max(end - track.first, 0)]
        if boxes:
            tracks.append(replace(track, first=max(track.first, first), boxes=boxes))
    doubts = tuple(_cut_doubt(plan, d, first, end - 1) for d in plan.doubts if first <= d.last and d.first < end)
    what = f"cut the excerpt to frames {first} to {end - 1}"
    return replace(_edited(plan, by, what, tracks), source=source, settings=settings, doubts=doubts)


def set_sound(plan: Plan, settings: Settings, what: str, by: By) -> Plan:
    """Return a plan with other settings of the sound; `what` says which, for the list of edits."""
    return replace(_edited(plan, by, what, plan.tracks), settings=settings)


def go_back(plan: Plan, to: Plan, what: str, by: By) -> Plan:
    """Return what is covered in another state of a plan, with the edits of this one and that of going there."""
    return replace(to, edits=_edited(plan, by, what, plan.tracks).edits, review=None)


def at(plan: Plan, frame: int) -> Plan:
    """Return a plan of what is in one frame only: it covers that frame as the whole plan does."""
    there = (t for t in plan.tracks if t.first <= frame <= t.last)
    tracks = tuple(replace(t, first=frame, boxes=(t.boxes[frame - t.first],)) for t in there)
    return replace(plan, tracks=tracks, doubts=(), edits=())


def only(plan: Plan, ids: Collection[int]) -> Plan:
    """Return a plan with some of its tracks only."""
    return replace(plan, tracks=tuple(track for track in plan.tracks if track.id in ids))


def chosen(plan: Plan, ids: Collection[int]) -> list[Track]:
    """Return tracks by their numbers.

    Raises:
        UsageError: one of them is not there, or there are none.
    """
    found = {track.id: track for track in plan.tracks if track.id in ids}
    if missing := sorted(set(ids) - set(found)):
        raise UsageError(f"There is no track {missing[0]} in the plan.")
    if not found:
        raise UsageError("No track is selected.")
    return list(found.values())


def subject(plan: Plan, doubt: Doubt) -> int | None:
    """Return the track that a doubt is about: the one that covers its box best in its frame."""
    here = at(plan, doubt.frame).tracks
    best = max(here, key=lambda t: covered_share(doubt.box, t.boxes[0]), default=None)
    return best.id if best and covered_share(doubt.box, best.boxes[0]) > 0 else None


def check_frame(plan: Plan, frame: int) -> None:
    """Refuse a frame that is not in the excerpt.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= frame - plan.source.first < plan.source.frames:
        raise UsageError(f"Frame {frame} is not in the excerpt.")


def _edited(plan: Plan, by: By, what: str, tracks: Iterable[Track]) -> Plan:
    """Return a plan with other tracks and one more edit."""
    edits = (*plan.edits, Edit(by.who.strip(), by.when, what))
    return replace(plan, tracks=tuple(tracks), edits=edits, review=None)


def _changed(plan: Plan, ids: Collection[int], change: Callable[[Track], Track]) -> tuple[Track, ...]:
    """Return the tracks of a plan, some of them changed."""
    wanted = {track.id for track in chosen(plan, ids)}
    return tuple(change(track) if track.id in wanted else track for track in plan.tracks)


def _cut_doubt(plan: Plan, doubt: Doubt, first: int, last: int) -> Doubt:
    """Return a doubt about the frames from one to another only; its box is that of its track where its frame moves."""
    frame = min(max(doubt.frame, first), last)
    about = subject(plan, doubt) if frame != doubt.frame else None
    box = next((track.boxes[0] for track in at(plan, frame).tracks if track.id == about), doubt.box)
    return replace(doubt, first=max(doubt.first, first), last=min(doubt.last, last), frame=frame, box=box)


def _next(plan: Plan) -> int:
    """Return the number of the next track."""
    return max((track.id for track in plan.tracks), default=0) + 1


def _named(ids: Collection[int]) -> str:
    """Return the names of tracks, for the list of edits."""
    return f"track{'s' if len(ids) > 1 else ''} {', '.join(map(str, sorted(ids)))}"


def _check_reason(reason: str) -> None:
    """Refuse to uncover somebody without a reason."""
    if not (reason.strip() and reason.isprintable() and len(reason) <= LONGEST_REASON):
        raise UsageError(f"To show something needs a reason, of one line and at most {LONGEST_REASON} letters.")


def _bounded(box: Box) -> Box:
    """Return a box that a plan can hold."""
    if max(map(abs, sides(box))) > FARTHEST:
        raise UsageError("The box would become far larger than the picture.")
    return box
