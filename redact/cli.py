"""The command line. The only room that prints, shows progress and exits."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

import redact
from redact.errors import PlanError, RedactError, UsageError, VerificationError
from redact.plan import AUDIO, EFFECTS, LEVELS, Plan, Region, Settings, Verdict
from redact.records import to_plain
from redact.regions import parse_time

if TYPE_CHECKING:
    from redact.detectors import Detector

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULTS = Settings()
INTERRUPTED = 130


class Time(click.ParamType[Fraction]):
    """A time in a clip: seconds (12.4) or [hours:]minutes:seconds (1:02:03.5), kept exactly."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Return the time in seconds."""
        if isinstance(value, Fraction):
            return value
        try:
            return parse_time(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Labels(click.ParamType[tuple[str, ...]]):
    """What is covered: a level, or labels, or both, with commas between them."""

    name = "cover"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the labels."""
        named = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        return tuple(sorted({label for part in named for label in LEVELS.get(part, (part,))}))


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names in order, each once."""
        return tuple(sorted({part.strip() for part in value.split(",")})) if isinstance(value, str) else tuple(value)


REGION = click.option("--region", multiple=True, help="Cover x,y,w,h[@from-to], in pixels and seconds.")
OPTIONS = {
    "cover": click.option("--cover", type=Labels(), help="A level (faces, heads, people), or labels."),
    "marks": click.option("--marks", type=Names(), help="Marks to look for: names in the library."),
    "region": REGION,
    "regions": click.option("--regions", type=click.Path(path_type=Path), help="A file of regions to cover."),
    "camera": click.option("--camera", help="Cover the regions that were saved for this camera."),
    "effect": click.option("--effect", type=click.Choice(EFFECTS), help="How regions are covered."),
    "from_time": click.option("--from", "from_time", type=Time(), help="Where the excerpt begins."),
    "to_time": click.option("--to", "to_time", type=Time(), help="Where the excerpt ends."),
    "audio": click.option("--audio", type=click.Choice(AUDIO), help="What becomes of the sound."),
    "threshold": click.option("--threshold", type=float, help="Score from which a sighting makes a track."),
    "fast": click.option("--fast", is_flag=True, default=None, help="Look less; more faces are missed."),
    "crf": click.option("--crf", type=int, help="Encoder quality: 0 is lossless, 17 visually so."),
    "keep_names": click.option("--keep-names", is_flag=True, default=None, help="Name copies like their clips."),
    "allow_empty": click.option(
        "--allow-empty",
        is_flag=True,
        default=None,
        help="Release clips in which nothing was found: you have looked.",
    ),
    "overwrite": click.option("--overwrite", is_flag=True, default=None, help="Replace existing files."),
}
TO_ANALYSE = (
    *("cover", "marks", "region", "regions", "camera"),
    *("from_time", "to_time", "threshold", "fast", "overwrite"),
)
TO_RENDER = ("effect", "audio", "crf", "keep_names", "allow_empty", "overwrite")

OUTPUT = click.option(
    "-o", "output", required=True, type=click.Path(path_type=Path), help="Folder for everything, or NAME.mp4."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def options(*names: str) -> Callable[[Command], Command]:
    """Return a decorator that adds options; an option that is not given is None."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            command = OPTIONS[name](command)
        return command

    return add


def settings_from(base: Settings, given: dict[str, Any]) -> Settings:
    """Return the settings with those replaced that were given on the command line."""
    values = {f.name: getattr(base, f.name) for f in fields(Settings)}
    if "region" in given:
        given["regions"] = _regions_from(given.pop("region"), given["regions"], given.pop("camera"))
    return Settings(**values | {name: value for name, value in given.items() if value is not None})


def _regions_from(texts: Sequence[str], file: Path | None, camera: str | None) -> tuple[Region, ...]:
    """Return the regions that were given in any of three ways."""
    from redact import cameras, regions

    given = [regions.parse_region(text) for text in texts]
    given += regions.read_regions(file) if file else ()
    given += cameras.regions_for(cameras.load(camera)) if camera else ()
    return tuple(given)


class Bars:
    """Shows a bar with the time left for each pass, on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, title: str) -> Callable[[int, int | None], None]:
        """Return the progress of a pass."""
        self.close()
        self._bar = tqdm(desc=title, unit=" frames", leave=False, disable=not sys.stderr.isatty())

        def show(done: int, total: int | None) -> None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

        return show

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(redact.__version__)
def cli() -> None:
    """Cover faces in video evidence for good, and check the copy before it exists."""


@cli.command("run")
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
        click.echo(json.dumps([_outcome_json(r) for r in results], indent=1, ensure_ascii=False))
    for result in results:
        if isinstance(result, batch.Failure):
            _complain(result.error)
        elif not as_json:
            _summarize(result.plan, result.verdict, result.copy)
    if sys.stdout.isatty() and not as_json:
        click.echo(f"{len(results)} clip(s) in {time.monotonic() - begin:.1f} s")
    sys.exit(batch.exit_code(results))


@cli.command("analyse")
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


@cli.command("render")
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
        outcome = pipeline.release(read, clip or Path(read.source.path), space, _load_eyes(read.settings), bars)
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps(_outcome_json(outcome), indent=1, ensure_ascii=False))
    else:
        _summarize(outcome.plan, outcome.verdict, outcome.copy)


@cli.command("verify")
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
        eyes = pipeline.face_detectors(_load_eyes(read.settings), read.settings)
        verdict = verification.verify(copy, read, where, eyes, bars("verify")).verdict
    finally:
        bars.close()
    if as_json:
        click.echo(json.dumps({"passed": verdict.passed, **to_plain(verdict)}, indent=1, ensure_ascii=False))
    else:
        _print_checks(verdict)
    if not verdict.passed:
        raise VerificationError(f"{copy.name} did not pass.", "Do not publish this copy. Make it again from the plan.")


@cli.command("sheet")
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


@cli.command("log")
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


@cli.group("mark")
def mark_group() -> None:
    """Keep examples of marks (tattoos, badges, emblems, numbers) that `run --marks` looks for."""


@mark_group.command("add")
@click.argument("name")
@click.option("--image", type=click.Path(path_type=Path), help="A picture of the mark and little else.")
@click.option("--clip", type=click.Path(path_type=Path), help="A clip that shows it,")
@click.option("--at", type=Time(), help="when,")
@click.option("--box", help="and where: x,y,w,h.")
def mark_add(name: str, image: Path | None, clip: Path | None, at: Fraction | None, box: str | None) -> None:
    """Keep an example of the mark NAME. Add again for another view of it."""
    from redact import marks, media, regions

    if image is not None and (clip, at, box) == (None, None, None):
        picture = marks.read(image)
    elif image is None and clip is not None and at is not None and box is not None:
        region = regions.parse_region(box)
        if (region.from_time, region.to_time) != (None, None):
            raise UsageError("--box takes x,y,w,h without times; --at says when.")
        picture = marks.crop(media.frame_at(clip, at).picture, region.keys[0].box)
    else:
        raise UsageError("An example is a picture (--image), or a place in a clip (--clip, --at and --box together).")
    click.echo(f"{name} is kept, with {marks.add(name, picture)} details to know it by")


@mark_group.command("list")
def mark_list() -> None:
    """Show the names of the marks."""
    from redact import marks

    for name in marks.names():
        click.echo(name)


@mark_group.command("remove")
@click.argument("name")
def mark_remove(name: str) -> None:
    """Remove all examples of the mark NAME."""
    from redact import marks

    click.echo(f"{marks.remove(name)} example(s) of {name} removed")


@cli.group("camera")
def camera_group() -> None:
    """Keep what always stands in the picture of a camera, for `run --camera`."""


@camera_group.command("add")
@click.argument("name")
@click.option("--clip", required=True, type=click.Path(path_type=Path), help="A clip of this camera.")
@REGION
@click.option("--regions", type=click.Path(path_type=Path), help="A file of regions.")
@click.option("--overwrite", is_flag=True, help="Replace the profile.")
def camera_add(name: str, clip: Path, region: tuple[str, ...], regions: Path | None, overwrite: bool) -> None:
    """Keep regions for all clips of the camera NAME."""
    from redact import cameras, media

    height, width = media.frame_at(clip, Fraction(0)).picture.shape[:2]
    cameras.save(name, width, height, _regions_from(region, regions, None), overwrite=overwrite)
    click.echo(f"{name} is kept, for pictures of {width}x{height}")


@camera_group.command("list")
def camera_list() -> None:
    """Show the cameras and their regions."""
    from redact import cameras

    for name in cameras.names():
        profile = cameras.load(name)
        named = ", ".join(region.name for region in profile.regions)
        click.echo(f"{name:<16} {profile.width}x{profile.height}  {named}")


@camera_group.command("remove")
@click.argument("name")
def camera_remove(name: str) -> None:
    """Remove the profile of the camera NAME."""
    from redact import cameras

    cameras.remove(name)
    click.echo(f"{name} is removed")


@cli.group("models")
def models_group() -> None:
    """Show and fetch the weights of the detectors."""


@models_group.command("list")
@JSON
def models_list(as_json: bool) -> None:
    """Show the model cards, and which weights are installed."""
    from redact import weights

    folder = weights.folder()
    cards = weights.cards().values()
    if as_json:
        rows = [{"id": c.id, "licence": c.licence, "installed": weights.is_installed(c, folder)} for c in cards]
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"weights folder: {folder}")
    for card in cards:
        state = "installed" if weights.is_installed(card, folder) else "not installed"
        need = "required" if card.required else "optional"
        click.echo(
            f"{card.id:<12} {state:<14} {need:<9} {card.licence:<11} {card.size_bytes / 1e6:6.1f} MB  {card.file}"
        )
        for weakness in card.weaknesses:
            click.echo(f"{'':<12} - {weakness}")


@models_group.command("fetch")
@click.argument("ids", nargs=-1)
@click.option(
    "--from",
    "from_folder",
    type=click.Path(path_type=Path),
    help="Take the files from a folder, without a network.",
)
def models_fetch(ids: tuple[str, ...], from_folder: Path | None) -> None:
    """Fetch weights, check them and make them ready; without IDS those that are required."""
    from redact import weights

    for card in weights.fetch(ids, from_folder=from_folder):
        click.echo(f"{card.id} is installed in {weights.folder()}")


def _load_eyes(settings: Settings) -> list[Detector]:
    """Return the detectors that finished copies are searched with; those of other things are not needed for that."""
    from redact.analysis import covers_faces
    from redact.detectors import load_detectors

    return load_detectors(replace(settings, cover=("face",), marks=())) if covers_faces(settings) else []


def _outcome_json(result: Any) -> dict[str, Any]:
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


def _summarize(plan: Plan, verdict: Verdict, copy: Path) -> None:
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
    _print_checks(verdict)
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


def _print_checks(verdict: Verdict) -> None:
    """Print what was checked, and what was not."""
    marks = {True: "held", False: "FAILED", None: "NOT CHECKED"}
    for check in verdict.checks:
        click.echo(f"{marks[check.passed]:<12} {check.name}: {check.figure}")


def _complain(error: RedactError) -> None:
    """Print what happened, what it means and what to do."""
    click.echo(f"redact: {error}", err=True)
    click.echo(f"        {error.advice}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    warnings.simplefilter("ignore")
    try:
        cli.main(args=arguments, prog_name="redact", standalone_mode=False)
    except RedactError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("redact: interrupted. Nothing unfinished was left; run the command again to go on.", err=True)
        sys.exit(INTERRUPTED)
