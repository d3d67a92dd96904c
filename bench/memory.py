"""Peak memory of `redact run` on a long clip and on a short one, and the ratio: it must not grow with the length.

    python bench/memory.py LONG SHORT
    python bench/memory.py --minutes 20 1 [--size 1280x720]

The second makes the clips: a portrait that crosses the picture. All processes count, those that decode as well; what
they share counts once (proportional set size, looked at every fifth of a second).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.growth import RATE, Clip, make_clip

LOOK_S = 0.2  # from one look at the processes to the next


def peak_mb(command: list[str]) -> float:
    """Return the most memory that a command and its processes held at once, in MB."""
    process, peak = subprocess.Popen(command), 0
    while process.poll() is None:
        peak = max(peak, sum(map(held_kb, [process.pid, *descendants(process.pid)])))
        time.sleep(LOOK_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    return peak / 1024


def descendants(process: int) -> Iterator[int]:
    """Yield the processes that one has started, and those that these have."""
    with suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                yield child
                yield from descendants(child)


def held_kb(process: int) -> int:
    """Return the proportional set size of a process in KB; 0 if it has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return 0


def peak_of_run(clip: Path) -> float:
    """Return the peak memory of a run in MB."""
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder) / "copy.mp4")
        return peak_mb([sys.executable, "-m", "redact", "run", str(clip), "-o", copy, "--allow-empty"])


def main() -> None:
    """Print both figures and the ratio."""
    parser = argparse.ArgumentParser(description="Peak memory of a run on a long clip and on a short one.")
    parser.add_argument("clips", nargs="*", type=Path, help="LONG SHORT")
    parser.add_argument("--minutes", nargs=2, type=float, help="make clips of these lengths instead")
    parser.add_argument("--size", default="1280x720", help="of their pictures; by default %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = options.clips
        if options.minutes:
            size = tuple(map(int, options.size.split("x")))
            clips = [Path(folder) / name for name in ("long.mp4", "short.mp4")]
            for clip, minutes in zip(clips, options.minutes, strict=True):
                make_clip(clip, Clip(minutes, size, round(minutes * 60 * RATE), 1))
        if len(clips) != 2:
            parser.error("two clips, or --minutes")
        first, second = map(peak_of_run, clips)
    print(f"{first:.0f} MB and {second:.0f} MB: {first / second:.2f} times")


if __name__ == "__main__":
    main()
