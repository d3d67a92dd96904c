"""The command that joins released copies into one film."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from redact.cli.options import JSON, Bars
from redact.cli.results import needing, print_path
from redact.plan import Settings
from redact.records import to_plain

FILE = click.Path(path_type=Path)


@click.command("reel")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.option(
    "--copy",
    "copies",
    multiple=True,
    metavar="NAME",
    help="A copy to join, as excerpt-0001.mp4; repeat it for others, in their order. Without it all clips.",
)
@click.option("--title", metavar="TEXT", help="What the first card says.")
@click.option("--notice", metavar="TEXT", help="What the card says that tells that people are protected; in English.")
@click.option("--card", "cards", multiple=True, metavar="TEXT", help='A card before each copy, in order; "" for none.')
@click.option("--captions", type=FILE, metavar="FILE", help="Burn in captions (.srt), in times of the film.")
@click.option("--audio", type=FILE, metavar="FILE", help="A spoken sound track; it begins with the film.")
@click.option("--font", type=FILE, metavar="FILE", help="A font for all texts that has their letters (.ttf, .otf).")
@JSON
def reel_command(output: Path, as_json: bool, **given: Any) -> None:
    """Join released copies of OUT into one film: cards, captions, a sound track. It is searched for faces first."""
    with needing("reel", "Making a film"):
        from redact import reel
    from redact import custody, pipeline

    wish = reel.Wish(**{name: value for name, value in given.items() if value is not None})
    settings = Settings()
    with Bars() as bars:
        space = custody.locate_workspace(output)
        custody.read_log(space)  # makes no folders where nothing was released
        with custody.hold(space):
            eyes = pipeline.face_detectors(pipeline.load_eyes(settings), settings)
            film, verdict = reel.make(space, wish, eyes, bars)
    if as_json:
        click.echo(json.dumps({"film": str(film), "checks": to_plain(verdict.checks)}, indent=1))
    else:
        print_path(film)
