"""Commands that bring tracks to other programs and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from redact.cli.options import options
from redact.cli.results import print_path
from redact.errors import OutputError, UsageError
from redact.plan import ASKED_FOR, LABELS, Settings, Source

if TYPE_CHECKING:
    from redact.detectors import Detector
    from redact.exchange import Shape

LABEL = click.option(
    "--label",
    type=click.Choice([label for label in LABELS if label not in ASKED_FOR]),
    metavar="LABEL",
    help="What the boxes of a file show, where it does not say.",
)
DETECTIONS = click.option(
    "--detections",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Cover what another detector has found as well: MOT (.csv, .txt), COCO (.json) or CVAT (.xml).",
)


@click.command("export")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--format", "form", required=True, type=click.Choice(("mot", "coco", "cvat")), help="How it is written.")
@click.option("-o", "output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The file.")
@options("overwrite")
def export_command(plan: Path, form: str, output: Path, overwrite: bool | None) -> None:
    """Write the tracks of PLAN for other programs: MOT Challenge CSV, COCO video JSON or CVAT XML."""
    from redact import custody, exchange, pipeline

    read = pipeline.read_plan(plan)
    _check_output(output, form, bool(overwrite), (plan, Path(read.source.path)))
    custody.write_private(output, exchange.write(read, form).encode())
    print_path(output)


def _check_output(output: Path, form: str, overwrite: bool, used: Sequence[Path]) -> None:
    """Refuse a file that is not for tracks.

    Raises:
        UsageError: its name is not that of such a file.
        OutputError: it may not be replaced, or would lie among checked copies.
    """
    from redact import custody, exchange

    if exchange.SUFFIXES.get(output.suffix.lower()) != form:
        fitting = " or ".join(suffix for suffix, other in exchange.SUFFIXES.items() if other == form)
        raise UsageError(f"Tracks as {form} go to a {fitting} file, not to {output.name}.")
    custody.check_apart(output)
    if not output.exists():
        return
    own = output.name.endswith((".plan.json", custody.STATEMENT_SUFFIX))
    own |= any(custody.is_private(folder) for folder in output.resolve().parents)
    if own or any(path.exists() and output.samefile(path) for path in used):
        raise OutputError(f"{output} is of a run, and is never replaced by tracks.", "Choose another name.")
    if not overwrite:
        raise OutputError(f"{output} exists already.", "Use --overwrite to replace it, or choose another name.")


@click.command("import")
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--by", required=True, metavar="NAME", help="Who brings them in; it is kept in the plan.")
@LABEL
def import_command(plan: Path, file: Path, by: str, label: str | None) -> None:
    """Add the tracks of FILE to PLAN: what they show is covered as well. Nothing that PLAN covers is taken away."""
    from redact import edits, exchange, pipeline
    from redact.review.store import PlanFile

    who = edits.By(by, datetime.now(UTC).isoformat(timespec="seconds"))
    pipeline.read_plan(plan)  # what is no plan is not locked
    shapes = exchange.read(file, label)
    with PlanFile(plan) as kept:
        read = kept.read()
        _check_source(shapes, read.settings, read.source)
        first, end = read.source.first, read.source.first + read.source.frames
        added = exchange.add_tracks(read, shapes, by.strip())
        left_out = sum(not first <= shape.frame < end for shape in shapes)
        if added:
            kept.write(edits.bring_in(read, added, file.name, who))
    click.echo(f"{len(added)} tracks added, {left_out} boxes outside the excerpt left out")


def bring(file: Path, label: str | None, clip: Path, settings: Settings) -> tuple[Detector, Callable[[Source], None]]:
    """Return the detector of a file of detections for one clip, and what checks them once the clip has been counted.

    Raises:
        InputError: the file cannot be read, or belongs to another clip.
        UsageError: it shows what is not to be covered.
    """
    from redact import exchange, media
    from redact.analysis import covers_faces
    from redact.detectors.brought import BroughtDetector

    shapes = exchange.read(file, label)
    implied = ("face", "person") if covers_faces(settings) else ()  # they say where heads are
    for shown in sorted({shape.label for shape in shapes}.difference(settings.cover, implied)):
        raise UsageError(f"{file.name} shows {shown!r}, which is not to be covered.", f"Add it: --cover {shown},...")
    with media.FrameReader(clip, stream=settings.stream) as reader:
        height, width = next(iter(reader)).picture.shape[:2]  # decoded: headers can be wrong
    exchange.check_fits(shapes, width, height, None)
    return BroughtDetector(file, media.hash_file(file), shapes), partial(_check_source, shapes, settings)


def _check_source(shapes: Sequence[Shape], settings: Settings, source: Source) -> None:
    """Refuse boxes beside the picture of a clip, and those behind its end where the excerpt reaches that.

    Raises:
        InputError: there are some.
    """
    from redact import exchange

    end = source.first + source.frames if settings.to_time is None else None
    exchange.check_fits(shapes, source.width, source.height, end)
