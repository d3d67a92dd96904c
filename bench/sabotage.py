"""What verification finds of faces that a plan has lost, and whether its rule about the rims of covers loses a face.

    python bench/sabotage.py DATA [--clips NAME,...] [--share SHARE]

For each labelled clip below DATA (as bench/leaks.py finds them) the tool makes a plan, of which a share of the tracks
is taken away, the same ones each time. What covering gives then is looked at as verification looks at a copy. Counted
are labelled faces that are laid open (frame by frame), those of them on which a sighting lies, and the sightings that
would count but are left out because the clip does not show them (`second_look`): none of these may lie on an open face.

Exit status 1: one does.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.leakmeter import Face, read_faces
from bench.leaks import Clip, choose_clips
from redact import custody, pipeline
from redact.crew import Crew, show_nothing
from redact.detectors import Detector, load_detectors
from redact.detectors.looks import Look
from redact.effects import Coverer
from redact.media import FrameReader
from redact.plan import Detection, Plan, Settings
from redact.second_look import SHOWN, SURE_OFTEN, SecondLook

SETTINGS = Settings(cover=("face", "head"))
SEED = 7
ON = 0.3  # share of the smaller of a sighting and a face that both share, from which it lies on it

Picture = NDArray[np.uint8]


class Watched(SecondLook):
    """A second look that remembers what it has left out: sightings that would count, by frame."""

    def __init__(self, detectors: Sequence[Detector], crew: Crew) -> None:
        super().__init__(pipeline.face_detectors(detectors, SETTINGS), SETTINGS, crew)
        self.kept: dict[int, list[Detection]] = {}
        self.left_out: dict[int, list[Detection]] = {}

    def _look(
        self, picture: Picture, source: Picture, mask: Picture, frame: int, looks: Sequence[Look]
    ) -> list[Detection]:
        """Return what is seen; look once more without what the clip shows."""
        kept = super()._look(picture, source, mask, frame, looks)
        every = super()._look(picture, picture, mask, frame, looks)
        self.kept[frame] = kept
        self.left_out[frame] = [d for d in every if d not in kept and d.score >= self._settings.threshold + SURE_OFTEN]
        return kept


def lies_on(sighting: Detection, face: Face) -> bool:
    """Return whether a sighting and a labelled face share enough."""
    box = sighting.box
    wide = min(box.x1, face.x + face.w) - max(box.x0, face.x)
    high = min(box.y1, face.y + face.h) - max(box.y0, face.y)
    return wide > 0 and high > 0 and wide * high >= ON * min(box.area, face.w * face.h)


def is_open(face: Face, mask: Picture) -> bool:
    """Return whether so much of a face is not covered that verification has to see it."""
    part = mask[max(0, round(face.y)) : round(face.y + face.h), max(0, round(face.x)) : round(face.x + face.w)]
    return bool(part.size) and float((part == 0).mean()) > SHOWN


def plan_of(clip: Clip, detectors: Sequence[Detector]) -> Plan:
    """Return the plan that the tool makes of a clip."""
    with tempfile.TemporaryDirectory() as folder:
        space = custody.open_workspace(Path(folder))
        return pipeline.analyse(clip.path, space, SETTINGS, detectors, lambda name: show_nothing)[0]


def run_clip(clip: Clip, detectors: Sequence[Detector], share: float, rng: random.Random) -> tuple[int, int, int, int]:
    """Return how many faces were open, on how many a sighting lies, and what was left out: all, and on open faces."""
    plan = plan_of(clip, detectors)
    coverer = Coverer(replace(plan, tracks=tuple(t for t in plan.tracks if rng.random() >= share)))
    masks: dict[int, Picture] = {}
    with FrameReader(clip.path) as reader, Crew() as crew:
        look = Watched(detectors, crew)
        for frame in reader:
            picture, mask = coverer.cover(frame.picture, frame.index)
            masks[frame.index] = mask
            look.show(picture, frame.picture, mask, frame.index, frame.time)
    opened = [f for n, faces in read_faces(clip.faces).items() for f in faces if n in masks and is_open(f, masks[n])]
    found = sum(any(lies_on(d, face) for d in look.kept.get(face.frame, ())) for face in opened)
    left_out = [d for sightings in look.left_out.values() for d in sightings]
    wrong = sum(any(lies_on(d, face) for face in opened if face.frame == d.frame) for d in left_out)
    return len(opened), found, len(left_out), wrong


def main(arguments: Sequence[str]) -> int:
    """Print the table, a row for each clip."""
    parser = argparse.ArgumentParser(description="What verification finds of faces that a plan has lost.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", help="names, with commas between them; all without")
    parser.add_argument("--share", type=float, default=0.3, help="of the tracks that are taken away")
    options = parser.parse_args(arguments)
    detectors, rng = load_detectors(SETTINGS), random.Random(SEED)
    print("| clip | open faces | of them seen | left out | of them on open faces |\n|---|---|---|---|---|")
    total = np.zeros(4, int)
    for clip in choose_clips(options.data, options.clips):
        row = run_clip(clip, detectors, options.share, rng)
        total += row
        print(f"| {clip.path.stem} | " + " | ".join(map(str, row)) + " |", flush=True)
    print("| TOTAL | " + " | ".join(map(str, total)) + " |")
    return int(total[3] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
