"""The options of the commands, how they become settings, and what is shown while a pass runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from redact.plan import AUDIO, EFFECTS, LEVELS, Region, Settings
from redact.regions import parse_time

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULTS = Settings()
VOICES = (
    "Voices are not disguised: one whose pitch was shifted is still recognised by software, and can be shifted back. "
    "Take out what may not be heard, or have it spoken by somebody else and give that FILE; it begins with the copy."
)


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


class Sound(click.ParamType[str]):
    """What becomes of the sound: none, keep, or a file that is put in its place."""

    name = "audio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return one of these, or the full path of the file."""
        if value in AUDIO:
            return str(value)
        if not Path(value).is_file():
            self.fail(f"{value!r} is neither {' nor '.join(AUDIO)}, and there is no such file.", param, ctx)
        return str(Path(value).resolve())


class Spans(click.ParamType[tuple[tuple[Fraction, Fraction], ...]]):
    """Stretches of time with commas between them: 12.0-14.5,1:02-1:04."""

    name = "spans"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[Fraction, Fraction], ...]:
        """Return the begin and end of each, in seconds."""
        if not isinstance(value, str):
            return tuple(value)
        try:
            ends = [[parse_time(end) for end in part.split("-")] for part in value.split(",")]
            return tuple(sorted((begin, end) for begin, end in ends))
        except ValueError:
            self.fail(f"{value!r} is not a list of stretches like 12.0-14.5,1:02-1:04.", param, ctx)


REGION = click.option(
    "--region",
    multiple=True,
    metavar="X,Y,W,H[@FROM-TO]",
    help="Cover a rectangle, counted from the top left of the upright picture; both ends belong to it, either may be"
    " empty: 40,20,200,32@12.4-1:02.5.",
)
REGIONS = click.option(
    "--regions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Regions from a .toml or .json file, also with key frames.",
)
OPTIONS = {
    "cover": click.option(
        "--cover",
        type=Labels(),
        metavar="LEVEL|LABEL,...",
        help="What is covered: a level (faces, heads, people), labels, or both; heads by default.",
    ),
    "marks": click.option("--marks", type=Names(), metavar="NAME,...", help="Look for these marks in every frame."),
    "region": REGION,
    "regions": REGIONS,
    "camera": click.option(
        "--camera",
        metavar="NAME",
        help="Cover what was saved for this camera; a clip of another picture size is an error.",
    ),
    "effect": click.option(
        "--effect",
        type=click.Choice(EFFECTS),
        help="A veil made from the pixels around the head (default), black, or blocks of the veil. None holds anything"
        " of the face.",
    ),
    "from_time": click.option(
        "--from", "from_time", type=Time(), metavar="TIME", help="Where an excerpt begins: 12.4 or 1:02:03.5."
    ),
    "to_time": click.option("--to", "to_time", type=Time(), metavar="TIME", help="Where it ends; exact to the frame."),
    "stream": click.option(
        "--stream",
        type=int,
        metavar="N",
        help="Which stream of pictures, where a clip has several; 1. The others never get into the copy.",
    ),
    "strict": click.option(
        "--strict",
        is_flag=True,
        default=None,
        help="Refuse a clip of which something cannot be decoded, instead of covering damaged frames whole.",
    ),
    "audio": click.option(
        "--audio",
        type=Sound(),
        metavar="none|keep|FILE",
        help=f"Sound is left out unless it is kept, or replaced by that of a FILE. {VOICES}",
    ),
    "audio_stream": click.option(
        "--audio-stream", type=int, metavar="N", help="Which stream of sound is kept, where there are several; 1."
    ),
    "mute": click.option(
        "--mute",
        type=Spans(),
        metavar="FROM-TO,...",
        help="Take the sound out, in times of the clip: 12.0-14.5,1:02-1:04.",
    ),
    "beep": click.option("--beep", is_flag=True, default=None, help="A tone instead of silence where it is taken out."),
    "threshold": click.option(
        "--threshold",
        type=float,
        metavar="X",
        help="Score from which one sighting makes a track; 0.33. Lower finds more.",
    ),
    "fast": click.option(
        "--fast",
        is_flag=True,
        default=None,
        help="Look less: about two thirds of the time, and more faces are missed.",
    ),
    "crf": click.option("--crf", type=int, metavar="N", help="Encoder quality, 0 to 28; 17 looks like the source."),
    "keep_names": click.option(
        "--keep-names", is_flag=True, default=None, help="Name copies like their clips, so far as any system can."
    ),
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
    *("from_time", "to_time", "stream", "threshold", "fast", "strict", "overwrite"),
)
TO_RENDER = (
    *("effect", "audio", "audio_stream", "mute", "beep", "strict"),
    *("crf", "keep_names", "allow_empty", "overwrite"),
)

OUTPUT = click.option(
    "-o",
    "output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Folder for everything, or NAME.mp4 (of a photo NAME.png).",
)
MOVED_CLIP = click.option(
    "--clip", type=click.Path(path_type=Path), metavar="CLIP", help="The clip, where it was moved since."
)
CLUSTER = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Let the workers of a Dask cluster do the passes: tcp://host:8786 or tls://...; they must see the same paths.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result for machines.")


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
        given["regions"] = regions_from(given.pop("region"), given["regions"], given.pop("camera"))
    return Settings(**values | {name: value for name, value in given.items() if value is not None})


def regions_from(texts: Sequence[str], file: Path | None, camera: str | None) -> tuple[Region, ...]:
    """Return the regions that were given in any of three ways."""
    from redact import cameras, regions

    given = [regions.parse_region(text) for text in texts]
    given += regions.read_regions(file) if file else ()
    given += cameras.regions_for(cameras.load(camera)) if camera else ()
    return tuple(given)


class Bars:
    """Shows a bar with the time left for each pass, on a terminal; nothing elsewhere. A context manager."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, title: str, unit: str = "frames") -> Callable[[int, int | None], None]:
        """Return the progress of a pass, or of something else."""
        self.close()
        self._bar = tqdm(desc=title, unit=f" {unit}", leave=False, disable=not sys.stderr.isatty())

        def show(done: int, total: int | None) -> None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

        return show

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
