"""What Python programs call: the passes for one clip, as plain functions. Thin over `pipeline`; nothing is printed.

    from redact import Settings, run

    outcome = run("clip.mp4", "out", Settings(effect="solid"))
    print(outcome.copy)

The names are re-exported by `redact`, which loads this room only when one of them is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from redact import custody, detectors, pipeline, sheets, verification
from redact.crew import PassProgress, Progress, show_nothing
from redact.detectors import Detector
from redact.pipeline import Outcome
from redact.plan import Plan, Settings, Verdict

AnyPath = str | os.PathLike[str]


def quiet(title: str) -> Progress:
    """Return a progress that shows nothing."""
    return show_nothing


def run(
    clip: AnyPath,
    output: AnyPath,
    settings: Settings | None = None,
    *,
    detectors: Sequence[Detector] | None = None,
    progress: PassProgress = quiet,
) -> Outcome:
    """Turn a clip into a checked copy: analyse, render, verify, release.

    A plan that an earlier run left in the output for the same clip and excerpt is used as it is.

    Args:
        clip: the file; it is only read.
        output: folder for everything, or the name of the copy, ending in .mp4.
        settings: by default those of `redact run` without options.
        detectors: what looks; by default those that are installed for what is to be covered.
        progress: from the name of a pass to a function of the frames done and the number of frames, or None.

    Returns:
        The plan, the verdict and where the copy is.

    Raises:
        RedactError: one of its kinds; nothing was released then.
    """
    chosen = settings or Settings()
    eyes = _or_installed(detectors, chosen)
    with custody.hold(space := custody.open_workspace(Path(output))):
        return pipeline.run(Path(clip), space, chosen, eyes, progress)


def analyse(
    clip: AnyPath,
    output: AnyPath,
    settings: Settings | None = None,
    *,
    detectors: Sequence[Detector] | None = None,
    progress: PassProgress = quiet,
) -> Plan:
    """Return the plan of a clip, and keep it in the private folder of the output. Arguments are those of `run`.

    Raises:
        RedactError: one of its kinds; an existing plan is as it was.
    """
    chosen = settings or Settings()
    eyes = _or_installed(detectors, chosen)
    with custody.hold(space := custody.open_workspace(Path(output))):
        return pipeline.analyse(Path(clip), space, chosen, eyes, progress)[0]


def render(
    plan: Plan | AnyPath,
    output: AnyPath,
    *,
    clip: AnyPath | None = None,
    detectors: Sequence[Detector] | None = None,
    progress: PassProgress = quiet,
) -> Outcome:
    """Cover what a plan says, check the copy and release it.

    Args:
        plan: the plan, or the file that holds it, which allows neither to replace a copy nor to release an empty one.
            Faces that are found in the copy are added to that file; those added to a plan are in the outcome alone.
        output: as in `run`.
        clip: where the clip is, if it is not where it was analysed.
        detectors: what searches the copy for faces; by default all that are installed.
        progress: as in `run`.

    Raises:
        RedactError: one of its kinds; nothing was released then.
    """
    kept = None if isinstance(plan, Plan) else pipeline.KeptPlan(Path(plan))
    read, where = _plan_and_clip(plan, clip)
    eyes = pipeline.load_eyes(read.settings) if detectors is None else detectors
    with custody.hold(space := custody.open_workspace(Path(output))):
        return pipeline.release(read, where, space, eyes, progress, kept=kept)


def verify(
    copy: AnyPath,
    plan: Plan | AnyPath,
    *,
    clip: AnyPath | None = None,
    detectors: Sequence[Detector] | None = None,
    progress: PassProgress = quiet,
) -> Verdict:
    """Return all checks of a copy, those that failed and those that were not made among them. See `render`.

    Raises:
        InputError: the copy or the clip cannot be read at all.
        PlanError: the plan cannot be read, or the clip is not the plan's.
    """
    read, where = _plan_and_clip(plan, clip)
    eyes = pipeline.load_eyes(read.settings) if detectors is None else detectors
    checkers = pipeline.face_detectors(eyes, read.settings)
    return verification.verify(Path(copy), read, where, checkers, progress("verify")).verdict


def sheet(plan: Plan | AnyPath, *, clip: AnyPath | None = None, progress: PassProgress = quiet) -> bytes:
    """Return a contact sheet of what a plan is in doubt about as a PNG file, covered as the copy will be.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the plan cannot be read, or the clip is not the plan's.
    """
    read, where = _plan_and_clip(plan, clip)
    return sheets.encode_png(sheets.draw_sheet(sheets.moments_of(read.doubts), read, where, True, progress("sheet")))


def _or_installed(given: Sequence[Detector] | None, settings: Settings) -> Sequence[Detector]:
    """Return the detectors that were given, or those that are installed for what is to be covered."""
    return detectors.load_detectors(settings) if given is None else given


def _plan_and_clip(plan: Plan | AnyPath, clip: AnyPath | None) -> tuple[Plan, Path]:
    """Return a plan that may be in a file, and where its clip is."""
    if isinstance(plan, Plan):
        read = plan
    else:
        kept = pipeline.read_plan(Path(plan))
        read = kept.with_settings(kept.settings.without_permissions())
    return read, Path(read.source.path if clip is None else clip)
