"""What `redact review` opens, and what it refuses."""

from __future__ import annotations

import getpass
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from redact.review import server
from redact.review.session import Desk
from redact.review.shelf import Shelf
from tests.clips import textured_background, write_clip
from tests.conftest import MadeClip, Result

Redact = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("fake")


@dataclass
class Opened:
    """What was opened by commands."""

    desks: list[Desk]
    links: list[str]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Reviews that end as soon as they have been opened in the browser."""
    seen = Opened([], [])

    class Ends:
        def __init__(self, shelf: Shelf, tell: Callable[[str], None]) -> None:
            seen.desks.append(shelf.session.desk)
            self.run = lambda: tell("http://127.0.0.1:1/enter?token=x")

    monkeypatch.setattr(server, "make_server", Ends)
    monkeypatch.setattr(webbrowser, "open", seen.links.append)
    return seen


def plan_file(out: Path) -> Path:
    (path,) = (out / "private").glob("*.plan.json")
    return path


def test_it_opens_the_folder_of_a_run_a_plan_or_a_clip_in_the_browser(
    redact: Redact, clip: MadeClip, out: Path, tmp_path: Path, opened: Opened
) -> None:
    assert "works once" in redact("review", out, "--by", "Ana", "--never-show").out
    assert redact("review", plan_file(out)).code == 0
    assert redact("review", clip.path, "-o", out).code == 0
    assert opened.links == ["http://127.0.0.1:1/enter?token=x"] * 3
    assert {desk.file.path for desk in opened.desks} == {plan_file(out)}
    assert {desk.space.release for desk in opened.desks} == {out / "release"}
    assert [desk.never_show for desk in opened.desks] == [True, False, False]
    assert opened.desks[0].who == "Ana"
    assert redact("review", clip.path, "-o", tmp_path / "new", "--no-browser").code == 0  # it is analysed first
    assert opened.desks[3].file.path == plan_file(tmp_path / "new")
    assert len(opened.links) == 3


def test_the_plan_beside_one_copy_gives_that_copy_again_a_film_or_a_picture(
    redact: Redact, clip: MadeClip, tmp_path: Path, opened: Opened
) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), textured_background(320, 240))
    for source, copy in ((clip.path, tmp_path / "film copy.mp4"), (photo, tmp_path / "photo copy.png")):
        assert redact("run", source, "-o", copy).code == 0
        assert redact("review", copy.with_suffix(".private") / f"{source.stem}.plan.json").code == 0
        assert opened.desks[-1].space.copy == copy


def test_a_clip_that_was_moved_is_named_and_any_other_is_refused(
    redact: Redact, clip: MadeClip, out: Path, tmp_path: Path, opened: Opened
) -> None:
    moved = clip.path.rename(tmp_path / "moved.mp4")
    assert redact("review", out).code == 3
    assert redact("review", out, "--clip", moved).code == 0
    assert opened.desks[0].clip == moved
    other = write_clip(tmp_path / "other.mp4", [textured_background(320, 240)] * 3)
    refused = redact("review", out, "--clip", other)
    assert (refused.code, "made for another clip" in refused.err) == (4, True)
    assert redact("review", out, "--clip", moved).code == 0  # the plan was let go when the other one was refused
    refused = redact("review", moved, "-o", out, "--clip", moved)
    assert (refused.code, "a clip itself" in refused.err) == (2, True)
    plan_file(out).with_name("more.plan.json").write_bytes(plan_file(out).read_bytes())
    refused = redact("review", out, "--clip", moved)
    assert (refused.code, "there are 2 plans" in refused.err) == (2, True)


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_who_has_no_name_on_this_machine_is_asked_for_one(
    error: type[Exception], redact: Redact, out: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise error("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", fail)
    refused = redact("review", out)
    assert (refused.code, "--by NAME" in refused.err, opened.desks) == (2, True, [])
    assert redact("review", out, "--by", "Ana").code == 0


def test_what_would_have_no_effect_is_refused(
    redact: Redact, clip: MadeClip, out: Path, tmp_path: Path, opened: Opened
) -> None:
    for target in ((out,), (plan_file(out),), (clip.path, "-o", out)):
        for option in (("--cover", "people"), ("--from", "0.2"), ("--region", "1,1,9,9")):
            refused = redact("review", *target, *option)
            assert (refused.code, f"{option[0]} is for the analysis" in refused.err) == (2, True), (target, option)
    assert redact("review", out, "-o", tmp_path / "elsewhere").code == 2
    assert redact("review", clip.path).code == 2  # where is its plan to go?
    (tmp_path / "empty").mkdir()
    assert redact("review", tmp_path / "empty").code == 3
    assert opened.desks == []


def test_without_its_packages_it_says_what_to_install(
    redact: Redact, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("redact.review")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("redact.review")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused = redact("review", out)
    assert (refused.code, "redact[review]" in refused.err) == (5, True)
