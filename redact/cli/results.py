"""What the commands print of a clip and its copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from redact.errors import RedactError
from redact.plan import Plan, Verdict
from redact.records import to_plain


def outcome_json(result: Any) -> dict[str, Any]:
    """Return what became of a clip, for machines."""
    from redact.batch import Failure

    if isinstance(result, Failure):
        error = result.error
        return {
            "clip": str(result.clip),
            "error": str(error),
            "advice": error.advice,
            "exit_code": error.exit_code,
        }
    plan: Plan = result.plan
    return {
        "clip": str(result.clip),
        "copy": str(result.copy),
        "frames": plan.source.frames,
        "frames_covered": plan.covered_frames(),
        "tracks": len(plan.tracks),
        "doubts": len(plan.doubts),
        "marks": _marks_of(plan),
        "checks": to_plain(result.verdict.checks),
    }


def summarize(plan: Plan, verdict: Verdict, copy: Path) -> None:
    """Print the short table at the end: for a person on a terminal, else only where the copy is."""
    if not sys.stdout.isatty():
        click.echo(copy)
        return
    covered, frames = plan.covered_frames(), plan.source.frames
    length = float(plan.source.ends - plan.source.begins)
    labels = sorted({track.label for track in plan.tracks})
    counts = ", ".join(f"{sum(t.label == label for t in plan.tracks)} {label}" for label in labels) or "nothing"
    click.echo(f"{'found':<12} {counts} ({len(plan.tracks)} tracks)")
    click.echo(f"{'covered':<12} {covered} of {frames} frames, {length * covered / frames:.1f} of {length:.1f} s")
    worst = f", the highest risk {plan.doubts[0].risk:.2f}: see `redact sheet`" if plan.doubts else ""
    click.echo(f"{'in doubt':<12} {len(plan.doubts)} stretches{worst}")
    for name, found in _marks_of(plan).items():
        click.echo(f"{'mark ' + name:<12} {'; '.join(found) or 'NOT FOUND'}")
    print_checks(verdict)
    click.echo(f"{'copy':<12} {copy}")


def _marks_of(plan: Plan) -> dict[str, list[str]]:
    """Return for each mark that was looked for in how many frames it was seen, and where it was lost."""
    begins, ends, frames = plan.source.begins, plan.source.ends, plan.source.frames
    step = float(ends - begins) / max(frames - 1, 1)
    found: dict[str, list[str]] = {name: [] for name in plan.settings.marks}
    for track in plan.tracks:
        name, _, seen = track.reason.removeprefix("mark:").partition(": ")
        if track.label == "mark" and name in found:
            first, last = (float(begins) + (n - plan.source.first) * step for n in (track.first, track.last))
            found[name].append(f"{seen}, from {first:.1f} to {last:.1f} s")
    return found


def print_checks(verdict: Verdict) -> None:
    """Print what was checked, and what was not."""
    marks = {True: "held", False: "FAILED", None: "NOT CHECKED"}
    for check in verdict.checks:
        click.echo(f"{marks[check.passed]:<12} {check.name}: {check.figure}")


def complain(error: RedactError) -> None:
    """Print what happened, what it means and what to do."""
    click.echo(f"redact: {error}", err=True)
    click.echo(f"        {error.advice}", err=True)
