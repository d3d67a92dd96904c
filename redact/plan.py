"""What flows between the rooms: detections, tracks, settings, the plan, and the verdict on a copy.

The plan is the heart: a small JSON file that a person can read, compare line by line and correct. Reading it is
strict: an unknown or missing key, a wrong type or a broken invariant is a `PlanError` that names the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, TypeVar

from redact.errors import PlanError, UsageError
from redact.geometry import Box

SCHEMA = 1
LABELS = ("face", "head", "person", "text", "code", "plate", "mark", "nudity", "region")
EFFECTS = ("blur", "solid", "mosaic")
ACTIONS = ("cover", "show")
AUDIO = ("none", "keep")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Detection:
    """One sighting: what one detector saw in one frame.

    Attributes:
        frame: index of the frame in the clip, 0-based, in display order.
        box: where, in pixels of the upright picture.
        label: one of `LABELS`.
        score: how sure the detector was, 0 to 1; its meaning is in the model card.
        detector: name of the detector.
        angle: how far the picture had been turned for this look, in degrees counter-clockwise.
    """

    frame: int
    box: Box
    label: str
    score: float
    detector: str
    angle: int = 0

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score of {self.score} is not between 0 and 1")


@dataclass(frozen=True, slots=True)
class Track:
    """One thing followed through the clip.

    Attributes:
        id: unique in the plan, from 1.
        label: one of `LABELS`.
        first: index of its first frame.
        boxes: one box for every frame from the first on, without holes.
        action: "cover", or "show", which needs a person and a reason.
        origin: what made the track: "detection", "verification" or "person".
        decided_by: who decided, where a person did.
        reason: why.
    """

    id: int
    label: str
    first: int
    boxes: tuple[Box, ...]
    action: str = "cover"
    origin: str = "detection"
    decided_by: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}")
        if not self.boxes:
            raise ValueError("a track without boxes")
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}")
        if self.action == "show" and not (self.decided_by and self.reason):
            raise ValueError("to show somebody needs a person who decided (decided_by) and a reason")

    @property
    def last(self) -> int:
        """Index of the last frame."""
        return self.first + len(self.boxes) - 1


@dataclass(frozen=True, slots=True)
class Source:
    """The clip, or the excerpt of it, that a plan was made for. Counted by decoding, never taken from a header.

    Attributes:
        path: where the clip was when it was analysed.
        sha256: of the whole file.
        width: columns of the upright picture.
        height: rows of the upright picture.
        first: index of the excerpt's first frame in the clip.
        frames: frames in the excerpt.
        time_base: the unit of the clip's time stamps, in seconds.
        begins: presentation time of the first frame, in seconds from the beginning of the clip.
        ends: presentation time of the last frame.
        digest: sha256 over the times and upright pictures of the excerpt's frames.
        damaged: frames that the decoder reported as damaged.
    """

    path: str
    sha256: str
    width: int
    height: int
    first: int
    frames: int
    time_base: Fraction
    begins: Fraction
    ends: Fraction
    digest: str
    damaged: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Every option of the command line that decides something, under the option's own name.

    Attributes:
        effect: how regions are covered: one of `EFFECTS`.
        from_time: beginning of the excerpt in seconds from the beginning of the clip, or None for its first frame.
        to_time: end of the excerpt; the frame shown at this time is not part of it. None for the clip's end.
        audio: "none", or "keep" to encode the clip's sound again.
        threshold: the score from which a sighting makes a track, 0.05 to 0.9.
        crf: constant rate factor of the H.264 encoder, 0 to 28; 17 is visually lossless.
        keep_names: the copy is named like the clip instead of neutrally.
        allow_empty: a clip in which nothing was found may be released.
        overwrite: existing files may be replaced.
    """

    effect: str = "blur"
    from_time: Fraction | None = None
    to_time: Fraction | None = None
    audio: str = "none"
    threshold: float = 0.25
    crf: int = 17
    keep_names: bool = False
    allow_empty: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.effect not in EFFECTS:
            raise UsageError(f"There is no effect {self.effect!r}; there are {', '.join(EFFECTS)}.")
        if self.audio not in AUDIO:
            raise UsageError(f"--audio takes {' or '.join(AUDIO)}, not {self.audio!r}.")
        if not 0.05 <= self.threshold <= 0.9:
            raise UsageError(f"--threshold takes 0.05 to 0.9, not {self.threshold}.")
        if not 0 <= self.crf <= 28:
            raise UsageError(f"--crf takes 0 to 28, not {self.crf}.")
        if self.from_time is not None and self.from_time < 0:
            raise UsageError("--from lies before the beginning of the clip.")
        if self.to_time is not None and self.to_time <= (self.from_time or 0):
            raise UsageError("--to does not lie after --from: the excerpt would be empty.")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a plan: who made it, when (ISO 8601, UTC) and what it was."""

    who: str
    when: str
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is covered, where and when, in one clip. It holds no picture data.

    Attributes:
        source: the clip that it was made for.
        settings: the options in force.
        models: sha256 of each model used, by id.
        tracks: what was found.
        edits: every change since it was made; only grows.
        schema: version of the format.
    """

    source: Source
    settings: Settings
    models: Mapping[str, str]
    tracks: tuple[Track, ...]
    edits: tuple[Edit, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check that tracks have distinct ids and lie in the excerpt."""
        if len({t.id for t in self.tracks}) != len(self.tracks):
            raise ValueError("two tracks have the same id")
        end = self.source.first + self.source.frames
        for track in self.tracks:
            if track.first < self.source.first or track.last >= end:
                raise ValueError(f"track {track.id} has boxes outside the excerpt")

    def covered_frames(self) -> int:
        """Return in how many frames something in the picture is covered."""
        whole = Box(0, 0, self.source.width, self.source.height)
        covered = {
            track.first + n
            for track in self.tracks
            if track.action == "cover"
            for n, box in enumerate(track.boxes)
            if box.intersect(whole)
        }
        return len(covered)

    def with_settings(self, settings: Settings) -> Plan:
        """Return the same plan with other settings."""
        return replace(self, settings=settings)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a copy.

    Attributes:
        name: what was checked.
        passed: whether it held; None where it was not made.
        figure: what was measured, in words that a person can read.
    """

    name: str
    passed: bool | None
    figure: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of a copy, also those that were not made."""

    checks: tuple[Check, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether some check was made and every check that was made held."""
        made = [c.passed for c in self.checks if c.passed is not None]
        return bool(made) and all(made)

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(c for c in self.checks if c.passed is False)


def dump_plan(plan: Plan) -> str:
    """Return the plan as JSON text, one line a box, the same text for the same plan."""
    return json.dumps(to_plain(plan), indent=1, ensure_ascii=False) + "\n"


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


def to_plain(value: Any) -> Any:
    """Return a value of this room as what JSON knows."""
    if isinstance(value, Box):
        return f"{value.x0},{value.y0},{value.x1},{value.y1}"
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: to_plain(value[k]) for k in sorted(value)}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    return value


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
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise PlanError(f"In {where}: a number is expected, not {_short(data)}.")
    return float(data)


def _fraction(data: Any, where: str) -> Fraction:
    if not isinstance(data, str) or not re.fullmatch(r"-?\d{1,30}(/[1-9]\d{0,29})?", data):
        raise PlanError(f"In {where}: a time like '62/5' is expected, not {_short(data)}.")
    return Fraction(data)


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
    if not isinstance(data, str) or not re.fullmatch(r"(-?\d{1,6},){3}-?\d{1,6}", data):
        raise PlanError(f"In {where}: a box like '10,20,40,60' is expected, not {_short(data)}.")
    try:
        return Box(*map(int, data.split(",")))
    except ValueError as error:
        raise PlanError(f"In {where}: {error}.") from error


_text, _count, _flag = _scalar(str), _scalar(int, 0), _scalar(bool)

_READERS: dict[type, dict[str, Callable[[Any, str], Any]]] = {
    Detection: {
        "frame": _count, "box": _box, "label": _text, "score": _real, "detector": _text, "angle": _scalar(int),
    },
    Track: {
        "id": _scalar(int, 1), "label": _text, "first": _count, "boxes": _list(_box),
        "action": _text, "origin": _text, "decided_by": _text, "reason": _text,
    },
    Source: {
        "path": _text, "sha256": _text, "width": _scalar(int, 1), "height": _scalar(int, 1), "first": _count,
        "frames": _scalar(int, 1), "time_base": _fraction, "begins": _fraction, "ends": _fraction,
        "digest": _text, "damaged": _count,
    },
    Settings: {
        "effect": _text, "from_time": _optional(_fraction), "to_time": _optional(_fraction), "audio": _text,
        "threshold": _real, "crf": _count, "keep_names": _flag, "allow_empty": _flag, "overwrite": _flag,
    },
    Edit: {"who": _text, "when": _text, "what": _text},
    Plan: {
        "source": lambda d, w: from_plain(d, Source, w), "settings": lambda d, w: from_plain(d, Settings, w),
        "models": _models, "tracks": _list(lambda d, w: from_plain(d, Track, w)),
        "edits": _list(lambda d, w: from_plain(d, Edit, w)), "schema": _scalar(int, 1),
    },
}  # fmt: skip
