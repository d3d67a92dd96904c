"""How many labelled faces can still be seen in the copies that the tool makes, alone or beside deface.

    python bench/leaks.py DATA [--deface COMMAND] [--meter METER] [--csv FILE] [--clips NAME,...]
                          [--switch-off MECHANISM,...|all] [--worst FOLDER] [-- OPTIONS OF REDACT RUN]

Runs `redact run` as a process of its own over every labelled clip below DATA (NAME.faces.csv beside NAME.mp4 ...) and
measures the copy with bench/leakmeter.py, or as a process with another meter. Labels of heads (NAME.heads.csv) are
measured as well. NAME.frames.txt marks a clip of which only some frames are labelled: it counts as real.

--deface runs deface on each clip in turn with the tool: it is not installed by this project, give it an environment of
its own. --switch-off runs the tool once more for each mechanism named, without it; there is no option for that in the
tool, the bench replaces constants and functions of it. Mechanisms back each other up, so A+B switches both off.
Prints each clip as it is done, then the tables: by cause, what each mechanism is worth, and the summary. --worst draws
what leaked most, as FOLDER/NAME.faces.TOOL.png: real people.

Exit status 1: a run failed. 2: it was called wrongly, or a mechanism is no longer where it was.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import leakmeter, tables
from bench.tables import DEFACE, REDACT, Results, Row
from redact import cli, following, looking, second_look, stillness
from redact.following import Follower
from redact.scenes import Scene

SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm")
RUN_SWITCHED_OFF = "--run-switched-off"  # how the bench starts itself in place of the tool
FIGURES = ("faces", "leaked", "tracks", "tracks_leaked", "longest_leak", "spared")

Replacement = tuple[object, str, Any]  # a module or class, what is replaced in it, and by what


@dataclass(frozen=True)
class Clip:
    """A labelled clip."""

    path: Path
    faces: Path

    @property
    def heads(self) -> Path:
        """Where labels of heads are, if there are any."""
        return self.faces.with_name(f"{self.path.stem}.heads.csv")

    @property
    def real(self) -> bool:
        """Whether only some of its frames are labelled, as in clips that were not made."""
        return self.faces.with_name(f"{self.path.stem}.frames.txt").exists()


@dataclass(frozen=True)
class Tool:
    """A tool: COMMAND CLIP -o COPY OPTIONS."""

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measuring:
    """How copies are measured: with another meter than the bench's own, and where what leaked most is drawn."""

    meter: Path | None = None
    worst: Path | None = None


def _still(show: Callable[..., tuple[Any, bool]]) -> Callable[..., tuple[Any, bool]]:
    """Return a `Scene.show` that finds the same cuts, but no motion of the camera."""
    return lambda self, picture: (np.eye(2, 3), show(self, picture)[1])


def _first(looks: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Return an `looking.cheap_looks` that gives only the first look."""
    return lambda side, fast: looks(side, fast)[:1]


MECHANISMS: dict[str, Callable[[], list[Replacement]]] = {
    "deep-looks": lambda: [(looking, "deep_looks", lambda side: ())],
    "following": lambda: [(Follower, "show", lambda self, picture, frame: None)],
    "small-looks": lambda: [(following, "_look_near", lambda look_at, at, row, like, turns: None)],
    "camera-motion": lambda: [(Scene, "show", _still(Scene.show))],
    "second-look": lambda: [(second_look, "EVERY_FRAME", ()), (second_look, "SPREAD", ())],
    "taking-turns": lambda: [(looking, "cheap_looks", _first(looking.cheap_looks))],
    "scheduling": lambda: [(looking, "RARE_KEY_S", looking.KEY_S)],
    "judge": lambda: [(room, "to_ask", lambda seen, name: []) for room in (following, second_look)],
    "holding": lambda: [(stillness, "HOLD_S", Fraction(0))],
}


def replacements(mechanisms: str) -> list[Replacement]:
    """Return what has to be replaced in the tool to switch a mechanism off, or several with a plus between them.

    Raises:
        LookupError: there is no such mechanism, or it is no longer where it was: nothing would be measured.
    """
    return [replaced for mechanism in mechanisms.split("+") for replaced in _replaced(mechanism)]


def _replaced(mechanism: str) -> list[Replacement]:
    """Return what has to be replaced in the tool to switch one mechanism off."""
    if mechanism not in MECHANISMS:
        raise LookupError(f"{mechanism} is no mechanism; there are {', '.join(MECHANISMS)}.")
    try:
        replaced = MECHANISMS[mechanism]()
    except AttributeError as error:
        raise LookupError(f"{mechanism} cannot be switched off: {error}.") from error
    for owner, name, value in replaced:
        if name not in vars(owner):
            raise LookupError(f"{mechanism} cannot be switched off: {owner} has no {name}.")
        if vars(owner)[name] == value:
            raise LookupError(f"{mechanism} is off as it is: {name} is {value}.")
    return replaced


def run_switched_off(mechanism: str, arguments: Sequence[str]) -> None:
    """Run the tool's command line without a mechanism; ends the process as the tool does."""
    for owner, name, value in replacements(mechanism):
        setattr(owner, name, value)
    cli.main(arguments)


def find_clips(data: Path) -> list[Clip]:
    """Return each labelled clip below a folder."""
    found = []
    for labels in sorted(data.rglob("*.faces.csv")):
        stem = labels.name.removesuffix(".faces.csv")
        clips = [labels.with_name(stem + suffix) for suffix in SUFFIXES]
        found += [Clip(clip, labels) for clip in clips if clip.exists()][:1]
    return found


def measure(clip: Path, copy: Path, labels: Path, tool: str, how: Measuring) -> dict[str, Any]:
    """Return what the leak meter says of a copy, and draw what leaked most where that is wanted."""
    if how.meter:
        command = [sys.executable, str(how.meter), str(clip), str(copy), str(labels)]
        said: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return said
    report = leakmeter.measure(clip, copy, labels)
    if how.worst:
        sheet = how.worst / f"{labels.stem}.{tool.replace(' ', '-')}.png"
        sheet.unlink(missing_ok=True)
        leakmeter.draw_worst(clip, copy, report.leaks, sheet)
    return asdict(report)


def run_clip(tool: Tool, clip: Clip, how: Measuring) -> Row:
    """Return what a tool made of a clip; why it failed, if it did, goes to stderr."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        begin = time.monotonic()
        done = subprocess.run(
            [*tool.command, str(clip.path), "-o", str(copy), *tool.options], capture_output=True, text=True
        )
        seconds = round(time.monotonic() - begin, 1)
        figures: dict[str, Any] = {}
        failed = f"exit {done.returncode}: {done.stderr.strip()[-400:]}" if done.returncode else ""
        try:
            if not failed:
                figures = _measure_all(tool, clip, copy, how)
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            failed = f"the copy cannot be measured: {error}"
        if failed:
            print(f"{clip.path.name}, {tool.name}: {failed}", file=sys.stderr)
        repairs = count_repairs(copy) if tool.name != DEFACE else None
        return Row(tool.name, clip.path.stem, clip.real, seconds, done.returncode, repairs, **figures)


def _measure_all(tool: Tool, clip: Clip, copy: Path, how: Measuring) -> dict[str, Any]:
    """Return the figures of a row: of the faces, and of the heads if they are labelled."""
    faces = measure(clip.path, copy, clip.faces, tool.name, how)
    figures = {key: faces[key] for key in FIGURES}
    if clip.heads.exists():
        heads = measure(clip.path, copy, clip.heads, tool.name, how)
        figures |= {"heads": heads["faces"], "heads_leaked": heads["leaked"]}
    return figures


def count_repairs(copy: Path) -> int:
    """Return how often verification found a face in a copy and had it made again, as the tool's log tells."""
    log = copy.with_suffix(".private") / "custody.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return sum(json.loads(line)["operation"] == "repair" for line in lines)


def choose_tools(deface: str | None, switched_off: Sequence[str], extra: Sequence[str]) -> list[Tool]:
    """Return what is run on each clip, in this order: the tool, deface, the tool without each mechanism.

    Raises:
        LookupError: a command or a mechanism does not exist.
    """
    options = ("--allow-empty", *extra)
    tools = [Tool(REDACT, (sys.executable, "-m", "redact", "run"), options)]
    if deface:
        command = tuple(shlex.split(deface))
        if not shutil.which(command[0]):
            raise LookupError(f"There is no command {command[0]}.")
        tools.append(Tool(DEFACE, command))
    for name in switched_off:
        replacements(name)
        runner = (sys.executable, str(Path(__file__).resolve()), RUN_SWITCHED_OFF, name, "--", "run")
        tools.append(Tool(f"without {name}", runner, options))
    return tools


def run_all(tools: Sequence[Tool], clips: Sequence[Clip], how: Measuring, file: Path | None) -> dict[str, list[Row]]:
    """Return the rows of each tool; print the table of clips and write all rows as each clip is done."""
    results: dict[str, list[Row]] = {tool.name: [] for tool in tools}
    beside = [name for name in results if name in (REDACT, DEFACE)]
    print(tables.clips_header(beside), flush=True)
    for clip in clips:
        for tool in tools:
            results[tool.name].append(run_clip(tool, clip, how))
        print(tables.clips_line([results[name][-1] for name in beside]), flush=True)
        if file:
            write_csv(file, results)
    kept = tables.comparable({name: results[name] for name in beside})
    print(tables.clips_line([tables.total(kept[name]) for name in beside]))
    return results


def write_csv(file: Path, results: Results) -> None:
    """Write one line for each tool and clip."""
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["cause", *(field.name for field in fields(Row))])
        writer.writeheader()
        for rows in results.values():
            writer.writerows({"cause": row.cause, **asdict(row)} for row in rows)


def main(arguments: Sequence[str]) -> int:
    """Print the tables; return 1 if a run failed."""
    if arguments[:1] == [RUN_SWITCHED_OFF]:
        run_switched_off(arguments[1], arguments[3:])
        return 0
    ours, extra = _split(arguments)
    parser = argparse.ArgumentParser(description="How many labelled faces can still be seen.")
    parser.add_argument("data", type=Path, help="labelled clips; options for redact run follow after --")
    parser.add_argument("--deface", metavar="COMMAND", help="run this beside the tool")
    parser.add_argument("--meter", type=Path, help="another leak meter, as a process")
    parser.add_argument("--csv", type=Path, help="write every row here as well")
    parser.add_argument("--clips", metavar="NAME,...", help="only these")
    parser.add_argument(
        "--switch-off", metavar="MECHANISM,...", default="", help=f"all, or {', '.join(MECHANISMS)}; A+B for both"
    )
    parser.add_argument("--worst", type=Path, metavar="FOLDER", help="draw what leaked most; not with --meter")
    options = parser.parse_args(ours)
    if options.meter and options.worst:
        parser.error("Another meter does not tell what to draw: --worst goes without --meter.")
    off = [*MECHANISMS] if options.switch_off == "all" else [*filter(None, options.switch_off.split(","))]
    try:
        tools = choose_tools(options.deface, off, extra)
        clips = choose_clips(options.data, options.clips)
    except LookupError as error:
        parser.error(str(error))
    results = run_all(tools, clips, Measuring(options.meter, options.worst), options.csv)
    print_tables(results)
    return int(any(not row.measured for rows in results.values() for row in rows))


def choose_clips(data: Path, names: str | None) -> list[Clip]:
    """Return the labelled clips below a folder, or those of them that are named.

    Raises:
        LookupError: there is none, or none of a name.
    """
    clips = find_clips(data)
    wanted = names.split(",") if names else [clip.path.stem for clip in clips]
    missing = [name for name in wanted if name not in {clip.path.stem for clip in clips}]
    if missing or not clips:
        raise LookupError(f"There is no labelled clip {', '.join(missing)} below {data}.")
    return [clip for clip in clips if clip.path.stem in wanted]


def print_tables(results: Results) -> None:
    """Print what follows the table of clips."""
    beside = {tool: rows for tool, rows in results.items() if tool in (REDACT, DEFACE)}
    own = {tool: rows for tool, rows in results.items() if tool != DEFACE}
    parts = [tables.by_cause(beside), tables.ablation(own) if len(own) > 1 else "", tables.summary(beside)]
    parts += [tables.repairs(results[REDACT]), tables.failures(results)]
    print("\n" + "\n\n".join(filter(None, parts)))


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what comes before and after --; argparse cannot take both kinds of options."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:cut], arguments[cut + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
