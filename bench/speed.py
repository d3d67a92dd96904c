"""How long the tool takes beside deface, on the same clips, in turn, whole processes.

    python bench/speed.py CLIP... [--together] [--deface COMMAND] [--runs N] [-- OPTIONS OF REDACT RUN]

Each clip is given to each tool in a command of its own; with --together all of them in one, as an archive is.
deface is not installed by this project: give it an environment of its own and name its command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median


def seconds(command: list[str]) -> float:
    """Return how long a command takes."""
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}: {done.stderr.strip()[-400:]}")
    return time.monotonic() - begin


def in_turn(clips: Sequence[Path], deface: str, given: Sequence[str]) -> tuple[float, float]:
    """Return how long the tool and deface take for clips that each of them is given in one command."""
    with tempfile.TemporaryDirectory() as folder:
        links = [Path(folder) / f"{number}-{clip.name}" for number, clip in enumerate(clips)]
        for link, clip in zip(links, clips, strict=True):
            link.symlink_to(clip.resolve())  # deface writes beside what it is given
        redact = [sys.executable, "-m", "redact", "run", *map(str, clips), "-o", f"{folder}/out", "--allow-empty"]
        return seconds([*redact, *given]), seconds([deface, *map(str, links)])


def main() -> None:
    """Print the table."""
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="How long the tool takes beside deface.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--together", action="store_true", help="give all clips to each in one command")
    parser.add_argument("--deface", default="deface", help="the command that runs deface")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn; the median counts")
    options = parser.parse_args(arguments[:cut])
    rows = {f"{len(options.clips)} clips": options.clips} if options.together else {c.stem: [c] for c in options.clips}
    print("| clip | redact, s | deface, s | ratio |\n|---|---|---|---|")
    total = [0.0, 0.0]
    for name, clips in rows.items():
        runs = [in_turn(clips, options.deface, arguments[cut + 1 :]) for _ in range(options.runs)]
        ours, theirs = (median(each) for each in zip(*runs, strict=True))
        total = [total[0] + ours, total[1] + theirs]
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |", flush=True)
    if len(rows) > 1:
        print(f"| TOTAL | {total[0]:.1f} | {total[1]:.1f} | {total[0] / total[1]:.2f} |")


if __name__ == "__main__":
    main()
