"""The segments of a long clip: kept one by one, so that no run looks at one again, and looked at beside each other."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from redact import analysis, custody, surveys
from redact.crew import Progress
from redact.detectors import Detector
from redact.executors import Executor
from redact.media import open_clip
from redact.plan import Settings
from redact.sightings import Part, Sightings, dump_part, load_part
from redact.surveys import Stretch

SUFFIX = ".jsonl.gz"


class KeptSegments:
    """Keeps what was seen in segments in private files, until all of it is kept as a whole.

    Args:
        whole: the file in which all of it will be.
        made_with: what it depends on, as `analysis.made_with` gives it: what an earlier run has kept must agree.
    """

    def __init__(self, whole: Path, made_with: Mapping[str, Any]) -> None:
        self._folder, self._stem = whole.parent, whole.name.removesuffix(f".detections{SUFFIX}")
        self._made_with = {**made_with, "segment": surveys.SEGMENT}

    def load(self, number: int) -> Part | None:
        """Return what is kept of a segment."""
        path = self._path(number)
        return load_part(path.read_bytes(), self._made_with | {"number": number}) if path.exists() else None

    def save(self, number: int, part: Part) -> None:
        """Keep what was seen in a segment.

        Raises:
            OutputError: it cannot be written.
        """
        data = dump_part(part, self._made_with | {"number": number})
        custody.write_private(self._path(number), data)

    def clear(self) -> None:
        """Remove all that is kept, also of a run with other settings."""
        for path in self._folder.glob(f"{glob.escape(self._stem)}.segment-{'[0-9]' * 6}{SUFFIX}"):
            path.unlink()

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._stem}.segment-{number:06}{SUFFIX}"


def look(
    clip: Path,
    settings: Settings,
    detectors: Sequence[Detector],
    kept: KeptSegments,
    executor: Executor,
    progress: Callable[[str], Progress],
) -> Sightings:
    """Look at every frame of an excerpt once: in one go, or, where other processes do it, at several segments at once.

    Either sees the same.

    Args:
        clip: the file.
        settings: from_time and to_time choose the excerpt.
        detectors: what looks.
        kept: what is kept of the segments.
        executor: carries out the looks.
        progress: from the name of a pass to its progress.

    Raises:
        InputError: as `surveys.go_through`.
    """
    if not executor.apart:
        return analysis.look(clip, settings, detectors, progress("look"), kept)
    with open_clip(clip, settings) as reader:
        untrusted_frames = reader.untrusted_frames
    if untrusted_frames is not None and untrusted_frames <= surveys.SEGMENT:  # going through it twice is not worth it
        return executor.submit(analysis.look, clip, settings, detectors, progress=progress("look")).result()
    calls = executor.submit(surveys.survey, clip, settings, surveys.SEGMENT, progress=progress("survey"))
    survey, models = calls.result(), executor.submit(analysis.models_of, detectors)
    parts = _look_beside(clip, settings, detectors, survey.stretches, kept, executor, progress("look"))
    return analysis.join(survey, parts, settings, models.result())


def _look_beside(
    clip: Path,
    settings: Settings,
    detectors: Sequence[Detector],
    stretches: Sequence[Stretch],
    kept: KeptSegments,
    executor: Executor,
    progress: Progress,
) -> list[Part]:
    """Return what is seen in each segment; each is kept as soon as it is there."""
    done = [0] * len(stretches)
    total = sum(len(stretch.times) for stretch in stretches)

    def progress_of(number: int) -> Progress:
        def step(frames: int, _: int | None) -> None:
            done[number] = frames
            progress(sum(done), total)

        return step

    parts = {n: part for n in range(len(stretches)) if (part := kept.load(n)) is not None}
    going: dict[Future[Part], int] = {}
    for n, stretch in enumerate(stretches):
        if n not in parts:
            call = executor.submit(analysis.look_at, clip, settings, detectors, stretch, progress=progress_of(n))
            going[call] = n
    try:
        while going:
            for call in wait(going, return_when=FIRST_COMPLETED).done:
                n = going.pop(call)
                parts[n] = call.result()
                kept.save(n, parts[n])
                progress_of(n)(len(stretches[n].times), None)
    finally:
        for call in going:  # after an error, nobody needs those that wait
            call.cancel()
    return [parts[n] for n in range(len(stretches))]
