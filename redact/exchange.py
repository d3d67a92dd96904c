"""Tracks in the formats of other programs: MOT Challenge CSV, COCO JSON with videos, and CVAT XML for video 1.1.

Frames are those of the clip, counted from its beginning, also where the plan is for an excerpt. Boxes are in pixels
of the upright picture. What is covered already as it stands in a file is not added again; of what is new, the whole
box is covered.
"""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from redact.errors import InputError, UsageError
from redact.geometry import Box, join
from redact.plan import ASKED_FOR, FARTHEST, HEADS, LABELS, Plan, Track

FORMATS = ("mot", "coco", "cvat")
SUFFIXES = {".csv": "mot", ".txt": "mot", ".json": "coco", ".xml": "cvat"}
FIRST_CLASS = 101  # MOT's class of the first label: those below mean something else in MOT Challenge's own files
LAST_FRAME = 10**8
AROUND = (math.sqrt(2) - 1) / 2  # of a box's sides: grown so far, the ellipse in it holds the whole box
MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError),
    *(ET.ParseError, csv.Error),
)  # what reading a file raises that is of another form than its suffix says


@dataclass(frozen=True)
class Shape:
    """One box of a file.

    Attributes:
        frame: index in the clip, 0-based.
        thing: what it is a box of: equal for all boxes of one track, "" where the file does not say.
        label: one of `LABELS`.
        box: where.
        score: how sure the file is, 0 to 1; 1 where it does not say.
    """

    frame: int
    thing: str
    label: str
    box: Box
    score: float = 1.0


def write(plan: Plan, form: str) -> str:
    """Return the tracks of a plan in one of `FORMATS`, the same text for the same plan."""
    return {"mot": _write_mot, "coco": _write_coco, "cvat": _write_cvat}[form](plan)


def read(path: Path, label: str | None = None) -> list[Shape]:
    """Return the boxes in a file; its suffix says which format it is in.

    Args:
        path: the file.
        label: what its boxes show, where it does not say so in one of `LABELS`.

    Raises:
        InputError: it cannot be read, or is not what its suffix says.
        UsageError: there is no such format, or no label where one is needed.
    """
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name} is in no format that is known.", f"It has to end in {', '.join(SUFFIXES)}.")
    try:
        text = path.read_text("utf-8-sig")
        shapes = list({"mot": _read_mot, "coco": _read_coco, "cvat": _read_cvat}[form](text, label))
    except UsageError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the name and its permissions.") from error
    except MALFORMED as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{path.name} is not a {form} file that can be read ({said}).", "Export it again.") from error
    if not shapes:
        raise InputError(f"{path.name} holds no box.", "Check that it is the right file.")
    return shapes


def check_fits(shapes: Sequence[Shape], width: int, height: int, frames: int | None) -> None:
    """Refuse boxes that were drawn in another clip.

    Args:
        shapes: what a file holds.
        width: of the upright picture.
        height: of the upright picture.
        frames: how many the clip has; None where that is not known.

    Raises:
        InputError: something is never in the picture, or a box lies behind the end.
    """
    how = "Check that the file belongs to this clip, and that its boxes are in pixels of the upright picture."
    things = {shape.thing or str(n): shape for n, shape in enumerate(shapes)}
    for n, shape in enumerate(shapes):
        if shape.box.clip(width, height):
            things.pop(shape.thing or str(n), None)
        if frames is not None and shape.frame >= frames:
            raise InputError(f"There is a box in frame {shape.frame}, but the clip has {frames} frames.", how)
    for shape in things.values():
        raise InputError(f"A box of frame {shape.frame} lies beside the picture, which has {width}x{height}.", how)


def add_tracks(plan: Plan, shapes: Iterable[Shape], by: str) -> tuple[Track, ...]:
    """Return the tracks that shapes make and the plan does not cover yet; holes are covered by what joins their ends.

    A person who is shown by decision is covered again where a file holds the track: what a file shows is covered.

    Args:
        plan: its excerpt counts: what lies outside is left out.
        shapes: what a file holds.
        by: who brings them in.
    """
    first, end = plan.source.first, plan.source.first + plan.source.frames
    inside = [shape for shape in shapes if first <= shape.frame < end]
    known = {(track.label, track.first, track.boxes) for track in plan.tracks if track.action == "cover"}
    number = max((track.id for track in plan.tracks), default=0)
    added: list[Track] = []
    for _, group in groupby(sorted(inside, key=_order), key=lambda shape: (shape.label, shape.thing)):
        alone = list(group)
        for run in [alone] if alone[0].thing else [[shape] for shape in alone]:
            label, at, boxes = run[0].label, run[0].frame, _fill(run)
            whole = tuple(_around(box) for box in boxes) if label in HEADS else boxes
            if known.isdisjoint({(label, at, boxes), (label, at, whole)}):
                known.add((label, at, whole))
                number += 1
                added.append(Track(number, label, at, whole, "cover", "person", by, "brought in from a file"))
    return tuple(added)


def _order(shape: Shape) -> tuple[str, str, int]:
    return shape.label, shape.thing, shape.frame


def _fill(run: Sequence[Shape]) -> tuple[Box, ...]:
    """Return the boxes of one thing, without holes; two boxes of one frame become the box that covers both."""
    boxes = {frame: join(s.box for s in group) for frame, group in groupby(run, key=lambda s: s.frame)}
    whole = [boxes[run[0].frame]]
    for a, b in pairwise(boxes):
        whole += [join((boxes[a], boxes[b]))] * (b - a - 1) + [boxes[b]]
    return tuple(whole)


def _around(box: Box) -> Box:
    """Return the box of an ellipse around a box; it has the same middle."""
    beside, above = math.ceil(AROUND * box.width), math.ceil(AROUND * box.height)
    return Box(box.x0 - beside, box.y0 - above, box.x1 + beside, box.y1 + above)


def _boxes(plan: Plan) -> Iterator[tuple[int, Track, Box]]:
    """Yield every box of a plan with its frame, in the order of the frames."""
    found = [(track.first + n, track.id, track, box) for track in plan.tracks for n, box in enumerate(track.boxes)]
    yield from ((frame, track, box) for frame, _, track, box in sorted(found, key=lambda f: f[:2]))


def _label(said: object, label: str | None) -> str:
    """Return the label of a box, from what the file says or what the user does."""
    if said in LABELS:
        return str(said)
    if label is None:
        raise UsageError(
            f"The file does not say what its boxes show, or calls it what is not known here: {said!r}.",
            f"Say what its boxes show with --label: {', '.join(name for name in LABELS if name not in ASKED_FOR)}.",
        )
    return label


def _frame(number: int) -> int:
    """Return a frame's index, where it can be one."""
    if not 0 <= number <= LAST_FRAME:
        raise ValueError(f"there is no frame {number}")
    return number


def _box(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return a box of whole pixels."""
    if not (max(map(abs, (x0, y0, x1, y1))) <= FARTHEST // 2 and x0 < x1 and y0 < y1):  # it may be grown
        raise ValueError(f"no box reaches from {x0},{y0} to {x1},{y1}")
    return Box.outward(x0, y0, x1, y1)


def _turned(x0: float, y0: float, x1: float, y1: float, degrees: float) -> Box:
    """Return the box around one that is turned about its middle."""
    straight = _box(x0, y0, x1, y1)
    if not degrees:
        return straight
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    beside, above = w * cosine + h * sine, w * sine + h * cosine
    return _box(x - beside, y - above, x + beside, y + above)


def _score(said: object) -> float:
    """Return a score from 0 to 1; other programs' scores that are none count as sure."""
    score = float(said) if isinstance(said, int | float | str) and said != "" else 1.0
    return score if 0 <= score <= 1 else 1.0


# MOT Challenge: frame, id, left, top, width, height, confidence, class, visibility; frames and pixels count from 1.


def _write_mot(plan: Plan) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for frame, track, box in _boxes(plan):
        kind = FIRST_CLASS + LABELS.index(track.label)
        rows.writerow([frame + 1, track.id, box.x0 + 1, box.y0 + 1, box.width, box.height, 1, kind, 1])
    return text.getvalue()


def _read_mot(text: str, label: str | None) -> Iterator[Shape]:
    for row in csv.reader(io.StringIO(text)):
        if not "".join(row).strip():
            continue
        frame, thing = int(float(row[0])) - 1, int(float(row[1]))
        left, top, width, height = map(float, row[2:6])
        kind = int(float(row[7])) - FIRST_CLASS if len(row) > 7 else -1
        said = LABELS[kind] if 0 <= kind < len(LABELS) else None
        box = _box(left - 1, top - 1, left - 1 + width, top - 1 + height)
        score = _score(row[6] if len(row) > 6 else "")
        yield Shape(_frame(frame), str(thing) if thing >= 0 else "", _label(said, label), box, score)


# COCO with videos: images have `video_id` and `frame_id` (0-based), annotations have `instance_id` (the track).


def _write_coco(plan: Plan) -> str:
    source = plan.source
    frames = range(source.first, source.first + source.frames)
    size = {"width": source.width, "height": source.height}
    kinds = {name: n for n, name in enumerate(LABELS, start=1)}
    annotations = [
        {
            "id": n, "image_id": frame + 1, "video_id": 1, "instance_id": track.id, "category_id": kinds[track.label],
            "bbox": [box.x0, box.y0, box.width, box.height], "area": box.area, "iscrowd": 0,
        }
        for n, (frame, track, box) in enumerate(_boxes(plan), start=1)
    ]  # fmt: skip
    data = {
        "info": {"description": "tracks of a plan of redact"},
        "videos": [{"id": 1, "name": "clip", **size}],
        "images": [{"id": n + 1, "video_id": 1, "frame_id": n, "file_name": f"{n:08d}.jpg", **size} for n in frames],
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for name, n in kinds.items()],
    }
    return json.dumps(data, indent=1) + "\n"


def _read_coco(text: str, label: str | None) -> Iterator[Shape]:
    data = json.loads(text)
    if len({image.get("video_id", 0) for image in data["images"]}) > 1:
        raise ValueError("it holds several videos")
    frames = {image["id"]: _frame(int(image["frame_id"])) for image in data["images"]}
    kinds = {category["id"]: category["name"] for category in data["categories"]}
    for found in data["annotations"]:
        left, top, width, height = map(float, found["bbox"])
        thing = found.get("instance_id", found.get("track_id", ""))
        more = found.get("attributes")
        turn = float(more.get("rotation") or 0) if isinstance(more, dict) else 0.0  # CVAT writes it there
        yield Shape(
            frames[found["image_id"]], str(thing), _label(kinds[found["category_id"]], label),
            _turned(left, top, left + width, top + height, turn), _score(found.get("score", "")),
        )  # fmt: skip


# CVAT for video 1.1: tracks of shapes, 0-based; a shape that is "outside" says that the thing is not there any more.


def _write_cvat(plan: Plan) -> str:
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    _texts(task, size=plan.source.first + plan.source.frames, mode="interpolation", start_frame=0)
    size = ET.SubElement(task, "original_size")
    _texts(size, width=plan.source.width, height=plan.source.height)
    labels = ET.SubElement(task, "labels")
    for name in sorted({track.label for track in plan.tracks}):
        _texts(ET.SubElement(labels, "label"), name=name)
    for track in plan.tracks:
        element = ET.SubElement(root, "track", id=str(track.id), label=track.label, source="auto")
        for n, box in enumerate(track.boxes):
            _cvat_box(element, track.first + n, box, outside=False)
        if track.last + 1 < plan.source.first + plan.source.frames:
            _cvat_box(element, track.last + 1, track.boxes[-1], outside=True)
    ET.indent(root)
    return ET.tostring(root, "unicode", xml_declaration=True) + "\n"


def _texts(parent: ET.Element, **values: object) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = str(value)


def _cvat_box(track: ET.Element, frame: int, box: Box, *, outside: bool) -> None:
    corners = {name: f"{v}.00" for name, v in zip(("xtl", "ytl", "xbr", "ybr"), _corners(box), strict=True)}
    flags = {"frame": str(frame), "outside": str(int(outside)), "occluded": "0", "keyframe": "1"}
    ET.SubElement(track, "box", {**flags, **corners, "z_order": "0"})


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.x0, box.y0, box.x1, box.y1


def _read_cvat(text: str, label: str | None) -> Iterator[Shape]:
    root: Any = ET.fromstring(text)  # expat fetches nothing from elsewhere and bounds what entities become
    if root.tag != "annotations":
        raise ValueError(f"it begins with <{root.tag}>")
    if root.find("image") is not None:
        raise ValueError('it is "CVAT for images", not "for video"')
    for n, track in enumerate(root.iter("track")):
        part = 0  # of the track: it may be away for a while
        for shape in sorted(track, key=lambda s: int(s.get("frame"))):
            if shape.get("outside") == "1":
                part += 1
                continue
            box = _turned(*_cvat_sides(shape), float(shape.get("rotation", 0)))
            yield Shape(_frame(int(shape.get("frame"))), f"{n}.{part}", _label(track.get("label"), label), box)


def _cvat_sides(shape: ET.Element) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of a shape, before it is turned."""

    def number(name: str) -> float:
        return float(shape.attrib[name])

    if shape.tag == "box":
        return number("xtl"), number("ytl"), number("xbr"), number("ybr")
    if shape.tag == "ellipse":
        x, y, w, h = number("cx"), number("cy"), number("rx"), number("ry")
        return x - w, y - h, x + w, y + h
    if shape.tag == "polygon":
        points = [[float(v) for v in point.split(",")] for point in shape.attrib["points"].split(";")]
        xs, ys = zip(*points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    raise ValueError(f"it holds a {shape.tag}, which cannot be covered: draw a box or a polygon instead")
