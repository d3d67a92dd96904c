"""Regions drawn by hand: from the command line or a file to boxes in the frames of an excerpt.

A time means the frame that is shown then, and is kept exactly. Both ends of a region belong to it.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from redact.errors import UsageError
from redact.geometry import Box, join
from redact.plan import Detection, Keyframe, Region, Track
from redact.sightings import Timeline

PERSON = "person"  # who drew a region: the origin of its track, and the detector of its sightings
LARGEST_FILE = 1 << 18  # bytes: some 5,000 key frames
LONE_STEP_S = Fraction(1, 25)  # how long a frame is shown that is alone in its excerpt

_TIME = re.compile(
    r"(?:(?P<hours>\d{1,4}):)??(?:(?P<minutes>\d{1,6}):)?(?P<seconds>\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})"
    r"|(?P<exact>\d{1,20}/0*[1-9]\d{0,19})",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,9}\.\d{1,9}", re.ASCII)
_OPTION = re.compile(r"(-?\d{1,6}),(-?\d{1,6}),(\d{1,6}),(\d{1,6})(?:@([^-]*)-([^-]*))?", re.ASCII)
_HOW = "Write x,y,width,height in pixels, and @from-to after it to cover it for a time: 40,20,200,32@12.4-1:02.5."
_FILE_HOW = "Correct that file; the README shows how regions are written."


def parse_time(text: str) -> Fraction:
    """Return the seconds that a text means: 12.4, [hours:]minutes:seconds as 1:02:03.5, or 62/5 as in plans.

    Raises:
        ValueError: it is not a time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_short(text)} is not a time; write seconds (12.4) or minutes and seconds (3:02.5)")
    if match["exact"]:
        return Fraction(match["exact"])
    return int(match["hours"] or 0) * 3600 + int(match["minutes"] or 0) * 60 + Fraction(match["seconds"])


def parse_region(text: str) -> Region:
    """Return the region that `x,y,w,h[@from-to]` means. It is named like this text.

    Either side of the hyphen may be empty: the region then begins with the clip, or ends with it.

    Raises:
        UsageError: the text does not have this form, or the region is empty or ends before it begins.
    """
    match = _OPTION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{_short(text)} is not a region.", _HOW)
    x, y, w, h = (int(number) for number in match.groups()[:4])
    try:
        from_time, to_time = (parse_time(side) if side and side.strip() else None for side in match.groups()[4:])
        return Region(text.strip(), (Keyframe(None, Box(x, y, x + w, y + h)),), from_time, to_time)
    except ValueError as error:
        raise UsageError(f"{_short(text)} is not a region: {error}.", _HOW) from error


def read_regions(path: Path) -> tuple[Region, ...]:
    """Return the regions that a TOML or JSON file holds.

    A file is a list `region` of tables with the keys `name`, `box` ([x, y, width, height]) or `keys` (a list of tables
    with `at` and `box`), and where they are wanted `from`, `to` and `follow`. A time is a number, read exactly as it is
    written, or a text like "1:02:03.5".

    Raises:
        UsageError: the file cannot be read, or something in it is unknown, missing or wrong.
    """
    data = load_table(path)
    if set(data) != {"region"} or not isinstance(data["region"], list) or not data["region"]:
        raise UsageError(f"In {path.name}: a list of tables called 'region' is expected, and nothing else.", _FILE_HOW)
    return tuple(from_plain(item, f"{path.name}, region {n}") for n, item in enumerate(data["region"], start=1))


def load_table(path: Path) -> dict[str, Any]:
    """Return the table that a TOML or JSON file (told by its suffix) holds. Its fractions are exact.

    Raises:
        UsageError: the file cannot be read, is too large, or is not what its suffix says.
    """
    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise UsageError(f"{path.name} is neither a .toml nor a .json file.", _FILE_HOW)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE} bytes")
        text = content.decode("utf-8-sig")
        if kind == ".toml":
            return tomllib.loads(text, parse_float=_exact)
        data = json.loads(text, parse_float=_exact, parse_constant=_exact, object_pairs_hook=_no_twins)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} cannot be read: {reason or 'it is damaged'}.", _FILE_HOW) from error
    if not isinstance(data, dict):
        raise UsageError(f"In {path.name}: an object is expected, not {_short(data)}.", _FILE_HOW)
    return data


def to_plain(region: Region) -> dict[str, Any]:
    """Return a region as what JSON knows, under the keys of `read_regions`; times are texts as in plans."""
    keys = [({} if key.time is None else {"at": str(key.time)}) | {"box": _sides(key.box)} for key in region.keys]
    place = {"keys": keys} if "at" in keys[0] else keys[0]
    ends = {"from": region.from_time, "to": region.to_time}
    times = {name: str(time) for name, time in ends.items() if time is not None}
    return {"name": region.name, **place, **times, "follow": region.follow}


def from_plain(data: Any, where: str) -> Region:
    """Return the region that a table of `read_regions`, or what `to_plain` made, holds.

    Args:
        data: what the file held.
        where: what is being read, for messages.

    Raises:
        UsageError: a key is unknown or missing, or a value is wrong.
    """
    place = "keys" if isinstance(data, dict) and "keys" in data else "box"
    _check_keys(data, where, ("name", place), ("from", "to", "follow"))
    if not isinstance(data["name"], str):
        raise _wrong(where, "a text for 'name'", data["name"])
    if type(data.get("follow", False)) is not bool:
        raise _wrong(where, "true or false for 'follow'", data["follow"])
    keys = [_keyframe(None, data["box"], where)] if place == "box" else _keyframes(data["keys"], where)
    from_time, to_time = (_time(data[end], where) if end in data else None for end in ("from", "to"))
    try:
        return Region(data["name"], tuple(keys), from_time, to_time, data.get("follow", False))
    except ValueError as error:
        raise UsageError(f"In {where}: {error}.", _FILE_HOW) from error


def check_inside(regions: Iterable[Region], width: int, height: int) -> None:
    """Refuse regions that were drawn in pictures of another size, or of which some box lies wholly outside.

    Raises:
        UsageError: a region would cover the wrong place, or nothing.
    """
    for region in regions:
        if region.size not in (None, (width, height)):
            raise UsageError(
                f"The region {region.name!r} is for pictures of {'x'.join(map(str, region.size or ()))}; this clip's"
                f" are {width}x{height}. It would cover the wrong place.",
                "Choose the profile of the camera that made this clip, or save one for this size under another name.",
            )
        for key in region.keys:
            if key.box.clip(width, height) is None:
                at = "" if key.time is None else f" at {float(key.time):g} s"
                box = ",".join(str(v) for v in _sides(key.box))
                raise UsageError(
                    f"The region {region.name!r} covers nothing{at}: its box {box} (x,y,width,height) lies outside the"
                    f" picture, which is {width}x{height}.",
                    "Correct the box; it counts pixels from the top left corner of the upright picture.",
                )


def frames_of(region: Region, timeline: Timeline) -> tuple[int, int]:
    """Return the first and last frame of an excerpt that a region is in.

    Raises:
        UsageError: it is in none.
    """
    begins, ends = timeline.times[0], timeline.times[-1] + _step(timeline)
    late = region.from_time is not None and region.from_time >= ends
    early = region.to_time is not None and region.to_time < begins
    if late or early:
        how = "begins after the last frame" if late else "ends before the first frame"
        raise UsageError(
            f"The region {region.name!r} covers nothing: it {how}. What is shown lasts from {float(begins):g} s to"
            f" {float(ends):g} s of the clip.",
            "Correct its times, which count from the beginning of the clip, or leave the region out.",
        )
    first = timeline.first if region.from_time is None else _shown_at(region.from_time, timeline)
    last = timeline.first + len(timeline.times) - 1
    return first, last if region.to_time is None else _shown_at(region.to_time, timeline)


def place(regions: Sequence[Region], timeline: Timeline, width: int, height: int, start: int = 1) -> tuple[Track, ...]:
    """Return the tracks of the regions that are not followed, numbered from `start`, in their order.

    Between two key frames a box moves in a straight line, rounded outward; before the first and after the last one it
    stays where it is. In the frame shown at a key frame's time the track holds that key frame's box.

    Args:
        regions: also those that are followed; they are checked, and get no track here.
        timeline: the frames of the excerpt.
        width: columns of the upright picture.
        height: rows of the upright picture.
        start: number of the first track.

    Raises:
        UsageError: a region lies outside the picture or the excerpt, and would cover nothing.
    """
    check_inside(regions, width, height)
    spans = [(region, *frames_of(region, timeline)) for region in regions]
    still = [span for span in spans if not span[0].follow]
    return tuple(
        Track(n, "region", first, _boxes(region, first, last, timeline), origin=PERSON, reason=region.name)
        for n, (region, first, last) in enumerate(still, start)
    )


def hold(region: Region, track: Track, timeline: Timeline) -> Track:
    """Return the track of a region that was followed, in just the frames that the region is in.

    Where it was not followed so far, it stays where it was first or last.
    """
    first, last = frames_of(region, timeline)
    boxes = tuple(track.boxes[min(max(n - track.first, 0), len(track.boxes) - 1)] for n in range(first, last + 1))
    return replace(track, first=first, boxes=boxes, origin=PERSON, reason=region.name)


def sightings_of(region: Region, timeline: Timeline) -> list[Detection]:
    """Return a region's key frames in an excerpt as sightings of one thing, in the order of their frames.

    Each is in the frame shown at its time; without a time, in the first frame that the region is in. Key frames that
    lie outside the excerpt are left out.

    Raises:
        UsageError: none lies in the excerpt.
    """
    first, _ = frames_of(region, timeline)
    boxes: dict[int, Box] = {}
    for key in region.keys:
        if key.time is None or timeline.times[0] <= key.time < timeline.times[-1] + _step(timeline):
            frame = first if key.time is None else _shown_at(key.time, timeline)
            boxes[frame] = join((key.box, boxes.get(frame, key.box)))
    if not boxes:
        raise UsageError(
            f"The region {region.name!r} cannot be followed: none of its key frames is in the excerpt.",
            "Give it a key frame in the excerpt, or begin the excerpt earlier.",
        )
    return [Detection(frame, box, "region", 1.0, PERSON) for frame, box in boxes.items()]


def _boxes(region: Region, first: int, last: int, timeline: Timeline) -> tuple[Box, ...]:
    """Return a region's box in each frame from the first to the last."""
    if len(region.keys) == 1:
        return (region.keys[0].box,) * (last - first + 1)
    exact, early = (_path(region, timeline, early) for early in (Fraction(0), _step(timeline)))
    paths = [exact] if exact == early else [exact, early]
    times = timeline.times[first - timeline.first : last - timeline.first + 1]
    return tuple(join(_on(path, time) for path in paths) for time in times)


def _path(region: Region, timeline: Timeline, early: Fraction) -> tuple[list[Fraction], list[Box]]:
    """Return when the key frames of a region are, and the box at each of these times.

    A key frame's time lies somewhere in the time that its frame is shown, so it is moved to where that frame begins.
    Of a frame outside the excerpt that is not known: it is moved by `early`, but not past a frame of the excerpt.
    """
    path: dict[Fraction, Box] = {}
    for key in region.keys:
        assert key.time is not None
        if key.time > timeline.times[-1]:
            time = max(key.time - early, timeline.times[-1])
        elif key.time < timeline.times[0]:
            time = key.time - early
        else:
            time = timeline.time(_shown_at(key.time, timeline))
        path[time] = join((key.box, path.get(time, key.box)))
    return list(path), list(path.values())


def _on(path: tuple[list[Fraction], list[Box]], time: Fraction) -> Box:
    """Return the box at a time on a path, rounded outward."""
    times, boxes = path
    n = bisect_right(times, time)
    if n in (0, len(times)):
        return boxes[max(n - 1, 0)]
    share = (time - times[n - 1]) / (times[n] - times[n - 1])
    part, whole = share.numerator, share.denominator  # whole numbers: exact as fractions, and many times faster
    a, b = ((box.x0, box.y0, box.x1, box.y1) for box in boxes[n - 1 : n + 1])
    x0, y0, x1, y1 = (p * (whole - part) + q * part for p, q in zip(a, b, strict=True))
    return Box(x0 // whole, y0 // whole, -(-x1 // whole), -(-y1 // whole))


def _shown_at(time: Fraction, timeline: Timeline) -> int:
    """Return the frame of an excerpt that is shown at a time; its first one before it begins, its last one after."""
    return timeline.first + max(bisect_right(timeline.times, time) - 1, 0)


def _step(timeline: Timeline) -> Fraction:
    """Return how long a frame of an excerpt is shown at most; that of the last one is not known."""
    return max((b - a for a, b in pairwise(timeline.times)), default=LONE_STEP_S)


def _exact(text: str) -> Fraction:
    """Return a number exactly as it is written. Exponents are refused: they would take all memory."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{_short(text)} is not a number like 12.4")
    return Fraction(text)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, which has no key twice."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _check_keys(data: Any, where: str, needed: Sequence[str], others: Sequence[str] = ()) -> None:
    """Refuse what is not a table, or has not the keys that it needs, or has unknown ones."""
    if not isinstance(data, dict):
        raise _wrong(where, "a table", data)
    if unknown := sorted(data.keys() - {*needed, *others}):
        known = ", ".join((*needed, *others))
        raise UsageError(f"In {where}: unknown key {_short(unknown[0])}. Known are {known}.", _FILE_HOW)
    if missing := [key for key in needed if key not in data]:
        raise UsageError(f"In {where}: the key {missing[0]!r} is missing.", _FILE_HOW)


def _keyframes(data: Any, where: str) -> list[Keyframe]:
    """Return the key frames of a list of tables."""
    if not isinstance(data, list):
        raise _wrong(where, "a list for 'keys'", data)
    keys = []
    for n, item in enumerate(data, start=1):
        _check_keys(item, f"{where}, key {n}", ("at", "box"))
        keys.append(_keyframe(_time(item["at"], f"{where}, key {n}"), item["box"], f"{where}, key {n}"))
    return keys


def _keyframe(time: Fraction | None, data: Any, where: str) -> Keyframe:
    """Return a key frame with the box of a list of four numbers."""
    if not isinstance(data, list) or len(data) != 4 or not all(type(v) is int for v in data):
        raise _wrong(where, "a box of whole pixels like [40, 20, 200, 32] (x, y, width, height)", data)
    x, y, w, h = data
    if w <= 0 or h <= 0:
        raise _wrong(where, "a box with a width and a height above 0", data)
    try:
        return Keyframe(time, Box(x, y, x + w, y + h))
    except ValueError as error:
        raise UsageError(f"In {where}: {error}.", _FILE_HOW) from error


def _time(data: Any, where: str) -> Fraction:
    """Return the time that a number or a text means."""
    if isinstance(data, Fraction):
        return data
    try:
        return parse_time(data if isinstance(data, str) else str(data) if type(data) is int else "")
    except ValueError as error:
        raise _wrong(where, 'a time like 12.4 or "1:02:03.5"', data) from error


def _sides(box: Box) -> list[int]:
    """Return x, y, width and height of a box."""
    return [box.x0, box.y0, box.width, box.height]


def _wrong(where: str, expected: str, data: Any) -> UsageError:
    return UsageError(f"In {where}: {expected} is expected, not {_short(data)}.", _FILE_HOW)


def _short(data: Any) -> str:
    """Return the beginning of a value, for a message."""
    try:
        return repr(data)[:40]
    except (ValueError, RecursionError):
        return "something too large to show"
