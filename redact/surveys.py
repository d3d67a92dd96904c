"""Going through the frames of an excerpt once, in order: what they are, where scenes begin, how the camera moves.

What is in them is looked for in segments of so many frames, each begun as if nothing had been before it. So the same is
seen in one go through the clip, in one that goes on where another was interrupted, and in segments looked at apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from redact.crew import Progress
from redact.errors import InputError
from redact.media import Digest, Frame, FrameReader, hash_file, open_clip
from redact.plan import Settings, Source
from redact.regions import check_inside
from redact.scenes import Clock
from redact.seeking import FrameSeeker
from redact.sightings import Timeline

SEGMENT = 1500  # frames, a minute of most clips: to begin one costs the looks of a key frame

Show = Callable[[Frame, bool], None]  # takes each frame, and whether it begins a scene


@dataclass(frozen=True)
class Stretch:
    """One segment of an excerpt, to be looked at apart.

    Attributes:
        first: index of its first frame.
        times: presentation time of each of its frames.
        cuts: indexes of those that seemed to begin a new scene.
        digest: of its frames, by which they are known again.
    """

    first: int
    times: tuple[Fraction, ...]
    cuts: tuple[int, ...]
    digest: str


@dataclass(frozen=True)
class Survey:
    """What the frames of an excerpt are.

    Attributes:
        source: the excerpt.
        timeline: its frames.
        damaged: indexes of the frames that the decoder reported as damaged.
        stretches: its segments, where they are to be looked at apart.
    """

    source: Source
    timeline: Timeline
    damaged: tuple[int, ...]
    stretches: tuple[Stretch, ...] = ()


def go_through(clip: Path, settings: Settings, show: Show, progress: Progress) -> Survey:
    """Show every frame of an excerpt once, in order, and return what they are.

    Args:
        clip: the file.
        settings: from_time and to_time choose the excerpt.
        show: takes the frames.
        progress: called with the frames done and a guess of how many there are.

    Raises:
        InputError: the clip cannot be read, the excerpt holds no frame, or the file changed meanwhile.
    """
    sha256 = hash_file(clip)
    digest, clock = Digest(), Clock()
    damaged: list[int] = []
    size: tuple[int, ...] = ()
    with open_clip(clip, settings) as reader:
        for done, frame in enumerate(reader, start=1):
            if not size:
                size = frame.picture.shape
                check_inside(settings.regions, size[1], size[0])
            digest.add(frame)
            if frame.damaged:
                damaged.append(frame.index)
                check_whole(clip, settings, f"the frame at {float(frame.time):.2f} s is damaged")
            show(frame, clock.show(frame.picture, frame.index, frame.time))
            progress(done, reader.untrusted_frames)
        time_base, line, lost, still = reader.time_base, clock.timeline, reader.lost, reader.still
    if not line.times:
        raise InputError(
            f"No frame of {clip.name} lies between --from and --to.", "Choose an excerpt that lies in the clip."
        )
    if hash_file(clip) != sha256:
        raise changed(clip)
    source = Source(
        str(clip.resolve()), sha256, size[1], size[0], line.first, len(line.times), time_base, line.times[0],
        line.times[-1], digest.hexdigest(), len(damaged), lost, still,
    )  # fmt: skip
    return Survey(source, line, tuple(damaged))


def survey(clip: Path, settings: Settings, segment: int, progress: Progress) -> Survey:
    """Go through an excerpt, and return what its frames are with its segments of so many frames.

    Raises:
        InputError: as `go_through`.
    """
    digests: list[Digest] = []
    cuts: list[int] = []  # also those that turned out to be none: the same looks are taken as in one go
    count = itertools.count()

    def show(frame: Frame, cut: bool) -> None:
        if next(count) % segment == 0:
            digests.append(Digest())
        digests[-1].add(frame)
        if cut:
            cuts.append(frame.index)

    whole = go_through(clip, settings, show, progress)
    line, stretches = whole.timeline, []
    for n, digest in zip(range(0, len(line.times), segment), digests, strict=True):
        first, times = line.first + n, line.times[n : n + segment]
        here = tuple(cut for cut in cuts if first <= cut < first + len(times))
        stretches.append(Stretch(first, times, here, digest.hexdigest()))
    return replace(whole, stretches=tuple(stretches))


def frames_of(clip: Path, stretch: Stretch, stream: int, seek: bool) -> Iterator[Frame]:
    """Yield the frames of a segment: sought as long as that can be, then decoded from the clip's beginning.

    Args:
        clip: the file.
        stretch: the segment.
        stream: which of its streams of pictures, from 1.
        seek: whether they are sought at all.

    Raises:
        InputError: the clip cannot be read.
    """
    coming, last = stretch.first, stretch.first + len(stretch.times) - 1
    if seek:
        with FrameSeeker(clip, stretch.first, stretch.times, stream) as seeker:
            while coming <= last and (frame := seeker.seek(coming)):
                yield frame
                coming += 1
    if coming > last:
        return
    with FrameReader(clip, stretch.times[0], stream=stream) as reader:
        for frame in reader:
            if frame.index >= coming:
                yield frame
            if frame.index >= last:
                return


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


def changed(clip: Path) -> InputError:
    """Return the error for a clip that is no longer what it was."""
    return InputError(f"{clip.name} changed while it was read.", "Wait until it is no longer being written.")
