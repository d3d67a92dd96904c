"""What share of texts, marks and a badge the plans of the tool cover, frame by frame.

    python bench/covered.py DATA [--only texts,marks,absent,badge] [--clips NAME,...] [--keep FOLDER]

Runs `redact run` as a process of its own over clips of DATA/videos and compares the tracks of its plan with what is
known: covered is what the covers of a frame hide together.

texts: a clock that changes every second and the name of a camera, grey letters of 14 px without an outline, drawn into
two corners of three real clips under light noise. Every frame has to cover 90 % of the box of each.

marks: the emblems of bench/marks.py on people who walk, fall and lie in three real clips, along hand-made paths: turned
to 60 degrees, half to twice the size of the example, in a third of the frames with 40 % hidden. The examples are in a
library of their own. 90 % of what shows has to be covered in 97 % of the frames that show half of the mark.

absent: the same marks are looked for in clips that do not hold them. At most one frame in 500 may have a track of one.

badge: a real badge (intel_asl_book.marks.csv), by default and with an example cut out of a labelled frame. Every
labelled frame has to cover 90 % of it.

Prints tables and what was missed: `no track` where no track of its kind touches it, `carried` where one does but
nothing was seen there in that frame, `in part` where what was seen is too small. --keep keeps clips, copies and plans:
they show real people.

Exit status 1: a run failed. 2: it was called wrongly.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench.marks import ENOUGH_SHOWN, NOISE, draw_emblem, example_of, frames_of, lay
from bench.shares import Judged, Ran, Truth, judge, misses
from bench.tables import markdown
from redact.geometry import Box
from redact.media import FrameReader
from redact.records import load_plan
from redact.sightings import load_sightings

Picture = NDArray[np.uint8]
Way = Sequence[tuple[int, float, float]]  # frame, x, y

PARTS = ("texts", "marks", "absent", "badge")
LETTERS = 14  # pixels of the height of capital letters
FONT = cv2.FONT_HERSHEY_SIMPLEX
EDGE = 12  # pixels from a text to the edges of the picture
LEVELS = (170, 185, 200)  # of a text: the one that stands out most is taken
TEXT_FRAMES = 100
TEXT_CLIPS = ("cctv_nofi064", "gmdcsa_S1_Fall_13", "short_hamilton_clip")
CRF = 14
SEED = 1  # of the first emblem
# Where the chest or back of a person is, judged by eye; between these a straight line. Outside there is no mark.
PEOPLE: dict[str, Way] = {
    "gmdcsa_S1_Fall_15": (
        *((0, 390, 240), (20, 384, 240), (40, 350, 236), (58, 299, 254), (66, 294, 274), (70, 247, 311)),
        *((74, 217, 331), (78, 198, 343), (86, 141, 363), (100, 120, 394), (177, 124, 378)),
    ),
    "gmdcsa_S4_Fall_01": (
        *((0, 330, 70), (20, 330, 70), (40, 314, 76), (46, 299, 59), (50, 292, 60), (54, 287, 91), (58, 272, 121)),
        *((62, 267, 178), (66, 217, 210), (74, 203, 230), (86, 180, 237), (138, 180, 237)),
    ),
    "intel_one_by_one_person": (
        *((60, 280, 490), (62, 306, 430), (65, 361, 390), (68, 405, 291), (71, 443, 228), (74, 460, 186)),
        *((77, 466, 169), (84, 456, 158), (180, 456, 168), (184, 506, 190), (188, 603, 179), (190, 648, 179)),
        *((192, 713, 170), (194, 738, 170), (197, 880, 190)),
    ),
}
MARK_FRAMES = 210
ENOUGH_FRAMES = 0.97  # of those that show half of a mark
FALSE_FRAMES = 1 / 500
WITHOUT_MARKS = (*PEOPLE, "short_hamilton_clip", "gmdcsa_S3_ADL_07", "egoblur_gen1_test_video")
WITHOUT_TO = "12"  # seconds of each
BADGE_CLIP = "intel_asl_book"
MARKS_ONLY = ("--cover", "code", "--allow-empty")  # the cheapest detector: faces and texts are not looked for


def at_time(path: Way, frame: int) -> tuple[float, float] | None:
    """Return where a path is in a frame, or None before its beginning and after its end."""
    frames, xs, ys = zip(*path, strict=True)
    if not frames[0] <= frame <= frames[-1]:
        return None
    return float(np.interp(frame, frames, xs)), float(np.interp(frame, frames, ys))


def draw_text(picture: Picture, text: str, right: bool, low: bool, level: int) -> tuple[Picture, Box]:
    """Return a picture with a text in one of its corners, and the box of its pixels."""
    scale = _scale()
    height, width = picture.shape[:2]
    wide = cv2.getTextSize(text, FONT, scale, 1)[0][0]
    origin = width - EDGE - wide if right else EDGE, height - EDGE if low else EDGE + LETTERS
    ink = np.zeros((height, width), np.uint8)
    cv2.putText(ink, text, origin, FONT, scale, 255, 1, cv2.LINE_AA)
    x, y, w, h = cv2.boundingRect(ink)
    alpha = ink[..., None] / 255.0
    return np.asarray(picture * (1 - alpha) + level * alpha + 0.5, np.uint8), Box(x, y, x + w, y + h)


@lru_cache
def _scale() -> float:
    """Return the scale of the font at which its capital letters are as high as wanted: their pixels are counted."""
    for scale in np.arange(0.3, 3.0, 0.01):
        ink = np.zeros((100, 100), np.uint8)
        cv2.putText(ink, "H", (10, 90), FONT, scale, 255, 1, cv2.LINE_AA)
        if cv2.boundingRect(ink)[3] >= LETTERS:
            return float(scale)
    raise LookupError(f"The font has no letters of {LETTERS} pixels.")


def show(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], missed: Sequence[str]) -> None:
    """Print a table and what was missed."""
    parts = (title, markdown(header, rows), "\n".join(missed))
    print("\n\n".join(filter(None, parts)) + "\n", flush=True)


def write_clip(path: Path, pictures: Iterable[Picture], rate: Fraction) -> None:
    """Write pictures as a clip of a constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(CRF), "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for n, picture in enumerate(pictures):
            if not n:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = n, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rate_of(clip: Path) -> Fraction:
    """Return the frames per second of a clip, over all of it."""
    with FrameReader(clip) as reader:
        times = [frame.time for frame in reader]
    return ((len(times) - 1) / (times[-1] - times[0])).limit_denominator(10_000)


class Bench:
    """Runs the tool on clips of a folder, and keeps what it makes in another.

    Args:
        videos: the clips.
        out: where clips, copies and the library of marks go.
        only: the names of the clips that are wanted; empty for all.
    """

    def __init__(self, videos: Path, out: Path, only: Sequence[str]) -> None:
        self._videos, self._out, self._only = videos, out, only
        self.failed = False

    def wanted(self, names: Iterable[str]) -> list[str]:
        """Return those of some clips that are wanted."""
        return [name for name in names if not self._only or name in self._only]

    def clip(self, name: str) -> Path:
        """Return the clip of a name.

        Raises:
            LookupError: there is none.
        """
        for clip in (self._videos / f"{name}{suffix}" for suffix in (".mp4", ".mkv")):
            if clip.exists():
                return clip
        raise LookupError(f"There is no clip {name} in {self._videos}.")

    def path(self, name: str) -> Path:
        """Return where a file of this name is made."""
        return self._out / name

    def run(self, clip: Path, name: str, *options: str) -> Ran | None:
        """Return what the tool makes of a clip with options; None, and why to stderr, where it fails."""
        copy = self._out / f"{name}.copy.mp4"
        if not self._call(name, "run", str(clip), "-o", str(copy), "--overwrite", *options):
            self.failed = True
            return None
        (plan,) = copy.with_suffix(".private").glob("*.plan.json")
        seen = plan.with_name(plan.name.replace(".plan.json", ".detections.jsonl.gz"))
        sightings = load_sightings(seen.read_bytes())
        assert sightings is not None
        return Ran(load_plan(plan.read_text(encoding="utf-8")), sightings)

    def add_mark(self, name: str, *options: str) -> bool:
        """Add an example of a mark to the library; return whether it was taken; to refuse is no failure."""
        return self._call(name, "mark", "add", name, *options)

    def add_emblems(self) -> dict[str, str]:
        """Add an emblem for each clip of people to the library; return their names by clip."""
        names = {clip: f"emblem{SEED + n}" for n, clip in enumerate(PEOPLE)}
        for seed, name in enumerate(names.values(), start=SEED):
            example = self.path(f"{name}.png")
            cv2.imwrite(str(example), example_of(*draw_emblem(seed)))
            self.add_mark(name, "--image", str(example))
        return names

    def _call(self, name: str, *arguments: str) -> bool:
        environment: Mapping[str, str] = {**os.environ, "REDACT_MARKS": str(self._out / "library")}
        command = [sys.executable, "-m", "redact", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            print(f"{name}: exit {done.returncode}: {done.stderr.strip()[-400:]}", file=sys.stderr)
        return not done.returncode


def measure_texts(bench: Bench) -> None:
    """Print how much of the drawn texts is covered."""
    rows, missed = [], []
    for clip in bench.wanted(TEXT_CLIPS):
        path, truths, contrasts = bench.path(f"{clip}.texts.mp4"), {}, {}
        write_clip(path, _with_texts(bench.clip(clip), truths, contrasts), rate_of(bench.clip(clip)))
        ran = bench.run(path, f"{clip}.texts", "--allow-empty")
        for text, frames in truths.items():
            if ran is None:
                rows.append((clip, text, "failed", "", "", ""))
                continue
            judged = judge(ran, frames, "text")
            contrast = f"{np.mean(contrasts[text]):.0f} ({min(contrasts[text]):.0f})"
            rows.append((clip, text, contrast, judged.ratio(), f"{min(judged.shares):.0%}", _times(judged)))
            missed += misses(f"{clip}, {text}", judged)
    header = ("clip", "text", "contrast, levels (least)", "frames covered", "least share", "area covered, times")
    show("Texts; target: every frame", header, rows, missed)


def _with_texts(clip: Path, truths: dict[str, list[Truth]], contrasts: dict[str, list[float]]) -> Iterator[Picture]:
    """Yield the first frames of a clip with a clock and a name; note where they are and how they stand out."""
    rate, rng = rate_of(clip), np.random.default_rng(SEED)
    levels: dict[str, int] = {}
    for n, picture in frames_of(clip, TEXT_FRAMES):
        second = int(n / rate)
        texts = (("clock", f"2024-03-01 10:32:{48 + second:02d}", False, False), ("name", "CAM 07 YARD", True, True))
        drawn = picture
        for kind, text, right, low in texts:
            _, box = draw_text(picture, text, right, low, 0)
            behind = float(picture[box.y0 : box.y1, box.x0 : box.x1].mean())
            level = levels.setdefault(kind, max(LEVELS, key=lambda level: abs(level - behind)))
            drawn, box = draw_text(drawn, text, right, low, level)
            truths.setdefault(kind, []).append(Truth(n, box, np.ones((box.height, box.width), bool)))
            contrasts.setdefault(kind, []).append(abs(level - behind))
        yield np.clip(drawn + rng.normal(0, NOISE, drawn.shape), 0, 255).astype(np.uint8)


def measure_marks(bench: Bench) -> None:
    """Print how much of the drawn marks is covered."""
    rows, missed, enough = [], [], []
    names = bench.add_emblems()
    for clip in bench.wanted(PEOPLE):
        name, seed = names[clip], SEED + [*PEOPLE].index(clip)
        path, truths = bench.path(f"{clip}.marks.mp4"), []
        write_clip(path, _with_mark(bench.clip(clip), PEOPLE[clip], seed, truths), rate_of(bench.clip(clip)))
        ran = bench.run(path, f"{clip}.marks", "--marks", name, *MARKS_ONLY)
        if ran is None:
            rows.append((clip, *["failed"] * 5))
            continue
        judged = judge(ran, truths, "mark")
        enough += judged.enough()
        groups = [judged.ratio(group) for group in (None, "whole", "hidden")]
        rows.append((clip, *groups, f"{min(judged.shares):.0%}", _times(judged)))
        missed += misses(clip, judged)
    if enough:
        rows.append(("TOTAL", f"{sum(enough)} of {len(enough)} ({np.mean(enough):.1%})", "", "", "", ""))
    header = ("clip", "frames covered", "of them whole", "40 % hidden", "least share", "area covered, times")
    show(f"Marks; target: {ENOUGH_FRAMES:.0%} of the frames", header, rows, missed)


def _with_mark(clip: Path, path: Way, seed: int, truths: list[Truth]) -> Iterator[Picture]:
    """Yield the first frames of a clip with a mark on its path; note where half of it or more shows."""
    for n, picture in frames_of(clip, MARK_FRAMES):
        at = at_time(path, n)
        if at is None:
            yield picture
            continue
        shown = lay(picture, n, seed, 0.0, at)
        if shown.share >= ENOUGH_SHOWN:
            x, y, w, h = cv2.boundingRect(shown.visible.astype(np.uint8))
            group = "hidden" if shown.hidden else "whole"
            truths.append(Truth(n, Box(x, y, x + w, y + h), shown.visible[y : y + h, x : x + w].copy(), group))
        yield shown.picture


def measure_absent(bench: Bench) -> None:
    """Print in how many frames of clips without them marks are tracked."""
    names, rows, wrong, count = ",".join(bench.add_emblems().values()), [], 0, 0
    for clip in bench.wanted(WITHOUT_MARKS):
        ran = bench.run(bench.clip(clip), f"{clip}.without", "--marks", names, *MARKS_ONLY, "--to", WITHOUT_TO)
        if ran is None:
            rows.append((clip, "failed", ""))
            continue
        tracks = [t for t in ran.plan.tracks if t.label == "mark"]
        false = {frame for t in tracks for frame in range(t.first, t.last + 1)}
        rows.append((clip, f"{len(false)} of {ran.plan.source.frames}", "; ".join(t.reason for t in tracks)))
        wrong, count = wrong + len(false), count + ran.plan.source.frames
    rows.append(("TOTAL", f"{wrong} of {count}", ""))
    title = f"Marks that are not there; target: {FALSE_FRAMES:.1%} of the frames at most"
    show(title, ("clip", "frames with a track", "tracks"), rows, ())


def measure_badge(bench: Bench) -> None:
    """Print in how many labelled frames the badge is covered, by default and with each example of it."""
    clip = bench.clip(BADGE_CLIP)
    truths = read_marks(clip.with_name(f"{BADGE_CLIP}.marks.csv"))
    with FrameReader(clip) as reader:
        times = [frame.time for frame in reader]
    rows, missed = [], []

    def measure(name: str, options: Sequence[str], label: str) -> None:
        ran = bench.run(clip, f"badge.{name.replace(' ', '-')}", *options)
        if ran is None:
            rows.append((name, "failed", "", "", ""))
            return
        judged = judge(ran, truths, label)
        frames = sum(len(t.boxes) for t in ran.plan.tracks if t.label == label)
        shares = ", ".join(f"{truth.frame}: {share:.0%}" for truth, share in zip(truths, judged.shares, strict=True))
        rows.append((name, judged.ratio(), shares, _times(judged), f"{frames} of {label} tracks"))
        missed.extend(misses(f"{name}", judged))

    measure("default", ("--allow-empty",), "text")
    for truth in truths:
        name = f"badge{truth.frame}"
        box = f"{truth.box.x0},{truth.box.y0},{truth.box.width},{truth.box.height}"
        at = f"{float(times[truth.frame] + times[truth.frame + 1]) / 2:.4f}"  # between two frames the first is shown
        if bench.add_mark(name, "--clip", str(clip), "--at", at, "--box", box):
            measure(f"example of frame {truth.frame}, marks only", ("--marks", name, *MARKS_ONLY), "mark")
        else:
            rows.append((f"example of frame {truth.frame}", "refused when it was added", "", "", ""))
    header = ("run", "labelled frames covered", "shares", "area covered, times", "frames")
    show("Badge; target: every labelled frame", header, rows, missed)


def read_marks(path: Path) -> list[Truth]:
    """Return the labelled marks of a clip."""
    with path.open(newline="") as file:
        rows = [{key: int(row[key]) for key in ("frame", "x", "y", "w", "h")} for row in csv.DictReader(file)]
    boxes = [(row["frame"], Box(row["x"], row["y"], row["x"] + row["w"], row["y"] + row["h"])) for row in rows]
    return [Truth(frame, box, np.ones((box.height, box.width), bool)) for frame, box in boxes]


def _times(judged: Judged) -> str:
    """Return how large the tracks of something are, by its own area, in the median frame."""
    return f"{np.median(judged.times):.1f}"


MEASURES: dict[str, Callable[[Bench], None]] = dict(
    zip(PARTS, (measure_texts, measure_marks, measure_absent, measure_badge), strict=True)
)


def main(arguments: Sequence[str]) -> int:
    """Print the tables; return 1 if a run failed."""
    parser = argparse.ArgumentParser(description="What share of texts, marks and a badge is covered.")
    parser.add_argument("data", type=Path, help="holds the folder videos")
    parser.add_argument("--only", metavar="PART,...", default=",".join(PARTS), help="some of: %(default)s")
    parser.add_argument("--clips", metavar="NAME,...", default="", help="only these; the badge is not asked")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep clips, copies and plans here: real people")
    options = parser.parse_args(arguments)
    parts = options.only.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    cv2.setNumThreads(1)
    with ExitStack() as held:
        out = options.keep or Path(held.enter_context(tempfile.TemporaryDirectory()))
        out.mkdir(parents=True, exist_ok=True)
        bench = Bench(options.data / "videos", out, [*filter(None, options.clips.split(","))])
        try:
            for part in parts:
                MEASURES[part](bench)
        except LookupError as error:
            parser.error(str(error))
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
