"""Commands for what is kept on this machine for all clips: marks, cameras and weights."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import click

from redact.cli.options import JSON, REGION, REGIONS, Time, options, regions_from
from redact.errors import DependencyError, UsageError


@click.group("mark")
def mark_group() -> None:
    """Keep examples of marks (tattoos, badges, emblems, numbers) that `run --marks` looks for."""


@mark_group.command("add")
@click.argument("name")
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The example: a picture of the mark and little else.",
)
@click.option("--clip", type=click.Path(path_type=Path), metavar="CLIP", help="Or a clip that shows the mark,")
@click.option("--at", type=Time(), metavar="TIME", help="when it does,")
@click.option("--box", metavar="X,Y,W,H", help="and where in the picture.")
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


@click.group("camera")
def camera_group() -> None:
    """Keep what always stands in the picture of a camera, for `run --camera`."""


@camera_group.command("add")
@click.argument("name")
@click.option(
    "--clip",
    required=True,
    type=click.Path(path_type=Path),
    metavar="CLIP",
    help="A clip of the camera, for the size of its pictures.",
)
@REGION
@REGIONS
@options("overwrite")
def camera_add(name: str, clip: Path, region: tuple[str, ...], regions: Path | None, overwrite: bool | None) -> None:
    """Keep regions for all clips of the camera NAME."""
    from redact import cameras, media

    height, width = media.frame_at(clip, Fraction(0)).picture.shape[:2]
    cameras.save(name, width, height, regions_from(region, regions, None), overwrite=bool(overwrite))
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


@click.group("models")
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
        need = "required" if card.required else "usual" if card.usual else "optional"
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
    metavar="FOLDER",
    help="Take the weights from a folder, without a network.",
)
def models_fetch(ids: tuple[str, ...], from_folder: Path | None) -> None:
    """Fetch weights, check them and make them ready; without IDS those that are required or usual."""
    from redact import weights

    fetched = weights.fetch(ids, from_folder=from_folder)
    for card in weights.cards().values():
        if card.usual and not ids:
            try:
                fetched += weights.fetch([card.id], from_folder=from_folder)
            except DependencyError as error:
                click.echo(f"{error} {error.advice}\nredact works without it, but covers more for nothing.", err=True)
    for card in fetched:
        click.echo(f"{card.id} is installed in {weights.folder()}")
