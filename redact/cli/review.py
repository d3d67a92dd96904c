"""The command that opens the review page."""

from __future__ import annotations

import getpass
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redact.cli.options import DEFAULTS, MOVED_CLIP, TO_ANALYSE, Bars, options, settings_from
from redact.cli.results import needing
from redact.errors import InputError, UsageError

if TYPE_CHECKING:
    from redact.custody import Workspace
    from redact.plan import Plan
    from redact.review.store import PlanFile


@click.command("review")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Folder for everything, where TARGET is a clip, or a plan that is not in the folder of a run.",
)
@MOVED_CLIP
@click.option("--by", "who", metavar="NAME", help="Your name, as it stands in the private record of decisions.")
@click.option("--never-show", is_flag=True, help="Refuse to leave visible what was found.")
@click.option("--no-browser", is_flag=True, help="Print the link instead of opening it.")
@options(*TO_ANALYSE)
def review_command(
    target: Path,
    output: Path | None,
    clip: Path | None,
    who: str | None,
    never_show: bool,
    no_browser: bool,
    **given: Any,
) -> None:
    """Look at TARGET in the browser, correct it, and sign it off: a folder of a run, a plan, or a clip."""
    from redact import media

    media.prepare()  # while the rest is loaded
    with needing("review", "The review page"):
        from redact.review import server
    from redact import custody, excerpts, pipeline
    from redact.review.session import Desk
    from redact.review.shelf import Shelf

    if clip and target.is_file() and target.suffix != ".json":
        raise UsageError("--clip says where the clip of a plan is, and TARGET is a clip itself.", "Leave it out.")
    by = who or _user()
    paths, space = _find_plans(target, output, given)
    if clip and len(paths) > 1:
        raise UsageError(f"--clip names one clip, and there are {len(paths)} plans in {target}.", "Name one of them.")

    def make_desk(file: PlanFile, plan: Plan) -> Desk:
        source = clip or Path(plan.source.path)
        with Bars() as bars:
            timeline = excerpts.find_timeline(plan, file.path, source, bars("time line"))
        return Desk(file, plan, source, space, timeline, by, never_show, pipeline.load_eyes)

    def opened(link: str) -> None:
        click.echo(f"The review is open at {link}")
        click.echo("The link works once, on this machine only. End with Ctrl-C.")
        if not no_browser:
            webbrowser.open(link)

    custody.open_workspace(space.copy or space.private.parent)
    with Shelf(paths, make_desk) as shelf, suppress(KeyboardInterrupt):
        server.make_server(shelf, opened).run()
    click.echo("The review has ended. What was decided is kept in the plan.")


def _user() -> str:
    """Return the name of who is logged in here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # the second from Python 3.13 on
        raise UsageError(
            "This machine has no name for you, and decisions need one.", "Say it with --by NAME."
        ) from error


def _find_plans(target: Path, output: Path | None, given: dict[str, Any]) -> tuple[list[Path], Workspace]:
    """Return the plans that are meant and where their copies go; that of a clip is made where there is none."""
    from redact import custody

    if target.suffix == ".json":
        _refuse_looking(given)
        return [target], _space_of(target, output)
    space = custody.locate_workspace(target)
    plans = sorted(space.private.glob("*.plan.json"))
    if plans:
        _refuse_looking(given)
        if output is not None:
            raise UsageError(f"{target} is the folder of a run, and its copies go there: -o is for a clip or a plan.")
        return plans, space
    if target.is_dir():
        raise InputError(f"There is no plan in {target}.", "Make one with `redact analyse CLIP -o OUT`.")
    path, space = _plan_of_clip(target, output, given)
    return [path], space


def _refuse_looking(given: dict[str, Any]) -> None:
    """Refuse options of the analysis where a plan is there already, on which they would have no effect."""
    if names := [name.removesuffix("_time").replace("_", "-") for name, value in given.items() if value]:
        raise UsageError(
            f"--{names[0]} is for the analysis of a clip, and its plan is there already.",
            "Leave it out. `redact analyse CLIP -o OUT --overwrite` makes it anew, if nobody has decided anything.",
        )


def _space_of(plan: Path, output: Path | None) -> Workspace:
    """Return where the copy of a plan goes: the folders that the plan lies in, or those that were named."""
    from redact import custody, pipeline

    if output is not None:
        return custody.locate_workspace(output)
    folder = plan.absolute().parent
    if folder.suffix == ".private":
        suffix = custody.suffix_of(pipeline.read_plan(plan).source.still)
        return custody.locate_workspace(folder.with_suffix(suffix))
    if folder.name == "private":
        return custody.locate_workspace(folder.parent)
    raise UsageError(f"{plan} is not in the folder of a run.", "Say with -o where the copy is to go.")


def _plan_of_clip(clip: Path, output: Path | None, given: dict[str, Any]) -> tuple[Path, Workspace]:
    """Return the plan of a clip; it is analysed where that has not been done."""
    from redact import custody, pipeline
    from redact.detectors import load_detectors
    from redact.media import hash_file

    if output is None:
        raise UsageError(f"{clip} is a clip: say with -o where its plan and its copy are to go.")
    looked = dict(given)
    settings = settings_from(DEFAULTS, given)
    sha256 = hash_file(clip)
    space = custody.open_workspace(output)
    path = custody.private_path(space, clip, sha256, ".plan.json")
    if path.exists() and not settings.overwrite:
        _refuse_looking(looked)
        return path, space
    with Bars() as bars, custody.hold(space):
        return pipeline.analyse(clip, space, settings, load_detectors(settings), bars)[1], space
