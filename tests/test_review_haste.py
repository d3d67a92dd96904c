"""The page in a hurry: keys that are held, double clicks, another tab, a server that does not answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redact.geometry import Box
from redact.plan import Doubt
from redact.records import dump_plan, load_plan
from tests.browsing import frame, go, look, until
from tests.conftest import FRAMES
from tests.serving import plan_in

pytestmark = pytest.mark.usefixtures("fake")


@pytest.fixture
def out(out: Path) -> Path:
    """A folder with a plan of four doubts."""
    (path,) = (out / "private").glob("*.plan.json")
    doubts = tuple(Doubt(n, n, n, Box(5, 5, 40, 40), "not covered: seen weakly", 0.9 - n / 100) for n in (2, 6, 10, 14))
    path.write_text(dump_plan(replace(load_plan(path.read_text()), doubts=doubts)))
    return out


def left(out: Path) -> list[int]:
    """Return the frames of the doubts that are left."""
    return [doubt.frame for doubt in plan_in(out).doubts]


def idle(page: Any) -> None:
    """Wait until all wishes were answered."""
    until(page, "document.querySelector('#saved').textContent === 'saved'")


def released(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "release").glob("*.mp4"))


def open_signoff(page: Any) -> None:
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#signoff[open]")


def leave_signoff(page: Any) -> None:
    page.click("#signoff-no")
    until(page, "!document.activeElement.closest('dialog')")  # which takes a moment


def test_a_key_that_is_held_accepts_one_doubt_and_an_arrow_that_is_held_goes_on(page: Any, out: Path) -> None:
    look(page)
    for _ in range(3):
        page.keyboard.down("a")
        page.wait_for_timeout(300)
    idle(page)
    page.keyboard.up("a")
    assert left(out) == [6, 10, 14]
    go(page, 3)
    for _ in range(3):
        page.keyboard.down("ArrowRight")
    frame(page, 6)
    page.keyboard.up("ArrowRight")


@pytest.mark.parametrize("keys", ["aaa", "ac", "cc"])
def test_a_doubt_is_not_decided_by_a_key_that_was_meant_for_the_one_before(keys: str, page: Any, out: Path) -> None:
    look(page)
    page.evaluate(
        """(keys) => { for (const key of keys)
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }""",
        keys,
    )
    until(page, "/meanwhile|still being done/.test(document.querySelector('#toast').textContent)")
    until(page, "document.querySelector('#doubts-left').textContent === '3 doubts left'")
    idle(page)
    assert left(out) == [6, 10, 14]


def test_a_doubt_is_accepted_only_after_it_was_on_the_screen(page: Any, out: Path) -> None:
    look(page)
    page.evaluate(
        """() => { const press = () => document.body.dispatchEvent(
            new KeyboardEvent("keydown", { key: "a", bubbles: true }));
        new MutationObserver(press).observe(document.querySelector("#doubts-left"), { childList: true });
        press(); }"""
    )  # again as soon as the next doubt is open, which comes when the first one was saved
    until(page, "document.querySelector('#doubts-left').textContent === '3 doubts left'")
    assert page.locator("#doubt .accept").count() == 2
    look(page)
    idle(page)
    assert left(out) == [6, 10, 14]
    page.keyboard.press("a")
    until(page, "document.querySelector('#doubts-left').textContent === '2 doubts left'")
    idle(page)
    assert left(out) == [10, 14]


def test_a_double_click_accepts_one_doubt_and_lets_one_muted_part_be_heard(page: Any, out: Path) -> None:
    look(page)
    page.locator("#doubt button").first.dblclick(delay=200)
    idle(page)
    assert left(out) == [6, 10, 14]
    page.click("#sound-keep")
    page.wait_for_selector("#mute:enabled")
    for count, first in enumerate((2, 8, 14), start=1):
        for number in (first, first + 2):
            go(page, number)
            page.keyboard.press("k")
        until(page, f"document.querySelectorAll('#muted li').length === {count}")
    kept = plan_in(out).settings.mute[1:]
    page.locator("#muted li").first.locator("button").last.dblclick(delay=200)
    until(page, "document.querySelectorAll('#muted li').length === 2")
    idle(page)
    assert plan_in(out).settings.mute == kept


def test_a_button_that_is_pressed_while_the_page_learns_that_nothing_has_changed_does_its_work(
    page: Any, out: Path
) -> None:
    def still_looking(route: Any) -> None:  # at clothes, of which the page asks again and again
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "looking": True})

    page.route("**/api/state", still_looking)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    look(page)
    page.hover("#doubt button")
    page.mouse.down()
    with page.expect_response("**/api/state"):
        pass
    page.wait_for_timeout(100)  # until the page has taken it in
    page.mouse.up()
    idle(page)
    assert left(out) == [6, 10, 14]


def test_parts_whose_place_has_changed_meanwhile_stay_muted(page: Any, out: Path) -> None:
    page.click("#sound-keep")
    page.wait_for_selector("#mute:enabled")
    for number in (2, 4, 8, 10):
        go(page, number)
        page.keyboard.press("k")
    until(page, "document.querySelectorAll('#muted li').length === 2")
    kept = plan_in(out).settings.mute[1]
    page.evaluate("""() => { const part = document.querySelector("#muted li button:last-child");
        part.click(); part.click(); }""")
    until(page, "document.querySelectorAll('#muted li').length === 1")
    idle(page)
    assert plan_in(out).settings.mute == (kept,)


def test_only_what_was_listed_is_signed_off(page: Any, out: Path) -> None:
    open_signoff(page)
    assert "SHOWN" not in page.inner_text("#rows")
    page.evaluate("""async () => { const { revision } = await (await fetch("/api/state")).json();
        const body = JSON.stringify({ revision, tracks: [1], reason: "a poster", who: "Bea" });
        await fetch("/api/show", { method: "POST", body }); }""")  # as another tab does
    page.evaluate("document.querySelector('#doubt button').click()")  # refused, and so this one learns of it
    until(page, "document.querySelector('#edits').textContent.includes('a poster')")
    assert "a poster" not in page.inner_text("#signoff-list")
    page.click("#signoff-yes")
    until(page, "document.querySelector('#signoff-result').textContent.includes('meanwhile')")
    assert "a poster; decided by Bea" in page.inner_text("#signoff-list")
    assert page.inner_text("#signoff-result").startswith("Nothing was released.")
    assert (plan_in(out).review, released(out)) == (None, [])
    leave_signoff(page)
    page.click('.piece[data-track="1"]', position={"x": 1, "y": 5})
    page.keyboard.press("h")  # cover again
    until(page, "!document.querySelector('.piece.shown')")
    open_signoff(page)
    page.click("#signoff-yes")
    page.wait_for_selector("#finish:visible", timeout=60_000)
    assert released(out) == ["excerpt-0001.mp4"]


def test_a_copy_that_could_not_be_made_can_be_signed_off_otherwise_at_once(page: Any, out: Path) -> None:
    open_signoff(page)
    page.click("#signoff-yes")
    page.wait_for_selector("#finish:visible", timeout=60_000)
    leave_signoff(page)
    open_signoff(page)
    page.click("#signoff-yes")
    until(page, "document.querySelector('#signoff-result').textContent.includes('exists already')")
    assert page.inner_text("#signoff-result").startswith("Nothing was released.")
    page.check("#signoff-overwrite")
    page.click("#signoff-yes")
    page.wait_for_selector("#finish:visible", timeout=60_000)
    assert released(out) == ["excerpt-0001.mp4"]


def test_a_copy_that_was_released_is_told_of_though_an_answer_was_missed(page: Any, out: Path) -> None:
    asked = []

    def answer(route: Any) -> None:
        asked.append(route)
        if len(asked) < 3:
            route.fulfill(body="no JSON")
        else:
            route.continue_()

    open_signoff(page)
    page.route("**/api/job", answer)
    page.click("#signoff-yes")
    page.wait_for_selector("#finish:visible", timeout=60_000)
    assert "released" in page.inner_text("#signoff-result")


def test_what_is_not_known_of_a_copy_is_not_said(page: Any, out: Path) -> None:
    open_signoff(page)
    page.route("**/api/job", lambda route: route.fulfill(body="no JSON"))
    page.click("#signoff-yes")
    until(page, "document.querySelector('#signoff-result').textContent.includes('not known')")
    assert "Nothing was released" not in page.inner_text("#signoff-result")
    assert released(out) == ["excerpt-0001.mp4"]


def test_frames_count_as_seen_only_where_the_whole_picture_is_shown(page: Any) -> None:
    page.keyboard.press("Home")
    frame(page, 0)
    page.keyboard.press("m")
    page.keyboard.press(" ")
    frame(page, FRAMES - 1)
    open_signoff(page)  # which tells first what was seen
    assert page.inner_text("#seen-share") == f"{200 // FRAMES} % of the frames seen"  # the first doubt and frame 0
    leave_signoff(page)
    page.keyboard.press("m")
    until(page, f"document.querySelector('#seen-share').textContent.startsWith('{300 // FRAMES} %')")
