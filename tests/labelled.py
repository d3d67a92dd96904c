"""A labelled clip, and copies of it that show more or less, for the tests of the benches."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import av

from bench.leakmeter import Report, measure
from tests.clips import Picture, moving_portrait, write_clip

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 20
Box = tuple[int, int, int, int]
Row = tuple[int, int, int, int, int, str]


def write_labels(path: Path, rows: Iterable[Row], names: bool = True) -> Path:
    columns = ("frame", "x", "y", "w", "h", "id")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(row if names else row[:5] for row in (columns, *rows))
    return path


def fill(picture: Picture, box: Box) -> Picture:
    """Return the picture with a box filled with its mean."""
    x, y, w, h = box
    filled = picture.copy()
    filled[y : y + h, x : x + w] = picture[y : y + h, x : x + w].mean(axis=(0, 1))
    return filled


class Scene:
    """A labelled clip of the moving portrait, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: list[Picture] = []
        self.faces: list[Box] = []
        for picture, face in moving_portrait(FRAMES, 480, 360, 0.6):
            assert face is not None
            self.pictures.append(picture)
            self.faces.append(face)
        self.clip = write_clip(folder / "scene.mp4", self.pictures, options={"crf": "14"})
        self.labels = write_labels(folder / "scene.faces.csv", ((n, *face, "a") for n, face in enumerate(self.faces)))

    def copy(self, covers: Sequence[Box | None]) -> Path:
        """Return a copy in which these boxes are filled."""
        pictures = (p if box is None else fill(p, box) for p, box in zip(self.pictures, covers, strict=True))
        return write_clip(self.folder / "copy.mp4", pictures, options={"crf": "14"})

    def measure(self, covers: Sequence[Box | None]) -> Report:
        """Return what the meter says of such a copy."""
        return measure(self.clip, self.copy(covers), self.labels)


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_grey(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
