"""Commands about an output folder as a whole: how far a run is, and handing over what was released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redact.cli.options import JSON
from redact.cli.results import print_path, shown

if TYPE_CHECKING:
    from redact.batch import Report
    from redact.queue import Row


@click.command("status")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@JSON
def status_command(output: Path, as_json: bool) -> None:
    """Show how far the run in OUT is; also while it goes on."""
    from redact import batch, custody
    from redact.queue import STATES

    report = batch.report(custody.locate_workspace(output))
    counts = {state: sum(row.state == state for row in report.rows) for state in STATES}
    if as_json:
        click.echo(json.dumps(_as_json(report, counts), indent=1))
        return
    for state, count in counts.items():
        hours = f"   {float(report.length) / 3600:.2f} hours of video" if state == "done" else ""
        click.echo(f"{state:<9} {count:>6}{hours}")
        for row in report.rows:
            if row.state == state and state in ("running", "failed", "skipped"):
                click.echo(shown(f"{'':<16}   {row.clip}: {_doing(row) if state == 'running' else row.reason}"))
    if report.time_left_s is not None:
        click.echo(f"time left  about {report.time_left_s // 3600}:{report.time_left_s // 60 % 60:02} h")
    if counts["running"] + counts["waiting"] and not report.at_work:
        click.echo("No run is at work here now. Run the same command again: it goes on where it stopped.")


def _doing(row: Row) -> str:
    """Return which pass of a clip runs, and how far it is."""
    if not row.passes:
        return "begun"
    name, (done, total) = list(row.passes.items())[-1]
    return f"{name}, {done} of {total or '?'} frames"


def _as_json(report: Report, counts: dict[str, int]) -> dict[str, Any]:
    """Return a report for machines."""
    return {
        "at_work": report.at_work,
        "clips": counts,
        "video_s": float(report.length),
        "time_left_s": report.time_left_s,
        "rows": [
            {
                "clip": str(row.clip),
                "state": row.state,
                "exit_code": row.code,
                "reason": row.reason,
                "copy": str(row.copy) if row.copy else None,
                "passes": {name: {"done": done, "total": total} for name, (done, total) in row.passes.items()},
            }
            for row in report.rows
        ],
    }


@click.command("release")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="An empty folder, or one that is not there yet.",
)
@JSON
def release_command(output: Path, target: Path, as_json: bool) -> None:
    """Copy what was released in OUT, and nothing else, to a folder; each file is checked against the log."""
    from redact import custody, handover

    files = handover.hand_over(custody.locate_workspace(output), target)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in files]}, indent=1))
        return
    for path in files:
        print_path(path)
