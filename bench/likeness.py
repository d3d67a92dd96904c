"""How often the rows of the review join tracks of one person, and of two: by place and time, by clothes, and by faces.

    python -m bench.likeness DATA

DATA/identity holds photographs, of each person in a folder of that name. Each is a track of one frame, a minute after
the one before. DATA/synth holds clips in which every face is labelled with who it is (NAME.faces.csv). Each person's
stay there becomes two tracks, the first two fifths of it and the last two; so that place and time alone do not join
them, the first ones are put ten seconds before the others.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.tables import markdown
from redact import clothes, likeness
from redact.clothes import Colours
from redact.detectors.faces import CenterFace
from redact.detectors.looks import Look
from redact.detectors.recognising import Recogniser
from redact.geometry import Box
from redact.likeness import Vector
from redact.media import FrameReader
from redact.plan import Track
from redact.review.grouping import SAME_FACE, group
from redact.sightings import Timeline

Picture = NDArray[np.uint8]

SHARE = 0.4  # of a stay that is one of its two tracks
BETWEEN = 500  # frames between the two, at 25 in a second
WIDTH = 64  # pixels of a face that is made small: 28 between the eyes
WORSE: dict[str, Callable[[Picture], Picture]] = {
    "small": lambda picture: picture,
    "small, blurred by 2": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8),
    "small, JPEG at 15": lambda picture: np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR), np.uint8
    ),
    "small, at a quarter of the light, noise of 8": lambda picture: noisy(picture, 0.25, 8),
    "small, grey, noise of 12": lambda picture: noisy(
        np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8), 1, 12
    ),
}
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass
class Seen:
    """What is known of some tracks, each by its number.

    Attributes:
        tracks: themselves.
        who: is in them.
        worn: their clothes.
        faces: their vectors.
    """

    tracks: list[Track]
    who: dict[int, str]
    worn: dict[int, Colours]
    faces: dict[int, Vector]


def photographs(folder: Path, recogniser: Recogniser) -> dict[str, Seen]:
    """Return a track for each photograph with its largest face: as it is, and made worse."""
    detector, found = CenterFace(), {name: Seen([], {}, {}, {}) for name in ("as it is", *WORSE)}
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES), 1):
        picture = np.asarray(cv2.imread(str(path)), np.uint8)
        boxes = [d.box for d in detector.detect(picture, 0, [Look(640)]) if d.score >= 0.5]
        box = max(boxes, key=lambda box: box.area)
        factor = WIDTH / box.width
        small = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        there = Box.outward(*(factor * side for side in (box.x0, box.y0, box.x1, box.y1)))
        shown = {"as it is": (picture, box)} | {name: (worsen(small), there) for name, worsen in WORSE.items()}
        name = path.stem if path.parent.parent == folder else path.parent.name
        for kind, seen in found.items():
            seen.tracks.append(Track(number, "face", number * 60, (box,)))
            seen.who[number] = name.lower().replace("-", "_")
            if face := recogniser.look(*shown[kind]):
                seen.faces[number] = face.vector
    return found


def clip(path: Path, recogniser: Recogniser) -> Seen:
    """Return two tracks for each person of a clip."""
    stays: dict[str, dict[int, Box]] = defaultdict(dict)
    with path.with_suffix(".faces.csv").open() as file:
        for row in csv.DictReader(file):
            x, y, w, h = (int(row[key]) for key in "xywh")
            stays[row["id"]][int(row["frame"])] = Box(x, y, x + w, y + h)
    seen, number = Seen([], {}, {}, {}), 0
    for who, boxes in stays.items():
        for first, frames in _parts(sorted(boxes)):
            number += 1
            seen.tracks.append(Track(number, "face", first, tuple(boxes[n] for n in frames)))
            seen.who[number] = who
    with FrameReader(path) as reader:
        pictures = [frame.picture for frame in reader]
    for track in seen.tracks:
        looks = [clothes.colours(pictures[n], box) for n, box in clothes.places(track)]
        if known := [look for look in looks if look]:
            seen.worn[track.id] = clothes.mean(known)
        places = likeness.places(track, seen.tracks)
        faces = [recogniser.look(pictures[n], box, others) for n, box, others in places]
        vector = likeness.mean([face for face in faces if face])
        if vector is not None:
            seen.faces[track.id] = vector
    return seen


def _parts(frames: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the first and the last frames of a stay that has no gap."""
    length = int(len(frames) * SHARE)
    if length and frames[-1] - frames[0] + 1 == len(frames):
        yield frames[0], frames[:length]
        yield frames[-length], frames[-length:]


def apart(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks with the second ones, whose numbers are even, much later."""
    return [track if track.id % 2 else replace(track, first=track.first + BETWEEN) for track in tracks]


def judge(tracks: Sequence[Track], seen: Seen, worn: Mapping[int, Colours], faces: Mapping[int, Vector]) -> list[int]:
    """Return how many pairs of one person, and of two, are in one row."""
    photos = {track.first: seen.who[track.id].split("-")[0] for track in sorted(tracks, key=lambda t: t.first)}
    cuts = [b for a, b in pairwise(photos) if photos[a] != photos[b]]
    line = Timeline(0, tuple(Fraction(n, 25) for n in range(max(t.last for t in tracks) + 1)), tuple(cuts))
    rows = group(tracks, line, worn, faces)
    joined = [(a, b) for a, b in combinations(rows, 2) if rows[a] == rows[b]]
    right = sum(seen.who[a] == seen.who[b] for a, b in joined)
    return [right, len(joined) - right]


def pairs(seen: Seen) -> list[int]:
    """Return how many pairs of tracks there are of one person, and of two."""
    same = [seen.who[a.id] == seen.who[b.id] for a, b in combinations(seen.tracks, 2)]
    return [sum(same), len(same) - sum(same)]


def noisy(picture: Picture, light: float, noise: float) -> Picture:
    """Return a picture with less light and more noise, always the same."""
    more = np.random.default_rng(1).normal(0, noise, picture.shape)
    return np.asarray(np.clip(picture * light + more, 0, 255), np.uint8)


def table_of_photographs(photos: Mapping[str, Seen]) -> str:
    """Return what is known of photographs, how far apart they are, and which of them are in one row."""
    lines = []
    for name, seen in photos.items():
        far: dict[bool, list[float]] = {True: [], False: []}
        for a, b in combinations(seen.faces, 2):
            far[seen.who[a] == seen.who[b]].append(likeness.distance(seen.faces[a], seen.faces[b]))
        near = [f"{sum(d <= SAME_FACE for d in far[same])} of {len(far[same])}" for same in (True, False)]
        rows = judge(seen.tracks, seen, {}, seen.faces)
        lines.append((name, len(seen.faces), *near, f"{min(far[False]):.2f}", *rows))
    heads = ("photographs", "faces", f"one person, within {SAME_FACE}", "two people", "the nearest two")
    return markdown((*heads, "rightly in a row", "wrongly"), lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print what photographs and clips give."""
    parser = argparse.ArgumentParser(description="How rows join people, with faces and without.")
    parser.add_argument("data", type=Path)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    recogniser = Recogniser()
    print(table_of_photographs(photographs(options.data / "identity", recogniser)))
    lines, totals = [], np.zeros((5, 2), int)
    for path in sorted((options.data / "synth").glob("*.mp4")):
        seen = clip(path, recogniser)
        if seen.tracks:
            later = apart(seen.tracks)
            figures = [pairs(seen), judge(later, seen, {}, {}), judge(later, seen, seen.worn, {})]
            figures += [judge(later, seen, {}, seen.faces), judge(later, seen, seen.worn, seen.faces)]
            totals += np.array(figures)
            lines.append((path.stem, len(seen.faces), *(f"{a} / {b}" for a, b in figures)))
    lines.append(("all", "", *(f"{a} / {b}" for a, b in totals)))
    print(markdown(("clip", "faces known", "pairs", "place, time", "clothes", "faces", "clothes and faces"), lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
