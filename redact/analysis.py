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
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew
from redact.detectors import Detector, PacedDetector
from redact.detectors.looks import Look, once
from redact.doubts import find_doubts
from redact.errors import InputError
from redact.following import Follower
from redact.geometry import Box
from redact.media import Digest, hash_file, open_clip
from redact.people import add_bodies, add_heads
from redact.plan import ASKED_FOR, FLOW, Detection, Plan, Settings, Source, Track
from redact.regions import check_inside, hold, place, sightings_of
from redact.scenes import Clock, to_thumbnail
from redact.sightings import Sightings, Timeline
from redact.tracking import counted, link, make_tracks

Progress = Callable[[int, int | None], None]

KEY_S = Fraction(8, 25)  # from one key frame to the next, where the deep looks find more than the cheap one
RARE_KEY_S = 2 * KEY_S  # and where they do not
NEW_SCORE = 0.5  # of what they find
CHANGE_S = Fraction(12, 25)  # paced detectors look again after this time where
CHANGE_LEVELS = 12.0  # the picture has changed this much since their last look
DAMAGED = "damaged frames"
SURE_PERSON = 0.3  # score from which a person implies a head where persons are not covered
SURE_HEAD, SURE_S = 0.33, Fraction(2, 5)  # score of a face, and how long after it a head is still where it was carried


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
    with open_clip(clip, settings) as reader, Crew() as crew:
        crew.give(import_module, "scipy.optimize")  # which `link` needs after this, and which takes 0.2 s
        gaze = Gaze(detectors, settings.fast, crew)
        for done, frame in enumerate(reader, start=1):
            if not size:
                size = frame.picture.shape
                check_inside(settings.regions, size[1], size[0])
            digest.add(frame)
            if frame.damaged:
                damaged.append(frame.index)
                check_whole(clip, settings, f"the frame at {float(frame.time):.2f} s is damaged")
            cut = clock.show(frame.picture, frame.index, frame.time)
            gaze.look(frame.picture, frame.index, frame.time, cut)
            progress(done, reader.untrusted_frames)
        detections = gaze.seen()
        time_base, line, lost, still = reader.time_base, clock.timeline, reader.lost, reader.still
    if not line.times:
        raise InputError(
            f"No frame of {clip.name} lies between --from and --to.", "Choose an excerpt that lies in the clip."
        )
    if hash_file(clip) != sha256:
        raise InputError(f"{clip.name} changed while it was read.", "Wait until it is no longer being written.")
    source = Source(
        str(clip.resolve()), sha256, size[1], size[0], line.first, len(line.times), time_base, line.times[0],
        line.times[-1], digest.hexdigest(), len(damaged), lost, still,
    )  # fmt: skip
    return Sightings(
        source, settings.from_time, settings.to_time, settings.fast, models_of(detectors), _versions(), line.times,
        line.cuts, line.camera, tuple(damaged), detections, (), settings.stream,
    )  # fmt: skip


def check_whole(clip: Path, settings: Settings, damage: str) -> None:
    """Refuse a clip of which something could not be decoded, where the settings are strict.

    Args:
        clip: the file.
        settings: those in force.
        damage: what could not be decoded, in words; empty where all was.

    Raises:
        InputError: it is refused.
    """
    if settings.strict and damage:
        raise InputError(
            f"{clip.name} cannot be decoded whole: {damage}.",
            "Ask for a new copy of it, or run without --strict: what is damaged is covered whole then.",
        )


class Gaze:
    """Looks at frames in order: cheaply at each, deeply at key frames. Several frames are looked at beside each other.

    Args:
        detectors: what looks.
        fast: whether there are no key frames.
        crew: who does it.
    """

    def __init__(self, detectors: Sequence[Detector], fast: bool, crew: Crew) -> None:
        self._faces = [d for d in detectors if not isinstance(d, PacedDetector)]
        self._paced = [_Paced(d) for d in detectors if isinstance(d, PacedDetector)]
        self._fast, self._crew = fast, crew
        self._looked: list[Future[_Seen]] = []
        self._key: tuple[Fraction, Future[_Seen]] | None = None  # the last key frame

    def look(self, picture: NDArray[np.uint8], frame: int, time: Fraction, cut: bool) -> None:
        """Look at the next frame; the first one and those that begin a scene are key frames."""
        key = not self._fast and (cut or self._is_due(time))
        thumbnail = to_thumbnail(picture[::4, ::4])
        due = [paced.detector for paced in self._paced if paced.is_due(time, thumbnail, cut)]
        looked = self._crew.give(_look, self._faces, due, picture, frame, self._fast, key)
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


class _Paced:
    """A detector that says itself how often it looks, and when that is."""

    def __init__(self, detector: PacedDetector) -> None:
        self.detector = detector
        self._last: tuple[Fraction, NDArray[np.uint8]] | None = None

    def is_due(self, time: Fraction, thumbnail: NDArray[np.uint8], cut: bool) -> bool:
        """Return whether it looks at the frame of a time: now and then, at cuts, and where the picture has changed."""
        if not cut and self._last is not None:
            since = time - self._last[0]
            changed = since >= CHANGE_S and float(cv2.absdiff(thumbnail, self._last[1]).mean()) > CHANGE_LEVELS
            if since < self.detector.every_s and not changed:
                return False
        self._last = time, thumbnail
        return True


def _look(
    faces: Sequence[Detector],
    paced: Sequence[PacedDetector],
    picture: NDArray[np.uint8],
    frame: int,
    fast: bool,
    key: bool,
) -> _Seen:
    """Look at one frame."""
    side = max(picture.shape[:2])
    cheap = cheap_looks(side, fast)
    seen = _detect(faces, picture, frame, [cheap[frame % len(cheap)]])
    others = [d for detector in paced for d in detector.detect(picture, frame, detector.looks(side))]
    more = once([*seen, *_detect(faces, picture, frame, deep_looks(side))]) if key else seen
    new = any(d.score >= NEW_SCORE and not any(d.box.intersect(s.box) for s in seen) for d in more)
    return _Seen([*more, *(d for d in others if not (d.label == "text" and _is_face(d, more)))], new)


def _is_face(text: Detection, faces: Sequence[Detection]) -> bool:
    """Return whether what was taken for text is a face: detectors of text see them in small portraits."""
    x, y = text.box.center
    sure = [d.box for d in faces if d.score >= NEW_SCORE]
    return any(box.x0 <= x < box.x1 and box.y0 <= y < box.y1 for box in sure)


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
    eyes = () if settings.fast else [d for d in detectors if not isinstance(d, PacedDetector)]
    return _follow(clip, link(detections, timeline), timeline, settings, eyes, progress)


def _follow(
    clip: Path,
    chains: Sequence[Sequence[Detection]],
    timeline: Timeline,
    settings: Settings,
    eyes: Sequence[Detector],
    progress: Progress,
) -> tuple[tuple[Detection, ...], ...]:
    """Return chains, each followed through the picture, and looked for by some detectors where that helps."""
    with open_clip(clip, settings) as reader, Crew() as crew:
        follower = Follower(chains, timeline, settings.threshold, partial(_detect, eyes), crew)
        for done, frame in enumerate(reader, start=1):
            follower.show(frame.picture, frame.index)
            progress(done, len(timeline.times))
    return tuple(tuple(chain) for chain in follower.chains())


def answers(sightings: Sightings, sha256: str, settings: Settings, detectors: Sequence[Detector]) -> bool:
    """Return whether looking at a clip of this hash again, with these settings, would see the same."""
    seen = sightings.source.sha256, sightings.from_time, sightings.to_time, sightings.stream, sightings.fast
    asked = sha256, settings.from_time, settings.to_time, settings.stream, settings.fast
    return seen == asked and (sightings.models, sightings.versions) == (models_of(detectors), _versions())


def _versions() -> str:
    """Return the versions of what decodes and looks: another one may see other pictures."""
    return f"redact {version('redact')}, av {version('av')}"


def models_of(detectors: Sequence[Detector]) -> dict[str, str]:
    """Return the sha256 of every model in use, by id."""
    return {name: sha256 for detector in detectors for name, sha256 in detector.models.items()}


def follow_regions(clip: Path, timeline: Timeline, settings: Settings, progress: Progress) -> list[Track]:
    """Return the tracks of the regions that are to be followed, carried by the picture from their key frames.

    Where the picture cannot be followed any more, the region stays where it was, to its end.

    Raises:
        InputError: the clip cannot be read.
        UsageError: a region has no key frame in the excerpt.
    """
    regions = [region for region in settings.regions if region.follow]
    chains = [tuple(sightings_of(region, timeline)) for region in regions]
    if not chains:
        return []
    tracks = []
    for region, chain in zip(regions, _follow(clip, chains, timeline, settings, (), progress), strict=True):
        (track,) = make_tracks([chain], timeline, settings.threshold)
        tracks.append(hold(region, track, timeline))
    return tracks


def make_plan(sightings: Sightings, settings: Settings, followed: Sequence[Track] = ()) -> Plan:
    """Return the plan that covers what the settings name, what a person drew, and every damaged frame whole.

    Args:
        sightings: what was seen in the clip.
        settings: what is covered, and from which score.
        followed: the tracks of regions that are followed.
    """
    source, timeline = sightings.source, sightings.timeline
    chains = [chain for chain in sightings.chains if _is_wanted(chain, settings)]
    found = make_tracks(chains, timeline, settings.threshold, "head" in settings.cover)
    doubts = find_doubts(chains, found, timeline, (source.width, source.height), settings.threshold)
    counting = counted(chains, settings.threshold)
    found = tuple(_named(track, chain) for track, chain in zip(found, counting, strict=True))
    tracks = _with_people(found, counting, timeline, settings)
    tracks += place(settings.regions, timeline, source.width, source.height, _next(tracks))
    tracks += [replace(track, id=_next(tracks) + n) for n, track in enumerate(followed)]
    whole = Box(0, 0, source.width, source.height)
    tracks += [
        Track(_next(tracks) + n, "region", first, (whole,) * length, reason=DAMAGED)
        for n, (first, length) in enumerate(_runs(sightings.damaged))
    ]
    return Plan(source, settings, sightings.models, tuple(tracks), doubts)


def _is_wanted(chain: Sequence[Detection], settings: Settings) -> bool:
    """Return whether what a chain shows is to be covered, or tells of something that is."""
    label = chain[0].label
    if label == "face":
        return covers_faces(settings)
    if label == "person" and label not in settings.cover:
        return covers_faces(settings) and max(d.score for d in chain if d.detector != FLOW) >= SURE_PERSON
    return label in (*settings.cover, *ASKED_FOR)


def covers_faces(settings: Settings) -> bool:
    """Return whether faces are covered, alone or with their heads."""
    return not {"face", "head"}.isdisjoint(settings.cover)


def _named(track: Track, chain: Sequence[Detection]) -> Track:
    """Return a track; that of a mark with its name and in how many frames it was seen as the reason."""
    if track.label != "mark":
        return track
    seen = [d for d in chain if d.detector != FLOW]
    return replace(track, reason=f"{seen[0].detector}: seen in {len(seen)} of {len(track.boxes)} frames")


def _with_people(
    found: Sequence[Track], chains: Sequence[Sequence[Detection]], timeline: Timeline, settings: Settings
) -> list[Track]:
    """Return tracks with the heads that persons imply, the bodies that heads imply, and persons only where wanted."""
    if "person" in settings.cover:
        best = [max(chain, key=lambda d: (d.detector != FLOW, d.score)) for chain in chains]
        angles = {track.id: d.angle for track, d in zip(found, best, strict=True)}
        return [*found, *add_bodies(found, angles, _next(found))]
    sure = {track.id: _sure_frames(track, chain, timeline) for track, chain in zip(found, chains, strict=True)}
    heads = add_heads(found, sure, _next(found))
    return [*(track for track in found if track.label != "person"), *heads]


def _sure_frames(track: Track, chain: Sequence[Detection], timeline: Timeline) -> set[int]:
    """Return the frames of a track that are near enough to a sure sighting."""
    frames: set[int] = set()
    for d in chain:
        if d.detector != FLOW and d.score >= SURE_HEAD:
            first = timeline.first_from(timeline.time(d.frame) - SURE_S)
            last = timeline.first_from(timeline.time(d.frame) + SURE_S)
            frames.update(range(max(first, track.first), min(last, track.last) + 1))
    return frames


def _next(tracks: Sequence[Track]) -> int:
    """Return the number of the next track."""
    return max((track.id for track in tracks), default=0) + 1


def add_faces(plan: Plan, chains: Iterable[Sequence[Detection]], timeline: Timeline) -> Plan:
    """Return a plan that covers, besides what it did, the faces that verification has found."""
    made = make_tracks(chains, timeline, plan.settings.threshold, "head" in plan.settings.cover)
    used = _next(plan.tracks) - 1
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
