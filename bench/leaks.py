"""How many labelled faces can still be seen in the copies that the tool makes with its default settings.

    python bench/leaks.py DATA [--meter METER] [--csv FILE] [-- OPTIONS OF REDACT RUN]

Runs `redact run` as a process of its own over every labelled clip below DATA (NAME.faces.csv beside NAME.mp4 ...),
measures the copy with the leak meter, and prints one table. Labels of heads (NAME.heads.csv) are measured as well.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

COLUMNS = ("clip", "faces", "leaked", "tracks", "tracks_leaked", "longest_leak", "spared", "heads", "heads_leaked")
SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm")


def find_clips(data: Path) -> list[tuple[Path, Path]]:
    """Return each labelled clip below a folder with its labels."""
    found = []
    for labels in sorted(data.rglob("*.faces.csv")):
        stem = labels.name.removesuffix(".faces.csv")
        clips = [labels.with_name(stem + suffix) for suffix in SUFFIXES]
        found += [(clip, labels) for clip in clips if clip.exists()][:1]
    return found


def measure(meter: Path, clip: Path, copy: Path, labels: Path) -> dict[str, float | None]:
    """Return what the leak meter says of a copy."""
    command = [sys.executable, str(meter), str(clip), str(copy), str(labels)]
    result: dict[str, float | None] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def run_clip(clip: Path, labels: Path, meter: Path, extra: list[str]) -> dict[str, object]:
    """Return the row of the table for one clip."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        command = [sys.executable, "-m", "redact", "run", str(clip), "-o", str(copy), "--allow-empty", *extra]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = round(time.monotonic() - begin, 1)
        row: dict[str, object] = {"clip": clip.stem, "seconds": seconds, "exit": done.returncode}
        if done.returncode:
            print(f"{clip.name}: exit {done.returncode}: {done.stderr.strip()}", file=sys.stderr)
            return row
        row |= {k: v for k, v in measure(meter, clip, copy, labels).items() if k in COLUMNS}
        heads = labels.with_name(clip.stem + ".heads.csv")
        if heads.exists():
            seen = measure(meter, clip, copy, heads)
            row |= {"heads": seen["faces"], "heads_leaked": seen["leaked"]}
        return row


def total(rows: list[dict[str, object]]) -> dict[str, object]:
    """Return the last row: sums, the mean of `spared` and the longest leak."""

    def values(key: str) -> list[float]:
        return [float(str(row[key])) for row in rows if row.get(key) is not None]

    sums = {key: round(sum(values(key)), 1) for key in (*COLUMNS, "seconds") if key not in ("clip", "spared")}
    whole = {key: int(value) if key != "seconds" else value for key, value in sums.items()}
    longest, spared = max(values("longest_leak"), default=0), mean(values("spared") or [0])
    return {"clip": "TOTAL", **whole, "longest_leak": int(longest), "spared": round(spared, 4)}


def main() -> int:
    """Print the table; return 1 if a run failed."""
    parser = argparse.ArgumentParser(description="How many labelled faces can still be seen.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--meter", type=Path, help="the leak meter; by default tools/leakmeter.py beside DATA")
    parser.add_argument("--csv", type=Path, help="write the table here as well")
    parser.add_argument("extra", nargs="*", help="options for redact run, after --")
    options = parser.parse_args()
    meter = options.meter or options.data.resolve().parent / "tools" / "leakmeter.py"
    columns = (*COLUMNS, "seconds")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    rows = []
    for clip, labels in find_clips(options.data):
        rows.append(run_clip(clip, labels, meter, options.extra))
        print("| " + " | ".join(_cell(rows[-1].get(key)) for key in columns) + " |", flush=True)
    rates = [float(str(r["leaked"])) / float(str(r["faces"])) for r in rows if r.get("faces")]
    print("| " + " | ".join(_cell(total(rows).get(key)) for key in columns) + " |")
    print(f"\nmean of the clips' leak rates: {mean(rates or [0]):.2%}; clips: {len(rows)}")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, "exit"])
            writer.writeheader()
            writer.writerows(rows)
    return int(any(row["exit"] for row in rows))


def _cell(value: object) -> str:
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
