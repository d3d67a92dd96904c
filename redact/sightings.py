"""What was seen in an excerpt, and the time line that it was seen on.

Kept beside the plan, so that tracks can be made again without looking again.
"""

from __future__ import annotations

import bisect
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import pairwise
from typing import Any

from redact.errors import PlanError
from redact.plan import Detection, Looked, Settings, Source
from redact.records import from_plain, to_plain

GZIP = 31  # what zlib calls the form of gzip files
# What reading a damaged file of them can raise.
DAMAGED_BY = (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
SMALLEST_ZOOM = 1e-6  # from one frame to the next, as an area: what is less cannot be turned back


@dataclass(frozen=True)
class Timeline:
    """The frames of an excerpt.

    Attributes:
        first: index of the first frame.
        times: presentation time of each frame.
        cuts: indexes of the frames that begin a new scene.
        camera: for each frame the map (a, b, c, d, e, f) of points from the frame before: x = ax + by + c and
            y = dx + ey + f. Empty where nobody measured it.
    """

    first: int
    times: tuple[Fraction, ...]
    cuts: tuple[int, ...]
    camera: tuple[tuple[float, ...], ...] = ()

    def scene(self, frame: int) -> tuple[int, int]:
        """Return the first and last frame of the scene that a frame is in."""
        n = bisect.bisect_right(self.cuts, frame)
        first = self.cuts[n - 1] if n else self.first
        last = self.cuts[n] - 1 if n < len(self.cuts) else self.first + len(self.times) - 1
        return first, last

    def time(self, frame: int) -> Fraction:
        """Return the presentation time of a frame."""
        return self.times[frame - self.first]

    def first_from(self, time: Fraction) -> int:
        """Return the first frame shown at this time or later; the one after the last where there is none."""
        return self.first + bisect.bisect_left(self.times, time)

    def moved(self, x: float, y: float, a: int, b: int) -> tuple[float, float]:
        """Return where the camera's motion alone brings a point from frame a to frame b."""
        for n in range(a + 1, b + 1) if self.camera else ():
            p, q, r, s, t, u = self.camera[n - self.first]
            x, y = p * x + q * y + r, s * x + t * y + u
        for n in range(a, b, -1) if self.camera else ():
            p, q, r, s, t, u = self.camera[n - self.first]
            x, y, whole = x - r, y - u, p * t - q * s
            x, y = (t * x - q * y) / whole, (p * y - s * x) / whole
        return x, y

    def rate(self) -> float:
        """Return the mean number of frames per second."""
        span = self.times[-1] - self.times[0]
        return float((len(self.times) - 1) / span) if span else 25.0


@dataclass(frozen=True)
class Sightings:
    """Everything that was seen in an excerpt.

    Attributes:
        source: the excerpt.
        from_time: where the excerpt was told to begin; None for the clip's first frame.
        to_time: where it was told to end; None for the clip's end.
        fast: whether only the few looks of `--fast` were taken.
        models: sha256 of each model used, by id.
        versions: of redact and of what decodes, resizes and looks.
        times: presentation time of each frame.
        cuts: indexes of the frames that begin a new scene.
        camera: how the camera moved; see `Timeline`.
        damaged: indexes of the frames that the decoder reported as damaged.
        detections: in the order of their frames.
        chains: the detections that belong together, and where each was carried in between and beyond.
        stream: which of the clip's streams of pictures was looked at.
        looked: how much of it the looks for faces were taken at.
        threshold: the score below which what was seen was looked at again, and followed no farther.
    """

    source: Source
    from_time: Fraction | None
    to_time: Fraction | None
    fast: bool
    models: Mapping[str, str]
    versions: str
    times: tuple[Fraction, ...]
    cuts: tuple[int, ...]
    camera: tuple[tuple[float, ...], ...]
    damaged: tuple[int, ...]
    detections: tuple[Detection, ...]
    chains: tuple[tuple[Detection, ...], ...]
    stream: int = 1
    looked: Looked = field(default_factory=Looked)
    threshold: float = Settings().threshold

    @property
    def timeline(self) -> Timeline:
        """The frames of the excerpt."""
        return Timeline(self.source.first, self.times, self.cuts, self.camera)


@dataclass(frozen=True)
class Part:
    """What was seen in one segment of an excerpt.

    Attributes:
        detections: in the order of their frames.
        looked: how much the looks for faces were taken at.
    """

    detections: tuple[Detection, ...]
    looked: Looked


def dump_part(part: Part, made_with: Mapping[str, Any]) -> bytes:
    """Return what was seen in a segment, and what that depends on, as compressed JSON lines."""
    return _pack([to_plain(made_with), to_plain(part.looked), *map(to_plain, part.detections)])


def load_part(data: bytes, made_with: Mapping[str, Any]) -> Part | None:
    """Return what `dump_part` wrote; None where it depends on something else, or is damaged."""
    try:
        head, looked, *rows = [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]
        if head != to_plain(made_with):
            return None
        seen = tuple(_detection(row, "a detection") for row in rows)
        return Part(seen, from_plain(looked, Looked, "a segment, looked"))
    except (*DAMAGED_BY, PlanError):
        return None


def dump_sightings(sightings: Sightings) -> bytes:
    """Return sightings as compressed JSON lines: one about the clip, one for each detection, one for each chain."""
    rows = ("detections", "chains")
    head = {f.name: to_plain(getattr(sightings, f.name)) for f in fields(sightings) if f.name not in rows}
    return _pack(to_plain(row) for part in ([head], sightings.detections, sightings.chains) for row in part)


def _pack(rows: Iterable[Any]) -> bytes:
    """Return rows as compressed JSON lines; no more than one of them is held at once."""
    packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, wbits=GZIP)
    packed = [packer.compress((json.dumps(row) + "\n").encode()) for row in rows]
    return b"".join([*packed, packer.flush()])


def load_timeline(data: bytes) -> tuple[Source, Timeline]:
    """Return the excerpt and the time line of what `dump_sightings` wrote, without reading what was seen.

    Raises:
        PlanError: they are damaged.
    """
    try:
        with gzip.open(io.BytesIO(data)) as file:
            head = json.loads(file.readline())
        source = from_plain(head["source"], Source, "the detections, source")
        return source, _timeline_of(head, source.first)
    except DAMAGED_BY as error:
        raise PlanError(
            f"The detections are damaged: {error}.", "Remove that file; they will be made again."
        ) from error


def _timeline_of(head: Mapping[str, Any], first: int) -> Timeline:
    """Return the time line that a head line of sightings holds."""
    return Timeline(
        first,
        tuple(Fraction(t) for t in head["times"]),
        tuple(int(n) for n in head["cuts"]),
        tuple(tuple(float(v) for v in row) for row in head["camera"]),
    )


def load_sightings(data: bytes) -> Sightings:
    """Return the sightings that `dump_sightings` wrote.

    Raises:
        PlanError: they are damaged.
    """
    try:
        lines = io.BytesIO(gzip.decompress(data))
        head = json.loads(lines.readline())
        detections: list[Detection] = []
        chains: list[tuple[Detection, ...]] = []
        for row in map(json.loads, lines):
            if isinstance(row, dict):
                detections.append(_detection(row, "a detection"))
            else:
                chains.append(tuple(_detection(d, "a chain") for d in row))
        source = from_plain(head["source"], Source, "the detections, source")
        line = _timeline_of(head, source.first)
        sightings = Sightings(
            source=source,
            from_time=None if head["from_time"] is None else Fraction(head["from_time"]),
            to_time=None if head["to_time"] is None else Fraction(head["to_time"]),
            fast=bool(head["fast"]),
            models=dict(head["models"]),
            versions=str(head["versions"]),
            times=line.times,
            cuts=line.cuts,
            camera=line.camera,
            damaged=tuple(int(n) for n in head["damaged"]),
            detections=tuple(detections),
            chains=tuple(chains),
            stream=int(head["stream"]),
            looked=from_plain(head["looked"], Looked, "the detections, looked"),
            threshold=float(head["threshold"]),
        )
        _check(sightings)
    except DAMAGED_BY as error:
        raise PlanError(
            f"The detections are damaged: {error}.", "Remove that file; they will be made again."
        ) from error
    return sightings


def _detection(row: Any, where: str) -> Detection:
    """Return a detection; those that were kept before any was judged do not say so."""
    return from_plain({"judged": None, **row} if isinstance(row, dict) else row, Detection, where)


def _check(sightings: Sightings) -> None:
    """Refuse what does not belong to one time line."""
    first, frames = (
        sightings.source.first,
        range(sightings.source.first, sightings.source.first + sightings.source.frames),
    )
    if len(sightings.times) != len(frames) or any(a >= b for a, b in pairwise(sightings.times)):
        raise ValueError("its frames are not in the order of their times")
    if any(a >= b for a, b in pairwise((first - 1, *sightings.cuts))) or any(
        n not in frames for n in sightings.damaged
    ):
        raise ValueError("a cut or a damaged frame lies outside the excerpt")
    if sightings.camera and len(sightings.camera) != len(frames):
        raise ValueError("the camera's motion is not known for every frame")
    for row in sightings.camera:
        if len(row) != 6 or not all(map(math.isfinite, row)) or abs(row[0] * row[4] - row[1] * row[3]) < SMALLEST_ZOOM:
            raise ValueError("the camera cannot have moved so")
    for chain in (*sightings.chains, *((detection,) for detection in sightings.detections)):
        order = [detection.frame for detection in chain]
        if not order or order[0] < first or order[-1] > frames[-1] or any(a > b for a, b in pairwise(order)):
            raise ValueError("a sighting lies outside the excerpt, or before the one that it follows")
