"""Commands that make copies and look at what was made."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import click

from redact.cli.exchange import DETECTIONS, LABEL, bring
from redact.cli.options import (
    CLUSTER,
    DEFAULTS,
    JSON,
    MOVED_CLIP,
    OUTPUT,
    TO_ANALYSE,
    TO_RENDER,
    Bars,
    options,
    settings_from,
)
from redact.cli.results import outcome_json, print_checks, print_path, say_skipped, shown, summarize, tell
from redact.errors import OutputError, UsageError, VerificationError
from redact.plan import Verdict
from redact.records import to_plain


@click.command("run")
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@options(*dict.fromkeys((*TO_ANALYSE, *TO_RENDER)))
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Let N processes work beside each other, each with its share of the cores; as many as there are clips, cores "
    "and 2 GB of memory for each.",
)
@CLUSTER
@JSON
def run_command(
    clips: tuple[Path, ...], output: Path, jobs: int | None, cluster: str | None, as_json: bool, **given: Any
) -> None:
    """Turn clips, and all clips in folders, into checked copies in OUT/release."""
    from redact import media

    settings = settings_from(DEFAULTS, given)
    media.prepare()  # while the rest of the program and the detectors are loaded
    from redact import batch, crew, custody, trees
    from redact.detectors import load_detectors

    if output.suffix.lower() in custody.COPY_SUFFIXES and (len(clips) > 1 or clips[0].is_dir()):
        raise UsageError("With several clips, -o names a folder, not a copy.")
    if cluster and jobs is not None:
        raise UsageError("--jobs is for this machine; with --cluster its workers say how many there are.")
    begin = time.monotonic()
    tree = trees.find_clips(clips, custody.locate_workspace(output))
    say_skipped(tree.skipped)
    load = partial(load_detectors, settings)
    number = len(tree.clips)
    jobs = jobs or crew.processes_for(number)
    apart = jobs > 1 or cluster is not None
    detectors = [] if apart else load()
    bars = Bars()
    code, rows = 0, []
    running = batch.run_clips(
        tree,
        custody.open_workspace(output),
        settings,
        load if apart else lambda: detectors,
        lambda clip, name: bars(f"{shown(clip.name)}: {name}" if number > 1 else name),
        jobs,
        cluster,
    )
    with bars, closing(running) as results:
        if apart:
            bars("clips", "clips")(0, number)
        for done, result in enumerate(results, start=1):
            bars.close()
            code = max(code, tell(result, as_json))
            rows += [outcome_json(result)] if as_json else []
            if apart:
                bars("clips", "clips")(done, number)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif sys.stdout.isatty():
        click.echo(f"{number} clip(s) in {time.monotonic() - begin:.1f} s")
    sys.exit(code)


@click.command("analyse")
@click.argument("clip", type=click.Path(path_type=Path))
@OUTPUT
@options(*TO_ANALYSE)
@DETECTIONS
@LABEL
@JSON
def analyse_command(
    clip: Path, output: Path, as_json: bool, detections: Path | None, label: str | None, **given: Any
) -> None:
    """Find what is to be covered in CLIP, and write the plan to OUT/private."""
    from redact import custody, pipeline
    from redact.detectors import load_detectors

    settings = settings_from(DEFAULTS, given)
    detectors, check = load_detectors(settings), None
    if detections is not None:
        brought, check = bring(detections, label, clip, settings)
        detectors.append(brought)
    with Bars() as bars:
        space = custody.open_workspace(output)
        with custody.hold(space):
            plan, path = pipeline.analyse(clip, space, settings, detectors, bars, check)
    if as_json:
        click.echo(json.dumps({"plan": str(path), "tracks": len(plan.tracks), "frames": plan.source.frames}))
    else:
        print_path(path)


@click.command("render")
@click.argument("plan", type=click.Path(path_type=Path))
@OUTPUT
@MOVED_CLIP
@options(*TO_RENDER)
@JSON
def render_command(plan: Path, output: Path, clip: Path | None, as_json: bool, **given: Any) -> None:
    """Cover what PLAN says, check the copy, and release it in OUT/release."""
    from redact import custody, pipeline

    kept = pipeline.KeptPlan(plan)
    read = pipeline.read_plan(plan)
    read = read.with_settings(settings_from(read.settings.without_permissions(), given))
    with Bars() as bars:
        space = custody.open_workspace(output)
        with custody.hold(space):
            outcome = pipeline.release(
                read, clip or Path(read.source.path), space, pipeline.load_eyes(read.settings), bars, kept=kept
            )
    if as_json:
        click.echo(json.dumps(outcome_json(outcome), indent=1))
    else:
        summarize(outcome.plan, outcome.verdict, outcome.copy)


@click.command("verify")
@click.argument("copy", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="PLAN",
    help="The plan that the copy was made from.",
)
@MOVED_CLIP
@JSON
def verify_command(copy: Path, plan: Path | None, clip: Path | None, as_json: bool) -> None:
    """Check COPY against its plan and clip; without --plan, only what is in the file besides pictures and sound."""
    verdict = _verify_alone(copy, clip) if plan is None else _verify(copy, plan, clip)
    if as_json:
        click.echo(json.dumps({"passed": verdict.passed, **to_plain(verdict)}, indent=1))
    else:
        print_checks(verdict)
    if not verdict.passed:
        raise VerificationError(f"{copy.name} did not pass.", "Do not publish this copy. Make it again from the plan.")


def _verify(copy: Path, plan: Path, clip: Path | None) -> Verdict:
    """Return the verdict on a copy of a plan."""
    from redact import pipeline, verification

    read = pipeline.read_plan(plan)
    with Bars() as bars:
        where = clip or Path(read.source.path)
        eyes = pipeline.face_detectors(pipeline.load_eyes(read.settings), read.settings)
        return verification.verify(copy, read, where, eyes, bars("verify")).verdict


def _verify_alone(copy: Path, clip: Path | None) -> Verdict:
    """Return the verdict on any file: whether it holds anything but pictures and sound."""
    from redact import verification

    if clip is not None:
        raise UsageError("--clip needs --plan: without it a copy is not compared with anything.")
    return verification.verify_alone(copy)


@click.command("sheet")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="The picture; by default beside the plan."
)
@MOVED_CLIP
@click.option("--tracks", is_flag=True, help="Draw every track instead, in the order of their frames.")
@click.option("--uncovered", is_flag=True, help="Show what is under the covers; keep that picture to yourself.")
def sheet_command(plan: Path, output: Path | None, clip: Path | None, tracks: bool, uncovered: bool) -> None:
    """Draw what PLAN says is in doubt, the highest risk first, covered as in the copy."""
    from redact import custody, pipeline, sheets

    path = _sheet_path(plan, output, tracks, uncovered)
    read = pipeline.read_plan(plan)
    size = read.source.width, read.source.height
    moments = sheets.moments_of_tracks(read.tracks, *size) if tracks else sheets.moments_of(read.doubts)
    with Bars() as bars:
        picture = sheets.draw_sheet(moments, read, clip or Path(read.source.path), not uncovered, bars("sheet"))
    custody.write_private(path, sheets.encode_png(picture))
    print_path(path)


def _sheet_path(plan: Path, output: Path | None, tracks: bool, uncovered: bool) -> Path:
    """Return where a sheet goes: where it is wanted, or beside the plan, where it replaces the one before.

    Raises:
        UsageError: that is no name of a picture.
        OutputError: there is something already, or only checked copies may be there.
    """
    from redact import custody

    name = plan.name.removesuffix(".json").removesuffix(".plan")
    beside = plan.with_name(f"{name}.{'tracks' if tracks else 'doubts'}{'-uncovered' if uncovered else ''}.png")
    path = output or beside
    if path.suffix.lower() != ".png":
        raise UsageError(f"A sheet is a .png file, not {path.name}.")
    custody.check_apart(path)
    if path != beside and os.path.exists(path):
        raise OutputError(f"{path} exists already.", "Choose another name, or remove it.")
    return path


@click.command("log")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@JSON
def log_command(output: Path, as_json: bool) -> None:
    """Print the private log of OUT (a folder, or the name of one copy), and check that no line was changed."""
    from redact import custody
    from redact.reports import file_name

    report = custody.read_log(custody.locate_workspace(output))
    for entry in report.entries:
        if as_json:
            click.echo(json.dumps(entry))
        else:
            subject = file_name(str(entry.get("clip", "")))
            number, when, operation = (str(entry.get(key, "?")) for key in ("number", "time", "operation"))
            click.echo(shown(f"{number:>5}  {when}  {operation:<10}  {subject}"))
    custody.require_whole(report)
    if not as_json:
        click.echo(f"{len(report.entries)} lines, the chain is whole")
