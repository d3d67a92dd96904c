"""Redact every clip of a folder, and say what became of each.

python examples/script.py CLIPS OUT
"""

import sys
from pathlib import Path

from redact import RedactError, Settings, run


def main(clips: Path, out: Path) -> None:
    """Redact the clips one after the other; one that fails does not stop the others."""
    settings = Settings(effect="solid")
    for clip in sorted(clips.glob("*.mp4")):
        try:
            outcome = run(clip, out, settings)
        except RedactError as error:
            print(f"{clip.name}: {error} {error.advice}")
        else:
            covered, frames = outcome.plan.covered_frames(), outcome.plan.source.frames
            print(f"{clip.name}: {outcome.copy.name}, {covered} of {frames} frames have something covered")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
