"""The review as a person does it, in a real browser: see what is in doubt, correct it, sign it off."""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.leakmeter import measure
from redact.geometry import Box
from redact.media import Frame, FrameReader
from redact.plan import Doubt, Track
from redact.records import dump_plan, load_plan
from tests.browsing import drag, frame, go, look, until
from tests.clips import moving_portrait, portrait, write_clip
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip
from tests.fakes import FakeDetector
from tests.serving import analysed, plan_in

LEAKED = range(8, 15)  # frames in which the planted leak is
CORNER = 262, 176  # where the bystander's picture is
BYSTANDER = Box(270, 180, 302, 222)  # and the head in it

pytestmark = pytest.mark.usefixtures("fake")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> MadeClip:
    """A clip of somebody who crosses the picture, and of a bystander in its corner."""
    frames = list(moving_portrait(FRAMES, WIDTH, HEIGHT, 0.5))
    small = portrait(0.2)
    for picture, _ in frames:
        picture[CORNER[1] : CORNER[1] + small.shape[0], CORNER[0] : CORNER[0] + small.shape[1]] = small
    path = write_clip(tmp_path_factory.mktemp("scene") / "yard.mp4", (p for p, _ in frames), sound=True)
    return MadeClip(path, tuple(face for _, face in frames if face))


@pytest.fixture
def clip(scene: MadeClip) -> MadeClip:
    return scene


@pytest.fixture(scope="module")
def made(scene: MadeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan in which the face is not covered for some frames, and that is in doubt."""
    out = analysed(scene.path, FakeDetector(scene.faces), tmp_path_factory.mktemp("made") / "out")
    (path,) = (out / "private").glob("*.plan.json")
    plan = load_plan(path.read_text())
    (head,) = plan.tracks
    x, y, w, h = scene.faces[11]
    tracks = (
        replace(head, boxes=head.boxes[: LEAKED.start]),
        replace(head, id=2, first=LEAKED.stop, boxes=head.boxes[LEAKED.stop :]),
        Track(3, "head", 0, (BYSTANDER,) * FRAMES),
    )
    doubt = Doubt(LEAKED.start, LEAKED.stop - 1, 11, Box(x, y, x + w, y + h), "not covered: seen weakly", 0.8)
    small = Doubt(20, 20, 20, head.boxes[20], "ends inside the picture", 0.3)
    path.write_text(dump_plan(replace(plan, tracks=tracks, doubts=(doubt, small))))
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which a test may change."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def write_labels(path: Path, clip: MadeClip) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "x", "y", "w", "h"])
        rows.writerows([n, *face] for n, face in enumerate(clip.faces))
    return path


def changed(before: Frame, after: Frame, box: Box) -> float:
    """Return by how much two pictures differ in a box, in the mean."""
    part = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    return float(np.abs(before.picture[part].astype(int) - after.picture[part]).mean())


def test_a_planted_leak_is_found_covered_signed_off_and_gone_from_the_copy(
    page: Any, out: Path, clip: MadeClip, tmp_path: Path
) -> None:
    # The first doubt is open, with its reason; its frame is shown.
    frame(page, 11)
    assert "Not covered: seen weakly." in page.inner_text("#doubt-reason")
    assert page.inner_text("#doubts-left") == "2 doubts left"
    # Cover it: it is followed, and the next doubt is there. Accept that one.
    page.keyboard.press("c")
    until(page, "document.querySelector('#doubts-left').textContent === '1 doubt left'")
    look(page)
    page.keyboard.press("a")
    until(page, "document.querySelector('#doubts-left').textContent === '0 doubts left'")
    # Draw a region and follow it.
    go(page, 5)
    drag(page, (230, 4), (300, 40))
    page.check("input[value=region]")
    page.fill("#draft-name", "a poster")
    page.click("#draft-follow")
    until(page, "document.querySelector('#selected').textContent.includes('a poster')")
    # Show one person, with a name and a reason.
    page.click('.piece[data-track="3"]')
    page.keyboard.press("h")
    page.click("#show-yes")
    assert "reason" in page.inner_text("#toast")
    page.fill("#show-who", "Bea")
    page.fill("#show-reason", "asked to be seen")
    page.click("#show-yes")
    page.wait_for_selector('.piece.shown[data-track="3"]')
    # Sign off: what was decided is listed, the copy is made and checked.
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#signoff[open]")
    decided = page.inner_text("#signoff-list")
    assert "Left visible by decision: 1" in decided.replace("LEFT VISIBLE BY DECISION", "Left visible by decision")
    assert "asked to be seen; decided by Bea" in decided
    assert "a poster" in decided
    page.click("#signoff-yes")
    page.wait_for_selector("#finish:visible", timeout=60_000)
    assert "reviewed_by_a_person" in page.inner_text("#signoff-result")
    page.click("#finish")
    page.wait_for_selector("#ended")
    copy = out / "release" / "excerpt-0001.mp4"
    report = measure(clip.path, copy, write_labels(tmp_path / "labels.csv", clip))
    assert (report.faces, report.leaked) == (FRAMES, 0)
    plan = plan_in(out)
    poster = plan.tracks[-1]
    assert {t.id: t.action for t in plan.tracks}[3] == "show"
    with FrameReader(clip.path) as before, FrameReader(copy) as after:
        for n, (a, b) in enumerate(zip(before, after, strict=True)):
            assert changed(a, b, BYSTANDER) < 8  # who is shown is to be seen
            if poster.first <= n <= poster.last:
                assert changed(a, b, poster.boxes[n - poster.first]) > 4
    assert poster.first < 5 < poster.last
    assert plan.review is not None
    assert 0 < plan.review.frames_seen < FRAMES


def test_every_frame_is_reached_exactly_by_keys_and_counts_as_seen(page: Any, out: Path) -> None:
    page.keyboard.press("Home")
    frame(page, 0)
    for key, number in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 23), ("ArrowRight", 23)):
        page.keyboard.press(key)
        frame(page, number)
    page.keyboard.press("Shift+ArrowLeft")
    frame(page, 0)
    page.keyboard.press(" ")
    frame(page, FRAMES - 1)
    until(page, "document.querySelector('#seen-share').textContent.startsWith('100 %')")


def test_holding_shows_what_is_under_one_cover_and_letting_go_hides_it(page: Any) -> None:
    go(page, 3)
    page.click('.piece[data-track="1"]', position={"x": 1, "y": 5})
    drawn = """(() => { const canvas = document.querySelector('#overlay'), box = [0, 0, canvas.width, canvas.height];
        return canvas.getContext('2d').getImageData(...box).data.reduce((sum, value) => sum + (value > 0), 0); })()"""
    before = page.evaluate(drawn)
    page.keyboard.down("u")
    page.wait_for_selector("#looker.down")
    assert page.evaluate(drawn) > 2 * before
    page.keyboard.up("u")
    page.wait_for_selector("#looker:not(.down)")
    assert page.evaluate(drawn) < 2 * before


def test_a_part_is_muted_from_one_frame_to_another_by_keys_and_heard_again(page: Any, out: Path) -> None:
    page.keyboard.press("k")
    page.wait_for_selector("#toast:visible")
    assert "has no sound" in page.inner_text("#toast")
    page.click("#sound-keep")
    page.wait_for_selector("#mute:enabled")
    for number in (9, 4):  # from the later end to the earlier one
        go(page, number)
        page.keyboard.press("k")
    page.wait_for_selector("#muted li")
    assert "0:00.160 to 0:00.400" in page.inner_text("#muted")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#signoff[open]")
    assert "Muted parts: 1" in page.text_content("#signoff-list")
    page.keyboard.press("Escape")
    page.click("#muted li button:last-child")
    until(page, "!document.querySelector('#muted li')")
    page.keyboard.press("z")
    page.wait_for_selector("#muted li")
    assert len(plan_in(out).settings.mute) == 1


def test_two_tabs_do_not_overwrite_each_other(page: Any, out: Path) -> None:
    other = page.context.new_page()
    other.goto(re.match(r"http://[^/]+/", page.url)[0])
    other.wait_for_selector("body[data-ready]")
    page.click('.piece[data-track="1"]', position={"x": 1, "y": 5})
    page.keyboard.press("w")
    until(page, "document.querySelector('#edits li')")
    other.click('.piece[data-track="1"]', position={"x": 1, "y": 5})
    other.keyboard.press("w")
    other.wait_for_selector("#toast:visible")
    assert "meanwhile" in other.inner_text("#toast")
    assert len(plan_in(out).edits) == 1
    other.keyboard.press("w")
    until(other, "document.querySelectorAll('#edits li').length === 2")


def test_a_drawn_region_is_moved_by_dragging_and_undone_by_keys(page: Any, out: Path) -> None:
    page.keyboard.press("Home")
    frame(page, 0)
    page.keyboard.press("d")
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "3"):
        page.keyboard.press(key)
    page.wait_for_selector('.piece.drawn[data-track="4"]')
    page.keyboard.press("End")
    frame(page, FRAMES - 1)
    box = plan_in(out).tracks[3].boxes[0]
    middle = (box.x0 + box.width / 2, box.y0 + box.height / 2)
    drag(page, middle, (middle[0] + 60, middle[1]))
    until(page, "document.querySelector('#edits').textContent.includes('moved track 4')")
    boxes = plan_in(out).tracks[3].boxes
    assert abs(boxes[-1].x0 - boxes[0].x0 - 60) <= 2
    assert abs(boxes[FRAMES // 2].x0 - boxes[0].x0 - 60 * (FRAMES // 2) / (FRAMES - 1)) <= 2
    page.keyboard.press("z")
    page.keyboard.press("z")
    until(page, "!document.querySelector('.piece.drawn')")
    page.keyboard.press("Shift+Z")
    page.wait_for_selector('.piece.drawn[data-track="4"]')


@pytest.mark.parametrize("size", [(1024, 640), (1366, 768), (1920, 1080)])
def test_every_control_has_a_name_and_lies_in_the_window(size: tuple[int, int], page: Any) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    names = page.eval_on_selector_all(
        "button, select, input",
        "all => all.map((e) => [e.id, (e.textContent || e.ariaLabel || e.title || e.placeholder"
        " || e.labels?.[0]?.textContent || '').trim()])",
    )
    assert [id for id, name in names if not name] == []
    assert page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= innerHeight"
    )
    assert page.is_hidden("#plans")  # there is one clip only
    for id in ("signoff-open", "help-open", "play", "looker", "overlay", "zoom-in", "thumbs"):
        box = page.locator(f"#{id}").bounding_box()
        assert box["x"] >= 0, id
        assert box["x"] + box["width"] <= size[0], id
        assert box["y"] + box["height"] <= size[1], id
    page.keyboard.press("?")
    assert page.locator("#keys tr").count() > 30


# Of every text that is shown and not greyed out: how many times as bright as its ground it is, or the other way round,
# as WCAG 2.2 (1.4.3) counts it. Half transparent grounds lie on those below them.
CONTRASTS = """() => {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => rgb.slice(0, 3).map((v) => linear(v / 255))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const parse = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3]));
  const ground = (e) => e ? over(parse(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255];
  return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest(":disabled") &&
    [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((e) => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    return [e.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""


def test_every_text_can_be_read(page: Any) -> None:
    def read() -> None:
        found = page.evaluate(CONTRASTS)
        assert len(found) > 30
        assert [text for text in found if text[1] < 4.5] == []

    page.click('.piece[data-track="3"]')
    page.keyboard.press("d")
    read()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    read()
    page.click("#show-no")
    page.keyboard.press("?")
    read()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    read()


def test_thumbnails_are_small_and_do_not_count_as_seen(page: Any, fake: FakeDetector) -> None:
    page.keyboard.press("t")
    until(page, "document.querySelector('#overlay').clientWidth <= 240")
    page.keyboard.press("End")
    frame(page, FRAMES - 1)
    page.keyboard.press("Control+Enter")  # which tells first what was seen
    page.wait_for_selector("#signoff[open]")
    assert page.inner_text("#seen-share") == "4 % of the frames seen"
