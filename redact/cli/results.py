"""What the commands print of a clip and its copy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redact.errors import DependencyError, RedactError
from redact.plan import Plan, Verdict
from redact.records import to_plain

if TYPE_CHECKING:
    from redact.batch import Result

MOST_SKIPPED = 20  # files that are named


def shown(text: str) -> str:
    """Return text of which no part can act on a terminal: names of files come from strangers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Say which optional packages to install where the block cannot import one.

    Raises:
        DependencyError: it cannot.
    """
    try:
        yield
    except ImportError as error:
        raise DependencyError(
            f"{what} needs a package that is not installed: {error.name}.",
            f"Install it with `pip install 'redact[{extra}]'`.",
        ) from error


def print_path(path: Path) -> None:
    """Print where something is: readably for a person, to the byte for programs."""
    click.echo(shown(str(path)) if sys.stdout.isatty() else os.fsencode(path))


def say_skipped(skipped: Mapping[Path, str]) -> None:
    """Say which files in folders are left alone; the rest of many stands in `redact status OUT --json`."""
    for path, reason in list(skipped.items())[:MOST_SKIPPED]:
        click.echo(shown(f"redact: skipped {path}: {reason}"), err=True)
    if len(skipped) > MOST_SKIPPED:
        more = len(skipped) - MOST_SKIPPED
        click.echo(f"redact: skipped {more} more files, see `redact status OUT --json`", err=True)


def tell(result: Result, as_json: bool) -> int:
    """Print what became of a clip, and return its exit code."""
    from redact.batch import Done, Failure

    if isinstance(result, Failure):
        complain(result.error)
        return result.error.exit_code
    if isinstance(result, Done):
        if not as_json:
            print_path(result.copy)
    elif not as_json:
        summarize(result.plan, result.verdict, result.copy)
    return 0


def outcome_json(result: Result) -> dict[str, Any]:
    """Return what became of a clip, for machines."""
    from redact.batch import Done, Failure

    if isinstance(result, Done):
        return {"clip": str(result.clip), "copy": str(result.copy), "done_before": True}
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
        print_path(copy)
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
    click.echo(f"{'copy':<12} {shown(str(copy))}")


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
        click.echo(f"{marks[check.passed]:<12} {check.name}: {shown(check.figure)}")


def complain(error: RedactError) -> None:
    """Print what happened, what it means and what to do."""
    click.echo(f"redact: {shown(str(error))}", err=True)
    click.echo(f"        {shown(error.advice)}", err=True)
