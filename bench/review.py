"""How long the review page lets one wait: the first covered picture, a seek, an edit.

    python -m bench.review [--minutes N] [--size WIDTHxHEIGHT] [--seeks N] [--tracks N]

The review is really served, and asked over HTTP as its page asks; where there is a Chromium, the page itself is asked
too, until a picture is on its canvas. The clip is made by repeating a made one of 20 s (25 frames a second, a key
frame every 10 s, as the encoder has it by default); its plan and time line are as an analysis leaves them, with a head
that is always there. Then a plan of 2 hours with many tracks, each there for a minute, and as many doubts is changed:
over HTTP, and in the page, from a key to the next picture that the browser draws.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import av
from playwright.sync_api import sync_playwright

from redact import custody
from redact.geometry import Box
from redact.media import hash_file
from redact.plan import Doubt, Plan, Settings, Source, Track
from redact.records import dump_plan
from redact.sightings import Sightings, dump_sightings
from tests.browsing import ARGUMENTS, BROWSER
from tests.clips import moving_portrait, write_clip

RATE = 25
SHORT, LONG_S = 500, 7200  # frames that are repeated; seconds of the clip with many tracks
EDITS = 10

# In the page: milliseconds from a key to the picture that the browser draws after it, or after the change was answered.
NEXT_DRAWN = """(key) => new Promise((done) => {
  const begin = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})"""
AFTER_CHANGE = """(key) => new Promise((done) => {
  const begin = performance.now(), saved = document.querySelector("#saved");
  const wait = () => saved.textContent === "saved"
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin))) : requestAnimationFrame(wait);
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  setTimeout(wait);
})"""
SOUGHT = """(n) => new Promise((done) => {
  const [picture, field] = ["#picture", "#frame"].map((name) => document.querySelector(name));
  const begin = performance.now();
  const wait = () => picture.dataset.frame === String(n)
    ? setTimeout(() => done(performance.now() - begin)) : requestAnimationFrame(wait);
  field.value = n;
  field.dispatchEvent(new Event("change"));
  wait();
})"""
SCROLLED = """() => new Promise((done) => {
  const begin = performance.now(), lanes = document.querySelector("#lanes");
  lanes.scrollTop = (lanes.scrollTop + 700) % Math.max(lanes.scrollHeight - lanes.clientHeight, 1);
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})"""


class Page:
    """Asks a review as its page does, by one connection."""

    def __init__(self, link: str) -> None:
        self.link = link
        host, self._enter = link.split("/", 3)[2:]
        self._connection = HTTPConnection(host, timeout=600)
        self._headers = {"Origin": f"http://{host}"}

    def enter(self) -> None:
        """Open the link."""
        self._connection.request("GET", f"/{self._enter}")
        answer = self._connection.getresponse()
        answer.read()
        self._headers["Cookie"] = answer.headers["set-cookie"].split(";")[0]

    def ask(self, path: str, body: dict[str, object] | None = None) -> bytes:
        """Return what is answered."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request("GET" if body is None else "POST", path, data, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {content.decode(errors='replace')}")
        return content


def make_folder(folder: Path, minutes: int, width: int, height: int) -> Plan:
    """Write a clip, and its plan and time line into the folder of a run."""
    short = write_clip(folder / "short.mp4", (picture for picture, _ in moving_portrait(SHORT, width, height, 0.5)))
    clip = repeat(short, folder / "long.mp4", minutes * 60 * RATE // SHORT)
    times = [Fraction(n, RATE) for n in range(minutes * 60 * RATE // SHORT * SHORT)]
    source = Source(str(clip), hash_file(clip), width, height, 0, len(times), Fraction(1, 12800), times[0], times[-1],
                    "0" * 64, 0)  # fmt: skip
    heads = Track(1, "head", 0, (Box(200, 100, 320, 260),) * len(times))
    plan = Plan(source, Settings(), {}, (heads,))
    write(folder / "out", plan, times)
    return plan


def repeat(short: Path, path: Path, count: int) -> Path:
    """Write a clip that is a short one many times over, as it was encoded."""
    with av.open(str(short)) as given, av.open(str(path), "w") as made:
        stream = given.streams.video[0]
        out = made.add_stream_from_template(stream)
        packets = [(packet, packet.pts, packet.dts) for packet in given.demux(stream) if packet.pts is not None]
        step = round(Fraction(SHORT, RATE) / packets[0][0].time_base)
        base = packets[0][0].time_base
        for n in range(count):
            for packet, pts, dts in packets:
                packet.pts, packet.dts, packet.time_base, packet.stream = pts + n * step, dts + n * step, base, out
                made.mux(packet)
    return path


def write(out: Path, plan: Plan, times: list[Fraction]) -> None:
    """Write a plan and its time line into the folder of a run."""
    space = custody.open_workspace(out)
    seen = Sightings(plan.source, None, None, False, {}, "", tuple(times), (), (), (), (), ())
    custody.write_private(space.private / "long.plan.json", dump_plan(plan).encode())
    custody.write_private(space.private / "long.detections.jsonl.gz", dump_sightings(seen))


def many_tracks(plan: Plan, count: int) -> tuple[Plan, list[Fraction]]:
    """Return a plan of two hours with many tracks, each there for a minute, and its time line."""
    frames, stay = LONG_S * RATE, 60 * RATE
    chance = random.Random(1)
    tracks = []
    for n in range(1, count + 1):
        x, y = chance.randrange(plan.source.width - 60), chance.randrange(plan.source.height - 60)
        first = chance.randrange(frames - stay)
        tracks.append(Track(n, "head", first, tuple(Box(x + k % 9, y, x + 60, y + 60) for k in range(stay))))
    times = [Fraction(n, RATE) for n in range(frames)]
    source = replace(plan.source, frames=frames, ends=times[-1])
    doubts = tuple(Doubt(t.first, t.first + RATE, t.first, t.boxes[0], "seen once", 0.5) for t in tracks)
    return replace(plan, source=source, tracks=tuple(tracks), doubts=doubts), times


def serve(out: Path, use: Callable[[Page, float], None], enter: bool = True) -> None:
    """Run `redact review` on a folder, and use its page; it is told when the command began.

    Without `enter` the link is left to a browser.
    """
    begin = time.monotonic()
    command = [sys.executable, "-m", "redact", "review", str(out), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            link = next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
            page = Page(link)
            if enter:
                page.enter()
            use(page, begin)
        finally:
            process.terminate()


def spread(seconds: list[float]) -> str:
    """Return the median, the 95th percentile and the worst, in ms."""
    late = quantiles(seconds, n=20, method="inclusive")[-1]
    return ", ".join(
        f"{name} {value * 1000:.0f} ms"
        for name, value in (("median", median(seconds)), ("95th percentile", late), ("worst", max(seconds)))
    )


def timed(seconds: list[float], ask: Callable[[], object]) -> None:
    """Note how long something takes."""
    begin = time.monotonic()
    ask()
    seconds.append(time.monotonic() - begin)


def look(seeks: Sequence[int], page: Page, begin: float) -> None:
    """Print how long the first picture takes, and seeks, over HTTP."""
    entered = time.monotonic()
    for path in ("/", "/static/main.js", "/api/clip", "/api/state", "/frame/0?w=640"):
        page.ask(path)
    now = time.monotonic()
    print(f"first picture: {now - entered:.2f} s after the link was opened, {now - begin:.2f} s after the command")
    seconds: list[float] = []
    for n in seeks:
        timed(seconds, lambda n=n: page.ask(f"/frame/{n}?w=640"))
    print(f"{len(seeks)} seeks: {spread(seconds)}", flush=True)


def look_in_page(browser: Any, seeks: Sequence[int], page: Page, begin: float) -> None:
    """Print how long the first picture takes, and seeks, until they are on the page's canvas."""
    view = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    opened = time.monotonic()
    view.goto(page.link)
    view.wait_for_selector("#picture[data-frame]")
    now = time.monotonic()
    print(f"first picture in the page: {now - opened:.2f} s after it was opened, {now - begin:.2f} s after the command")
    view.wait_for_selector("body[data-ready]")
    print(f"{len(seeks)} seeks in the page: {spread([view.evaluate(SOUGHT, n) / 1000 for n in seeks])}", flush=True)
    view.context.close()


def change(page: Page, begin: float) -> None:
    """Print how long changes take over HTTP, and how much is answered."""
    answer = page.ask("/api/state")
    print(f"plan open: {time.monotonic() - begin:.2f} s after the command")
    times: dict[str, list[float]] = {"edit": [], "undo": [], "doubt": []}
    for n in range(1, EDITS + 1):
        for name, wish, body in (("edit", "widen", {"tracks": [n], "share": 0.1}), ("undo", "undo", {}),
                                 ("doubt", "settle", {"doubts": [0]})):  # fmt: skip
            asked = {"revision": json.loads(answer)["revision"], **body}
            answers: list[bytes] = []
            timed(
                times[name], lambda wish=wish, asked=asked, kept=answers: kept.append(page.ask(f"/api/{wish}", asked))
            )
            (answer,) = answers
    for name, seconds in times.items():
        print(f"{EDITS} times {name} over HTTP, the first included: {spread(seconds)}")
    print(f"answer to a change: {len(answer) / 1024:.0f} KiB", flush=True)


def press(browser: Any, page: Page, begin: float) -> None:
    """Print how long the page itself takes, from a key to the next picture that the browser draws."""
    view = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    view.set_default_timeout(120_000)
    view.goto(page.link)
    view.wait_for_selector("body[data-ready]")
    print(f"page ready: {time.monotonic() - begin:.2f} s after the command")
    view.click('.piece[data-track="1"]', force=True)
    for name, key, script in (
        ("edit", "w", AFTER_CHANGE), ("undo", "z", AFTER_CHANGE), ("next doubt", "n", NEXT_DRAWN),
        ("zoom of the timeline", "+", NEXT_DRAWN), ("scroll of the timeline", "", SCROLLED),
    ):  # fmt: skip
        seconds = [view.evaluate(script, key) / 1000 for _ in range(EDITS)]
        print(f"{EDITS} times {name} in the page: {spread(seconds)}", flush=True)
    view.context.close()


def open_browser(stack: ExitStack) -> Any:
    """Return a browser, which is closed with the stack; None where there is none."""
    if not BROWSER:
        return None
    playwright = stack.enter_context(sync_playwright())
    return stack.enter_context(playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="How long the review page lets one wait.")
    parser.add_argument("--minutes", type=int, default=20, help="of the clip")
    parser.add_argument("--size", default="640x360", help="of its pictures")
    parser.add_argument("--seeks", type=int, default=200, help="how many random frames are asked for")
    parser.add_argument("--tracks", type=int, default=500, help="in the plan that is edited")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        browser = open_browser(stack)
        width, height = map(int, options.size.split("x"))
        plan = make_folder(folder, options.minutes, width, height)
        seeks = random.Random(2).sample(range(plan.source.frames), options.seeks)
        print(f"a clip of {plan.source.frames} frames, {options.size}, one head")
        serve(folder / "out", partial(look, seeks))
        if browser:
            serve(folder / "out", partial(look_in_page, browser, seeks), enter=False)
        large, times = many_tracks(plan, options.tracks)
        write(folder / "many", large, times)
        size = (folder / "many" / "private" / "long.plan.json").stat().st_size / 2**20
        print(f"a plan of {options.tracks} tracks and doubts in {len(times)} frames: {size:.1f} MiB")
        serve(folder / "many", change)
        if browser:
            serve(folder / "many", partial(press, browser), enter=False)
        else:
            print("no Chromium here: the page itself was not measured")
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
