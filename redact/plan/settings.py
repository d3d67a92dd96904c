"""What a person asks for: the options, and the regions drawn by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import PurePosixPath, PureWindowsPath

from redact.errors import UsageError
from redact.geometry import Box

LABELS = ("face", "head", "person", "text", "code", "plate", "mark", "nudity", "region")
LEVELS = {
    "faces": ("face", "text", "code"),
    "heads": ("head", "text", "code"),
    "people": ("head", "person", "text", "code"),
}
HEADS = ("face", "head")  # of these the ellipse in the box is covered
ASKED_FOR = ("mark", "region")  # what is covered wherever it was asked for by an option of its own
EFFECTS = ("blur", "solid", "mosaic")
AUDIO = ("none", "keep")  # or the path of a file
PERMISSIONS = ("allow_empty", "overwrite")  # what is allowed for one command; the copy is the same with and without
FARTHEST = 999_999  # pixels from the picture's corner that a box may reach
LONGEST_NAME = 100  # letters
USUAL_THRESHOLD = 0.33  # bench/leaks.py: see "What is dropped" in docs/architecture.md


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Where a region is at one time.

    Attributes:
        time: in seconds from the beginning of the clip; None where the region is always there.
        box: in pixels of the upright picture.
    """

    time: Fraction | None
    box: Box

    def __post_init__(self) -> None:
        """Check the invariants."""
        _check_time(self.time)
        if max(abs(v) for v in (self.box.x0, self.box.y0, self.box.x1, self.box.y1)) > FARTHEST:
            raise ValueError(f"a box reaches more than {FARTHEST} pixels from the corner of the picture")


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle that a person wants covered.

    Attributes:
        name: what it is, in the person's words; it becomes the reason of its track.
        keys: where it is: one key frame with or without a time, or several in the order of their times.
        from_time: where it begins, in seconds from the beginning of the clip; None for the first frame.
        to_time: where it ends: the frame shown at this time is its last. None for the last of all.
        follow: it is carried by the picture from its key frames, not by a straight line between them.
        size: width and height of the picture that it was drawn in, where it may be used in no other.
    """

    name: str
    keys: tuple[Keyframe, ...]
    from_time: Fraction | None = None
    to_time: Fraction | None = None
    follow: bool = False
    size: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        if not (self.name.strip() and self.name.isprintable() and len(self.name) <= LONGEST_NAME):
            raise ValueError(f"a region needs a name of one line and at most {LONGEST_NAME} letters")
        if not self.keys:
            raise ValueError("a region without a box")
        times = [key.time for key in self.keys if key.time is not None]
        if len(times) < len(self.keys) > 1:
            raise ValueError("a region with several key frames needs a time for each of them")
        if any(a >= b for a, b in pairwise(times)):
            raise ValueError("the key frames of a region are not in the order of their times")
        _check_time(self.from_time)
        _check_time(self.to_time)
        if self.from_time is not None and self.to_time is not None and self.from_time > self.to_time:
            raise ValueError("a region ends before it begins")
        if times and ((self.from_time or 0) > times[0] or (self.to_time is not None and self.to_time < times[-1])):
            raise ValueError("a key frame lies before its region begins or after it ends")


def _check_time(time: Fraction | None) -> None:
    """Refuse a time before the clip."""
    if time is not None and time < 0:
        raise ValueError("a time lies before the beginning of the clip")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every option of the command line that decides something, under the option's own name.

    Attributes:
        effect: how regions are covered: one of `EFFECTS`.
        from_time: beginning of the excerpt in seconds from the beginning of the clip, or None for its first frame.
        to_time: end of the excerpt; the frame shown at this time is not part of it. None for the clip's end.
        cover: the labels that are covered, sorted.
        marks: names of the marks that are looked for, sorted.
        regions: what a person wants covered.
        stream: which of the clip's streams of pictures, from 1; the others are left out.
        audio: "none", "keep" to encode the clip's sound again, or the path of a file whose sound is put in its place.
        audio_stream: which of the clip's streams of sound is kept, from 1.
        mute: begin and end of the stretches without sound, in seconds from the beginning of the clip.
        beep: a tone instead of silence there.
        strict: a clip of which something cannot be decoded is refused.
        threshold: the score from which a sighting makes a track, 0.05 to 0.9; CenterFace has none below 0.08.
        fast: look less: no deep looks, and fewer at the copy. More faces are missed.
        crf: constant rate factor of the H.264 encoder, 0 to 28; 17 is visually lossless.
        keep_names: the copy is named like the clip instead of neutrally.
        allow_empty: a clip in which nothing was found may be released.
        overwrite: existing files may be replaced.
    """

    effect: str = "blur"
    from_time: Fraction | None = None
    to_time: Fraction | None = None
    cover: tuple[str, ...] = tuple(sorted(LEVELS["heads"]))
    marks: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    stream: int = 1
    audio: str = "none"
    audio_stream: int = 1
    mute: tuple[tuple[Fraction, Fraction], ...] = ()
    beep: bool = False
    strict: bool = False
    threshold: float = USUAL_THRESHOLD
    fast: bool = False
    crf: int = 17
    keep_names: bool = False
    allow_empty: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.effect not in EFFECTS:
            raise UsageError(f"There is no effect {self.effect!r}; there are {', '.join(EFFECTS)}.")
        if unknown := [label for label in self.cover if label not in LABELS or label in ASKED_FOR]:
            known = ", ".join((*LEVELS, *(label for label in LABELS if label not in ASKED_FOR)))
            raise UsageError(f"--cover does not know {unknown[0]!r}; it takes {known}, or several of these.")
        if not self.cover:
            raise UsageError("--cover names nothing to cover.")
        if min(self.stream, self.audio_stream) < 1:
            raise UsageError("--stream and --audio-stream count from 1.")
        self._check_sound()
        if not 0.05 <= self.threshold <= 0.9:
            raise UsageError(f"--threshold takes 0.05 to 0.9, not {self.threshold}.")
        if not 0 <= self.crf <= 28:
            raise UsageError(f"--crf takes 0 to 28, not {self.crf}.")
        if self.from_time is not None and self.from_time < 0:
            raise UsageError("--from lies before the beginning of the clip.")
        if self.to_time is not None and self.to_time <= (self.from_time or 0):
            raise UsageError("--to does not lie after --from: the excerpt would be empty.")

    def without_permissions(self) -> Settings:
        """Return the same settings, but nothing may be replaced or released empty: that is allowed for one command."""
        return replace(self, allow_empty=False, overwrite=False)

    @property
    def copy_threshold(self) -> float:
        """The score that stands for `threshold` where copies are searched: no higher than usual.

        Who covers only what is surer still wants to know of the faces that a copy shows.
        """
        return min(self.threshold, USUAL_THRESHOLD)

    def _check_sound(self) -> None:
        """Check what is asked of the sound."""
        whole = PurePosixPath(self.audio).is_absolute() or PureWindowsPath(self.audio).is_absolute()
        if self.audio not in AUDIO and not whole:
            raise UsageError(f"--audio takes {', '.join(AUDIO)} or a file, not {self.audio!r}.")
        if self.mute and self.audio == "none":
            raise UsageError("--mute needs sound: --audio keep, or --audio FILE.")
        if self.beep and not self.mute:
            raise UsageError("--beep needs --mute, which says when.")
        for begin, end in self.mute:
            if not 0 <= begin < end:
                raise UsageError(f"--mute {float(begin):g}-{float(end):g} does not end after it begins.")
