"""What was found in a clip and what is done about it: detections, tracks, doubts, edits, and the plan of all that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from redact.geometry import Box
from redact.plan.settings import LABELS, Settings

SCHEMA = 4
FOLLOWED = ("face", "mark")  # what is followed far: others are looked for anew too seldom, and come and go
ACTIONS = ("cover", "show")
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
        judged: how sure another model, that was asked, is that it is a face, 0 to 1; None where none was asked.
    """

    frame: int
    box: Box
    label: str
    score: float
    detector: str
    angle: int = 0
    held: bool = False
    judged: float | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.label not in LABELS:
            raise ValueError(f"unknown label {self.label!r}")
        for score in (self.score, self.judged or 0):
            if not 0 <= score <= 1:
                raise ValueError(f"a score of {score} is not between 0 and 1")


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

    @property
    def begin(self) -> Fraction:
        """When the copy begins, in seconds from the beginning of the clip.

        That is `--from`, or the next time after it that the copy's unit of time can name: no frame that is shown from
        `--from` on is earlier, and no sound before it gets into the copy.
        """
        unit = Fraction(1, self.source.time_base.denominator)
        return math.ceil((self.settings.from_time or 0) / unit) * unit

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
        """Return the same plan with other settings: signed off only where these change nothing of the copy."""
        same = settings.without_permissions() == self.settings.without_permissions()
        return replace(self, settings=settings, review=self.review if same else None)
