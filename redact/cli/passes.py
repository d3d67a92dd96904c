"""Commands that make copies and look at what was made."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redact.cli.options import DEFAULTS, JSON, OUTPUT, TO_ANALYSE, TO_RENDER, Bars, options, settings_from
from redact.cli.results import complain, outcome_json, print_checks, summarize
from redact.errors import PlanError, UsageError, VerificationError
from redact.plan import Settings
from redact.records import to_plain

if TYPE_CHECKING:
    from redact.detectors import Detector


@click.command("run")
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@options(*dict.fromkeys((*TO_ANALYSE, *TO_RENDER)))
@JSON
def run_command(clips: tuple[Path, ...], output: Path, as_json: bool, **given: Any) -> None:
    """Turn clips into checked copies in OUTPUT/release."""
    from redact import batch, custody
    from redact.detectors import load_detectors

    settings = settings_from(DEFAULTS, given)
    if len(clips) > 1 and output.suffix.lower() == ".mp4":
        raise UsageError("With several clips, -o names a folder, not a copy.")
    begin = time.monotonic()
    detectors = load_detectors(settings)
    space = custody.open_workspace(output)
    bars = Bars()
    titles = len(clips) > 1
    try:
        results = batch.run_clips(
            clips,
            space,
            settings,
            detectors,
            lambda clip, name: bars(f"{clip.name}: {name}" if titles else name),
        )
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps([outcome_json(r) for r in results], indent=1, ensure_ascii=False))
    for result in results:
        if isinstance(result, batch.Failure):
            complain(result.error)
        elif not as_json:
            summarize(result.plan, result.verdict, result.copy)
    if sys.stdout.isatty() and not as_json:
        click.echo(f"{len(results)} clip(s) in {time.monotonic() - begin:.1f} s")
    sys.exit(batch.exit_code(results))


@click.command("analyse")
@click.argument("clip", type=click.Path(path_type=Path))
@OUTPUT
@options(*TO_ANALYSE)
@JSON
def analyse_command(clip: Path, output: Path, as_json: bool, **given: Any) -> None:
    """Find what is to be covered in CLIP, and write the plan to OUTPUT/private."""
    from redact import custody, pipeline
    from redact.detectors import load_detectors

    settings = settings_from(DEFAULTS, given)
    bars = Bars()
    try:
        plan, path = pipeline.analyse(clip, custody.open_workspace(output), settings, load_detectors(settings), bars)
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps({"plan": str(path), "tracks": len(plan.tracks), "frames": plan.source.frames}))
    else:
        click.echo(path)


@click.command("render")
@click.argument("plan", type=click.Path(path_type=Path))
@OUTPUT
@click.option("--clip", type=click.Path(path_type=Path), help="The clip, where it is not where it was analysed.")
@options(*TO_RENDER)
@JSON
def render_command(plan: Path, output: Path, clip: Path | None, as_json: bool, **given: Any) -> None:
    """Cover what PLAN says, check the copy, and release it in OUTPUT/release."""
    from redact import custody, pipeline

    read = pipeline.read_plan(plan)
    read = read.with_settings(settings_from(read.settings, given))
    bars = Bars()
    try:
        space = custody.open_workspace(output)
        outcome = pipeline.release(read, clip or Path(read.source.path), space, load_eyes(read.settings), bars)
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps(outcome_json(outcome), indent=1, ensure_ascii=False))
    else:
        summarize(outcome.plan, outcome.verdict, outcome.copy)


@click.command("verify")
@click.argument("copy", type=click.Path(path_type=Path))
@click.option("--plan", required=True, type=click.Path(path_type=Path), help="The plan that the copy was made from.")
@click.option("--clip", type=click.Path(path_type=Path), help="The clip, where it is not where it was analysed.")
@JSON
def verify_command(copy: Path, plan: Path, clip: Path | None, as_json: bool) -> None:
    """Check COPY against its plan and clip."""
    from redact import pipeline, verification

    read = pipeline.read_plan(plan)
    bars = Bars()
    try:
        where = clip or Path(read.source.path)
        eyes = pipeline.face_detectors(load_eyes(read.settings), read.settings)
        verdict = verification.verify(copy, read, where, eyes, bars("verify")).verdict
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps({"passed": verdict.passed, **to_plain(verdict)}, indent=1, ensure_ascii=False))
    else:
        print_checks(verdict)
    if not verdict.passed:
        raise VerificationError(f"{copy.name} did not pass.", "Do not publish this copy. Make it again from the plan.")


@click.command("sheet")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("-o", "output", type=click.Path(path_type=Path), help="The picture; by default beside the plan.")
@click.option("--clip", type=click.Path(path_type=Path), help="The clip, where it is not where it was analysed.")
@click.option("--uncovered", is_flag=True, help="Show what is under the covers. Keep that picture to yourself.")
def sheet_command(plan: Path, output: Path | None, clip: Path | None, uncovered: bool) -> None:
    """Draw what PLAN says is in doubt, the highest risk first, covered as in the copy."""
    from redact import custody, pipeline, sheets

    read = pipeline.read_plan(plan)
    name = plan.name.removesuffix(".json").removesuffix(".plan") + (
        ".doubts-uncovered.png" if uncovered else ".doubts.png"
    )
    bars = Bars()
    try:
        picture = sheets.draw_sheet(
            sheets.moments_of(read.doubts), read, clip or Path(read.source.path), not uncovered, bars("sheet")
        )
    finally:
        bars.close()
    path = output or plan.with_name(name)
    custody.write_private(path, sheets.encode_png(picture))
    click.echo(path)


@click.command("log")
@click.argument("output", type=click.Path(path_type=Path))
@JSON
def log_command(output: Path, as_json: bool) -> None:
    """Print the private log of OUTPUT (a folder, or the name of one copy), and check that no line was changed."""
    from redact import custody

    report = custody.read_log(custody.locate_workspace(output))
    for entry in report.entries:
        if as_json:
            click.echo(json.dumps(entry, ensure_ascii=False))
        else:
            subject = Path(str(entry.get("clip", ""))).name
            click.echo(
                f"{entry.get('number', '?'):>5}  {entry.get('time', '')}  {entry.get('operation', ''):<10}  {subject}"
            )
    if report.faults:
        raise PlanError(
            "The log is not as it was written: " + "; ".join(report.faults) + ".",
            "Find out who could write to the folder; compare with a backup of it.",
        )
    if not as_json:
        click.echo(f"{len(report.entries)} lines, the chain is whole")


def load_eyes(settings: Settings) -> list[Detector]:
    """Return the detectors that finished copies are searched with; those of other things are not needed for that."""
    from redact.analysis import covers_faces
    from redact.detectors import load_detectors

    return load_detectors(replace(settings, cover=("face",), marks=())) if covers_faces(settings) else []
