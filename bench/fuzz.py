"""Damage everything that redact reads, a little and at random, and see what comes of it.

    python -m bench.fuzz [--count 2000] [--seed 1] [--only KIND] [--first N]

Each input is one file out of a run that works, damaged: a clip in one of several containers, a plan, detections, a
file of regions, a camera's profile, an example of a mark, a model card, the log, or the queue. The whole command that
reads it then runs in a process of its own, with bounds on time and memory. What may come of it: a copy that was checked
and that the log knows, or an error with advice and nothing released. Everything else is a fault.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from bench.children import Ended, run_child
from bench.faults import run_redact
from redact import detectors, marks, models, weights
from redact.batch import QUEUE
from redact.detectors.marks import MarkDetector
from redact.plan import Settings
from tests.clips import portrait
from tests.trees import load_fake, write_small

LIMIT_S = 60
MEMORY_BYTES = 4 << 30  # of address space, of which the program itself needs about a third
CONTAINERS = {  # suffix: encoder
    "mp4": "libx264", "mov": "mjpeg", "mkv": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4", "ts": "mpeg2video",
    "mpg": "mpeg1video", "flv": "flv", "gif": "gif", "h264": "libx264",
}  # fmt: skip
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
CLEAN = (0, 2, 3, 4, 5, 6, 7, 8)  # exit codes: done, or an error with advice
RUN = "run DIR/clip.mp4 -o DIR/out"  # DIR is the scratch folder
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), "", "0", "-1", "1/0", "9" * 400),
    *("\x00", "\udcff", "../../x", "/dev/zero", [], {}, [[[]]], {"": None}, "0,0,0,0", "-999999,-999999,999999,999999"),
)


def damage_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return data with a few bits, bytes, numbers or pieces changed, moved, doubled or taken out."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        size = len(damaged)
        if not size:
            break
        at, way = chance.randrange(size), chance.randrange(9)
        end = min(size, at + chance.choice((1, 4, 64, 1024)))
        if way == 0:
            damaged[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            del damaged[at:]
        elif way == 2:
            del damaged[at:end]
        elif way == 3:
            damaged[at:end] = bytes(end - at)
        elif way == 4:
            damaged[at:end] = chance.randbytes(end - at)
        elif way == 5:
            piece = bytes(damaged[at:end])
            del damaged[at:end]
            to = chance.randrange(len(damaged) + 1)
            damaged[to:to] = piece
        elif way == 6:
            damaged[at:at] = damaged[at:end]
        elif way == 7:
            at = chance.choice((at, chance.randrange(min(size, 512)), size - 1 - chance.randrange(min(size, 512))))
            damaged[at : at + 4] = chance.choice(NUMBERS).to_bytes(4, chance.choice(("big", "little")))
        else:
            for _ in range(chance.choice((8, 64))):
                damaged[chance.randrange(size)] = chance.randrange(256)
    return bytes(damaged)


def damage_json(text: bytes, chance: random.Random) -> bytes:
    """Return JSON with a value that is another, doubled, renamed or gone; or damaged as bytes are."""
    if chance.random() < 0.3:
        return damage_bytes(text, chance)
    data = json.loads(text)
    for _ in range(chance.choice((1, 1, 3))):
        holder = chance.choice([h for h in _holders(data) if h] or [data])
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        way = chance.randrange(4)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.append(holder[key])
        elif way == 1:
            holder[f"{key}x"] = holder[key]
        else:
            old = holder[key]
            near = [old + 1, old - 1, -old, old * 1000] if isinstance(old, int | float) else [str(old)[:-1], [old]]
            holder[key] = chance.choice((*VALUES, *near))
    return json.dumps(data).encode("utf-8", "backslashreplace")


def _holders(data: Any) -> Iterable[Any]:
    """Yield every list and object in JSON data."""
    if isinstance(data, dict | list):
        yield data
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _holders(inner)


@dataclass(frozen=True)
class Case:
    """One kind of input.

    Attributes:
        target: the file that is damaged, from the scratch folder.
        damage: how.
        command: from a scratch folder to the command that reads it.
    """

    target: str
    damage: Callable[[bytes, random.Random], bytes]
    command: Callable[[Path], Callable[[], int]]


def damage_zipped(data: bytes, chance: random.Random) -> bytes:
    """Return compressed JSON lines of which one is damaged, or damaged as they are."""
    if chance.random() < 0.3:
        return damage_bytes(data, chance)
    return gzip.compress(damage_lines(gzip.decompress(data), chance))


def damage_lines(data: bytes, chance: random.Random) -> bytes:
    """Return JSON lines of which one is damaged, or two have changed places."""
    lines = data.splitlines()
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    if chance.random() < 0.2:
        lines[one], lines[two] = lines[two], lines[one]
    else:
        lines[one] = damage_json(lines[one], chance)
    return b"\n".join(lines) + chance.choice((b"\n", b"\n", b""))


def prepare(folder: Path) -> None:
    """Fill a folder with everything that is damaged later, all of it from runs that work."""
    for suffix, codec in CONTAINERS.items():
        write_small(folder / f"clip.{suffix}", codec=codec, pix_fmt=PIXELS.get(codec, "yuv420p"), sound=suffix == "mp4")
    assert run_redact("analyse", folder / "clip.mp4", "-o", folder / "planned") == 0
    assert run_redact("run", folder / "clip.mp4", "-o", folder / "done") == 0
    region = {"name": "clock", "box": [8, 8, 40, 20], "from": 0.04, "to": 0.2}
    tattoo = {"name": "tattoo", "keys": [{"at": 0.0, "box": [10, 10, 30, 30]}, {"at": 0.12, "box": [20, 15, 30, 30]}]}
    (folder / "regions.json").write_text(json.dumps({"region": [region, {**tattoo, "follow": True}]}))
    (folder / "regions.toml").write_text(
        '[[region]]\nname = "clock"\nbox = [8, 8, 40, 20]\nfrom = "0:00.04"\nto = 0.2\n'
    )
    os.environ["REDACT_CAMERAS"], os.environ["REDACT_MARKS"] = str(folder / "cameras"), str(folder / "marks")
    added = run_redact("camera", "add", "gate", "--clip", folder / "clip.mp4", "--region", "8,8,40,20")
    assert added == 0
    marks.add("emblem", portrait(0.6))
    shutil.copytree(Path(models.__file__).parent, folder / "cards")


def redact(*commands: str) -> Callable[[Path], Callable[[], int]]:
    """Return what runs commands one after the other in a folder, in their words DIR/.

    It returns the code of the first that ended with a bug, or else of the last.
    """

    def call(folder: Path) -> int:
        lines = [[word.replace("DIR", str(folder)) for word in command.split()] for command in commands]
        codes = [run_redact(*line) for line in lines]
        return next((code for code in codes if code not in CLEAN), codes[-1])

    return lambda folder: lambda: call(folder)


def with_cards(folder: Path) -> Callable[[], int]:
    """Return what runs redact with the cards of a folder."""

    def call() -> int:
        weights.card.files = lambda _: folder / "cards"  # type: ignore[assignment]
        return redact(RUN)(folder)()

    return call


def cases() -> dict[str, Case]:
    """Return the kinds of input, by name."""
    again = "run DIR/clip.mp4 -o DIR/done --overwrite"
    found = {}
    for suffix in CONTAINERS:
        sound = " --audio keep" if suffix == "mp4" else ""
        run = redact(f"run DIR/clip.{suffix} -o DIR/out{sound}")
        found[f"clip .{suffix}"] = Case(f"clip.{suffix}", damage_bytes, run)
    plan, seen = (f"planned/private/clip.{kind}" for kind in ("plan.json", "detections.jsonl.gz"))
    found |= {
        "plan": Case(plan, damage_json, redact(f"render DIR/{plan} -o DIR/out")),
        "plan, used again": Case(plan, damage_json, redact("run DIR/clip.mp4 -o DIR/planned")),
        "detections": Case(seen, damage_zipped, redact("run DIR/clip.mp4 -o DIR/planned --overwrite")),
        "regions .json": Case("regions.json", damage_json, redact(f"{RUN} --regions DIR/regions.json")),
        "regions .toml": Case("regions.toml", damage_bytes, redact(f"{RUN} --regions DIR/regions.toml")),
        "camera": Case("cameras/gate.json", damage_json, redact(f"{RUN} --camera gate")),
        "mark": Case("marks/emblem.1.png", damage_bytes, redact(f"{RUN} --marks emblem")),
        "card": Case("cards/yunet-n.toml", damage_bytes, with_cards),
        "log": Case("done/private/custody.jsonl", damage_lines, redact("log DIR/done", "report DIR/done", again)),
        "queue": Case(f"done/private/{QUEUE}", damage_bytes, redact("status DIR/done", again)),
    }
    return found


@dataclass
class Tally:
    """What came of one kind of input."""

    codes: Counter[int] = field(default_factory=Counter)
    longest_s: float = 0.0  # of work, that of decoders included
    slowest_s: float = 0.0  # by the clock
    peak_bytes: int = 0
    faults: list[str] = field(default_factory=list)


def judge(folder: Path, before: set[Path], ended: Ended) -> str:
    """Return what is wrong with how a command ended, or nothing."""
    said = [line for line in ended.output.splitlines() if line.strip()]
    if ended.hung:
        return "it hung"
    if ended.code not in CLEAN:
        return f"it ended with {ended.code}: {' / '.join(said[-3:])[-300:]}"
    if "Traceback" in ended.output:
        return "it printed a traceback"
    if ended.code and not (any(s.startswith(("redact: ", "Error: ")) for s in said) and len(said[-1].strip()) > 10):
        return f"it ended with {ended.code} and no message: {said[-2:]}"
    if left := list(folder.rglob("*.partial.mp4")):
        return f"{left[0].name} was left"
    fresh = [path for path in folder.rglob("release/*") if path not in before]
    copies = [path for path in fresh if path.suffix == ".mp4"]
    if ended.code == 0 and not copies and not list(folder.rglob("release/*.mp4")):
        return "no copy was made"
    log = b"".join(path.read_bytes() for path in folder.rglob("custody.jsonl"))
    for path in copies:
        if hashlib.sha256(path.read_bytes()).hexdigest().encode() not in log:
            return f"the log does not know {path.name}"
    return "" if ended.code == 0 or not copies else f"{copies[0].name} was released in spite of an error"


def run_one(case: Case, prepared: Path, seed: str, keep: Path | None = None) -> tuple[Ended, str]:
    """Damage one input, run the command that reads it, and judge how that ended.

    Args:
        case: the kind of input.
        prepared: the folder with all files as they should be.
        seed: of the damage.
        keep: where a damaged file goes that led to a fault.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "case"
        shutil.copytree(prepared, folder)
        os.environ["REDACT_CAMERAS"], os.environ["REDACT_MARKS"] = str(folder / "cameras"), str(folder / "marks")
        target = folder / case.target
        target.write_bytes(case.damage(target.read_bytes(), random.Random(seed)))
        plan = folder / "planned" / "private" / "clip.plan.json"
        if target != plan:
            plan.write_bytes(plan.read_bytes().replace(os.fsencode(prepared), os.fsencode(folder)))
        before = set(folder.rglob("release/*"))
        ended = run_child(case.command(folder), LIMIT_S, MEMORY_BYTES)
        fault = judge(folder, before, ended)
        if fault and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, keep / f"{seed.replace(' ', '_')}-{target.name}")
    return ended, fault


def load_with_marks(settings: Settings, *_: object) -> list[Any]:
    """Return a detector that knows where the face is, and a real one for the marks that are asked for."""
    examples = {name: marks.load(name) for name in settings.marks}
    return [*load_fake(), *([MarkDetector(examples)] if examples else [])]


def main() -> None:
    """Run the inputs, print the table, and end with 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds whose name begins so")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that led to a fault")
    given = parser.parse_args()
    detectors.load_detectors = load_with_marks  # type: ignore[assignment]
    cv2.setNumThreads(1)  # a copy of this process would wait for threads that it does not have
    kinds = {name: case for name, case in cases().items() if name.startswith(given.only)}
    tallies: dict[str, Tally] = defaultdict(Tally)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared"
        prepared.mkdir()
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        prepare(prepared)
        sys.stdout = sys.__stdout__
        names = list(kinds)
        for number in range(given.first, given.first + given.count):
            name = names[number % len(names)]
            ended, fault = run_one(kinds[name], prepared, f"{given.seed} {name} {number}", given.keep)
            tally = tallies[name]
            tally.codes[ended.code] += 1
            tally.longest_s = max(tally.longest_s, ended.cpu_s + ended.decoding_s)
            tally.slowest_s = max(tally.slowest_s, ended.seconds)
            tally.peak_bytes = max(tally.peak_bytes, ended.peak_bytes)
            if fault:
                tally.faults.append(f"number {number}: {fault}")
                print(f"FAULT {name}, number {number}: {fault}", flush=True)
    print_table(tallies)
    sys.exit(any(tally.faults for tally in tallies.values()))


def print_table(tallies: dict[str, Tally]) -> None:
    """Print what came of each kind of input."""
    print(
        "| damaged | inputs | checked copies | clean errors, by exit code | faults"
        " | longest work | longest by the clock | peak memory |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, tally in tallies.items():
        errors = ", ".join(f"{count} with {code}" for code, count in sorted(tally.codes.items()) if code)
        print(
            f"| {name} | {tally.codes.total()} | {tally.codes[0]} | {errors or 'none'} | {len(tally.faults)}"
            f" | {tally.longest_s:.1f} s | {tally.slowest_s:.1f} s | {tally.peak_bytes / 1e6:.0f} MB |"
        )
    total = sum((tally.codes for tally in tallies.values()), Counter[int]())
    faults = sum(len(tally.faults) for tally in tallies.values())
    print(
        f"| all | {total.total()} | {total[0]} | {total.total() - total[0]} | {faults}"
        f" | {max(t.longest_s for t in tallies.values()):.1f} s | {max(t.slowest_s for t in tallies.values()):.1f} s"
        f" | {max(t.peak_bytes for t in tallies.values()) / 1e6:.0f} MB |"
    )


if __name__ == "__main__":
    main()
