"""A folder with several plans: which one is opened, and how one turns to another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redact import edits
from redact.plan import Plan
from redact.records import dump_plan, load_plan
from redact.review.session import Conflict, Desk
from redact.review.shelf import Shelf
from redact.review.store import PlanFile
from tests.conftest import MadeClip
from tests.serving import desk_maker, serving

pytestmark = pytest.mark.usefixtures("fake")


@pytest.fixture
def out(out: Path, clip: MadeClip) -> Path:
    """A folder with the plans of three clips, a, b and c."""
    (made,) = (out / "private").glob("*.plan.json")
    plan = load_plan(made.read_text())
    for name in "abc":
        path = clip.path.with_name(f"{name}.mp4")
        path.write_bytes(clip.path.read_bytes())
        text = dump_plan(replace(plan, source=replace(plan.source, path=str(path))))
        made.with_name(f"{name}.plan.json").write_text(text)
    made.unlink()
    return out


def plan_of(out: Path, name: str) -> Plan:
    return load_plan((out / "private" / f"{name}.plan.json").read_text())


def test_a_folder_opens_with_the_first_plan_that_is_not_signed_off_and_turns_to_others(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        client.change("signoff", who="Ana")
        assert client.wait()["error"] is None
    assert plan_of(out, "a").review
    with serving(out) as client:
        client.enter()
        clip = client.get("/api/clip")
        assert (clip["name"], clip["number"]) == ("b.mp4", 1)
        assert [plan["words"] for plan in clip["plans"]] == ["signed off", "0 doubts", "0 doubts"]
        client.change("widen", tracks=[1], share=0.1)
        client.post("open", number=2)
        assert client.get("/api/clip")["name"] == "c.mp4"
        client.change("widen", tracks=[1], share=0.2)
        client.post("open", number=1)  # the hold of it was released
        assert client.get("/api/state")["edits"][-1]["what"] == "widened track 1 by 10%"
    assert len(plan_of(out, "c").edits) == 1


def test_a_tab_that_still_shows_the_clip_before_changes_nothing_in_the_other(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        revision = client.get("/api/state")["revision"]
        client.post("open", number=1)
        assert "meanwhile" in client.post("widen", 409, revision=revision, tracks=[1], share=0.2)["error"]
    assert plan_of(out, "b").edits == ()


def test_what_is_changed_while_another_clip_is_opened_gives_no_leave_to_change_that_one(out: Path) -> None:
    def widen(revision: int) -> None:
        left.change(revision, lambda plan, by: edits.widen(plan, [1], 0.1, by))

    def make_desk(file: PlanFile, plan: Plan) -> Desk:
        if file.path.name.startswith("b"):
            widen(0)
            widen(1)
        return make(file, plan)

    make = desk_maker(out)
    with Shelf(sorted((out / "private").glob("*.plan.json")), make_desk) as shelf:
        left = shelf.session
        shelf.open(1)
        assert (left.revision, shelf.session.revision) == (2, 3)
        with pytest.raises(Conflict):
            widen(2)
    assert [len(plan_of(out, name).edits) for name in "ab"] == [2, 0]


def test_a_plan_that_cannot_be_opened_leaves_the_review_where_it_was(out: Path) -> None:
    (out / "private" / "c.plan.json").write_text("{}")
    Path(plan_of(out, "b").source.path).unlink()
    with serving(out) as client:
        client.enter()
        assert client.get("/api/clip")["plans"][2]["words"] == "cannot be read"
        for number in (1, 2, 3, -1):
            assert client.post("open", 400, number=number)["error"]
        assert json.loads(client.send("POST", "/api/open", b'{"number": "1"}')[2])["error"]
        assert client.get("/api/clip")["name"] == "a.mp4"
        client.change("widen", tracks=[1], share=0.2)


def test_a_clip_is_not_left_while_its_copy_is_made(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        client.change("signoff", who="Ana")
        assert "still being done" in client.post("open", 409, number=1)["error"]
        assert client.wait()["error"] is None
        client.post("open", number=1)


def test_the_list_turns_to_another_clip_and_after_signing_off_the_next_one_is_offered(page: Any, out: Path) -> None:
    assert page.eval_on_selector_all("#plans option", "all => all.map((e) => e.textContent)") == [
        f"{n}. {name}.mp4: 0 doubts" for n, name in enumerate("abc", start=1)
    ]
    page.select_option("#plans", "2")
    page.wait_for_selector("#clip-name:text('c.mp4')")
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#signoff[open]")
    assert page.is_hidden("#next-clip")  # nothing was signed off yet
    page.click("#signoff-yes")
    page.wait_for_selector("#next-clip:visible", timeout=60_000)
    assert page.inner_text("#next-clip") == "Next clip: a.mp4"
    page.click("#next-clip")
    page.wait_for_selector("#clip-name:text('a.mp4')")
    assert page.inner_text("#plans option:last-child") == "3. c.mp4: signed off"
    assert plan_of(out, "c").review
