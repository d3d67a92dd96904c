"""How much of what is labelled in still pictures the detectors of text and of codes cover.

    python bench/pictures.py DATA

DATA is a folder with text_icdar2015, plates_lucian and codes in it, or in its folder images: pictures and gt.csv with
image, class, x, y, w, h. A box counts as covered if detections cover 90 % of it. Boxes of class "ignore" are text that
those who labelled it could not read; they have a line of their own. Codes have no labels: a picture counts if a code is
found in it. Prints for each kind what is covered, which share of the pictures that costs, and how long one core works
for one picture.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import tables
from redact.detectors.codes import CodeDetector
from redact.detectors.texts import TextDetector
from redact.geometry import Box
from redact.plan import Detection

COVERED = 0.9  # of the area of a labelled box
KINDS: Mapping[str, type[TextDetector] | type[CodeDetector]] = {
    "text_icdar2015": TextDetector,
    "plates_lucian": TextDetector,
    "codes": CodeDetector,
}


@dataclass(frozen=True)
class Seen:
    """What a detector made of one picture.

    Attributes:
        covered: whether each labelled box is covered, with its class.
        share: of the picture that is covered.
        seconds: how long one core worked for one look.
    """

    covered: tuple[tuple[str, bool], ...]
    share: float
    seconds: float


def read_labels(folder: Path) -> dict[str, list[tuple[str, Box]]]:
    """Return the labelled boxes of each picture with their classes; empty without gt.csv."""
    labels: dict[str, list[tuple[str, Box]]] = defaultdict(list)
    if (folder / "gt.csv").exists():
        with (folder / "gt.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                x, y, w, h = (int(row[key]) for key in ("x", "y", "w", "h"))
                labels[row["image"]].append((row["class"], Box(x, y, x + w, y + h)))
    return labels


def look_at(
    picture: NDArray[np.uint8], detector: TextDetector | CodeDetector, labels: Sequence[tuple[str, Box]]
) -> Seen:
    """Return what a detector made of one picture; without labels, whether it found anything."""
    height, width = picture.shape[:2]
    began = time.thread_time()
    detections = detector.detect(picture, 0, detector.looks(max(height, width)))
    seconds = time.thread_time() - began
    mask = mask_of(detections, width, height)
    covered = [(kind, bool(mask[b.y0 : b.y1, b.x0 : b.x1].mean() >= COVERED)) for kind, b in labels]
    return Seen(tuple(covered or [(detector.labels[0], bool(detections))]), float(mask.mean()), seconds)


def mask_of(detections: Iterable[Detection], width: int, height: int) -> NDArray[np.bool_]:
    """Return what detections cover of a picture of a size in pixels, (height, width)."""
    mask = np.zeros((height, width), np.bool_)
    for detection in detections:
        if box := detection.box.clip(width, height):
            mask[box.y0 : box.y1, box.x0 : box.x1] = True
    return mask


def look_at_all(folder: Path, detector: TextDetector | CodeDetector) -> list[Seen]:
    """Return what a detector made of each picture in a folder; the first is looked at twice, for the time."""
    labels = read_labels(folder)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")]
    pictures = [(np.asarray(cv2.imread(str(path)), np.uint8), labels.get(path.name, [])) for path in paths]
    return [look_at(picture, detector, boxes) for picture, boxes in [*pictures[:1], *pictures]][1:]


def lines(folder: Path, detector: TextDetector | CodeDetector) -> Iterator[list[object]]:
    """Yield a line of the table for each class of boxes in a folder, and one for all where there are several."""
    seen = look_at_all(folder, detector)
    covered = [pair for one in seen for pair in one.covered]
    cost = [tables.percent(mean(one.share for one in seen)), f"{1000 * mean(one.seconds for one in seen):.0f}"]
    kinds = sorted({kind for kind, _ in covered})
    for kind in (*kinds, *(["all"] if len(kinds) > 1 else [])):
        hits = [hit for of, hit in covered if kind in (of, "all")]
        yield [folder.name, kind, len(seen), tables.share(sum(hits), len(hits)), *cost]


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How much of what is labelled in still pictures is covered.")
    parser.add_argument("data", type=Path, help="a folder with pictures and their labels")
    data = parser.parse_args(arguments).data
    root = data / "images" if (data / "images").is_dir() else data
    found = [name for name in KINDS if (root / name).is_dir()]
    if not found:
        parser.error(f"There is none of {', '.join(KINDS)} below {data}.")
    cv2.setNumThreads(1)
    table = [line for name in found for line in lines(root / name, KINDS[name]())]
    print(tables.markdown(["pictures", "class", "number", "covered", "share of the picture", "ms"], table))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
