"""One review: a plan that is changed, saved at every change, signed off. It knows nothing of HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from redact import custody, edits, pipeline
from redact.custody import Workspace
from redact.detectors import Detector
from redact.drawing import follow_box
from redact.edits import By
from redact.errors import UsageError
from redact.excerpts import cut_source
from redact.frames import CoveredFrames
from redact.geometry import Box
from redact.plan import Doubt, Plan, Review, Settings
from redact.review.grouping import BODIES, group
from redact.review.jobs import Job, Progress
from redact.review.seen import Seen
from redact.review.store import PlanFile
from redact.review.wardrobe import Wardrobe
from redact.sightings import Timeline

Change = Callable[[Plan, By], Plan]
Eyes = Callable[[Settings], Sequence[Detector]]


class Conflict(UsageError):
    """What the page knew is no longer so: another tab, or another program, has changed the plan."""

    default_advice = "The page shows the plan as it is now. Look, and make the change again if it is still wanted."


@dataclass(frozen=True)
class Desk:
    """What a review works on.

    Attributes:
        file: the plan's.
        plan: what it holds.
        clip: that the plan was made for.
        space: where a copy is released.
        timeline: the frames of the excerpt that was analysed.
        who: reviews.
        never_show: whether nothing that the program found may be left visible.
        eyes: from settings to the detectors that search finished copies.
    """

    file: PlanFile
    plan: Plan
    clip: Path
    space: Workspace
    timeline: Timeline
    who: str
    never_show: bool
    eyes: Eyes


class Session:
    """One review. For any number of threads. A context manager: nobody else may review the plan meanwhile.

    Args:
        desk: what it works on.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the plan is of another clip.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._lock = threading.RLock()
        self.plan = desk.plan
        self.seen = Seen(desk.file.path, desk.plan, desk.timeline)
        self.frames = CoveredFrames(desk.clip, desk.plan, desk.timeline)
        self._drawn_here: set[int] = set()  # tracks that were drawn in this session
        self._undo: list[Plan] = []
        self._redo: list[Plan] = []
        self._grouped: tuple[tuple[tuple[int, str, int, int], ...], int, dict[int, int]] = ((), 0, {})
        self.wardrobe = Wardrobe(self.frames)
        self.revision = 0
        self._ended = False
        self.job: Job | None = None
        custody.record(desk.space, "review", {"clip": desk.clip.name, "by": desk.who})

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.job:
            self.job.stop()
        self.wardrobe.stop()
        self.frames.__exit__(kind, error, trace)
        self.desk.file.__exit__(kind, error, trace)

    def end(self) -> int:
        """Refuse every further change, and return the revision of the last one."""
        with self._lock:
            self._ended = True
            return self.revision

    def by(self, who: str | None = None) -> By:
        """Return who makes a change, now."""
        return By(who or self.desk.who, datetime.now(UTC).isoformat(timespec="seconds"))

    def now(self) -> tuple[Plan, int]:
        """Return the plan as it is, and its revision."""
        with self._lock:
            return self.plan, self.revision

    def change(self, revision: int, change: Change, who: str | None = None, draws: bool = False) -> None:
        """Change the plan and save it.

        Args:
            revision: of the plan that the change was meant for.
            change: from a plan to a changed one.
            who: makes it; by default the reviewer.
            draws: whether new tracks are drawn ones.

        Raises:
            Conflict: the plan is another one meanwhile, or is being released.
            RedactError: the change cannot be made; the plan is as it was.
        """
        with self._lock:
            self._check(revision)
            before = self.plan
            self._save(change(before, self.by(who)))
            self._undo.append(before)
            self._redo.clear()
            if draws:
                self._drawn_here |= {t.id for t in self.plan.tracks} - {t.id for t in before.tracks}

    def undo(self, revision: int) -> None:
        """Take the last change back.

        Raises:
            Conflict: as for a change.
            UsageError: there is none.
        """
        self._step(revision, self._undo, self._redo, "undid")

    def redo(self, revision: int) -> None:
        """Make the last change again that was taken back.

        Raises:
            Conflict: as for a change.
            UsageError: there is none.
        """
        self._step(revision, self._redo, self._undo, "redid")

    def check_uncovering(self, ids: Iterable[int]) -> None:
        """Refuse to take the cover off anything but what was drawn in this session, where that is never allowed."""
        drawn = {t.id for t in self.plan.tracks if t.origin == edits.PERSON} & self._drawn_here
        if self.desk.never_show and not drawn.issuperset(ids):
            raise UsageError(
                "This review was opened with --never-show: what was covered stays covered.",
                "Open the review without it, if somebody may decide that.",
            )

    def follow(
        self, revision: int, frame: int, box: Box, label: str, name: str, id: int | None, doubt: int | None
    ) -> Job:
        """Begin to follow a box by the picture; what comes of it is drawn, or added to a track.

        Args:
            revision: of the plan that this was meant for.
            frame: where the box is.
            box: to follow.
            label: of the new track.
            name: of the new track.
            id: of the track that is made longer instead.
            doubt: place in the list of the doubt that is decided by it.

        Raises:
            Conflict: as for a change, or another job is running.
            UsageError: the frame is not in the excerpt, or the box not in the picture.
        """
        with self._lock:
            self._check(revision)
            settled = [self.doubt(doubt)] if doubt is not None else []
            self.check_place(frame, box)
            source = self.plan.source

            def work(progress: Progress) -> dict[str, Any]:
                first, boxes = follow_box(box, frame, self.desk.timeline, self.frames.between, progress)
                with self._lock:
                    if self.plan.source != source:
                        raise Conflict("The excerpt was changed meanwhile; nothing was followed.")
                    last = min(first + len(boxes), source.first + source.frames)
                    held = boxes[max(source.first - first, 0) : last - first]
                    begin = max(first, source.first)
                    self.change(
                        self.revision,
                        lambda plan, by: _followed(plan, by, begin, held, label, name, id, settled),
                        draws=id is None,
                    )
                return {"first": first, "last": last - 1}

            return self._begin("follow", work)

    def cut(self, revision: int, first: int, last: int) -> Job:
        """Begin to make the excerpt shorter, from one frame to another. Its frames are read for it.

        Raises:
            Conflict: as for a change, or another job is running.
            UsageError: the frames are not in the excerpt.
        """
        with self._lock:
            self._check(revision)
            before = self.plan
            edits.check_cut(before, first, last)

            def work(progress: Progress) -> dict[str, Any]:
                made = cut_source(before, self.desk.clip, self.desk.timeline, first, last, progress)
                with self._lock:
                    if (self.plan.source, self.plan.settings) != (before.source, before.settings):
                        raise Conflict("The excerpt or the sound was changed meanwhile; nothing was cut.")
                    self.change(self.revision, lambda plan, by: edits.cut(plan, *made, by))
                return {}

            return self._begin("cut", work)

    def uncover(self, frame: int, id: int, grey: bool) -> tuple[bytes, Box]:
        """Return what is under one track in a frame, and where; it is written to the log who looked.

        Raises:
            UsageError: the track is not in this frame.
        """
        shown = self.frames.uncover(self.plan, frame, id, grey)
        details = {"clip": self.desk.clip.name, "by": self.desk.who, "frame": frame, "track": id, "in_colour": not grey}
        custody.record(self.desk.space, "look under a cover", details)
        return shown

    def sign_off(self, revision: int, who: str, overwrite: bool, allow_empty: bool) -> Job:
        """Begin to render, check and release what was decided.

        Args:
            revision: of the plan that is signed off.
            who: signs.
            overwrite: an earlier copy may be replaced.
            allow_empty: a clip in which nobody was found may be released.

        Raises:
            Conflict: as for a change, or another job is running.
        """
        with self._lock:
            self._check(revision)
            by = self.by(who)
            frames_seen = self.seen.count(self.plan.source)
            review = Review(by.who, by.when, frames_seen, len(self.plan.doubts))
            signed = replace(self.plan, review=review)
            details = {"by": by.who, "frames_seen": frames_seen, "doubts_left": len(signed.doubts)}

            def work(progress: Progress) -> dict[str, Any]:
                with custody.hold(self.desk.space):
                    self._save(signed)
                    custody.record(self.desk.space, "sign off", {"clip": self.desk.clip.name, **details})
                    asked = replace(signed.settings, overwrite=overwrite, allow_empty=allow_empty)
                    try:
                        outcome = pipeline.release(
                            signed.with_settings(asked), self.desk.clip, self.desk.space, self.desk.eyes(asked),
                            progress.named, kept=pipeline.KeptPlan(self.desk.file.path),
                        )  # fmt: skip
                    finally:
                        self._take_repairs(signed)
                statement = custody.make_statement(outcome.plan, outcome.verdict)
                checks = [(c.name, c.passed, c.figure) for c in outcome.verdict.checks]
                return {"copy": str(outcome.copy), "statement": statement, "checks": checks}

            return self._begin("release", work)

    def doubt(self, number: int) -> Doubt:
        """Return a doubt by its place in the list.

        Raises:
            UsageError: there is none.
        """
        if not 0 <= number < len(self.plan.doubts):
            raise UsageError(f"There is no doubt {number}.")
        return self.plan.doubts[number]

    def can_undo(self) -> tuple[bool, bool]:
        """Return whether a change can be taken back, and whether one can be made again."""
        return bool(self._undo), bool(self._redo)

    def check_place(self, frame: int, box: Box) -> None:
        """Refuse what is not in the excerpt, or not in the picture.

        Raises:
            UsageError: it is not.
        """
        source = self.plan.source
        edits.check_frame(self.plan, frame)
        if not box.clip(source.width, source.height):
            raise UsageError("What was drawn lies outside the picture.")

    def groups(self, plan: Plan) -> dict[int, int]:
        """Return for each track of a plan that of the person it seems to be; see `grouping.group`.

        With hundreds of tracks that takes most of a second. So it is done again only where tracks come, go or change
        their length, and once more when all their clothes and faces have been looked at.
        """
        tracks, known, groups = self._grouped
        now = tuple((track.id, track.label, track.first, track.last) for track in plan.tracks)
        if now != tracks:
            self.wardrobe.look([track for track in plan.tracks if track.label in BODIES])
        if now != tracks or (known != self.wardrobe.known and not self.wardrobe.looking):
            known = self.wardrobe.known
            worn = {track.id: look for track in plan.tracks if (look := self.wardrobe.of(track))}
            faces = {track.id: face for track in plan.tracks if (face := self.wardrobe.face_of(track)) is not None}
            groups = group(plan.tracks, self.desk.timeline, worn, faces)
            self._grouped = now, known, groups
        return groups

    def groups_may_change(self) -> bool:
        """Return whether clothes and faces are still looked at, or were since tracks were grouped last."""
        return self.wardrobe.looking or self._grouped[1] != self.wardrobe.known

    def _begin(self, kind: str, work: Callable[[Progress], dict[str, Any]]) -> Job:
        """Start a job, of which there is one at a time."""
        if self.job and self.job.running:
            raise Conflict("Something else is still being done.", "Wait for it to be done.")
        self.job = Job(kind, work)
        self.job.start()
        return self.job

    def _step(self, revision: int, taken: list[Plan], given: list[Plan], word: str) -> None:
        """Go to another state of the plan."""
        with self._lock:
            self._check(revision)
            if not taken:
                raise UsageError("There is nothing more to undo or redo.")
            before = self.plan
            changed = before if word == "undid" else taken[-1]
            what = changed.edits[-1].what if changed.edits else "a change"
            self._save(edits.go_back(before, taken[-1], f"{word}: {_first_made(what)}", self.by()))
            taken.pop()
            given.append(before)

    def _check(self, revision: int) -> None:
        """Refuse a change of what is no longer so."""
        if self._ended:
            raise Conflict("Another clip is being reviewed now; this change was not made.")
        if self.job and self.job.running and self.job.kind == "release":
            raise Conflict("The copy is being made; the plan stays as it is until that is done.")
        if revision != self.revision:
            raise Conflict("The plan was changed meanwhile, perhaps in another tab; this change was not made.")
        if self.desk.file.is_changed():
            self._take_from_disk()
            raise Conflict("Another program has changed the plan; this change was not made.")

    def _take_repairs(self, signed: Plan) -> None:
        """Go on with what was added to the plan while a copy of it was made; no undo or redo takes that away."""
        with self._lock:
            if self.desk.file.is_changed():
                self._undo.clear()
                self._redo.clear()
                self._save(self.desk.file.read().with_settings(signed.settings))

    def _take_from_disk(self) -> None:
        """Go on with the plan that is on disk."""
        self.plan = self.desk.file.read()
        self._drawn_here.clear()
        self._undo.clear()
        self._redo.clear()
        self.revision += 1

    def _save(self, plan: Plan) -> None:
        """Make a plan the current one, once it is on disk."""
        with self._lock:
            self.desk.file.write(plan)
            self.plan = plan
            self._drawn_here &= {track.id for track in plan.tracks}  # a number that is free is given again
            self.revision += 1


def _followed(
    plan: Plan, by: By, first: int, boxes: Sequence[Box], label: str, name: str, id: int | None,
    doubts: Sequence[Doubt],
) -> Plan:  # fmt: skip
    """Return a plan with what was followed."""
    made = edits.draw(plan, label, first, boxes, name, by) if id is None else edits.prolong(plan, id, first, boxes, by)
    left = [doubt for doubt in doubts if doubt in made.doubts]
    return edits.settle(made, left, "covered", by) if left else made


def _first_made(what: str) -> str:
    """Return what was done in the first place, of an edit that says it was undone or redone."""
    while what.startswith(("undid: ", "redid: ")):
        what = what.partition(": ")[2]
    return what
