"""Peak memory of `redact run` on two clips, and the ratio: it must not grow with the length of a clip.

python bench/memory.py LONG SHORT
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def peak_mb(clip: str) -> float:
    """Return the peak resident memory of a run in MB."""
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder) / "copy.mp4")
        command = [sys.executable, "-m", "redact", "run", clip, "-o", copy, "--allow-empty"]
        _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, command), 0)
    if status:
        raise SystemExit(f"redact run failed on {clip}")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    first, second = (peak_mb(clip) for clip in sys.argv[1:3])
    print(f"{first:.0f} MB and {second:.0f} MB: {first / second:.2f} times")
