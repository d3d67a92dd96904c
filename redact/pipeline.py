"""The order of the passes for one clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from redact import analysis, custody, excerpts, rendering, segments, sheets, surveys, verification
from redact import detectors as installed
from redact.analysis import DAMAGED
from redact.crew import PassProgress, Progress
from redact.custody import Workspace
from redact.detectors import Detector, load_others
from redact.errors import InputError, OutputError, PlanError, ReviewRequired, VerificationError
from redact.executors import Executor, Here
from redact.media import hash_file, is_still
from redact.plan import AUDIO, Plan, Settings, Source, Track, Verdict
from redact.records import dump_plan, load_plan, to_bytes, to_plain
from redact.segments import KeptSegments
from redact.sightings import dump_sightings, load_sightings
from redact.verification import Findings

LOOKED_WITH = (
    "from_time",
    "to_time",
    "stream",
    "cover",
    "marks",
    "regions",
    "threshold",
    "fast",
)  # settings that plans depend on
HEARD_WITH = ("audio", "audio_stream", "mute", "beep")  # those that a person may have decided in a plan
HERE = Here()
ROUNDS = 3  # a copy is made at most this often with what was found in the one before


@dataclass(frozen=True)
class Outcome:
    """What became of one clip: its plan, and where the checked copy is."""

    clip: Path
    plan: Plan
    verdict: Verdict
    copy: Path


def run(
    clip: Path,
    space: Workspace,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: PassProgress,
    executor: Executor = HERE,
) -> Outcome:
    """Turn a clip into a checked copy: analyse, render, verify, release.

    A plan that an earlier run left for the same clip and excerpt is used as it is.

    Args:
        clip: the file.
        space: where everything goes.
        settings: those in force.
        detectors: what looks; `Eyes` where other processes do.
        progress: from the name of a pass to its progress.
        executor: carries out the passes.

    Raises:
        RedactError: one of its kinds; nothing was released then.
    """
    sha256 = hash_file(clip)
    custody.release_name(space, clip, sha256, settings, custody.suffix_of(is_still(clip)))
    path = custody.private_path(space, clip, sha256, ".plan.json")
    kept = KeptPlan(path)
    models = executor.submit(analysis.models_of, detectors).result()
    plan = _reusable_plan(path, settings, models)
    plan = plan or _look_and_plan(clip, path, space, settings, detectors, progress, executor)
    kept.write(plan)
    return release(plan, clip, space, detectors, progress, executor, kept)


def analyse(
    clip: Path,
    space: Workspace,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: PassProgress,
    check: Callable[[Source], None] | None = None,
) -> tuple[Plan, Path]:
    """Make the plan of a clip, and write it beside the detections that it was made from.

    Args:
        clip: the file.
        space: where everything goes.
        settings: those in force.
        detectors: what looks.
        progress: from the name of a pass to its progress.
        check: takes what was counted of the clip; where it raises, no plan is written.

    Returns:
        The plan and where it is.

    Raises:
        RedactError: one of its kinds; an existing plan is as it was.
    """
    path = custody.private_path(space, clip, hash_file(clip), ".plan.json")
    if path.exists() and not settings.overwrite:
        raise OutputError(
            f"There is already a plan for this clip: {path}.",
            "Render it with `redact render`, or use --overwrite to make it anew.",
        )
    kept = KeptPlan(path)
    _keep_decisions(path)
    plan = _look_and_plan(clip, path, space, settings, detectors, progress)
    if check:
        check(plan.source)
    kept.write(plan)
    return plan, path


def release(
    plan: Plan,
    clip: Path,
    space: Workspace,
    detectors: Sequence[Detector],
    progress: PassProgress,
    executor: Executor = HERE,
    kept: KeptPlan | None = None,
) -> Outcome:
    """Render a plan, check the copy and release it. Faces that are found in the copy are added, and it is made again.

    Args:
        plan: what to cover.
        clip: the clip that it was made for.
        space: where everything goes.
        detectors: what looks at the copy.
        progress: from the name of a pass to its progress.
        executor: carries out the passes.
        kept: the plan's own file, in which alone it is kept with what was added; None where it is in no file.

    Raises:
        RedactError: one of its kinds; nothing was released then.
    """
    surveys.check_whole(clip, plan.settings, plan.source.damage())
    suffix = custody.suffix_of(plan.source.still)
    custody.release_name(space, clip, plan.source.sha256, plan.settings, suffix)
    details = {"clip": str(clip), **custody.identity(plan.source.sha256, plan.settings)}
    if not _found_enough(plan) and not plan.settings.allow_empty:
        custody.record(space, "hold back", {**details, "reason": "nothing was found"})
        what = "Nobody" if analysis.covers_faces(plan.settings) else "Nothing to cover"
        raise ReviewRequired(f"{what} was found in {clip.name}. That may be wrong, so it was not released.")
    partial = custody.private_path(space, clip, plan.source.sha256, ".partial" + suffix)
    _remove(partial)
    try:
        sha256, plan, verdict = _render_until_clean(
            plan, clip, partial, kept, space, details, detectors, progress, executor
        )
        copy = custody.release(space, partial, sha256, plan, verdict, clip)
    finally:
        _remove(partial)
    return Outcome(clip, plan, verdict, copy)


class KeptPlan:
    """The file of a plan that is made, or of which a copy is made: it is written as long as nobody else has done so.

    Args:
        path: the file; there may be none yet. Make this before the plan is read, so that no change is missed.
    """

    def __init__(self, path: Path) -> None:
        self._file = custody.WatchedFile(path)

    def write(self, plan: Plan) -> None:
        """Write what has become of the plan.

        Raises:
            OutputError: it was changed meanwhile, or cannot be written.
        """
        if self._file.is_changed():
            raise OutputError(
                f"The plan {self._file.path} was changed while a run was at work on it. That change was kept; nothing "
                "was released.",
                "Look at it in the review, then make the copy from it: `redact render PLAN -o OUT`.",
            )
        self._file.write(to_bytes(dump_plan(plan)))


def _remove(partial: Path) -> None:
    """Remove a copy that is not released, and what was to become one."""
    for path in (partial, *rendering.unfinished(partial)):
        path.unlink(missing_ok=True)


def _found_enough(plan: Plan) -> bool:
    """Return whether somebody is covered, or, where faces are not to be, anything. A clock alone is no success."""
    covered = {track.label for track in plan.tracks if track.action == "cover" and track.reason != DAMAGED}
    return bool(covered & {"face", "head", "person"} if analysis.covers_faces(plan.settings) else covered)


def _render_until_clean(
    plan: Plan,
    clip: Path,
    partial: Path,
    kept: KeptPlan | None,
    space: Workspace,
    details: Mapping[str, Any],
    detectors: Sequence[Detector],
    progress: PassProgress,
    executor: Executor,
) -> tuple[str, Plan, Verdict]:
    """Render and verify, and do it again with what was found; return the copy's sha256, plan and verdict."""
    remaining = custody.private_path(space, clip, plan.source.sha256, ".remaining.png")
    for last in [False] * (ROUNDS - 1) + [True]:
        made = executor.submit(rendering.render_beside, plan, clip, partial, progress=progress("render")).result()
        made.replace(partial)
        sha256 = hash_file(partial)
        custody.record(space, "render", {**details, **_put_in(plan.settings), "settings": to_plain(plan.settings)})
        findings = executor.submit(_verify, partial, plan, clip, detectors, progress=progress("verify")).result()
        verdict = findings.verdict
        custody.record(space, "verify", {**details, "passed": verdict.passed, "checks": to_plain(verdict.checks)})
        if verdict.passed:
            remaining.unlink(missing_ok=True)
            return sha256, plan, verdict
        if last or not findings.faces:
            break
        partial.unlink()
        plan = _repair(plan, clip, findings, kept, space, detectors, progress, executor)
    found = "; ".join(f"{check.name}: {check.figure}" for check in verdict.findings)
    sheet = _draw_remaining(plan, partial, findings, remaining, progress)
    raise VerificationError(f"The copy of {clip.name} did not pass: {found}.", sheet)


def _verify(copy: Path, plan: Plan, clip: Path, detectors: Sequence[Detector], progress: Progress) -> Findings:
    """Return what verifying a copy shows."""
    return verification.verify(copy, plan, clip, face_detectors(detectors, plan.settings), progress)


def _put_in(settings: Settings) -> dict[str, str]:
    """Return the hash of the sound that was put in the place of the clip's; nothing where none was."""
    return {} if settings.audio in AUDIO else {"audio_sha256": hash_file(Path(settings.audio))}


def _repair(
    plan: Plan,
    clip: Path,
    findings: Findings,
    kept: KeptPlan | None,
    space: Workspace,
    detectors: Sequence[Detector],
    progress: PassProgress,
    executor: Executor,
) -> Plan:
    """Return the plan with the faces that were found, each followed through the clip, and keep it."""
    seen = [d for chain in findings.faces for d in chain]
    timeline = executor.submit(excerpts.measure_timeline, plan, clip, progress=progress("survey")).result()
    given = clip, seen, timeline, plan.settings, detectors
    chains = executor.submit(analysis.follow_again, *given, progress=progress("follow again")).result()
    repaired = analysis.add_faces(plan, chains, timeline)
    if kept:
        kept.write(repaired)
    added = len(repaired.tracks) - len(plan.tracks)
    custody.record(space, "repair", {"clip": str(clip), "source_sha256": plan.source.sha256, "tracks_added": added})
    return repaired


def _draw_remaining(plan: Plan, partial: Path, findings: Findings, path: Path, progress: PassProgress) -> str | None:
    """Write a sheet of the faces that the copy still shows; return advice, or None where there are none."""
    best = [max(chain, key=lambda d: d.score) for chain in findings.faces]
    if not best:
        return None
    best.sort(key=lambda d: -d.score)
    moments = [sheets.Moment(d.frame, d.box, f"score {d.score:.2f} by {d.detector}") for d in best]
    picture = sheets.draw_copy_sheet(moments, plan, partial, progress("sheet"))
    custody.write_private(path, sheets.encode_png(picture))
    return f"Nothing was released. Look at what is still to be seen, {path}, and cover it in the plan."


def face_detectors(detectors: Sequence[Detector], settings: Settings) -> list[Detector]:
    """Return the detectors that look at a copy: all those of faces, where faces are covered."""
    if not analysis.covers_faces(settings):
        return []
    from redact.detectors.brought import BroughtDetector

    eyes = (d for d in detectors if "face" in d.labels and not isinstance(d, BroughtDetector))  # that sees no picture
    return [*eyes, *load_others()]


def load_eyes(settings: Settings) -> list[Detector]:
    """Return the detectors that finished copies are searched with; those of other things are not needed for that."""
    faces = replace(settings, cover=("face",), marks=())
    return installed.load_detectors(faces) if analysis.covers_faces(settings) else []


def read_plan(path: Path) -> Plan:
    """Return the plan in a file.

    Raises:
        InputError: there is no such file.
        PlanError: it is not a plan.
    """
    try:
        return load_plan(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no plan {path}.", "Make one with `redact analyse CLIP -o OUT`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"The plan {path} cannot be read: {error}.") from error


def _look_and_plan(
    clip: Path,
    path: Path,
    space: Workspace,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: PassProgress,
    executor: Executor = HERE,
) -> Plan:
    """Return a new plan, from the detections of an earlier run where these still hold."""
    kept = path.with_name(path.name.replace(".plan.json", ".detections.jsonl.gz"))
    sightings = load_sightings(kept.read_bytes()) if kept.exists() else None
    models = executor.submit(analysis.models_of, detectors).result()
    made_with = analysis.made_with(hash_file(clip), settings, models)
    if sightings is None or not analysis.answers(sightings, made_with):
        parts = KeptSegments(kept, made_with)
        sightings = segments.look(clip, settings, detectors, parts, executor, progress)
        custody.write_private(kept, dump_sightings(sightings))
        parts.clear()
    if sightings.detections and not sightings.chains:
        seen = clip, sightings.detections, sightings.timeline, settings, detectors
        chains = executor.submit(analysis.follow, *seen, progress=progress("follow")).result()
        sightings = replace(sightings, chains=chains)
        custody.write_private(kept, dump_sightings(sightings))
    surveys.check_whole(clip, settings, sightings.source.damage())
    followed: list[Track] = []
    if any(region.follow for region in settings.regions):
        drawn = clip, sightings.timeline, settings
        followed = executor.submit(analysis.follow_regions, *drawn, progress=progress("follow regions")).result()
    plan = analysis.make_plan(sightings, settings, followed)
    details = {"models": to_plain(plan.models), "settings": to_plain(settings), "tracks": len(plan.tracks)}
    details["looked"] = to_plain(sightings.looked)
    custody.record(space, "analyse", {"clip": str(clip), "source": to_plain(plan.source), **details})
    return plan


def _keep_decisions(path: Path) -> None:
    """Refuse to make a plan anew in which a person has decided something.

    Raises:
        OutputError: there is one.
    """
    with suppress(InputError, PlanError):  # there is none, or it is damaged
        if edits := read_plan(path).edits:
            raise OutputError(
                f"The plan {path} holds {len(edits)} decisions made by hand, which would be lost.",
                "Make the copy again from it: `redact render PLAN -o OUT --overwrite`. Or move the plan away first.",
            )


def _reusable_plan(path: Path, settings: Settings, models: Mapping[str, str]) -> Plan | None:
    """Return the plan of an earlier run with the settings of this one, or None where there is none.

    Raises:
        OutputError: there is one that was made otherwise, which would be lost.
        PlanError: there is one that cannot be read.
    """
    if settings.overwrite:
        _keep_decisions(path)
    if settings.overwrite or not path.exists():
        return None
    plan = read_plan(path)
    fields = (*LOOKED_WITH, *(HEARD_WITH if plan.edits else ()))
    differ = [field for field in fields if getattr(plan.settings, field) != getattr(settings, field)]
    differ += ["models"] if plan.models != models else []
    if differ:
        how = "Use --overwrite to replace it, or another output folder to keep both."
        if plan.edits:  # --overwrite would cost them
            how = (
                "It holds decisions of a person: make the copy with `redact render PLAN`, or sign it off in the review."
            )
        raise OutputError(f"There is a plan of this clip that was made otherwise ({', '.join(differ)}): {path}.", how)
    return plan.with_settings(settings)
