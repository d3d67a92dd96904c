"""What flows between the rooms: detections, tracks, doubts, settings, the plan, and the verdict on a copy.

The plan is the heart: a small file that a person can read, compare line by line and correct (see `records`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import PurePath

from redact.errors import UsageError
from redact.geometry import Box

SCHEMA = 4
LABELS = ("face", "head", "person", "text", "code", "plate", "mark", "nudity", "region")
LEVELS = {
    "faces": ("face", "text", "code"),
    "heads": ("head", "text", "code"),
    "people": ("head", "person", "text", "code"),
}
FOLLOWED = ("face", "mark")  # what is followed far: others are looked for anew too seldom, and come and go
ASKED_FOR = ("mark", "region")  # what is covered wherever it was asked for by an option of its own
EFFECTS = ("blur", "solid", "mosaic")
ACTIONS = ("cover", "show")
AUDIO = ("none", "keep")  # or the path of a file
FARTHEST = 999_999  # pixels from the picture's corner that a box may reach
LONGEST_NAME = 100  # letters
UNHEARD = "what is said and heard in the sound"  # the check that is never made of a copy with sound
LONGEST_LIST = 8  # times that are named in a message
FLOW = "flow"  # the detector of what was not seen but carried there by the picture


@dataclass(frozen=True, slots=True)
class Detection:
    """One sighting: what one detector saw in one frame.

    Attributes:
        frame: index of the frame in the clip, 0-based, in display order.
        box: where, in pixels of the upright picture.
        label: one of `LABELS`.
        score: how sure the detector was, 0 to 1; its meaning is in the model card.
        detector: name of the detector, or `FLOW`; the score is then the share of the points that could be followed.
        angle: how far the picture had been turned for this look, in degrees counter-clockwise.
        held: it was seen in an earlier frame, since when the picture there has not changed, and not looked for in this.
    """

    frame: int
    box: Box
    label: str
    score: float
    detector: str
    angle: int = 0
    held: bool = False

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score of {self.score} is not between 0 and 1")


@dataclass(frozen=True, slots=True)
class Looked:
    """How much the looks for faces were taken at. The cheap looks of one frame are one, so are its deep ones.

    Attributes:
        whole: looks at the whole picture.
        parts: looks at parts of it; what was seen before holds for the rest, which had not changed.
        held: looks that were not taken: nothing had changed.
    """

    whole: int = 0
    parts: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """One thing followed through the clip.

    Attributes:
        id: unique in the plan, from 1.
        label: one of `LABELS`.
        first: index of its first frame.
        boxes: one box for every frame from the first on, without holes.
        action: "cover", or "show", which needs a person and a reason.
        origin: what made the track: "detection", "verification" or "person".
        decided_by: who decided, where a person did.
        reason: why.
    """

    id: int
    label: str
    first: int
    boxes: tuple[Box, ...]
    action: str = "cover"
    origin: str = "detection"
    decided_by: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}")
        if not self.boxes:
            raise ValueError("a track without boxes")
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}")
        if self.action == "show" and not (self.decided_by and self.reason):
            raise ValueError("to show somebody needs a person who decided (decided_by) and a reason")

    @property
    def last(self) -> int:
        """Index of the last frame."""
        return self.first + len(self.boxes) - 1


@dataclass(frozen=True, slots=True)
class Source:
    """The clip, or the excerpt of it, that a plan was made for. Counted by decoding, never taken from a header.

    Attributes:
        path: where the clip was when it was analysed.
        sha256: of the whole file.
        width: columns of the upright picture.
        height: rows of the upright picture.
        first: index of the excerpt's first frame in the clip.
        frames: frames in the excerpt.
        time_base: the unit of the clip's time stamps, in seconds.
        begins: presentation time of the first frame, in seconds from the beginning of the clip.
        ends: presentation time of the last frame.
        digest: sha256 over the times and upright pictures of the excerpt's frames.
        damaged: frames that the decoder had to guess, or to make from one that it had guessed.
        lost: begin and end of the stretches in which something could not be decoded at all, in seconds from the
            beginning of the clip.
        still: it is a still picture.
    """

    path: str
    sha256: str
    width: int
    height: int
    first: int
    frames: int
    time_base: Fraction
    begins: Fraction
    ends: Fraction
    digest: str
    damaged: int
    lost: tuple[tuple[Fraction, Fraction], ...] = ()
    still: bool = False

    def damage(self) -> str:
        """Return in words what could not be decoded; nothing where all was."""
        stretches = [f"{float(begin):.2f} to {float(end):.2f} s" for begin, end in self.lost]
        more = [f"and {len(stretches) - LONGEST_LIST} more"] if len(stretches) > LONGEST_LIST else []
        guessed = [f"{self.damaged} of {self.frames} frames are damaged"] if self.damaged else []
        missing = ["something is missing at " + ", ".join([*stretches[:LONGEST_LIST], *more])] if stretches else []
        return "; ".join(guessed + missing)


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
        threshold: the score from which a sighting makes a track, 0.05 to 0.9.
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
    threshold: float = 0.33
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

    def _check_sound(self) -> None:
        """Check what is asked of the sound."""
        if self.audio not in AUDIO and not PurePath(self.audio).is_absolute():
            raise UsageError(f"--audio takes {', '.join(AUDIO)} or a file, not {self.audio!r}.")
        if self.mute and self.audio == "none":
            raise UsageError("--mute needs sound: --audio keep, or --audio FILE.")
        if self.beep and not self.mute:
            raise UsageError("--beep needs --mute, which says when.")
        for begin, end in self.mute:
            if not 0 <= begin < end:
                raise UsageError(f"--mute {float(begin):g}-{float(end):g} does not end after it begins.")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a plan: who made it, when (ISO 8601, UTC) and what it was."""

    who: str
    when: str
    what: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stretch of the clip that could not be told, for a person to look at.

    Attributes:
        first: index of its first frame.
        last: index of its last frame.
        frame: index of the frame that shows it best.
        box: where, in that frame.
        reason: what is in doubt, in words.
        risk: how likely somebody can be seen there, 0 to 1; a rank, not a probability.
    """

    first: int
    last: int
    frame: int
    box: Box
    reason: str
    risk: float

    def __post_init__(self) -> None:
        """Check the invariants."""
        if not self.first <= self.frame <= self.last:
            raise ValueError(f"frame {self.frame} of a doubt is not between its first and its last")
        if not 0 <= self.risk <= 1:
            raise ValueError(f"a risk of {self.risk} is not between 0 and 1")


@dataclass(frozen=True, slots=True)
class Review:
    """That a person looked at an excerpt and signed the plan off.

    Attributes:
        who: signed it off.
        when: ISO 8601, UTC.
        frames_seen: how many of the excerpt's frames were on the screen, each of them counted once.
        doubts_left: how many doubts were left undecided.
    """

    who: str
    when: str
    frames_seen: int
    doubts_left: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is covered, where and when, in one clip. It holds no picture data.

    Attributes:
        source: the clip that it was made for.
        settings: the options in force.
        models: sha256 of each model used, by id.
        tracks: what was found.
        doubts: what could not be told, the highest risk first.
        edits: every change since it was made; only grows.
        review: who signed it off as it is; None where nobody did, or it was changed since.
        schema: version of the format.
    """

    source: Source
    settings: Settings
    models: Mapping[str, str]
    tracks: tuple[Track, ...]
    doubts: tuple[Doubt, ...] = ()
    edits: tuple[Edit, ...] = ()
    review: Review | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check that tracks have distinct ids and lie in the excerpt."""
        if len({t.id for t in self.tracks}) != len(self.tracks):
            raise ValueError("two tracks have the same id")
        end = self.source.first + self.source.frames
        for track in self.tracks:
            if track.first < self.source.first or track.last >= end:
                raise ValueError(f"track {track.id} has boxes outside the excerpt")
        for doubt in self.doubts:
            if doubt.first < self.source.first or doubt.last >= end:
                raise ValueError(f"a doubt about frames {doubt.first} to {doubt.last} lies outside the excerpt")
        if self.review and self.review.frames_seen > self.source.frames:
            raise ValueError("more frames were seen than the excerpt has")

    def covered_frames(self) -> int:
        """Return in how many frames something in the picture is covered."""
        whole = Box(0, 0, self.source.width, self.source.height)
        covered = {
            track.first + n
            for track in self.tracks
            if track.action == "cover"
            for n, box in enumerate(track.boxes)
            if box.intersect(whole)
        }
        return len(covered)

    def with_settings(self, settings: Settings) -> Plan:
        """Return the same plan with other settings."""
        return replace(self, settings=settings)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a copy.

    Attributes:
        name: what was checked.
        passed: whether it held; None where it was not made.
        figure: what was measured, in words that a person can read.
    """

    name: str
    passed: bool | None
    figure: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of a copy, also those that were not made."""

    checks: tuple[Check, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether some check was made and every check that was made held."""
        made = [c.passed for c in self.checks if c.passed is not None]
        return bool(made) and all(made)

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(c for c in self.checks if c.passed is False)
