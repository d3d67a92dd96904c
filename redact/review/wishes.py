"""What the page may ask for: each wish is checked, and becomes a change of the plan or a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from redact import edits, excerpts
from redact.edits import By
from redact.errors import UsageError
from redact.geometry import Box
from redact.plan import Plan
from redact.review import answers, keeping
from redact.review.session import Session

Body = dict[str, Any]

MOST_AT_ONCE = 2000  # tracks or doubts
MOST_SEEN = 2000  # frames that are said to be seen at once


def grant(session: Session, wish: str, body: Body) -> Response:
    """Do what the page asks for, and return the plan as it is then, or what was asked for.

    Raises:
        RedactError: one of its kinds; nothing was changed then.
    """
    if wish in CHANGES:
        revision, who = _int(body, "revision"), _who(body)
        session.change(revision, lambda plan, by: CHANGES[wish](session, plan, body, by), who, draws=wish == "draw")
    elif wish in ACTIONS:
        answer = ACTIONS[wish](session, body)
        if answer is not None:
            return answer
    else:
        raise UsageError(f"The review knows no wish {wish[:40]!r}.")
    return answers.Answer(answers.state(session))


def _widen(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.widen(plan, _ids(body), _real(body, "share"), by)


def _extend(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.extend(plan, _ids(body), _int(body, "to"), by)


def _split(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.split(plan, _int(body, "track"), _int(body, "frame"), by)


def _join(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.unite(plan, _ids(body), by)


def _remove(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    session.check_uncovering(_ids(body))
    return edits.remove(plan, _ids(body), by)


def _show(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    session.check_uncovering(_ids(body))
    return edits.show(plan, _ids(body), _text(body, "reason"), by)


def _cover(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.cover(plan, _ids(body), by)


def _draw(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    first, last = _int(body, "first"), _int(body, "last")
    for frame in (first, last):
        edits.check_frame(plan, frame)
    if last < first:
        raise UsageError("What was drawn would end before it begins.")
    boxes = (_box(body),) * (last - first + 1)
    return edits.draw(plan, _text(body, "label"), first, boxes, _text(body, "name"), by)


def _move(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    session.check_uncovering([_int(body, "track")])
    return edits.move(plan, _int(body, "track"), _int(body, "frame"), _box(body), by)


def _settle(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    return edits.settle(plan, [session.doubt(number) for number in _numbers(body, "doubts")], "accepted", by)


def _mute(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    first, last = _int(body, "first"), _int(body, "last")
    edits.check_cut(plan, first, last)
    settings = excerpts.mute(plan, session.desk.timeline, first, last)
    return edits.set_sound(plan, settings, f"muted frames {first} to {last}", by)


def _unmute(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    place, old = _int(body, "place"), plan.settings
    if not 0 <= place < len(old.mute):
        raise UsageError(f"There is no muted part {place}.")
    begin, end = old.mute[place]
    left = old.mute[:place] + old.mute[place + 1 :]
    what = f"lets {float(begin):.2f} to {float(end):.2f} s be heard again"
    return edits.set_sound(plan, replace(old, mute=left, beep=old.beep and bool(left)), what, by)


def _sound(session: Session, plan: Plan, body: Body, by: By) -> Plan:
    how, old = _text(body, "how"), plan.settings
    if how == "keep":
        return edits.set_sound(plan, replace(old, audio=how), "keeps the clip's sound", by)
    if how == "none":
        return edits.set_sound(plan, replace(old, audio=how, mute=(), beep=False), "leaves the sound out", by)
    if how not in ("beep", "silence"):
        raise UsageError("The sound is none or keep, and where it is muted, beep or silence.")
    return edits.set_sound(plan, replace(old, beep=how == "beep"), f"puts {how} where the sound is muted", by)


CHANGES: dict[str, Callable[[Session, Plan, Body, By], Plan]] = {
    "widen": _widen, "extend": _extend, "split": _split, "join": _join, "remove": _remove, "show": _show,
    "cover": _cover, "draw": _draw, "move": _move, "settle": _settle, "mute": _mute, "unmute": _unmute, "sound": _sound,
}  # fmt: skip


def _undo(session: Session, body: Body) -> None:
    session.undo(_int(body, "revision"))


def _redo(session: Session, body: Body) -> None:
    session.redo(_int(body, "revision"))


def _see(session: Session, body: Body) -> Response:
    frames = body.get("frames")
    if not isinstance(frames, list) or len(frames) > MOST_SEEN or not all(type(n) is int for n in frames):
        raise UsageError(f"At most {MOST_SEEN} frames are expected.")
    session.seen.add(frames)
    return answers.Answer({"seen": session.seen.count(session.plan.source)})


def _unseen(session: Session, body: Body) -> Response:
    return answers.Answer({"frame": session.seen.next_unseen(session.plan.source, _int(body, "after"))})


def _uncover(session: Session, body: Body) -> Response:
    picture, box = session.uncover(_int(body, "frame"), _int(body, "track"), body.get("grey") is not False)
    return Response(picture, media_type="image/jpeg", headers={"x-box": ",".join(map(str, answers.sides(box)))})


def _follow(session: Session, body: Body) -> None:
    id, doubt = (_int(body, key) if body.get(key) is not None else None for key in ("track", "doubt"))
    name, label = (_text(body, key) for key in ("name", "label"))
    session.follow(_int(body, "revision"), _int(body, "frame"), _box(body), label, name, id, doubt)


def _cut(session: Session, body: Body) -> None:
    session.cut(_int(body, "revision"), _int(body, "first"), _int(body, "last"))


def _mark(session: Session, body: Body) -> Response:
    return answers.Answer({"details": keeping.keep_mark(session, _text(body, "name"), _int(body, "frame"), _box(body))})


def _camera(session: Session, body: Body) -> Response:
    return answers.Answer({"regions": keeping.keep_camera(session, _text(body, "name"), _ids(body))})


def _sign_off(session: Session, body: Body) -> None:
    overwrite, empty = body.get("overwrite") is True, body.get("allow_empty") is True
    session.sign_off(_int(body, "revision"), _text(body, "who"), overwrite, empty)


ACTIONS: dict[str, Callable[[Session, Body], Response | None]] = {
    "undo": _undo, "redo": _redo, "seen": _see, "unseen": _unseen, "uncover": _uncover, "follow": _follow, "cut": _cut,
    "mark": _mark, "camera": _camera, "signoff": _sign_off,
}  # fmt: skip


def _int(body: Body, key: str) -> int:
    value = body.get(key)
    if type(value) is not int or abs(value) > 10**9:
        raise UsageError(f"A whole number is expected for {key!r}.")
    return value


def _real(body: Body, key: str) -> float:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"A number is expected for {key!r}.")
    return float(value)


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or len(value) > edits.LONGEST_REASON or not value.isprintable():
        raise UsageError(f"A text of one line and at most {edits.LONGEST_REASON} letters is expected for {key!r}.")
    return value


def _who(body: Body) -> str | None:
    return _text(body, "who") if body.get("who") is not None else None


def _ids(body: Body) -> list[int]:
    return _numbers(body, "tracks")


def _numbers(body: Body, key: str) -> list[int]:
    numbers = body.get(key)
    if (
        not isinstance(numbers, list)
        or not 0 < len(numbers) <= MOST_AT_ONCE
        or not all(type(n) is int for n in numbers)
    ):
        raise UsageError(f"Whole numbers are expected for {key!r}, at most {MOST_AT_ONCE}.")
    return numbers


def _box(body: Body) -> Box:
    sides = body.get("box")
    if not isinstance(sides, list) or len(sides) != 4 or not all(type(n) is int and abs(n) < 10**6 for n in sides):
        raise UsageError("A box is four whole numbers of pixels: left, top, right, bottom.")
    try:
        return Box(*sides)
    except ValueError as error:
        raise UsageError("The box is empty.", "Draw it larger.") from error
