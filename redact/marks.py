"""Marks by example: a private library of small pictures of tattoos, badges, emblems or numbers that are to be found.

A mark has a name and one example or several: `NAME.1.png`, `NAME.2.png`. Nothing but pixels is kept. The features of
an example decide whether it can be found at all; they are counted when it is added.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray

from redact.disk import make_private, write_whole
from redact.errors import OutputError, UsageError
from redact.geometry import Box

Picture = NDArray[np.uint8]

NAME = r"[A-Za-z0-9_-]{1,64}"
EXAMPLE_SIDE = 128  # pixels of the longer side of an example as it is compared
LEAST_SIDE = 24  # pixels of the shorter side of an example
LEAST_FEATURES = 20  # of an example: with 40 % of it hidden, some are left
CONTRAST = 0.01  # of a feature; the usual 0.04 leaves too few on small and blurred marks


@dataclass(frozen=True, slots=True)
class Features:
    """Local features (Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004).

    Attributes:
        points: (n, 2) float64, x and y in pixels of the picture.
        sizes: (n,) float64, in pixels.
        angles: (n,) float64, in degrees.
        descriptors: (n, 128) float32, of unit length: two that are alike have a product near 1.
    """

    points: NDArray[np.float64]
    sizes: NDArray[np.float64]
    angles: NDArray[np.float64]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def scale(self, factor: float) -> Features:
        """Return the same features in the pixels of a picture larger by a factor."""
        return replace(self, points=(self.points + 0.5) * factor - 0.5, sizes=self.sizes * factor)

    def shift(self, dx: float, dy: float) -> Features:
        """Return the same features, moved."""
        return replace(self, points=self.points + np.array((dx, dy)))


def find_features(picture: Picture) -> Features:
    """Return the features of a picture, BGR or grey; down to half its pixels, since the picture is doubled first.

    Descriptors are compared as roots (Arandjelovic and Zisserman, Three Things Everyone Should Know to Improve Object
    Retrieval, 2012).
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    keys, raw = cv2.SIFT.create(contrastThreshold=CONTRAST).detectAndCompute(grey, None)
    rows = np.array([(*key.pt, key.size, key.angle) for key in keys], np.float64).reshape(-1, 4)
    descriptors = np.zeros((0, 128), np.float32) if raw is None else np.asarray(raw, np.float32)
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return Features(rows[:, :2], rows[:, 2], rows[:, 3], roots)


def scale_example(picture: Picture) -> Picture:
    """Return an example as large as it is compared."""
    height, width = picture.shape[:2]
    factor = EXAMPLE_SIDE / max(height, width)
    size = max(8, round(width * factor)), max(8, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def join_features(parts: Sequence[Features]) -> Features:
    """Return the features of all parts."""
    return Features(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Features)))


def library(folder: Path | None = None) -> Path:
    """Return the folder of the marks: the one given, `$REDACT_MARKS`, or one in the user's data. It need not exist."""
    if folder is not None:
        return folder
    chosen = os.environ.get("REDACT_MARKS")
    return Path(chosen) if chosen else platformdirs.user_data_path("redact") / "marks"


def add(name: str, picture: Picture, folder: Path | None = None) -> int:
    """Keep an example of a mark, besides those that there are, and return how many features it has.

    Args:
        name: letters, digits, - and _.
        picture: the mark and little else, BGR, uint8, (height, width, 3).
        folder: the library; None for the usual one.

    Raises:
        UsageError: the name is not one, or the example is too small or too smooth to be found.
        OutputError: it cannot be written.
    """
    _check(name)
    height, width = picture.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise UsageError(
            f"The example is {width}x{height} pixels: too small to find anything by.",
            f"Give one of at least {LEAST_SIDE} pixels each way, from where the mark is nearer to the camera.",
        )
    features = len(np.unique(find_features(scale_example(picture)).points, axis=0))
    if features < LEAST_FEATURES:
        raise UsageError(
            f"The example is too smooth to find anything by: {features} details, {LEAST_FEATURES} are needed.",
            "Give a larger or sharper one, with the edge of the mark and a little of what is around it.",
        )
    where = library(folder)
    try:
        make_private(where)
        number = max((_number(path) for path in _examples(name, where)), default=0) + 1
        write_whole(where / f"{name}.{number}.png", cv2.imencode(".png", picture)[1].tobytes())
    except OSError as error:
        raise OutputError(
            f"The mark cannot be kept in {where}: {error.strerror}.",
            "Make room and check the permissions of that folder, or name another one in REDACT_MARKS.",
        ) from error
    return features


def load(name: str, folder: Path | None = None) -> list[Picture]:
    """Return the examples of a mark, the first one first.

    Raises:
        UsageError: there is no such mark, or an example of it cannot be read.
    """
    return [read(path) for path in _known(name, library(folder))]


def names(folder: Path | None = None) -> list[str]:
    """Return the names of the marks in the library, in order."""
    return sorted({path.name.split(".")[0] for path in _examples(NAME, library(folder))})


def remove(name: str, folder: Path | None = None) -> int:
    """Delete a mark, and return how many examples it had.

    Raises:
        UsageError: there is no such mark.
        OutputError: it cannot be deleted.
    """
    paths = _known(name, library(folder))
    try:
        for path in paths:
            path.unlink()
    except OSError as error:
        raise OutputError(f"The mark {name} cannot be removed: {error.strerror}.") from error
    return len(paths)


def read(path: Path) -> Picture:
    """Return a picture file as BGR, uint8, (height, width, 3), upright.

    Raises:
        UsageError: it cannot be read.
    """
    advice = "Give a PNG or JPEG file that an image viewer opens."
    try:
        data = path.read_bytes()
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}.", advice) from error
    except cv2.error as error:
        raise UsageError(f"{path.name} cannot be read as a picture.", advice) from error
    if picture is None:
        raise UsageError(f"{path.name} cannot be read as a picture.", advice)
    return np.asarray(picture, np.uint8)


def crop(picture: Picture, box: Box) -> Picture:
    """Return a copy of the part of a picture in a box.

    Raises:
        UsageError: the box lies outside the picture.
    """
    height, width = picture.shape[:2]
    inner = box.clip(width, height)
    if inner is None:
        raise UsageError(
            f"The box {box.x0},{box.y0},{box.width},{box.height} lies outside the picture, which is {width}x{height}.",
            "Give it as x,y,width,height in pixels from the top left corner.",
        )
    return picture[inner.y0 : inner.y1, inner.x0 : inner.x1].copy()


def _check(name: str) -> None:
    """Refuse what is not a name."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{name!r} is not a name for a mark.", "Use 1 to 64 letters (a to z), digits, - and _: they name a file."
        )


def _examples(name: str, where: Path) -> list[Path]:
    """Return the files of the marks whose name matches a pattern, in the order in which they were added."""
    pattern = re.compile(rf"{name}\.[1-9]\d*\.png")
    found = where.iterdir() if where.is_dir() else ()
    return sorted((path for path in found if pattern.fullmatch(path.name)), key=_number)


def _number(path: Path) -> int:
    """Return the number of an example."""
    return int(path.name.split(".")[1])


def _known(name: str, where: Path) -> list[Path]:
    """Return the files of a mark that must be there."""
    _check(name)
    paths = _examples(name, where)
    if not paths:
        held = ", ".join(names(where)) or "none"
        raise UsageError(f"There is no mark {name}; known are: {held}.", "Add it with `redact mark add`.")
    return paths
