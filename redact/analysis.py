"""Pass 1: from the clip to detections, and from these to the plan.

The detections are kept beside the plan, so that tracking can be done again without looking again.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.detectors import Detector
from redact.errors import InputError, PlanError
from redact.geometry import Box
from redact.media import Digest, FrameReader, hash_file
from redact.plan import Detection, Plan, Settings, Source, Track, from_plain, to_plain
from redact.tracking import Timeline, make_tracks

Progress = Callable[[int, int | None], None]

THUMBNAIL = 64, 36  # width and height at which frames are compared to find cuts
CUT_LEVELS = 25.0  # mean difference of two thumbnails, of 255, from which there may be a cut
CUT_FACTOR = 4.0  # and how many times the difference of the frames before it must be


@dataclass(frozen=True)
class Sightings:
    """Everything that was seen in an excerpt.

    Attributes:
        source: the excerpt.
        from_time: where the excerpt was told to begin; None for the clip's first frame.
        to_time: where it was told to end; None for the clip's end.
        models: sha256 of each model used, by id.
        versions: of redact and of the decoder.
        times: presentation time of each frame.
        cuts: indexes of the frames that begin a new scene.
        damaged: indexes of the frames that the decoder reported as damaged.
        detections: in the order of their frames.
    """

    source: Source
    from_time: Fraction | None
    to_time: Fraction | None
    models: Mapping[str, str]
    versions: str
    times: tuple[Fraction, ...]
    cuts: tuple[int, ...]
    damaged: tuple[int, ...]
    detections: tuple[Detection, ...]


class CutFinder:
    """Tells where a new scene begins: by a jump of the small grey picture that the frames before do not explain."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._usual = 0.0

    def is_cut(self, picture: NDArray[np.uint8]) -> bool:
        """Return whether this picture, the next in order, begins a new scene."""
        grey = cv2.cvtColor(cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        small = grey.astype(np.float32)
        change = 0.0 if self._last is None else float(np.abs(small - self._last).mean())
        cut = change > max(CUT_LEVELS, CUT_FACTOR * self._usual)
        self._last = small
        self._usual = 0.0 if cut else max(change, 0.8 * self._usual)
        return cut


def look(clip: Path, settings: Settings, detectors: Sequence[Detector], progress: Progress) -> Sightings:
    """Look at every frame of an excerpt once.

    Args:
        clip: the file.
        settings: from_time and to_time choose the excerpt.
        detectors: what looks.
        progress: called with the frames done and a guess of how many there are.

    Raises:
        InputError: the clip cannot be read, the excerpt holds no frame, or the file changed meanwhile.
    """
    sha256 = hash_file(clip)
    digest, finder = Digest(), CutFinder()
    first = 0
    times: list[Fraction] = []
    cuts: list[int] = []
    damaged: list[int] = []
    detections: list[Detection] = []
    with FrameReader(clip, settings.from_time, settings.to_time) as reader:
        for frame in reader:
            if not times:
                first, (height, width) = frame.index, frame.picture.shape[:2]
            digest.add(frame)
            times.append(frame.time)
            if finder.is_cut(frame.picture):
                cuts.append(frame.index)
            if frame.damaged:
                damaged.append(frame.index)
            for detector in detectors:
                detections += detector.detect(frame.picture, frame.index)
            progress(len(times), reader.untrusted_frames)
        time_base = reader.time_base
    if not times:
        raise InputError(
            f"No frame of {clip.name} lies between --from and --to.", "Choose an excerpt that lies in the clip."
        )
    if hash_file(clip) != sha256:
        raise InputError(f"{clip.name} changed while it was read.", "Wait until it is no longer being written.")
    source = Source(
        str(clip.resolve()), sha256, width, height, first, len(times), time_base, times[0], times[-1],
        digest.hexdigest(), len(damaged),
    )  # fmt: skip
    return Sightings(
        source,
        settings.from_time,
        settings.to_time,
        _models(detectors),
        _versions(),
        tuple(times),
        tuple(cuts),
        tuple(damaged),
        tuple(detections),
    )


def answers(sightings: Sightings, sha256: str, settings: Settings, detectors: Sequence[Detector]) -> bool:
    """Return whether looking at a clip of this hash again, with these settings, would see the same."""
    seen = sightings.source.sha256, sightings.from_time, sightings.to_time, sightings.models, sightings.versions
    return seen == (sha256, settings.from_time, settings.to_time, _models(detectors), _versions())


def _versions() -> str:
    """Return the versions of what decodes and looks: another one may see other pictures."""
    return f"redact {version('redact')}, av {version('av')}"


def _models(detectors: Sequence[Detector]) -> dict[str, str]:
    """Return the sha256 of every model in use, by id."""
    return {name: sha256 for detector in detectors for name, sha256 in detector.models.items()}


def make_plan(sightings: Sightings, settings: Settings) -> Plan:
    """Return the plan that covers every face as a head, and every damaged frame whole."""
    timeline = Timeline(sightings.source.first, sightings.times, sightings.cuts)
    tracks = make_tracks(sightings.detections, timeline, settings.threshold)
    whole = Box(0, 0, sightings.source.width, sightings.source.height)
    runs = [
        Track(len(tracks) + n, "region", first, (whole,) * length, reason="damaged frames")
        for n, (first, length) in enumerate(_runs(sightings.damaged), start=1)
    ]
    return Plan(sightings.source, settings, sightings.models, (*tracks, *runs))


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive frames as first frame and length."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == sum(runs[-1]):
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((frame, 1))
    return runs


def dump_sightings(sightings: Sightings) -> bytes:
    """Return sightings as compressed JSON lines: one about the clip, then one for each detection."""
    head = {f.name: to_plain(getattr(sightings, f.name)) for f in fields(sightings) if f.name != "detections"}
    lines = [json.dumps(head), *(json.dumps(to_plain(d)) for d in sightings.detections)]
    return gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0)


def load_sightings(data: bytes) -> Sightings:
    """Return the sightings that `dump_sightings` wrote.

    Raises:
        PlanError: they are damaged.
    """
    try:
        head, *rows = [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]
        return Sightings(
            source=from_plain(head["source"], Source, "the detections, source"),
            from_time=None if head["from_time"] is None else Fraction(head["from_time"]),
            to_time=None if head["to_time"] is None else Fraction(head["to_time"]),
            models=dict(head["models"]),
            versions=str(head["versions"]),
            times=tuple(Fraction(t) for t in head["times"]),
            cuts=tuple(int(n) for n in head["cuts"]),
            damaged=tuple(int(n) for n in head["damaged"]),
            detections=tuple(from_plain(row, Detection, "a detection") for row in rows),
        )
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
        raise PlanError(
            f"The detections are damaged: {error}.", "Remove that file; they will be made again."
        ) from error
