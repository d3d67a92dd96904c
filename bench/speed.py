"""How long the tool takes beside deface, on the same clips, in turn, whole processes with default settings.

    python bench/speed.py CLIP... [--deface COMMAND] [--runs N]

deface is not installed by this project: give it an environment of its own and name its command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def seconds(command: list[str]) -> float:
    """Return how long a command takes."""
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}: {done.stderr.strip()[-400:]}")
    return time.monotonic() - begin


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How long the tool takes beside deface.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--deface", default="deface", help="the command that runs deface")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn; the median counts")
    options = parser.parse_args()
    print("| clip | redact, s | deface, s | ratio |\n|---|---|---|---|")
    ours_total = theirs_total = 0.0
    for clip in options.clips:
        ours, theirs = [], []
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "copy.mp4"
                redact = [sys.executable, "-m", "redact", "run", str(clip), "-o", str(copy), "--allow-empty"]
                ours.append(seconds(redact))
                theirs.append(seconds([options.deface, str(clip), "-o", str(Path(folder) / "deface.mp4")]))
        a, b = median(ours), median(theirs)
        ours_total, theirs_total = ours_total + a, theirs_total + b
        print(f"| {clip.stem} | {a:.1f} | {b:.1f} | {a / b:.2f} |", flush=True)
    print(f"| TOTAL | {ours_total:.1f} | {theirs_total:.1f} | {ours_total / theirs_total:.2f} |")


if __name__ == "__main__":
    main()
