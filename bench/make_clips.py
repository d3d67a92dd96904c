"""Moving clips with exact truth, made of labelled pictures.

    python bench/make_clips.py FOLDER -o OUT [--kinds pan,spin] [--classes face] [--frames 75] [--seed 0]

FOLDER holds pictures and gt.csv with the columns image,class,x,y,w,h (pixels). Every picture with a face becomes one
clip of each kind, OUT/PICTURE_KIND.mp4: a camera moves over the picture on a known path, so where the faces are is
computed, not judged by eye. Beside it lie PICTURE_KIND.faces.csv and PICTURE_KIND.ignore.csv with frame,x,y,w,h,id: the
tightest upright box around the ellipse of the face, cut at the edge of the frame. Those in the second are not judged:
under 10 px, or less than 60 % of them can be seen because they stand across the edge or behind the post. A face is
called SHOT-NUMBER, counted as in gt.csv.

The same pictures, kind and seed give the same clip.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Light = NDArray[np.float32]
Matrix = NDArray[np.float64]  # (2, 3), from the picture to the frame; pixel n reaches from n to n + 1
Box = tuple[float, float, float, float]  # x, y, width, height in pixels

SIZE = 854, 480  # pixels
FRAMES = 75
RATE = 25  # frames per second
CRF = 16  # fine enough that what is not seen in a clip is not the encoder's doing
PRESET = "fast"
ENCODER_THREADS = 2  # fixed: the number of threads changes the bytes that x264 writes
LEAST_SIDE = 10.0  # pixels; smaller faces are not judged
LEAST_SEEN = 0.6  # share of a face; if less of it can be seen it is not judged
WALL = 58, 60, 56  # BGR, around the picture
POST = 88, 108, 126  # BGR
POST_WIDTH = 0.12  # of the frame
BLUR_STEPS = 9  # pictures that make up an exposure; odd, so that the labels' moment is one of them
COLUMNS = ("frame", "x", "y", "w", "h", "id")


@dataclass(frozen=True)
class Photo:
    """A picture (BGR, uint8) and the boxes of its faces; `doubtful` ones are never judged."""

    picture: Picture
    faces: Sequence[Box]
    doubtful: Sequence[Box] = ()


@dataclass(frozen=True)
class Pose:
    """Where the picture stands before the camera.

    Attributes:
        x: how far its middle is right of the frame's middle, in widths of the frame.
        y: how far below, in heights of the frame.
        turn: degrees, clockwise.
        zoom: 1 where the whole upright picture just fits into the frame.
    """

    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class Kind:
    """A camera path and the conditions under which it is filmed.

    Attributes:
        path: the pose when a share of the clip (0 to 1) has passed.
        gain: what is left of the light.
        noise: standard deviation of each value, in levels.
        grey: whether the camera sees no colour.
        exposure: the part of the time between two frames during which the shutter is open.
        recedes: whether the camera also goes so far away that the largest face ends at LEAST_SIDE.
        post: whether a post passes in front.
        cut: whether another picture follows at half time.
        crf: constant rate factor of the encoder.
    """

    path: Callable[[float], Pose]
    gain: float = 1.0
    noise: float = 0.0
    grey: bool = False
    exposure: float = 0.0
    recedes: bool = False
    post: bool = False
    cut: bool = False
    crf: int = CRF


@dataclass(frozen=True)
class Label:
    """Where a face is in a frame (pixels, cut at its edge), and whether enough of it can be seen to judge it."""

    frame: int
    x: float
    y: float
    w: float
    h: float
    id: str
    judged: bool


def _sway(share: float) -> Pose:
    """Return the pose of a camera that hangs on a wall and moves a little."""
    return Pose(0.02 * math.sin(math.tau * share), 0.02 * math.cos(math.tau * share), zoom=1.05)


def _pan(share: float) -> Pose:
    return Pose(0.25 * (2 * share - 1), 0.05 * math.sin(math.tau * share))


def _roll(share: float) -> Pose:
    return Pose(turn=90 * (1 - math.cos(math.pi * share)) / 2, zoom=1 - 0.3 * share)


def _upside_down(share: float) -> Pose:
    return Pose(0.1 * math.sin(math.tau * share), turn=180)


def _spin(share: float) -> Pose:
    return Pose(turn=360 * share, zoom=0.8)


def _shake(share: float) -> Pose:
    jolts = math.sin(50 * share) + 0.5 * math.sin(83 * share + 1)
    return Pose(0.04 * jolts, 0.03 * math.sin(61 * share + 2), turn=2 * math.sin(37 * share))


def _pass_by(share: float) -> Pose:
    """Return the pose of a picture that is out of the frame at first and at last."""
    return Pose(1.1 * (2 * share - 1), 0.03 * math.sin(math.tau * share))


KINDS = {
    "pan": Kind(_pan),
    "roll_90": Kind(_roll),
    "upside_down": Kind(_upside_down),
    "spin": Kind(_spin),
    "lowlight": Kind(_sway, gain=0.2, noise=4.0),
    "grey_night": Kind(_sway, gain=0.55, noise=12.0, grey=True),
    "small": Kind(_sway, recedes=True),
    "shake_blur": Kind(_shake, exposure=0.6),
    "occluder": Kind(_sway, post=True),
    "enter_leave": Kind(_pass_by),
    "cut": Kind(_sway, cut=True),
    "compressed": Kind(_pan, crf=38),
}


def make_clip(
    photos: Sequence[Photo],
    kind: str,
    path: Path,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
) -> list[Label]:
    """Write a clip and its labels, and return the labels.

    Args:
        photos: at least one; the second is what a cut leads to, the mirror image of the first if there is no other.
        kind: a key of KINDS.
        path: NAME.mp4; NAME.faces.csv and NAME.ignore.csv are written beside it.
        frames: how many; the whole path is walked in them.
        size: width and height in pixels, even.
        seed: of the noise.
    """
    how = KINDS[kind]
    shots = [photos[0], photos[1] if len(photos) > 1 else mirrored(photos[0])] if how.cut else [photos[0]]
    labels: list[Label] = []
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    step = 1 / max(1, frames - 1)

    def pictures() -> Iterator[Picture]:
        for n in range(frames):
            shot = n * len(shots) // frames
            labels.extend(_label(shots[shot], shot, how, n, n * step, size))
            yield _film(shots[shot], how, n * step, step, size, rng)

    _encode(path, pictures(), size, how.crf)
    for suffix, judged in ((".faces.csv", True), (".ignore.csv", False)):
        _write_labels(path.with_suffix(suffix), [label for label in labels if label.judged is judged])
    return labels


def camera(photo: Photo, how: Kind, share: float, size: tuple[int, int]) -> Matrix:
    """Return the matrix from a picture to the frame when a share of the clip has passed."""
    pose = how.path(share)
    tall, wide = photo.picture.shape[:2]
    fit = min(size[0] / wide, size[1] / tall)
    zoom = pose.zoom * fit
    if how.recedes:
        largest = max((min(w, h) for _, _, w, h in photo.faces), default=LEAST_SIDE)
        zoom *= min(1.0, LEAST_SIDE / (largest * how.path(1.0).zoom * fit)) ** share
    cos, sin = math.cos(math.radians(pose.turn)) * zoom, math.sin(math.radians(pose.turn)) * zoom
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([size[0] * (0.5 + pose.x), size[1] * (0.5 + pose.y)])
    return np.column_stack([linear, middle - linear @ (wide / 2, tall / 2)])


def bounds(matrix: Matrix, face: Box) -> Box:
    """Return the tightest upright box around the ellipse that fits a face, after the matrix."""
    x, y, w, h = face
    middle = matrix @ (x + w / 2, y + h / 2, 1)
    half = np.hypot(matrix[:, 0] * w / 2, matrix[:, 1] * h / 2)
    left, top = middle - half
    return float(left), float(top), float(2 * half[0]), float(2 * half[1])


def post_span(share: float, width: int) -> tuple[int, int]:
    """Return the first column that the post hides and the first after it; it goes from left to right past the frame."""
    thick = round(width * POST_WIDTH)
    left = round((width + thick) * share) - thick
    return left, left + thick


def mirrored(photo: Photo) -> Photo:
    """Return a picture with left and right exchanged, and its faces."""

    def mirror(boxes: Sequence[Box]) -> tuple[Box, ...]:
        return tuple((photo.picture.shape[1] - x - w, y, w, h) for x, y, w, h in boxes)

    return Photo(np.ascontiguousarray(photo.picture[:, ::-1]), mirror(photo.faces), mirror(photo.doubtful))


def read_photos(folder: Path, classes: Sequence[str] = ("face",)) -> dict[str, Photo]:
    """Return the pictures of a folder with a face in them, by name, as its gt.csv has them.

    Args:
        folder: holds gt.csv.
        classes: what counts as a face; boxes of the class `ignore` are not judged.

    Raises:
        OSError: gt.csv or a picture cannot be read.
    """
    found: dict[str, dict[str, list[Box]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "gt.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[side]) for side in "xywh")
            found[row["image"]][row["class"]].append((x, y, w, h))
    photos = {}
    for name, boxes in found.items():
        faces = [box for label in classes for box in boxes[label]]
        if faces:
            picture = cv2.imread(str(folder / name))
            if picture is None:
                raise OSError(f"{folder / name} cannot be read.")
            photos[name] = Photo(np.asarray(picture, np.uint8), faces, boxes["ignore"])
    return photos


def _label(photo: Photo, shot: int, how: Kind, frame: int, share: float, size: tuple[int, int]) -> Iterator[Label]:
    """Yield the labels of the faces that are in a frame at least with an edge."""
    matrix = camera(photo, how, share, size)
    for number, face in enumerate((*photo.faces, *photo.doubtful)):
        x, y, w, h = bounds(matrix, face)
        left, right = max(x, 0.0), min(x + w, float(size[0]))
        top, bottom = max(y, 0.0), min(y + h, float(size[1]))
        if right - left < 1 or bottom - top < 1:
            continue
        post = post_span(share, size[0]) if how.post else (0, 0)
        hidden = max(0.0, min(right, post[1]) - max(left, post[0]))
        seen = (right - left - hidden) * (bottom - top) / (w * h)
        judged = number < len(photo.faces) and min(w, h) >= LEAST_SIDE and seen >= LEAST_SEEN
        yield Label(frame, left, top, right - left, bottom - top, f"{shot}-{number}", judged)


def _film(
    photo: Photo, how: Kind, share: float, step: float, size: tuple[int, int], rng: np.random.Generator
) -> Picture:
    """Return the frame that the camera takes when a share of the clip has passed; frames are a step apart."""
    moments = share + step * how.exposure * np.linspace(-0.5, 0.5, BLUR_STEPS) if how.exposure else [share]
    light: Light = np.mean([_view(photo.picture, camera(photo, how, float(m), size), size) for m in moments], axis=0)
    if how.post:
        left, right = post_span(share, size[0])
        light[:, max(0, left) : max(0, right)] = POST
    if how.grey:
        light = np.asarray(cv2.cvtColor(light, cv2.COLOR_BGR2GRAY), np.float32)[..., None]
    dim = light * how.gain + rng.normal(0, how.noise, light.shape)
    levels = np.asarray(np.clip(np.rint(dim), 0, 255), np.uint8)
    return levels.repeat(3, axis=2) if how.grey else levels


def _view(picture: Picture, matrix: Matrix, size: tuple[int, int]) -> Light:
    """Return the frame that a matrix makes of a picture, float32, (height, width, 3)."""
    tall, wide = picture.shape[:2]
    shrink = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink < 1:  # warping alone would skip pixels
        small = max(1, math.ceil(wide * shrink)), max(1, math.ceil(tall * shrink))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag([wide / small[0], tall / small[1], 1])
    middles = matrix.copy()  # cv2 counts from the middle of the first pixel
    middles[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    seen = cv2.warpAffine(picture, middles, size, flags=cv2.INTER_LINEAR, borderValue=WALL)
    return np.asarray(seen, np.float32)


def _encode(path: Path, pictures: Iterator[Picture], size: tuple[int, int], crf: int) -> None:
    """Write pictures as H.264 in MP4."""
    # Without mbtree: with it, the bytes were not always the same for the same pictures.
    options = {"crf": str(crf), "preset": PRESET, "x264-params": "mbtree=0"}
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.thread_count = ENCODER_THREADS
        for n, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_labels(path: Path, labels: Sequence[Label]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for label in labels:
            box = (f"{value:.2f}" for value in (label.x, label.y, label.w, label.h))
            writer.writerow([label.frame, *box, label.id])


def main() -> int:
    """Make the clips; return 1 if a picture cannot be read."""
    parser = argparse.ArgumentParser(description="Moving clips with exact truth, made of labelled pictures.")
    parser.add_argument("folder", type=Path, help="pictures and gt.csv")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the clips and their labels")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of: %(default)s")
    parser.add_argument("--classes", default="face", help="classes in gt.csv that are faces; by default %(default)s")
    parser.add_argument("--frames", type=int, default=FRAMES, help="frames of a clip; by default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    try:
        photos = read_photos(options.folder, options.classes.split(","))
    except OSError as error:
        print(f"make_clips: {error}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    every = list(photos.values())
    for number, name in enumerate(photos):
        shots = (every[number:] + every[:number])[:2]
        for kind in kinds:
            path = options.out / f"{Path(name).stem}_{kind}.mp4"
            make_clip(shots, kind, path, options.frames, seed=options.seed)
            print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
