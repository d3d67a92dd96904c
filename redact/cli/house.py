"""Commands around the work itself: whether this machine is fit for it, and how one begins."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from redact.cli.options import JSON
from redact.errors import DependencyError


@click.command("doctor")
@click.argument("output", type=click.Path(path_type=Path), default=Path(), metavar="OUT")
@JSON
def doctor_command(output: Path, as_json: bool) -> None:
    """Look at this machine: Python, packages, weights, encoders, disk, permissions, and say what to do about each."""
    from redact import doctor

    findings = doctor.examine(output)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    for finding in () if as_json else findings:
        click.echo(f"{finding.state:<5} {finding.name}: {finding.said}")
        if finding.advice:
            click.echo(f"{'':<5} -> {finding.advice}")
    if bad := [finding.name for finding in findings if finding.state == doctor.BAD]:
        raise DependencyError(
            f"redact will not work on this machine yet: {', '.join(bad)}.", "Do what stands above after each arrow."
        )
