"""What the tool makes of odd and damaged files, and what deface makes of the same ones.

    python -m bench.odd_files FILE... [--deface COMMAND]

Of each copy that is made: how many frames it has beside those that can be decoded from the source, how far their times
are off, whether its size is that which a player shows, and what is in it besides pictures. deface is not installed by
this project: give it an environment of its own and name its command.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from redact.errors import RedactError
from redact.media import FrameReader, list_contents
from redact.residue import find_residue

LIMIT_S = 3600  # for one file; no run of this bench came near it
OPTIONS = ("--cover", "head", "--allow-empty")
SAME_S = Fraction(1, 500)  # between times that count as equal: formats count in thousandths


@dataclass(frozen=True)
class Shown:
    """What can be decoded from a file.

    Attributes:
        times: of its frames, in seconds from the first one.
        size: width and height in which a player shows it, made even.
    """

    times: tuple[Fraction, ...]
    size: tuple[int, int]


def shown(path: Path) -> Shown | None:
    """Return what can be decoded from a file; None for nothing."""
    times: list[Fraction] = []
    size = (0, 0)
    try:
        with FrameReader(path) as reader:
            for frame in reader:
                times.append(frame.time)
                height, width = frame.picture.shape[:2]
                size = width + width % 2, height + height % 2
    except RedactError:
        return None
    return Shown(tuple(time - times[0] for time in times), size)


def describe(source: Shown | None, code: int | None, copy: Path | None) -> list[str]:
    """Return the cells of a table for what a tool made: how it ended, frames, times, size, and what else is in it.

    Args:
        source: what can be decoded from the source.
        code: with which the tool ended; None where it was ended because it took too long.
        copy: what it made; None for nothing.
    """
    ended = "took too long" if code is None else str(code)
    made = None if copy is None else shown(copy)
    if copy is None or made is None:
        return [ended, "no copy" if copy is None else "a copy that cannot be decoded", "-", "-", "-"]
    times, size = "-", "-"
    if source is not None:
        off = max(abs(a - b) for a, b in zip(source.times, made.times, strict=False))
        times = "equal" if off <= SAME_S else f"up to {float(off):.2f} s off"
        size = "as shown" if made.size == source.size else f"{made.size[0]}x{made.size[1]}"
    contents = list_contents(copy)
    sounds = sum(stream.startswith("audio") for stream in contents.streams)
    left = [f"{len(contents.streams) - 1 - sounds} more streams"] if len(contents.streams) - 1 > sounds else []
    left += [f"{sounds} sounds"] if sounds else []
    left += sorted({tag.split("=")[0] for tag in contents.tags})
    left += ["residue"] if find_residue(copy) and not left else []
    return [ended, str(len(made.times)), times, size, ", ".join(left) or "nothing"]


def run(command: list[str]) -> int | None:
    """Run a command and return its exit code; None if it took too long."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=LIMIT_S).returncode
    except subprocess.TimeoutExpired:
        return None


def run_redact(clip: Path, folder: Path) -> tuple[int | None, Path | None]:
    """Run the tool; return how it ended and the copy."""
    code = run([sys.executable, "-m", "redact", "run", str(clip), "-o", str(folder / "out"), *OPTIONS])
    return code, next(iter((folder / "out").glob("release/*.mp4")), None)


def run_deface(command: list[str], clip: Path, folder: Path) -> tuple[int | None, Path | None]:
    """Run deface; return how it ended and the copy."""
    copy = folder / "deface.mp4"
    code = run([*command, str(clip), "-o", str(copy)])
    return code, copy if copy.exists() else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--deface", metavar="COMMAND", help="run this beside the tool")
    given = parser.parse_args()
    cells = ["exit code", "frames", "times", "size", "left in it"]
    names = ["redact", *(["deface"] if given.deface else [])]
    heads = ["file", "frames, size", *(f"{name}: {cell}" for name in names for cell in cells)]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for clip in given.files:
        source = shown(clip)
        row = [clip.name, f"{len(source.times)}, {source.size[0]}x{source.size[1]}" if source else "nothing"]
        with tempfile.TemporaryDirectory() as folder:
            row += describe(source, *run_redact(clip, Path(folder)))
            if given.deface:
                row += describe(source, *run_deface(shlex.split(given.deface), clip, Path(folder)))
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
