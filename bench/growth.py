"""How the time of `redact run` grows with the size of the picture, the number of faces and the length, on made clips.

    python bench/growth.py [--axes size,faces,length] [--frames 50] [--plot growth.svg]

Prints a table and the exponent for each: the slope of the line of least squares through the logarithms of the work,
which is the time of the whole process without that of a clip of one frame. Sizes go from 640x360 to 3840x2160, faces
from 0 to 200 in 1280x720 pixels, lengths from 1 to 60 minutes of 320x180 pixels.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.speed import seconds
from tests.clips import Picture, portrait, textured_background, write_clip

RATE, LONG_RATE = 10, 5  # frames a second, as many surveillance cameras give; those of the lengths have fewer
LENGTHS_MIN = (1, 5, 20, 60)
SIZES = ((640, 360), (960, 540), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
FACES = (0, 1, 2, 5, 10, 20, 50, 100, 200)
SMALL, MIDDLE = (320, 180), (1280, 720)
SHARE = 0.85  # of the shorter side of its part of the picture that a portrait takes
WANDER = 0.1  # of its part that it moves
UNITS = {"size": "megapixels", "faces": "faces", "length": "minutes"}
PLOT = 480, 320, 50  # width, height and margin in pixels


@dataclass(frozen=True)
class Clip:
    """What a clip is made of: its place on the axis, its size in pixels, its frames, its faces, its frames a second."""

    at: float
    size: tuple[int, int]
    frames: int
    faces: int
    rate: int = RATE


def clips_of(axis: str, frames: int) -> list[Clip]:
    """Return the clips of an axis; those of the lengths have as many frames as they last."""
    if axis == "size":
        return [Clip(width * height / 1e6, (width, height), frames, 2) for width, height in SIZES]
    if axis == "faces":
        return [Clip(n, MIDDLE, frames, n) for n in FACES]
    return [Clip(minutes, SMALL, minutes * 60 * LONG_RATE, 1, LONG_RATE) for minutes in LENGTHS_MIN]


def make_clip(path: Path, clip: Clip) -> Path:
    """Write a clip of portraits that wander, each in its own part of the picture."""
    pictures = _pictures(clip.size, clip.frames, clip.faces)
    return write_clip(path, pictures, rate=clip.rate, options={"preset": "veryfast"})


def _pictures(size: tuple[int, int], frames: int, faces: int) -> Iterator[Picture]:
    """Yield its pictures."""
    width, height = size
    background = textured_background(width, height)
    columns = max(1, math.ceil(math.sqrt(faces * width / height)))
    wide, tall = width / columns, height / max(1, math.ceil(faces / columns))
    face = portrait(SHARE * min(wide, tall) / 300)
    for n in range(frames):
        picture = background.copy()
        for k in range(faces):
            turn = n / 40 + k
            x = (k % columns + 0.5 + WANDER * math.sin(turn) / 2) * wide - face.shape[1] / 2
            y = (k // columns + 0.5 + WANDER * math.cos(turn) / 2) * tall - face.shape[0] / 2
            left, top = max(0, round(x)), max(0, round(y))
            place = picture[top : top + face.shape[0], left : left + face.shape[1]]
            place[:] = face[: place.shape[0], : place.shape[1]]
        yield picture


def exponent(at: Sequence[float], work: Sequence[float]) -> float:
    """Return the slope of the line of least squares through the logarithms; places at 0, and no work, are left out."""
    pairs = [(x, y) for x, y in zip(at, work, strict=True) if x > 0 and y > 0]
    slope, _ = np.polyfit(*np.log(np.array(pairs).T), 1)
    return float(slope)


def draw(curves: dict[str, list[tuple[float, float]]]) -> str:
    """Return a plot of all curves, (place, work), as SVG: both scales logarithmic, each from its first place on."""
    width, height, margin = PLOT
    shown = {name: [(x, y) for x, y in curve if x > 0 and y > 0] for name, curve in curves.items()}
    logs = [(math.log10(x / curve[0][0]), math.log10(y)) for curve in shown.values() for x, y in curve]
    (low_x, low_y), (high_x, high_y) = (tuple(map(edge, zip(*logs, strict=True))) for edge in (min, max))

    def place(x: float, y: float) -> str:
        across, up = (x - low_x) / max(high_x - low_x, 1e-9), (y - low_y) / max(high_y - low_y, 1e-9)
        return f"{margin + across * (width - 2 * margin):.1f},{height - margin - up * (height - 2 * margin):.1f}"

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="11">']
    lines += [f'<rect width="{width}" height="{height}" fill="white"/>']
    for colour, (name, curve) in zip(("#0072b2", "#d55e00", "#009e73"), shown.items(), strict=False):
        points = [place(math.log10(x / curve[0][0]), math.log10(y)) for x, y in curve]
        lines += [f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>']
        x, y = points[-1].split(",")
        lines += [f'<text x="{x}" y="{y}" text-anchor="end" dy="-6" fill="{colour}">{name}</text>']
    span = f"1 to {10**high_x:.0f} times the first place; {10**low_y:.1f} to {10**high_y:.1f} s; logarithmic"
    lines += [f'<text x="{margin}" y="{height - 12}">{span}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def run(clip: Path, folder: Path) -> float:
    """Return how long a run takes, in seconds."""
    copy = folder / f"{clip.stem}.copy.mp4"
    command = [sys.executable, "-m", "redact", "run", str(clip), "-o", str(copy), "--allow-empty"]
    return seconds([*command, "--cover", "head"])


def main() -> None:
    """Print the tables, and draw the plot."""
    parser = argparse.ArgumentParser(description="How the time of a run grows.")
    parser.add_argument("--axes", default=",".join(UNITS), help="some of: %(default)s")
    parser.add_argument(
        "--frames", type=int, default=50, help="of the clips of sizes and faces; by default %(default)s"
    )
    parser.add_argument("--most", type=float, default=math.inf, help="leave out places beyond this")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    options = parser.parse_args()
    curves = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = run(make_clip(folder / "start.mp4", Clip(0, SMALL, 1, 1)), folder)
        print(f"a clip of one frame: {start:.1f} s\n")
        for axis in options.axes.split(","):
            print(f"| {UNITS[axis]} | seconds | without the start |\n|---|---|---|")
            curves[axis] = []
            for number, clip in enumerate(c for c in clips_of(axis, options.frames) if c.at <= options.most):
                took = run(make_clip(folder / f"{axis}{number}.mp4", clip), folder)
                curves[axis].append((clip.at, took - start))
                print(f"| {clip.at:.4g} | {took:.1f} | {took - start:.1f} |", flush=True)
            print(f"\nexponent: {exponent(*zip(*curves[axis], strict=True)):.2f}\n")
    if options.plot:
        options.plot.write_text(draw(curves))


if __name__ == "__main__":
    main()
