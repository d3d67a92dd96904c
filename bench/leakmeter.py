"""How much of each labelled face is still there in a covered copy.

    python bench/leakmeter.py ORIGINAL COPY LABELS.csv [--ignore CSV] [--json] [--worst PNG|FOLDER]

Nothing but the two pictures is compared, so the copy may come from any tool.

LABELS has the columns frame,x,y,w,h and, where people are told apart, id: the index of the frame (0-based, as shown),
a box in pixels of the original, a name. Only frames with a row are looked at. The ignore file has the same columns; its
faces are neither hit nor miss, they are only left out of the share that is spared. It need not be named where it lies
beside NAME.faces.csv as NAME.ignore.csv.

A face counts as leaked in a frame where its *structure retention* r is over 0.30: the part of the original's gradients
that the copy's gradients still follow, inside the ellipse that fits the box, without what is coarser than an eighth of
the face. It is about 1 for an untouched face, 0 for a filled or blurred one, and 0.5 for one of which half is covered.
Faces under 6 px, and those in which the original itself shows next to nothing, are not judged.

Frames are paired by number where both files have as many, else by presentation time. Prints the report as one line of
JSON; with --json each leaked face is in it. --worst draws those that leaked most, the original beside the copy.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

LEAK = 0.30  # retention above which a face can be seen; measures taken with another limit cannot be compared
LEAST_SIDE = 6  # pixels; a smaller face shows nothing that could leak
LEAST_STRUCTURE = 25.0  # mean squared gradient in (levels/pixel)^2; below it the original is noise or flat
JUDGED_SIDE = 48  # pixels; larger faces are shrunk to this, which leaves the detail that makes a face
COARSE = 1 / 8  # of the longer side; what is coarser is light and background
SPARED_LEVELS = 12  # grey levels by which a 5x5 mean may change and still count as kept
SHEET_FACES = 64  # faces on the sheet of the worst
SHEET_COLUMNS = 4
TILE = 96  # pixels


@dataclass(frozen=True)
class Face:
    """A labelled face: the frame's index, its name if people are told apart, its box in pixels of the original."""

    frame: int
    id: str | None
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Leak:
    """A face that can still be seen: its label, the index of the copy's frame in which, and its retention r."""

    frame: int
    id: str | None
    x: float
    y: float
    w: float
    h: float
    shown: int
    r: float


@dataclass(frozen=True)
class Report:
    """What the meter says of a copy.

    Attributes:
        faces: faces judged.
        leaked: how many of them can be seen.
        leak_rate: the share of them, or None where no face was judged.
        tracks: people told apart, or None where the labels have no names.
        tracks_leaked: how many of them can be seen in at least one frame, or None.
        longest_leak: the longest run of frames in which one of them can be seen, or None.
        spared: the share of the picture away from faces that is as it was, in labelled frames; None without any.
        frames_original: frames in the original.
        frames_redacted: frames in the copy.
        leaks: the faces that can be seen, in the order of the labels.
    """

    faces: int
    leaked: int
    leak_rate: float | None
    tracks: int | None
    tracks_leaked: int | None
    longest_leak: int | None
    spared: float | None
    frames_original: int
    frames_redacted: int
    leaks: tuple[Leak, ...]


@dataclass(frozen=True)
class _Truth:
    """Labels by frame: the faces to judge, and those that are left out."""

    faces: Mapping[int, Sequence[Face]]
    ignored: Mapping[int, Sequence[Face]]


@dataclass(frozen=True)
class _Verdict:
    """What one frame shows: each judged face with its r, and of the pixels outside all faces how many are kept."""

    shown: int
    faces: tuple[tuple[Face, float], ...]
    kept: int
    outside: int


def measure(original: Path, copy: Path, labels: Path, ignore: Path | None = None) -> Report:
    """Return how much of the labelled faces can still be seen in a copy.

    Each file is decoded once, and once more if the two differ in their number of frames.

    Args:
        original: the clip.
        copy: the covered copy; a picture of another size is brought to the original's.
        labels: the faces to judge, see the top of this file.
        ignore: faces to leave out; None for NAME.ignore.csv beside NAME.faces.csv, if it is there.

    Raises:
        ValueError: a file holds no picture, cannot be decoded, or a label is not a number.
        KeyError: a column is missing.
        OSError: a file cannot be read (also what av raises).
    """
    ignore = ignore or _ignore_beside(labels)
    truth = _Truth(read_faces(labels), read_faces(ignore) if ignore else {})
    ours, theirs, verdicts = _judge_by_number(original, copy, truth)
    if ours and not theirs:
        raise ValueError(f"{copy.name} holds no frame.")
    if len(ours) != len(theirs):
        verdicts = _judge_by_time(original, copy, truth, nearest(ours, theirs))
    return _report(verdicts, len(ours), len(theirs))


def read_faces(labels: Path) -> dict[int, list[Face]]:
    """Return the labelled faces of each frame."""
    faces: dict[int, list[Face]] = defaultdict(list)
    with labels.open(newline="") as file:
        for row in csv.DictReader(file):
            frame = int(float(row["frame"]))
            box = (float(row[side]) for side in "xywh")
            faces[frame].append(Face(frame, row.get("id"), *box))
    return dict(faces)


def nearest(ours: Sequence[float], theirs: Sequence[float]) -> list[int]:
    """Return for each of our times the index of the nearest of theirs; indices never go back. Times in seconds."""
    clock = np.asarray(theirs)
    found = [int(np.abs(clock - time).argmin()) for time in ours]
    return [int(index) for index in np.maximum.accumulate(found)] if found else []


def retention(original: Picture, copy: Picture) -> float | None:
    """Return the structure retention r of a face, or None if the original shows too little to tell.

    Args:
        original: the face in the original, grey, uint8, (height, width).
        copy: the same place in the copy, of the same shape.
    """
    height, width = original.shape
    shrink = JUDGED_SIDE / max(height, width)
    if shrink < 1:
        size = max(4, round(width * shrink)), max(4, round(height * shrink))
        original, copy = (
            np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8) for grey in (original, copy)
        )
    inside = _ellipse(*original.shape)
    before, after = structure(original)[:, inside], structure(copy)[:, inside]
    energy = float((before * before).sum())
    if energy < LEAST_STRUCTURE * np.count_nonzero(inside):
        return None
    return float((before * after).sum()) / energy


def structure(grey: Picture) -> NDArray[np.float32]:
    """Return the gradients of a face at the scales that make it one, float32, (2, height, width)."""
    exact = grey.astype(np.float32)
    band = cv2.GaussianBlur(exact, (0, 0), 1.0) - cv2.GaussianBlur(exact, (0, 0), max(grey.shape) * COARSE)
    return np.asarray([cv2.Sobel(band, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0)], np.float32)


def area(face: Face | Leak, margin: float = 0.0) -> tuple[slice, slice]:
    """Return the rows and columns of a face, each side moved out by a share of its length."""
    left, top = face.x - face.w * margin, face.y - face.h * margin
    right, bottom = face.x + face.w * (1 + margin), face.y + face.h * (1 + margin)
    return slice(max(0, int(top)), max(0, int(bottom))), slice(max(0, int(left)), max(0, int(right)))


def draw_worst(original: Path, copy: Path, leaks: Sequence[Leak], sheet: Path) -> None:
    """Write a PNG with the faces that leaked most, the worst first: each in the original and beside it in the copy.

    Args:
        original: the clip.
        copy: the covered copy.
        leaks: what `measure` found; nothing is written if it is empty.
        sheet: the picture, or a folder in which it is called leaked.png.
    """
    worst = sorted(leaks, key=lambda leak: -leak.r)[:SHEET_FACES]
    if not worst:
        return
    before = _crops(original, [(leak.frame, leak) for leak in worst])
    after = _crops(copy, [(leak.shown, leak) for leak in worst], _size(original))
    tiles = [np.hstack(pair) for pair in zip(before, after, strict=True)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [np.hstack(tiles[n : n + SHEET_COLUMNS]) for n in range(0, len(tiles), SHEET_COLUMNS)]
    path = sheet if sheet.suffix.lower() == ".png" else sheet / "leaked.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise OSError(f"{path} cannot be written.")


def _ignore_beside(labels: Path) -> Path | None:
    """Return the ignore file that belongs to a file of faces, if there is one."""
    stem = labels.name.removesuffix(".faces.csv")
    beside = labels.with_name(stem + ".ignore.csv")
    return beside if stem != labels.name and beside.exists() else None


def _decode(path: Path) -> Generator[Any, None, None]:
    """Yield the frames of a clip's first picture stream, in the order in which they are shown."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} holds no picture.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def _upright(frame: Any) -> Picture:
    """Return the picture as a viewer sees it: BGR, uint8, (height, width, 3)."""
    turns = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), turns))


def _judge_by_number(original: Path, copy: Path, truth: _Truth) -> tuple[list[float], list[float], list[_Verdict]]:
    """Return both files' presentation times in seconds, and the verdicts if frames are paired by number."""
    ours: list[float] = []
    theirs: list[float] = []
    verdicts = []
    with closing(_decode(original)) as before, closing(_decode(copy)) as after:
        for index, (a, b) in enumerate(zip_longest(before, after)):
            for times, frame in ((ours, a), (theirs, b)):
                if frame is not None:
                    times.append(frame.time or 0.0)
            if a is not None and b is not None and index in truth.faces:
                verdicts.append(_judge(truth, index, index, a, b))
    return ours, theirs, verdicts


def _judge_by_time(original: Path, copy: Path, truth: _Truth, partners: Sequence[int]) -> list[_Verdict]:
    """Return the verdicts if frame n of the original is paired with the copy's frame partners[n]."""
    verdicts = []
    with closing(_decode(original)) as before, closing(_decode(copy)) as after:
        coming = enumerate(after)
        shown, b = next(coming)
        for index, a in enumerate(before):
            while shown < partners[index]:
                shown, b = next(coming)
            if index in truth.faces:
                verdicts.append(_judge(truth, index, shown, a, b))
    return verdicts


def _judge(truth: _Truth, index: int, shown: int, original: Any, copy: Any) -> _Verdict:
    """Return what a frame of the original and the copy's frame that goes with it show."""
    before, after = _upright(original), _upright(copy)
    if before.shape != after.shape:
        after = np.asarray(cv2.resize(after, before.shape[1::-1]), np.uint8)
    a, b = (np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8) for picture in (before, after))
    faces, ignored = truth.faces[index], truth.ignored.get(index, ())
    outside = np.ones(a.shape, bool)
    for face in (*faces, *ignored):
        outside[area(face, margin=0.5)] = False
    kept = cv2.absdiff(cv2.blur(a, (5, 5)), cv2.blur(b, (5, 5))) < SPARED_LEVELS
    judged = tuple((face, r) for face in faces if (r := _retention_of(face, a, b)) is not None)
    return _Verdict(shown, judged, int(np.count_nonzero(kept & outside)), int(np.count_nonzero(outside)))


def _retention_of(face: Face, original: Picture, copy: Picture) -> float | None:
    """Return the retention of a face in two grey pictures, or None if it cannot be judged."""
    a, b = original[area(face)], copy[area(face)]
    return retention(a, b) if min(a.shape) >= LEAST_SIDE else None


@lru_cache(maxsize=256)
def _ellipse(height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels inside the ellipse that fits a box, bool, (height, width)."""
    mask = np.zeros((height, width), np.uint8)
    half = width // 2, height // 2
    cv2.ellipse(mask, half, (max(1, half[0]), max(1, half[1])), 0, 0, 360, 1, -1)
    return mask.astype(bool)


def _report(verdicts: Sequence[_Verdict], frames_original: int, frames_redacted: int) -> Report:
    """Return the figures of a whole clip."""
    judged = [(face, r, verdict.shown) for verdict in verdicts for face, r in verdict.faces]
    leaks = tuple(Leak(**asdict(face), shown=shown, r=r) for face, r, shown in judged if r > LEAK)
    names = {face.id for face, _, _ in judged if face.id is not None}
    seen = {name: sorted({leak.frame for leak in leaks if leak.id == name}) for name in names}
    outside = sum(verdict.outside for verdict in verdicts)
    return Report(
        faces=len(judged),
        leaked=len(leaks),
        leak_rate=round(len(leaks) / len(judged), 5) if judged else None,
        tracks=len(names) or None,
        tracks_leaked=sum(map(bool, seen.values())) if names else None,
        longest_leak=max(map(_longest_run, seen.values())) if names else None,
        spared=round(sum(verdict.kept for verdict in verdicts) / outside, 4) if outside else None,
        frames_original=frames_original,
        frames_redacted=frames_redacted,
        leaks=leaks,
    )


def _longest_run(frames: Sequence[int]) -> int:
    """Return the length of the longest run of consecutive numbers; the numbers are in order."""
    longest = run = 0
    for n, frame in enumerate(frames):
        run = run + 1 if n and frame == frames[n - 1] + 1 else 1
        longest = max(longest, run)
    return longest


def _size(path: Path) -> tuple[int, int]:
    """Return the width and height of a clip's pictures in pixels, upright."""
    with closing(_decode(path)) as frames:
        height, width = _upright(next(frames)).shape[:2]
    return width, height


def _crops(path: Path, places: Sequence[tuple[int, Leak]], size: tuple[int, int] | None = None) -> list[Picture]:
    """Return a tile for each place: the index of a frame, and the face around which it is cut out of it.

    Args:
        path: the clip.
        places: in any order; the tiles come in the same.
        size: width and height to which pictures are brought before; None for their own.
    """
    wanted = {index for index, _ in places}
    tiles: dict[tuple[int, Leak], Picture] = {}
    with closing(_decode(path)) as frames:
        for index, frame in enumerate(frames):
            if index not in wanted:
                continue
            picture = _upright(frame)
            if size and picture.shape[1::-1] != size:
                picture = np.asarray(cv2.resize(picture, size), np.uint8)
            for place in places:
                if place[0] == index:
                    tiles[place] = np.asarray(cv2.resize(picture[area(place[1], 0.3)], (TILE, TILE)), np.uint8)
    return [tiles[place] for place in places]


def main() -> int:
    """Print the report; return 1 if a file cannot be measured."""
    parser = argparse.ArgumentParser(description="How much of each labelled face is still there in a covered copy.")
    parser.add_argument("original", type=Path)
    parser.add_argument("copy", type=Path)
    parser.add_argument("labels", type=Path, help="frame,x,y,w,h[,id]")
    parser.add_argument("--ignore", type=Path, help="faces to leave out; by default NAME.ignore.csv")
    parser.add_argument("--json", action="store_true", help="print each leaked face as well")
    parser.add_argument("--worst", type=Path, metavar="PNG|FOLDER", help="draw the faces that leaked most")
    options = parser.parse_args()
    try:
        report = measure(options.original, options.copy, options.labels, options.ignore)
        if options.worst:
            draw_worst(options.original, options.copy, report.leaks, options.worst)
    except (OSError, ValueError, KeyError) as error:
        print(f"leakmeter: {error}", file=sys.stderr)
        return 1
    result = asdict(report)
    if not options.json:
        del result["leaks"]
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
