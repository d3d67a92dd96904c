"""Pass 1: from the clip to sightings, and from these to the plan.

The clip is gone through twice: once to look at every frame, and at key frames deeply; once to follow the picture where
that was not enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Protocol

from redact import backends, surveys
from redact.crew import Crew, Progress
from redact.detectors import AskedDetector, Detector, PacedDetector, detect, give_back_memory, judge_among
from redact.doubts import find_doubts
from redact.following import Follower
from redact.geometry import Box, covered_share
from redact.looking import Gaze
from redact.media import Digest, Frame, open_clip
from redact.people import add_bodies, add_heads
from redact.plan import ASKED_FOR, HEADS, Detection, Looked, Plan, Settings, Track
from redact.regions import hold, place, sightings_of
from redact.sightings import Part, Sightings, Timeline
from redact.surveys import Stretch, Survey, frames_of
from redact.tracking import counted, link, make_tracks, seen_in

DAMAGED = "damaged frames"
RUNTIMES = dict.fromkeys(package.partition("[")[0] for _, package in backends.PROVIDERS.values())
SEES_WITH = ("redact", "av", "opencv-contrib-python", *RUNTIMES)  # packages, of which not all are there
PORTRAIT = 0.5  # score of a face from which what looks like text in it is a part of it,
IN_FACE = 0.7  # where this share of it lies there
SURE_PERSON = 0.3  # score from which a person implies a head where persons are not covered
SURE_HEAD, SURE_S = 0.33, Fraction(2, 5)  # score of a face, and how long after it a head is still where it was carried


class Keeper(Protocol):
    """Keeps what was seen in segments of an excerpt, counted from 0, until all of it is."""

    def load(self, number: int) -> Part | None:
        """Return what is kept of a segment."""
        ...

    def save(self, number: int, part: Part) -> None:
        """Keep what was seen in a segment."""
        ...


def look(
    clip: Path, settings: Settings, detectors: Sequence[Detector], progress: Progress, keeper: Keeper | None = None
) -> Sightings:
    """Look at every frame of an excerpt once.

    Args:
        clip: the file.
        settings: from_time and to_time choose the excerpt.
        detectors: what looks.
        progress: called with the frames done and a guess of how many there are.
        keeper: keeps the segments that are done; those that it has are not looked at.

    Raises:
        InputError: as `surveys.go_through`.
    """
    with Crew() as crew:
        segments = _Segments(partial(Gaze, detectors, settings.fast, settings.threshold, crew), keeper)
        survey = surveys.go_through(clip, settings, segments.show, progress)
        seen = join(survey, segments.parts(), settings, models_of(detectors))
    give_back_memory()
    return seen


class _Segments:
    """Looks at frames in order, at each segment as if nothing had been before it."""

    def __init__(self, begin: Callable[[], Gaze], keeper: Keeper | None) -> None:
        self._begin, self._keeper = begin, keeper
        self._parts: list[Part] = []
        self._gaze: Gaze | None = None
        self._shown = 0

    def show(self, frame: Frame, cut: bool) -> None:
        """Take the next frame."""
        if self._shown % surveys.SEGMENT == 0:
            if self._finish() and self._keeper:
                self._keeper.save(len(self._parts) - 1, self._parts[-1])
            known = self._keeper.load(len(self._parts)) if self._keeper else None
            self._parts += [known] if known else []
            self._gaze = None if known else self._begin()
        self._shown += 1
        if self._gaze:
            self._gaze.look(frame.picture, frame.index, frame.time, cut)

    def _finish(self) -> bool:
        """Wait for the looks at a segment; return whether there was one to be looked at."""
        if self._gaze is None:
            return False
        self._parts.append(self._gaze.part())
        self._gaze = None
        return True

    def parts(self) -> list[Part]:
        """Return what was seen in each segment."""
        self._finish()
        return self._parts


def look_at(
    clip: Path, settings: Settings, detectors: Sequence[Detector], stretch: Stretch, progress: Progress
) -> Part:
    """Return what `look` sees in one segment of an excerpt.

    Args:
        clip: the file.
        settings: those of the survey that the segment is from.
        detectors: what looks.
        stretch: the segment.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read, or is no longer the one that was surveyed.
    """
    for seek in (True, False):
        digest = Digest()
        with Crew() as crew:
            gaze = Gaze(detectors, settings.fast, settings.threshold, crew)
            for done, frame in enumerate(frames_of(clip, stretch, settings.stream, seek), start=1):
                digest.add(frame)
                gaze.look(frame.picture, frame.index, frame.time, frame.index in stretch.cuts)
                progress(done, len(stretch.times))
            part = gaze.part()
        give_back_memory()
        if digest.hexdigest() == stretch.digest:  # what was sought may be decoded otherwise than in order
            return part
    raise surveys.changed(clip)


def join(survey: Survey, parts: Iterable[Part], settings: Settings, models: Mapping[str, str]) -> Sightings:
    """Return what was seen in all segments of an excerpt as one.

    Args:
        survey: what its frames are.
        parts: what was seen in each segment, in their order.
        settings: those in force.
        models: what looked, as `models_of` gives it.
    """
    parts, line = list(parts), survey.timeline
    counts = [(part.looked.whole, part.looked.parts, part.looked.held) for part in parts]
    return Sightings(
        survey.source, settings.from_time, settings.to_time, settings.fast, models, versions(), line.times, line.cuts,
        line.camera, survey.damaged, tuple(d for part in parts for d in part.detections), (), settings.stream,
        Looked(*map(sum, zip(*counts, strict=True))), settings.threshold,
    )  # fmt: skip


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
    eyes, judge = _eyes_among(detectors, settings), judge_among(detectors)
    chains = link(detections, timeline, settings.threshold)
    return _follow(clip, chains, timeline, settings, eyes, progress, judge)


def follow_again(
    clip: Path,
    detections: Iterable[Detection],
    timeline: Timeline,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: Progress,
) -> tuple[tuple[Detection, ...], ...]:
    """Return likewise the chains of what was found in a copy: all of it counts, whatever did at the first look.

    Nobody is asked about them, for they are covered whatever the answer.

    The arguments are those of `follow`.

    Raises:
        InputError: the clip cannot be read.
    """
    settings, eyes = replace(settings, threshold=settings.copy_threshold), _eyes_among(detectors, settings)
    chains = link(detections, timeline, settings.threshold)
    return _follow(clip, chains, timeline, settings, eyes, progress)


def _eyes_among(detectors: Sequence[Detector], settings: Settings) -> list[Detector]:
    """Return the detectors that look for what is followed."""
    return [] if settings.fast else [d for d in detectors if not isinstance(d, PacedDetector)]


def _follow(
    clip: Path,
    chains: Sequence[Sequence[Detection]],
    timeline: Timeline,
    settings: Settings,
    eyes: Sequence[Detector],
    progress: Progress,
    judge: AskedDetector | None = None,
) -> tuple[tuple[Detection, ...], ...]:
    """Return chains, each followed through the picture, and looked for by some detectors where that helps."""
    with open_clip(clip, settings) as reader, Crew() as crew:
        follower = Follower(chains, timeline, settings.threshold, partial(detect, eyes), crew, judge)
        for done, frame in enumerate(reader, start=1):
            follower.show(frame.picture, frame.index)
            progress(done, len(timeline.times))
    return tuple(tuple(chain) for chain in follower.chains())


def made_with(sha256: str, settings: Settings, models: Mapping[str, str]) -> dict[str, Any]:
    """Return what the sightings of a clip with this hash depend on."""
    how = {name: getattr(settings, name) for name in ("from_time", "to_time", "stream", "fast", "threshold")}
    return {"sha256": sha256, **how, "models": models, "versions": versions()}


def answers(sightings: Sightings, wanted: Mapping[str, Any]) -> bool:
    """Return whether looking again would see the same.

    Args:
        sightings: of an earlier run.
        wanted: what those that are wanted depend on, as `made_with` gives it.
    """
    return all(getattr(sightings.source if name == "sha256" else sightings, name) == v for name, v in wanted.items())


def versions() -> str:
    """Return the versions of what decodes, resizes and looks: another one may see other pictures, or other things."""
    found = [next(iter(distributions(name=name)), None) for name in SEES_WITH]
    return ", ".join(f"{package.metadata['Name']} {package.version}" for package in found if package)


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
    chains = _without_portraits([c for c in sightings.chains if _is_wanted(c, settings)], settings.threshold)
    size = source.width, source.height
    found = make_tracks(chains, timeline, settings.threshold, "head" in settings.cover, max(size))
    doubts = find_doubts(chains, found, timeline, size, settings.threshold)
    counting = counted(chains, settings.threshold)
    found = tuple(_named(track, chain) for track, chain in zip(found, counting, strict=True))
    tracks = _with_people(found, counting, timeline, settings)
    tracks += place(settings.regions, timeline, *size, _next(tracks))
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
        return covers_faces(settings) and max(d.score for d in seen_in(chain)) >= SURE_PERSON
    return label in (*settings.cover, *ASKED_FOR)


def _without_portraits(chains: Sequence[Sequence[Detection]], threshold: float) -> list[Sequence[Detection]]:
    """Return chains but for text that was never seen outside a sure face that is covered.

    Detectors of text see it in small portraits.
    """
    faces: dict[int, list[Box]] = defaultdict(list)
    for chain in counted([c for c in chains if c[0].label == "face"], threshold):
        for d in seen_in(chain):
            if d.score >= PORTRAIT:
                faces[d.frame].append(d.box)

    def is_face(d: Detection) -> bool:
        return any(covered_share(d.box, box) >= IN_FACE for box in faces[d.frame])

    return [c for c in chains if c[0].label != "text" or not all(is_face(d) for d in seen_in(c))]


def covers_faces(settings: Settings) -> bool:
    """Return whether faces are covered, alone or with their heads."""
    return not set(HEADS).isdisjoint(settings.cover)


def _named(track: Track, chain: Sequence[Detection]) -> Track:
    """Return a track; that of a mark with its name and in how many frames it was seen as the reason."""
    if track.label != "mark":
        return track
    seen = seen_in(chain)
    return replace(track, reason=f"{seen[0].detector}: seen in {len(seen)} of {len(track.boxes)} frames")


def _with_people(
    found: Sequence[Track], chains: Sequence[Sequence[Detection]], timeline: Timeline, settings: Settings
) -> list[Track]:
    """Return tracks with the heads that persons imply, the bodies that heads imply, and persons only where wanted."""
    if "person" in settings.cover:
        return [*found, *add_bodies(found, _angles(found, chains), _next(found))]
    sure = {track.id: _sure_frames(track, chain, timeline) for track, chain in zip(found, chains, strict=True)}
    heads = add_heads(found, sure, _next(found))
    return [*(track for track in found if track.label != "person"), *heads]


def _angles(found: Sequence[Track], chains: Sequence[Sequence[Detection]]) -> dict[int, int]:
    """Return by the id of each track how far what it shows is turned, in degrees."""
    best = [max(seen_in(chain), key=lambda d: d.score) for chain in chains]
    return {track.id: d.angle for track, d in zip(found, best, strict=True)}


def _sure_frames(track: Track, chain: Sequence[Detection], timeline: Timeline) -> set[int]:
    """Return the frames of a track that are near enough to a sure sighting."""
    frames: set[int] = set()
    for d in seen_in(chain):
        if d.score >= SURE_HEAD:
            first = timeline.first_from(timeline.time(d.frame) - SURE_S)
            last = timeline.first_from(timeline.time(d.frame) + SURE_S)
            frames.update(range(max(first, track.first), min(last, track.last) + 1))
    return frames


def _next(tracks: Sequence[Track]) -> int:
    """Return the number of the next track."""
    return max((track.id for track in tracks), default=0) + 1


def add_faces(plan: Plan, chains: Iterable[Sequence[Detection]], timeline: Timeline) -> Plan:
    """Return a plan that covers, besides what it did, the faces that verification has found, whoever says otherwise.

    Nobody has looked at what was added: a sign-off holds no more.
    """
    unjudged = [[replace(d, judged=None) for d in chain] for chain in chains]
    settings, side = plan.settings, max(plan.source.width, plan.source.height)
    made = make_tracks(unjudged, timeline, settings.copy_threshold, "head" in settings.cover, side)
    used = _next(plan.tracks) - 1
    added = [replace(track, id=used + track.id, origin="verification") for track in made]
    if "person" in settings.cover:
        covered = [track for track in plan.tracks if track.label == "person" and track.action == "cover"]
        angles = _angles(added, counted(unjudged, settings.copy_threshold))
        bodies = add_bodies([*covered, *added], angles, _next([*plan.tracks, *added]))
        added += [replace(body, origin="verification") for body in bodies]
    return replace(plan, tracks=(*plan.tracks, *added), review=None)


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive frames as first frame and length."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == sum(runs[-1]):
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((frame, 1))
    return runs
