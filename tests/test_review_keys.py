"""The page's keys and what they show: each thing that docs/review.md says a person can do, done in a browser."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from redact import cameras
from redact.geometry import Box
from redact.plan import Doubt, Track
from redact.records import dump_plan, load_plan
from tests.browsing import drag, frame, go, look, until
from tests.clips import moving_portrait, textured_background, write_clip
from tests.fakes import FakeDetector
from tests.serving import analysed, plan_in

CUT, FRAMES = 12, 20  # a scene with a face, then one without
DOCUMENT = Path(__file__).parents[1] / "docs" / "review.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan of a clip of two scenes: a head for a while in each, and a doubt at the first head's end."""
    folder = tmp_path_factory.mktemp("scenes")
    portrait = list(moving_portrait(CUT, 320, 240, 0.5))
    other = textured_background(320, 240, seed=2) // 3
    pictures = [*(picture for picture, _ in portrait), *(other for _ in range(CUT, FRAMES))]
    clip = write_clip(folder / "two scenes.mp4", pictures)
    out = analysed(clip, FakeDetector([face for _, face in portrait]), folder / "out")
    (path,) = (out / "private").glob("*.plan.json")
    plan = load_plan(path.read_text())
    heads = (Track(1, "head", 2, (Box(40, 40, 100, 120),) * 6), Track(2, "head", 14, (Box(200, 90, 260, 170),) * 3))
    doubt = Doubt(6, 7, 7, Box(50, 50, 90, 110), "ends inside the picture", 0.6)
    path.write_text(dump_plan(replace(plan, tracks=heads, doubts=(doubt,))))
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which a test may change."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def edited(page: Any, words: str) -> None:
    """Wait until the last change is one of these words."""
    until(page, f"document.querySelector('#edits li')?.textContent.includes({words!r})")


def spans(out: Path) -> list[tuple[int, int]]:
    return [(track.first, track.last) for track in plan_in(out).tracks]


def test_a_track_is_extended_to_the_scene_or_a_frame_split_and_joined_by_keys(page: Any, out: Path) -> None:
    page.click('.piece[data-track="1"]', position={"x": 2, "y": 5})
    page.keyboard.press("s")
    edited(page, "extended track 1 to frame 0")
    page.keyboard.press("e")
    edited(page, f"extended track 1 to frame {CUT - 1}")
    assert spans(out)[0] == (0, CUT - 1)  # the scene, and not beyond the cut
    go(page, 5)
    page.keyboard.press("b")
    edited(page, "split track 1 at frame 5 into 1 and 3")
    page.keyboard.press("Control+a")  # all that is in the frame: the second half
    page.click('.piece[data-track="1"]', modifiers=["Shift"], position={"x": 2, "y": 5})
    page.keyboard.press("j")
    edited(page, "joined tracks 1, 3 to track 1")
    page.click('.piece[data-track="2"]', position={"x": 2, "y": 5})
    go(page, 18)
    page.keyboard.press("g")
    edited(page, "extended track 2 to frame 18")
    assert spans(out) == [(0, CUT - 1), (14, 18)]
    page.click(".lane:first-child .name")
    until(
        page,
        """document.querySelectorAll('.piece.chosen').length
        === document.querySelector('.lane:first-child .name').dataset.tracks.split(',').length""",
    )
    page.click('.piece[data-track="1"]', position={"x": 2, "y": 5})
    page.keyboard.press("f")
    edited(page, "followed track")


def test_the_doubt_is_looped_and_its_place_is_shown(page: Any) -> None:
    frame(page, 7)
    assert "Ends inside the picture." in page.inner_text("#doubt-reason")
    assert "in the frames after it?" in page.inner_text("#doubt")
    page.keyboard.press("l")
    shown = set()
    for _ in range(100):
        shown.add(page.evaluate("Number(document.querySelector('#picture').dataset.frame)"))
        page.wait_for_timeout(20)
        if len(shown) >= 10:
            break
    assert len(shown) >= 10  # 0.7 s before and after it
    page.keyboard.press(" ")
    go(page, 7)
    orange = """(() => { const canvas = document.querySelector('#overlay'), box = [0, 0, canvas.width, canvas.height];
        const data = canvas.getContext('2d').getImageData(...box).data; let count = 0;
        for (let i = 0; i < data.length; i += 4) count += data[i] === 255 && data[i + 1] === 161 && data[i + 2] === 74;
        return count; })()"""
    assert page.evaluate(orange) > 50
    go(page, 15)
    assert page.evaluate(orange) == 0


@pytest.fixture
def crowded(out: Path) -> None:
    """There are more doubts: about the same person, in its loop; about nobody; and about another person, later."""
    (path,) = (out / "private").glob("*.plan.json")
    plan = load_plan(path.read_text())
    (doubt,) = plan.doubts
    more = (
        replace(doubt, first=3, last=3, frame=3, risk=0.5),
        replace(doubt, first=4, last=4, frame=4, risk=0.4, box=Box(250, 0, 290, 20)),
        Doubt(15, 15, 15, Box(210, 100, 250, 160), "ends inside the picture", 0.2),
    )
    path.write_text(dump_plan(replace(plan, doubts=(doubt, *more))))


def test_what_the_loop_shows_of_one_person_is_accepted_at_once(crowded: None, page: Any, out: Path) -> None:
    frame(page, 7)
    assert page.inner_text("#doubts-left") == "4 doubts left"
    look(page)
    page.keyboard.press("Shift+A")
    edited(page, "accepted the doubt about frames 6 to 7 (ends inside the picture), frames 3 to 3")
    assert [doubt.frame for doubt in plan_in(out).doubts] == [4, 15]
    frame(page, 4)  # the next one
    look(page)
    page.keyboard.press("Shift+A")
    until(page, "document.querySelector('#doubts-left').textContent === '1 doubt left'")
    page.keyboard.press("z")
    until(page, "document.querySelector('#doubts-left').textContent === '2 doubts left'")


def test_what_is_drawn_is_kept_for_the_frame_the_scene_or_followed_by_keys(page: Any, out: Path) -> None:
    go(page, 15)
    for key, words in (("1", "frames 15 to 15"), ("2", f"frames {CUT} to {FRAMES - 1}"), ("Enter", "drew track 5")):
        page.keyboard.press("d")
        if key == "Enter":
            page.keyboard.press("e")  # a box
        page.keyboard.press(key)
        edited(page, words)
        page.keyboard.press("Escape")
    assert spans(out)[2:4] == [(15, 15), (CUT, FRAMES - 1)]
    assert plan_in(out).tracks[4].first >= CUT  # it is not followed across the cut
    assert [track.label for track in plan_in(out).tracks[2:]] == ["head", "head", "region"]
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    assert page.is_hidden("#draft")


def test_the_speed_is_changed_by_keys(page: Any) -> None:
    for keys, speed in (("<<<<", "0.25"), (">", "0.5"), (">>>>", "4")):
        page.keyboard.type(keys)
        assert page.input_value("#speed") == speed


def test_key_frames_cuts_and_doubts_are_reached_by_keys(page: Any, out: Path) -> None:
    page.keyboard.press("Home")
    frame(page, 0)
    page.keyboard.press("]")
    frame(page, CUT)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("[")
    frame(page, CUT)
    page.keyboard.press("n")
    frame(page, 7)
    page.keyboard.press(" ")
    go(page, 0)
    page.keyboard.press("d")
    page.keyboard.press("3")
    page.wait_for_selector('.piece.drawn[data-track="3"]')
    go(page, 10)
    box = plan_in(out).tracks[2].boxes[0]
    middle = (box.x0 + box.width / 2, box.y0 + box.height / 2)
    drag(page, middle, (middle[0] + 60, middle[1]))
    edited(page, "moved track 3")
    page.keyboard.press("End")
    frame(page, FRAMES - 1)
    for key, number in ((",", 10), (",", 0), (".", 10), (".", FRAMES - 1)):
        page.keyboard.press(key)
        frame(page, number)
    for key in ("d", "ArrowUp", "ArrowUp", "Enter"):  # it is moved without a mouse as well
        page.keyboard.press(key)
    until(page, "document.querySelectorAll('#edits li').length === 3")
    track = plan_in(out).tracks[2]
    assert (track.boxes[-1].y0, track.boxes[-1].x0) == (box.y0 - 4, box.x0)
    assert page.is_hidden("#draft")


def test_a_key_goes_to_the_next_frame_that_nobody_has_seen(page: Any) -> None:
    frame(page, 7)
    go(page, 0)
    for number in (1, 2, 3):
        page.keyboard.press("v")
        frame(page, number)
    go(page, FRAMES - 1)
    page.keyboard.press("v")  # from the end on to the first one that was not seen
    frame(page, 4)
    for number in (5, 6, 8, 9):  # 7 was seen at the beginning
        page.click("[data-key=next-unseen]")
        frame(page, number)
    shown = page.evaluate_handle("""(() => { const picture = document.querySelector("#picture"), shown = [];
        new MutationObserver(() => shown.push(Number(picture.dataset.frame)))
            .observe(picture, { attributeFilter: ["data-frame"] });
        return shown; })()""")
    go(page, 2)
    page.keyboard.press("Shift+V")  # what was seen is passed over: 0 to 9 and the last one
    frame(page, FRAMES - 2)
    until(page, "document.querySelector('#play').textContent !== '❚❚'")
    assert list(dict.fromkeys(shown.json_value())) == [2, *range(10, FRAMES - 1)]
    page.keyboard.press("v")
    until(page, "document.querySelector('#toast').textContent.includes('All frames of the excerpt were seen')")
    frame(page, FRAMES - 2)
    assert page.inner_text("#seen-share") == "100 % of the frames seen"


def test_the_excerpt_is_cut_by_keys_and_frames_outside_are_not_shown(page: Any, out: Path) -> None:
    go(page, 3)
    page.keyboard.press("i")
    edited(page, f"cut the excerpt to frames 3 to {FRAMES - 1}")
    go(page, 16)
    page.keyboard.press("o")
    edited(page, "cut the excerpt to frames 3 to 16")
    page.keyboard.press("Home")
    frame(page, 3)
    assert (plan_in(out).source.first, plan_in(out).source.frames) == (3, 14)


def test_lines_are_hidden_and_the_picture_is_magnified_by_keys_and_the_wheel(page: Any) -> None:
    go(page, 15)
    page.keyboard.press("Escape")
    lines = """(() => { const canvas = document.querySelector('#overlay'), box = [0, 0, canvas.width, canvas.height];
        return canvas.getContext('2d').getImageData(...box).data.some((value) => value > 0); })()"""
    assert page.evaluate(lines)
    page.keyboard.press("q")
    assert not page.evaluate(lines)
    width = page.evaluate("document.querySelector('#picture').clientWidth")
    page.keyboard.press("m")
    until(page, f"document.querySelector('#picture').clientWidth > 2.9 * {width}")
    page.keyboard.press("m")
    until(page, f"document.querySelector('#picture').clientWidth === {width}")
    page.hover("#overlay")
    page.mouse.wheel(0, -100)
    until(page, f"document.querySelector('#picture').clientWidth > 1.2 * {width}")


def test_what_was_found_is_not_needed_only_with_a_name_and_a_reason(page: Any, out: Path) -> None:
    page.click('.piece[data-track="2"]', position={"x": 2, "y": 5})
    page.keyboard.press("x")
    page.fill("#show-reason", "nobody is there")
    page.click("#show-no")
    assert plan_in(out).edits == ()
    page.keyboard.press("x")
    page.fill("#show-who", "Bea")
    page.fill("#show-reason", "nobody is there")
    page.click("#show-yes")
    edited(page, "shows track 2: nobody is there")
    track = plan_in(out).tracks[1]
    assert (track.action, track.decided_by, track.reason) == ("show", "Bea", "nobody is there")


def test_what_was_drawn_is_kept_for_a_camera_and_a_box_as_a_mark(
    page: Any, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_CAMERAS", str(tmp_path / "cameras"))
    monkeypatch.setenv("REDACT_MARKS", str(tmp_path / "marks"))
    go(page, 11)
    drag(page, (20, 20), (220, 200))
    page.keyboard.press("4")
    page.fill("#ask-name", "badge")
    page.click("#ask-yes")
    until(page, "document.querySelector('#toast').textContent.includes('details to know it by')")
    page.keyboard.press("3")
    page.wait_for_selector(".piece.drawn")
    page.keyboard.press("y")
    page.fill("#ask-name", "yard")
    page.click("#ask-yes")
    until(page, "document.querySelector('#toast').textContent.includes('yard has 1 regions')")
    assert cameras.load("yard").regions
    assert [path.name for path in (tmp_path / "marks").iterdir()] == ["badge.1.png"]


def test_the_map_has_every_key_and_the_document_names_no_other(page: Any) -> None:
    page.keyboard.press("?")
    shown = set(page.eval_on_selector_all("#keys kbd", "all => all.map((e) => e.textContent)"))
    named = set(re.findall(r"`(\?|[A-Z,.]|Space|Ctrl\+Enter)`", DOCUMENT.read_text()))
    assert {"V", "Space", "Ctrl+Enter"} <= named <= shown
    assert len(shown) > 30


def test_nothing_in_the_page_can_play_a_sound() -> None:
    for file in (resources.files("redact.review") / "page").iterdir():
        assert not re.search(r"<(audio|video)|new Audio|AudioContext|createElement\(.(audio|video)", file.read_text())
