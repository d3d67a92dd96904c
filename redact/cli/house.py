"""Commands around the work itself: whether this machine is fit for it, and what has become of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from redact.cli.options import JSON
from redact.cli.results import print_path
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


@click.command("guide")
def guide_command() -> None:
    """Print how one begins, on one page."""
    click.echo((files("redact") / "guide.txt").read_text("utf-8"), nl=False)


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion_command(shell: str) -> None:
    """Print what lets SHELL complete commands and options; put it where the shell reads it when it starts."""
    complete = get_completion_class(shell)
    if complete is not None:
        whole = click.get_current_context().find_root()
        click.echo(complete(whole.command, {}, "redact", "_REDACT_COMPLETE").source(), nl=False)


@click.command("bundle")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--weights", "ids", multiple=True, metavar="ID", help="Optional weights to take along; may be repeated.")
@click.option(
    "--wheel", type=click.Path(path_type=Path), metavar="FILE", help="The wheel that redact was installed from."
)
def bundle_command(folder: Path, ids: tuple[str, ...], wheel: Path | None) -> None:
    """Make FOLDER to carry to a machine without a network: packages, weights, and a note how to install them."""
    from redact import bundles

    made = bundles.make(folder, wheel, ids, lambda what: click.echo(f"getting {what}", err=True))
    print_path(made)


@click.command("report")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
def report_command(output: Path) -> None:
    """Write two pages on what OUT holds: one for the editor, private, and one that may go with the copies."""
    from redact import custody, reports
    from redact.records import to_bytes

    space = custody.locate_workspace(output)
    log = custody.read_log(space)
    private = space.private / "report.html"
    custody.write_private(private, to_bytes(reports.private_report(reports.collect(space, log), log)))
    print_path(private)
    custody.require_whole(log, "No public page was made of it.")
    public = space.copy.with_suffix(".report.html") if space.copy else space.release / "report.html"
    custody.write_public(space, public, to_bytes(reports.public_report(log.entries, space.release)))
    print_path(public)
