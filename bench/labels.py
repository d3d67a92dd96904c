"""What each label costs: whole runs with faces alone, then with more labels, in turn, on the same clips.

    python bench/labels.py CLIP... [--runs N] [--only SET,...]

The person detector looks wherever its weights are installed, at every level, so also beside faces alone; give
REDACT_WEIGHTS a folder without them to leave it out. `people` is not measured where they are missing. Prints seconds
for each clip and set of labels, and their ratio to faces alone; the default is text and codes with whole heads. Do it
on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import tables
from bench.speed import seconds
from redact import weights
from redact.detectors.persons import PersonDetector

ALONE = "faces alone"
SETS: Mapping[str, str] = {
    ALONE: "head",
    "with text": "head,text",
    "with codes": "head,code",
    "default": "head,text,code",
    "people": "people",
}


def measure(clip: Path, cover: str) -> float:
    """Return how long a whole run takes on a clip that covers these labels, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        command = [sys.executable, "-m", "redact", "run", str(clip), "-o", str(copy), "--allow-empty"]
        return seconds([*command, "--cover", cover])


def line(name: str, taken: Mapping[str, float]) -> str:
    """Return a line of the table: seconds, and their ratio to faces alone."""
    cells = [f"{s:.1f} ({s / taken[ALONE]:.2f})" for s in taken.values()]
    return f"| {name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What each label costs beside faces alone.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="runs of each set, in turn; the median counts")
    parser.add_argument("--only", metavar="SET,...", default=",".join(SETS), help="some of: %(default)s")
    options = parser.parse_args(arguments)
    wanted = [ALONE, *(name for name in options.only.split(",") if name != ALONE)]
    if unknown := [name for name in wanted if name not in SETS]:
        parser.error(f"there is no set {unknown[0]}; there are {', '.join(SETS)}")
    if not any(weights.is_installed(weights.cards()[card]) for card in PersonDetector.cards):
        wanted = [name for name in wanted if name != "people"]
        print("No person detector is installed: people are not measured.", file=sys.stderr)
    print(tables.markdown(["clip, seconds (ratio)", *wanted], []), flush=True)
    total = dict.fromkeys(wanted, 0.0)
    for clip in options.clips:
        rounds = [{name: measure(clip, SETS[name]) for name in wanted} for _ in range(options.runs)]
        taken = {name: median(found[name] for found in rounds) for name in wanted}
        total = {name: total[name] + taken[name] for name in wanted}
        print(line(clip.stem, taken), flush=True)
    print(line("TOTAL", total))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
