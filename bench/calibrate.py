"""Measure the ranges of values between the layers of a model, from which `redact models fetch` makes its integers.

    python bench/calibrate.py CARD_ID FOLDER... > models/CARD_ID.ranges.json

Shows every picture and a few frames of every clip below the folders to the model, at several sizes and turns. The
ranges are figures about layers: nothing of the pictures is in them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import weights
from redact.detectors.models import batch_of, open_model
from redact.graphs import clean_graph
from redact.media import FrameReader
from redact.quantising import layer_outputs, show_tensors, tensor_names

PICTURES, CLIPS = (".jpg", ".jpeg", ".png"), (".mp4", ".mkv")
FRAMES = (3, 23)  # of each clip
# On 40 views the mean error of a score was 0.086 with the widest ranges of all views, 0.060 with those of 93 %, and
# 0.037 with the first three layers in floats as well, which takes no more time.
SHARE = 95
FLOAT_LAYERS = 3
SIDES = (320, 640)  # longer sides; each picture is shown at each, upright and turned by a quarter


def pictures(folders: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures and frames below some folders."""
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix in PICTURES and (picture := cv2.imread(str(path))) is not None:
            yield np.asarray(picture, np.uint8)
        elif path.suffix in CLIPS:
            with FrameReader(path) as reader:
                yield from (frame.picture for frame in reader if frame.index in FRAMES)


def shown(picture: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield a picture as the model is shown it."""
    for side in SIDES:
        factor = side / max(picture.shape[:2])
        small = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        yield small
        yield np.ascontiguousarray(np.rot90(small))


def main() -> None:
    """Print the ranges."""
    parser = argparse.ArgumentParser(description="Measure the ranges of values between the layers of a model.")
    parser.add_argument("card")
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    card = weights.cards()[options.card]
    model = clean_graph(weights.obtain(card, None))
    floats = layer_outputs(model)[:FLOAT_LAYERS]
    names = tensor_names(model, floats)
    session, _ = open_model(options.card, show_tensors(model, names))
    given = session.get_inputs()[0].name
    between = [name for name in names if name != given]
    lows, highs, count = [], [], 0
    for view in (view for picture in pictures(options.folders) for view in shown(picture)):
        values = session.run(between, {given: batch_of(view, card.colour)})
        lows.append([float(v.min()) for v in values])
        highs.append([float(v.max()) for v in values])
        count += 1
    measured = {given: (0.0, 255.0)} if given in names else {}
    low_ends, high_ends = np.percentile(lows, 100 - SHARE, axis=0), np.percentile(highs, SHARE, axis=0)
    for name, low, high in zip(between, low_ends, high_ends, strict=True):
        measured[name] = float(f"{low:.4g}"), float(f"{high:.4g}")
    about = f"lowest and highest values between the layers of {SHARE} % of {count} views, by bench/calibrate.py"
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in measured.items())
    print(f'{{\n"about": {json.dumps(about)},\n"floats": {json.dumps(floats)},\n"ranges": {{\n{rows}\n}}\n}}')


if __name__ == "__main__":
    main()
