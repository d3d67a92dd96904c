"""Pass 1: from the clip to sightings, and from these to the plan.

The clip is gone through twice: once to look at every frame, and at key frames deeply; once to follow the picture where
that was not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew
from redact.detectors import Detector
from redact.detectors.looks import Look, once
from redact.doubts import find_doubts
from redact.errors import InputError
from redact.following import Follower
from redact.geometry import Box
from redact.media import Digest, FrameReader, hash_file
from redact.plan import Detection, Plan, Settings, Source, Track
from redact.scenes import Clock
from redact.sightings import Sightings, Timeline
from redact.tracking import link, make_tracks

Progress = Callable[[int, int | None], None]

KEY_S = Fraction(8, 25)  # from one key frame to the next, where the deep looks find more than the cheap one
RARE_KEY_S = 2 * KEY_S  # and where they do not
NEW_SCORE = 0.5  # of what they find


def cheap_looks(side: int, fast: bool) -> tuple[Look, ...]:
    """Return the looks for every frame, which take turns: near faces need the first, small ones the last.

    Args:
        side: the longer side of the picture in pixels.
        fast: whether there are no others.
    """
    fine = Look(min(max(side, 832), 1280))
    return (Look(480), Look(480), Look(480), fine) if fast else (Look(480), fine)


def deep_looks(side: int) -> tuple[Look, ...]:
    """Return the looks for key frames, besides the cheap one: enlarged, or as large as it is, and turned.

    Args:
        side: the longer side of the picture in pixels.
    """
    quarter = [Look(640, turn) for turn in (90, 180, 270)]
    between = [Look(480, turn) for turn in (45, 135, 225, 315)]
    return (Look(min(max(side, 1280), 2560)), *quarter, *between)


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
    digest, clock = Digest(), Clock()
    damaged: list[int] = []
    size: tuple[int, ...] = ()
    with FrameReader(clip, settings.from_time, settings.to_time) as reader, Crew() as crew:
        gaze = Gaze(detectors, settings.fast, crew)
        for done, frame in enumerate(reader, start=1):
            size = size or frame.picture.shape
            digest.add(frame)
            if frame.damaged:
                damaged.append(frame.index)
            cut = clock.show(frame.picture, frame.index, frame.time)
            gaze.look(frame.picture, frame.index, frame.time, cut)
            progress(done, reader.untrusted_frames)
        detections = gaze.seen()
        time_base, line = reader.time_base, clock.timeline
    if not line.times:
        raise InputError(
            f"No frame of {clip.name} lies between --from and --to.", "Choose an excerpt that lies in the clip."
        )
    if hash_file(clip) != sha256:
        raise InputError(f"{clip.name} changed while it was read.", "Wait until it is no longer being written.")
    source = Source(
        str(clip.resolve()), sha256, size[1], size[0], line.first, len(line.times), time_base, line.times[0],
        line.times[-1], digest.hexdigest(), len(damaged),
    )  # fmt: skip
    return Sightings(
        source, settings.from_time, settings.to_time, settings.fast, _models(detectors), _versions(), line.times,
        line.cuts, line.camera, tuple(damaged), detections, (),
    )  # fmt: skip


class Gaze:
    """Looks at frames in order: cheaply at each, deeply at key frames. Several frames are looked at beside each other.

    Args:
        detectors: what looks.
        fast: whether there are no key frames.
        crew: who does it.
    """

    def __init__(self, detectors: Sequence[Detector], fast: bool, crew: Crew) -> None:
        self._detectors, self._fast, self._crew = detectors, fast, crew
        self._looked: list[Future[_Seen]] = []
        self._key: tuple[Fraction, Future[_Seen]] | None = None  # the last key frame

    def look(self, picture: NDArray[np.uint8], frame: int, time: Fraction, cut: bool) -> None:
        """Look at the next frame; the first one and those that begin a scene are key frames."""
        key = not self._fast and (cut or self._is_due(time))
        looked = self._crew.give(_look, self._detectors, picture, frame, self._fast, key)
        self._looked.append(looked)
        if key:
            self._key = time, looked

    def _is_due(self, time: Fraction) -> bool:
        """Return whether there must be a key frame at a time; it may have to wait for what the last one has shown."""
        if self._key is None:
            return True
        since = time - self._key[0]
        return since >= RARE_KEY_S or (since >= KEY_S and self._key[1].result().new)

    def seen(self) -> tuple[Detection, ...]:
        """Return what was seen so far, in the order of the frames."""
        return tuple(detection for looked in self._looked for detection in looked.result().detections)


class _Seen(NamedTuple):
    """What was seen in one frame, and whether deep looks saw something surely that the cheap one did not."""

    detections: list[Detection]
    new: bool


def _look(detectors: Sequence[Detector], picture: NDArray[np.uint8], frame: int, fast: bool, key: bool) -> _Seen:
    """Look at one frame."""
    side = max(picture.shape[:2])
    cheap = cheap_looks(side, fast)
    seen = _detect(detectors, picture, frame, [cheap[frame % len(cheap)]])
    if not key:
        return _Seen(seen, new=False)
    more = once([*seen, *_detect(detectors, picture, frame, deep_looks(side))])
    new = any(d.score >= NEW_SCORE and not any(d.box.intersect(s.box) for s in seen) for d in more)
    return _Seen(more, new)


def _detect(
    detectors: Sequence[Detector], picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]
) -> list[Detection]:
    """Return what all detectors see."""
    return [seen for detector in detectors for seen in detector.detect(picture, frame, looks)]


def follow(
    clip: Path,
    detections: Iterable[Detection],
    timeline: Timeline,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: Progress,
) -> tuple[tuple[Detection, ...], ...]:
    """Return the chains that detections form, each followed through the picture.

    Args:
        clip: the file.
        detections: what was seen in it.
        timeline: the frames of the excerpt.
        settings: those that `look` had.
        detectors: what looks.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read.
    """
    eyes = () if settings.fast else detectors
    follower = Follower(link(detections, timeline), timeline, settings.threshold, partial(_detect, eyes))
    with FrameReader(clip, settings.from_time, settings.to_time) as reader:
        for done, frame in enumerate(reader, start=1):
            follower.show(frame.picture, frame.index)
            progress(done, len(timeline.times))
    return tuple(tuple(chain) for chain in follower.chains())


def answers(sightings: Sightings, sha256: str, settings: Settings, detectors: Sequence[Detector]) -> bool:
    """Return whether looking at a clip of this hash again, with these settings, would see the same."""
    seen = sightings.source.sha256, sightings.from_time, sightings.to_time, sightings.fast
    asked = sha256, settings.from_time, settings.to_time, settings.fast
    return seen == asked and (sightings.models, sightings.versions) == (_models(detectors), _versions())


def _versions() -> str:
    """Return the versions of what decodes and looks: another one may see other pictures."""
    return f"redact {version('redact')}, av {version('av')}"


def _models(detectors: Sequence[Detector]) -> dict[str, str]:
    """Return the sha256 of every model in use, by id."""
    return {name: sha256 for detector in detectors for name, sha256 in detector.models.items()}


def make_plan(sightings: Sightings, settings: Settings) -> Plan:
    """Return the plan that covers every face as a head, and every damaged frame whole."""
    tracks = make_tracks(sightings.chains, sightings.timeline, settings.threshold)
    whole = Box(0, 0, sightings.source.width, sightings.source.height)
    runs = [
        Track(len(tracks) + n, "region", first, (whole,) * length, reason="damaged frames")
        for n, (first, length) in enumerate(_runs(sightings.damaged), start=1)
    ]
    size = sightings.source.width, sightings.source.height
    doubts = find_doubts(sightings.chains, tracks, sightings.timeline, size, settings.threshold)
    return Plan(sightings.source, settings, sightings.models, (*tracks, *runs), doubts)


def add_faces(plan: Plan, chains: Iterable[Sequence[Detection]], timeline: Timeline) -> Plan:
    """Return a plan that covers, besides what it did, the faces that verification has found."""
    made = make_tracks(chains, timeline, plan.settings.threshold)
    used = max((track.id for track in plan.tracks), default=0)
    added = [replace(track, id=used + track.id, origin="verification") for track in made]
    return replace(plan, tracks=(*plan.tracks, *added))


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive frames as first frame and length."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == sum(runs[-1]):
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((frame, 1))
    return runs
