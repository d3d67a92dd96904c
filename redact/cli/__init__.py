"""The command line. The only room that prints, shows progress and exits."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

import click

import redact
from redact.cli import exchange, folders, house, libraries, passes, reel, review
from redact.cli.results import complain
from redact.errors import DependencyError, RedactError, refused

INTERRUPTED = 130
OF_UNIX = ("fcntl", "resource")  # parts of Python that Windows lacks
NETWORKED = ("review", "models", "bundle")  # commands that serve a page or fetch something


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(redact.__version__)
def cli() -> None:
    """Cover faces in video evidence for good, and check the copy before it exists."""


for command in (
    *(passes.run_command, passes.analyse_command, passes.render_command, passes.verify_command),
    *(review.review_command, passes.sheet_command, passes.log_command, folders.status_command, folders.release_command),
    reel.reel_command,
    *(libraries.mark_group, libraries.camera_group, libraries.models_group),
    *(exchange.export_command, exchange.import_command),
    *(house.doctor_command, house.report_command, house.bundle_command),
    *(house.guide_command, house.completion_command),
):
    cli.add_command(command)


def start() -> None:
    """Run the command line as the program that it is, which opens no connection unless the command is for that."""
    if not needs_network(sys.argv[1:]):
        with suppress(ModuleNotFoundError):  # what Windows lacks; `main` will say so
            from redact.jail import cut_off_network

            cut_off_network()
    main()


def needs_network(arguments: Sequence[str]) -> bool:
    """Return whether a command line is for opening connections."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    return command in NETWORKED or any(word.split("=")[0] == "--cluster" for word in arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    warnings.simplefilter("ignore")
    try:
        cli.main(args=arguments, prog_name="redact", standalone_mode=False)
    except (RedactError, OSError) as error:
        told = error if isinstance(error, RedactError) else refused(error)
        complain(told)
        sys.exit(told.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in OF_UNIX:
            raise
        complain(DependencyError("redact does not work on this system.", "`redact doctor` says what to do."))
        sys.exit(DependencyError.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("redact: interrupted. Nothing unfinished was left; run the command again to go on.", err=True)
        sys.exit(INTERRUPTED)
