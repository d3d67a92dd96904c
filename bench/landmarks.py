"""How much more of the picture would stay visible if large faces had their heads fitted to landmarks.

    python bench/landmarks.py DATA MODEL [--every N]

DATA holds clips with labelled faces (NAME.faces.csv beside NAME.mp4, and NAME.frames.txt where only some frames are
labelled; of the others every Nth frame is looked at). MODEL is face_landmarks_detector.tflite out of MediaPipe's
face_landmarker.task; OpenCV runs it.

Each labelled face is covered as the tool covers one that it saw just there: an ellipse around the head. Then those
whose shorter side has 60 pixels, and of whose landmarks the model is sure, are covered by a shape of their own: the
hull of the landmarks and the labelled box, also shifted up over the hair, grown by a margin, and never more than the
ellipse.
The bound is what would be spared if nothing but the ellipse in the labelled box of each large face were covered: no
landmarks can spare more. Shares are of the picture, and means over the frames of a clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.leakmeter import Face, read_faces
from bench.leaks import SUFFIXES
from bench.tables import markdown, percent
from redact.effects import Region, draw_mask
from redact.geometry import Box
from redact.media import FrameReader
from redact.tracking import HEAD_RIM, head

Shape = NDArray[np.bool_]
Points = NDArray[np.float64]

LARGE = 60  # pixels of a face's shorter side
SIDE = 256  # pixels of the model's input
AROUND = 1.5  # of a face's longer side that is shown to the model
SURE = 5.0  # of the logit of there being a face; on photographs it is 17 to 24
HAIR = 0.16  # of the longer side: how far up the shape is shifted as well
TOP, CHIN = 10, 152  # numbers of landmarks
MARGINS = (0.1, 0.15, 0.2)  # of the longer side; the ellipse has about 0.32


@dataclass(frozen=True)
class Spared:
    """What one clip would gain: numbers of faces, and shares of the picture.

    Attributes:
        large: large faces in the frames that were looked at.
        sure: those of whose landmarks the model is sure.
        covered: by the ellipses.
        bound: spared if nothing but large faces themselves were covered of their heads.
        fitted: spared with each of `MARGINS`.
    """

    large: int
    sure: int
    covered: float
    bound: float
    fitted: tuple[float, ...]


class Landmarks:
    """Finds the landmarks of a face in four quarter turns.

    Args:
        model: face_landmarks_detector.tflite.
    """

    def __init__(self, model: Path) -> None:
        self._net = cv2.dnn.readNetFromTFLite(str(model))

    def find(self, picture: NDArray[np.uint8], face: Face) -> Points | None:
        """Return the landmarks in pixels of the picture, (n, 2); None where the model is not sure of a face."""
        best, points = max((self._look(picture, face, turn) for turn in (0, 90, 180, 270)), key=lambda seen: seen[0])
        return points if best >= SURE else None

    def _look(self, picture: NDArray[np.uint8], face: Face, turn: int) -> tuple[float, Points]:
        """Return how sure the model is of a face that is turned so far, and where its landmarks are."""
        middle = face.x + face.w / 2, face.y + face.h / 2
        forth = cv2.getRotationMatrix2D(middle, turn, SIDE / (AROUND * max(face.w, face.h)))
        forth[:, 2] += SIDE / 2 - np.array(middle)
        shown = cv2.warpAffine(picture, forth, (SIDE, SIDE))
        self._net.setInput(cv2.dnn.blobFromImage(shown, 1 / 255, (SIDE, SIDE), swapRB=True))
        found, sure = self._net.forward(["Identity", "Identity_1"])
        back = cv2.invertAffineTransform(forth)
        return float(sure.ravel()[0]), found.reshape(-1, 3)[:, :2] @ back[:, :2].T + back[:, 2]


def box_of(face: Face) -> Box:
    """Return the box of a labelled face."""
    return Box.outward(face.x, face.y, face.x + face.w, face.y + face.h)


def ellipse(face: Face, width: int, height: int) -> Shape:
    """Return what the tool covers of a face that it saw just there."""
    row = np.array([face.x, face.y, face.x + face.w, face.y + face.h])
    whole = head(row, 0, HEAD_RIM * max(width, height))
    return draw_mask([Region(Box.outward(*whole.tolist()), "head")], width, height) > 0


def fitted(points: Points, face: Face, margin: float, width: int, height: int) -> Shape:
    """Return the shape around landmarks and label, also over the hair, grown by a margin."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).astype(np.int32), 255)
    seen = box_of(face).clip(width, height)
    if seen is not None:
        mask[seen.y0 : seen.y1, seen.x0 : seen.x1] = 255
    side = max(face.w, face.h)
    up = (points[TOP] - points[CHIN]) / max(float(np.linalg.norm(points[TOP] - points[CHIN])), 1e-9) * HAIR * side
    mask |= cv2.warpAffine(mask, np.array([[1, 0, up[0]], [0, 1, up[1]]]), (width, height))
    reach = 2 * round(margin * side) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0


def measure(clip: Path, every: int, landmarks: Landmarks) -> Spared:
    """Return what a clip would gain."""
    faces = read_faces(clip.with_name(f"{clip.stem}.faces.csv"))
    listed = clip.with_name(f"{clip.stem}.frames.txt")
    frames = [int(n) for n in listed.read_text().split()] if listed.exists() else range(0, max(faces) + 1, every)
    large = sure = 0
    shares = np.zeros(2 + len(MARGINS))
    for number, picture in _pictures(clip, frames):
        height, width = picture.shape[:2]
        layers = np.zeros((2 + len(MARGINS), height, width), bool)
        for face in faces.get(number, ()):
            whole = ellipse(face, width, height)
            layers |= whole if min(face.w, face.h) < LARGE else False
            if min(face.w, face.h) >= LARGE:
                points = landmarks.find(picture, face)
                large, sure = large + 1, sure + (points is not None)
                layers[0] |= whole
                layers[1] |= draw_mask([Region(box_of(face), "face")], width, height) > 0
                for n, margin in enumerate(MARGINS, 2):
                    layers[n] |= whole if points is None else whole & fitted(points, face, margin, width, height)
        shares += layers.mean(axis=(1, 2)) / len(frames)
    covered, bound, *left = shares.tolist()
    return Spared(large, sure, covered, covered - bound, tuple(covered - share for share in left))


def _pictures(clip: Path, frames: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some frames of a clip with their numbers."""
    with FrameReader(clip) as reader:
        for number, frame in enumerate(reader):
            if number in frames:
                yield number, frame.picture
            if number >= max(frames):
                return


def table(found: dict[str, Spared]) -> str:
    """Return the table of some clips, with their mean."""
    rows = [(name, s.large, s.sure, *map(percent, (s.covered, s.bound, *s.fitted))) for name, s in found.items()]
    means = np.mean([(s.covered, s.bound, *s.fitted) for s in found.values()], axis=0)
    total = sum(s.large for s in found.values()), sum(s.sure for s in found.values())
    header = ("clip", "large faces", "sure", "covered", "bound", *(f"spared, margin {m}" for m in MARGINS))
    return markdown(header, [*rows, (f"mean of {len(found)}", *total, *map(percent, means))])


def main(arguments: Sequence[str]) -> int:
    """Print the table of the made clips and that of the real ones."""
    parser = argparse.ArgumentParser(description="What landmarks would spare.")
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--every", type=int, default=15, metavar="N", help="of the frames of made clips: %(default)s")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    landmarks = Landmarks(options.model)
    clips = {path.stem: path for path in sorted(options.data.rglob("*.*")) if path.suffix in SUFFIXES}
    labelled = {name: path for name, path in clips.items() if path.with_name(f"{name}.faces.csv").exists()}
    for real in (False, True):
        held = {name: p for name, p in labelled.items() if p.with_name(f"{name}.frames.txt").exists() == real}
        if held:
            found = {name: measure(path, options.every, landmarks) for name, path in held.items()}
            print(f"{'Real' if real else 'Made'} clips\n\n{table(found)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
