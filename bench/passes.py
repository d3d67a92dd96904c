"""What the passes take, beside what the same work takes without this program: the bare model, the bare encoder.

    python bench/passes.py CLIP... [--runs N]

For each clip and each pass: seconds, and how many cores this process kept busy (decoding has a process of its own).
Then two ratios of medians: looking for faces against the same pictures given to the model in a loop, on as many
threads; rendering against decoding and encoding with the same settings and nothing between. Only faces are looked for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))

from redact import analysis, rendering
from redact.crew import Crew
from redact.detectors.faces import CenterFace
from redact.media import open_clip, open_writer
from redact.plan import Settings

SETTINGS = Settings(cover=("face",))


class Recorder:
    """Runs a model, and remembers the shape of what it was given, in the order of the calls."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.shapes: list[tuple[int, ...]] = []

    def run(self, outputs: Any, inputs: dict[str, Any]) -> Any:
        """Run the model."""
        self.shapes += [value.shape for value in inputs.values()]
        return self.session.run(outputs, inputs)


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long work takes in seconds, and how many cores it keeps busy."""
    begin, busy = time.monotonic(), time.process_time()
    work()
    seconds = time.monotonic() - begin
    return seconds, (time.process_time() - busy) / seconds


def run_bare(session: Any, shapes: list[tuple[int, ...]]) -> None:
    """Give a model noise of some shapes, on as many threads as looking has."""
    noise = {shape: np.random.default_rng(1).random(shape, np.float32) * 255 for shape in set(shapes)}
    with Crew() as crew:
        for shape in shapes:
            crew.give(session.run, None, {"input.1": noise[shape]})


def copy_bare(clip: Path, copy: Path) -> None:
    """Decode a clip and encode it as a copy is encoded, with nothing between."""
    with open_clip(clip, SETTINGS) as reader, open_writer(copy, reader, SETTINGS.crf, None) as writer:
        for frame in reader:
            writer.write(frame.picture, frame.time)


def profile(clip: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Return what each pass takes, and its bare counterpart: seconds, and cores that are busy."""
    eyes = CenterFace()
    recorder = Recorder(eyes._session)
    eyes._session = recorder  # type: ignore[assignment]
    kept: list[Any] = []

    def quiet(done: int, total: int | None) -> None:
        """Show nothing."""

    def look() -> None:
        kept.append(analysis.look(clip, SETTINGS, [eyes], quiet))

    def follow() -> None:
        kept.append(analysis.follow(clip, kept[0].detections, kept[0].timeline, SETTINGS, [eyes], quiet))

    figures = {"look": taken(look)}
    shapes = [*recorder.shapes]
    figures["bare model"] = taken(lambda: run_bare(recorder.session, shapes))
    figures["follow"] = taken(follow)
    plan = analysis.make_plan(replace(kept[0], chains=kept[1]), SETTINGS)
    figures["render"] = taken(lambda: rendering.render(plan, clip, folder / "copy.mp4", quiet))
    figures["bare encoder"] = taken(lambda: copy_bare(clip, folder / "bare.mp4"))
    return figures


def main() -> None:
    """Print a table of the passes and the two ratios for each clip."""
    parser = argparse.ArgumentParser(description="What the passes take beside the bare model and the bare encoder.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="the median counts")
    options = parser.parse_args()
    print("| clip | pass | seconds | busy cores | of the bare |\n|---|---|---|---|---|")
    for clip in options.clips:
        runs = []
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(profile(clip, Path(folder)))
        seconds, cores = ({name: median(run[name][n] for run in runs) for name in runs[0]} for n in (0, 1))
        bare = {"look": "bare model", "render": "bare encoder"}
        for name in runs[0]:
            ratio = f"{seconds[name] / seconds[bare[name]]:.2f}" if name in bare else ""
            print(f"| {clip.stem} | {name} | {seconds[name]:.1f} | {cores[name]:.1f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
