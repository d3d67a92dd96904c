"""Plans and their parts as JSON, in and out.

Reading is strict: an unknown or missing key, a wrong type or a broken invariant is a `PlanError` that names the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, TypeVar

from redact.errors import PlanError, UsageError
from redact.geometry import Box
from redact.plan import SCHEMA, Detection, Doubt, Edit, Keyframe, Looked, Plan, Region, Review, Settings, Source, Track

BOX = re.compile(r"(-?\d{1,6},){3}-?\d{1,6}")

LARGEST = 1e9  # of numbers that are no counts: scores, risks and thresholds

T = TypeVar("T")
Texts = dict[int, tuple[Track, str]]  # by `id` of a track, which is kept, so that no other one gets that `id`


def dump_plan(plan: Plan, known: Texts | None = None) -> str:
    """Return the plan as JSON text, one line a box, the same text for the same plan.

    Args:
        plan: to write.
        known: the texts of the tracks of an earlier state of it; they are used again, and become those of this one.
            A change of one track among hundreds is then written in the time that this track takes.
    """
    texts = {id(track): (known or {}).get(id(track)) or (track, _track_text(track)) for track in plan.tracks}
    if known is not None:
        known.clear()
        known.update(texts)
    text = json.dumps(to_plain(replace(plan, tracks=())), indent=1, ensure_ascii=False) + "\n"
    tracks = ",\n".join(text for _, text in texts.values())
    return _fill(text, "tracks", f"[\n{tracks}\n ]") if tracks else text


def load_plan(text: str) -> Plan:
    """Return the plan that a JSON text holds.

    Raises:
        PlanError: it is not JSON, or not a plan of this version, or breaks an invariant.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"The plan is not JSON: {error}.") from error
    if isinstance(data, dict) and data.get("schema") != SCHEMA:
        raise PlanError(f"The plan has schema {data.get('schema')!r}; this version reads schema {SCHEMA}.")
    return from_plain(data, Plan, "the plan")


def to_bytes(text: str) -> bytes:
    """Return text as bytes. Bytes of names that are no UTF-8 become escapes, which JSON reads back as they were."""
    return text.encode("utf-8", "backslashreplace")


def to_plain(value: Any) -> Any:
    """Return a value of this room as what JSON knows."""
    if isinstance(value, Box):
        return _box_text(value)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: to_plain(value[k]) for k in sorted(value)}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _track_text(track: Track) -> str:
    """Return the lines of a track in a plan."""
    plain = to_plain(replace(track, boxes=track.boxes[:1])) | {"boxes": []}
    text = json.dumps(plain, indent=1, ensure_ascii=False)
    boxes = ",\n".join([f'  "{_box_text(box)}"' for box in track.boxes])
    return "  " + _fill(text, "boxes", f"[\n{boxes}\n ]").replace("\n", "\n  ")


def _box_text(box: Box) -> str:
    return f"{box.x0},{box.y0},{box.x1},{box.y1}"


def _fill(text: str, key: str, items: str) -> str:
    """Put the text of a list where an outermost key has an empty one; no text in JSON holds the end of a line."""
    head, empty, tail = text.partition(f'\n "{key}": []')
    return f"{head}{empty[:-2]}{items}{tail}"


def from_plain(data: Any, kind: type[T], where: str) -> T:
    """Return the dataclass of this room that a JSON object holds.

    Args:
        data: what the JSON text held.
        kind: the dataclass.
        where: what is being read, for messages.

    Raises:
        PlanError: a key is missing or unknown, or a value is wrong.
    """
    if not isinstance(data, dict):
        raise PlanError(f"In {where}: an object is expected, not {_short(data)}.")
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(data) - set(names)):
        raise PlanError(f"In {where}: unknown key {unknown[0]!r}. Known are {', '.join(names)}.")
    if missing := [name for name in names if name not in data]:
        raise PlanError(f"In {where}: the key {missing[0]!r} is missing.")
    readers = _READERS[kind]
    values = {name: readers[name](data[name], f"{where}, {name}") for name in names}
    try:
        return kind(**values)
    except (ValueError, UsageError) as error:
        raise PlanError(f"In {where}: {error}") from error


def _short(data: Any) -> str:
    """Return the beginning of a value, for a message."""
    return repr(data)[:40]


def _scalar(kind: type[T], low: float | None = None) -> Callable[[Any, str], T]:
    def read(data: Any, where: str) -> T:
        wrong_bool = isinstance(data, bool) and kind is not bool
        if wrong_bool or not isinstance(data, kind) or (low is not None and data < low):  # type: ignore[operator]
            raise PlanError(f"In {where}: {kind.__name__} expected, not {_short(data)}.")
        return data

    return read


def _real(data: Any, where: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not abs(data) <= LARGEST:
        raise PlanError(f"In {where}: a number is expected, not {_short(data)}.")
    return float(data)


def _text(data: Any, where: str) -> str:
    text = _scalar(str)(data, where)
    if "\0" in text:
        raise PlanError(f"In {where}: a text without NUL is expected, not {_short(data)}.")
    return text


def _fraction(data: Any, where: str) -> Fraction:
    if not isinstance(data, str) or not re.fullmatch(r"-?\d{1,30}(/[1-9]\d{0,29})?", data):
        raise PlanError(f"In {where}: a time like '62/5' is expected, not {_short(data)}.")
    return Fraction(data)


def _unit(data: Any, where: str) -> Fraction:
    unit = _fraction(data, where)
    if unit <= 0:
        raise PlanError(f"In {where}: a unit of time above 0 is expected, not {_short(data)}.")
    return unit


def _optional(read: Callable[[Any, str], T]) -> Callable[[Any, str], T | None]:
    return lambda data, where: None if data is None else read(data, where)


def _list(read: Callable[[Any, str], T]) -> Callable[[Any, str], tuple[T, ...]]:
    def read_list(data: Any, where: str) -> tuple[T, ...]:
        if not isinstance(data, list):
            raise PlanError(f"In {where}: a list is expected, not {_short(data)}.")
        return tuple(read(item, f"{where} {n}") for n, item in enumerate(data))

    return read_list


def _models(data: Any, where: str) -> dict[str, str]:
    if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
        raise PlanError(f"In {where}: hashes by model id are expected, not {_short(data)}.")
    return data


def _box(data: Any, where: str) -> Box:
    if not isinstance(data, str) or not BOX.fullmatch(data):
        raise PlanError(f"In {where}: a box like '10,20,40,60' is expected, not {_short(data)}.")
    try:
        return Box(*map(int, data.split(",")))
    except ValueError as error:
        raise PlanError(f"In {where}: {error}.") from error


def _span(data: Any, where: str) -> tuple[Fraction, Fraction]:
    ends = _list(_fraction)(data, where)
    if len(ends) != 2:
        raise PlanError(f"In {where}: two times are expected, not {_short(data)}.")
    return ends[0], ends[1]


def _source(data: Any, where: str) -> Source:
    source = from_plain(data, Source, where)
    if source.begins > source.ends:
        raise PlanError(f"In {where}: the clip begins at {source.begins} and ends before that, at {source.ends}.")
    return source


_count, _flag = _scalar(int, 0), _scalar(bool)

_READERS: dict[type, dict[str, Callable[[Any, str], Any]]] = {
    Detection: {
        "frame": _count, "box": _box, "label": _text, "score": _real, "detector": _text, "angle": _scalar(int),
        "held": _scalar(bool), "judged": _optional(_real),
    },
    Looked: {"whole": _count, "parts": _count, "held": _count},
    Track: {
        "id": _scalar(int, 1), "label": _text, "first": _count, "boxes": _list(_box),
        "action": _text, "origin": _text, "decided_by": _text, "reason": _text,
    },
    Source: {
        "path": _text, "sha256": _text, "width": _scalar(int, 1), "height": _scalar(int, 1), "first": _count,
        "frames": _scalar(int, 1), "time_base": _unit, "begins": _fraction, "ends": _fraction,
        "digest": _text, "damaged": _count, "lost": _list(_span), "still": _flag,
    },
    Keyframe: {"time": _optional(_fraction), "box": _box},
    Region: {
        "name": _text, "keys": _list(lambda d, w: from_plain(d, Keyframe, w)), "from_time": _optional(_fraction),
        "to_time": _optional(_fraction), "follow": _flag, "size": _optional(_list(_count)),
    },
    Settings: {
        "effect": _text, "cover": _list(_text), "marks": _list(_text),
        "regions": _list(lambda d, w: from_plain(d, Region, w)),
        "from_time": _optional(_fraction), "to_time": _optional(_fraction),
        "stream": _count, "audio": _text, "audio_stream": _count, "mute": _list(_span), "beep": _flag, "strict": _flag,
        "threshold": _real, "fast": _flag, "crf": _count, "keep_names": _flag, "allow_empty": _flag, "overwrite": _flag,
    },
    Doubt: {
        "first": _count, "last": _count, "frame": _count, "box": _box, "reason": _text, "risk": _real,
    },
    Review: {"who": _text, "when": _text, "frames_seen": _count, "doubts_left": _count},
    Edit: {"who": _text, "when": _text, "what": _text},
    Plan: {
        "source": _source, "settings": lambda d, w: from_plain(d, Settings, w),
        "models": _models, "tracks": _list(lambda d, w: from_plain(d, Track, w)),
        "doubts": _list(lambda d, w: from_plain(d, Doubt, w)),
        "edits": _list(lambda d, w: from_plain(d, Edit, w)),
        "review": _optional(lambda d, w: from_plain(d, Review, w)), "schema": _scalar(int, 1),
    },
}  # fmt: skip
