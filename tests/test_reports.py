"""The private page tells the editor everything; the public one cannot tell anything of the clips."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from redact import custody
from redact.geometry import Box
from redact.plan import Doubt, Edit, Track
from redact.records import dump_plan, load_plan
from tests.conftest import FRAMES, MadeClip, Result
from tests.fakes import BlindDetector, FakeDetector

Redact = Callable[..., Result]
VOID = {"meta", "rect"}


class Reader(HTMLParser):
    """Checks that a page is whole, and notes what it could fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that opens."""
        self.loads += [name for name, _ in attrs if name in ("src", "href", "action") or name.startswith("on")]
        self.loads += [tag] if tag in ("script", "img", "link", "iframe") else []
        self.open += [tag] if tag not in VOID else []

    def handle_endtag(self, tag: str) -> None:
        """Close a tag."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what is read."""
        self.words.append(data)


def words_of(path: Path) -> str:
    page = Reader(path.read_text("utf-8"))
    assert page.loads == []
    return " ".join(page.words)


@pytest.fixture
def out(redact: Redact, clip: MadeClip, fake: FakeDetector, tmp_path: Path) -> Path:
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0
    return tmp_path / "out"


def test_the_private_page_says_what_was_covered_when_and_what_was_checked(
    redact: Redact, clip: MadeClip, out: Path
) -> None:
    file = out / "private" / f"{clip.path.stem}.plan.json"
    plan = load_plan(file.read_text())
    shown = Track(9, "text", 3, (Box(0, 0, 9, 9),), "show", "person", "A. Editor", "a street sign")
    doubt = Doubt(5, 8, 6, Box(0, 0, 9, 9), "covered for 0.6 s without being seen", 0.42)
    edit = Edit("A. Editor", "2026-01-02T03:04:05+00:00", "left a sign visible")
    file.write_text(dump_plan(replace(plan, tracks=(*plan.tracks, shown), doubts=(doubt,), edits=(edit,))))
    result = redact("report", out)
    page = out / "private" / "report.html"
    assert (result.code, result.out.splitlines()[0]) == (0, str(page))
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    words = words_of(page)
    for said in (
        clip.path.name, "excerpt-0001.mp4", f"{FRAMES} of {FRAMES} frames", "the chain is whole",
        "reviewed by a person",
        "covered for 0.6 s without being seen", "frames 5 to 8, about 0:00.2 to 0:00.3", "LEFT VISIBLE by A. Editor",
        "a street sign", "left a sign visible", "decodes to the end, every frame", "held",
    ):  # fmt: skip
        assert said in words, said
    assert len(re.findall("<rect", page.read_text())) == len(plan.tracks) + 2


def test_the_public_page_holds_nothing_of_the_clip(redact: Redact, clip: MadeClip, out: Path) -> None:
    assert redact("report", out).code == 0
    page = out / "release" / "report.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o644
    words = words_of(page)
    assert "excerpt-0001.mp4" in words
    assert "every frame at its time: held" in words
    assert "head: 1" in words
    text, plan = page.read_text(), load_plan(next((out / "private").glob("*.plan.json")).read_text())
    for secret in (clip.path.stem, clip.path.parent.name, plan.source.sha256[:8], str(out), "20:", "frames 0"):
        assert secret not in text, secret
    assert not list((out / "private").glob("*.draft*"))


def test_the_pages_of_one_copy_lie_beside_it(
    redact: Redact, clip: MadeClip, fake: FakeDetector, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    assert redact("run", clip.path, "-o", copy).code == 0
    assert redact("report", copy).code == 0
    assert "copy.mp4" in words_of(tmp_path / "copy.report.html")
    assert clip.path.name in words_of(tmp_path / "copy.private" / "report.html")


def test_what_was_not_released_is_in_the_private_page_alone(
    redact: Redact, clip: MadeClip, see: Callable[[object], None], tmp_path: Path
) -> None:
    see(BlindDetector())
    out = tmp_path / "out"
    assert redact("run", clip.path, "-o", out).code == 8
    (out / "private" / "broken.plan.json").write_text("{")
    assert redact("report", out).code == 0
    words = words_of(out / "private" / "report.html")
    assert "not released: nothing was found" in words
    assert "The plan is not in this folder or cannot be read." in words
    assert "Nothing was released." in words_of(out / "release" / "report.html")


def test_a_copy_that_was_made_from_another_plan_is_said_to_be(redact: Redact, clip: MadeClip, out: Path) -> None:
    plan = next((out / "private").glob("*.plan.json"))
    assert redact("report", out).code == 0
    assert "another plan" not in words_of(out / "private" / "report.html")
    read = load_plan(plan.read_text())
    plan.write_text(dump_plan(replace(read, tracks=(*read.tracks, Track(9, "text", 3, (Box(0, 0, 9, 9),))))))
    assert redact("report", out).code == 0
    assert "The copy was made from another plan than this one." in words_of(out / "private" / "report.html")
    plan.rename(plan.with_name("moved"))
    assert redact("report", out).code == 0
    assert "The plan is not in this folder" in words_of(out / "private" / "report.html")


def test_a_copy_that_was_taken_away_is_not_on_the_public_page(redact: Redact, out: Path) -> None:
    (out / "release" / "excerpt-0001.mp4").unlink()
    assert redact("report", out).code == 0
    assert "Nothing was released." in words_of(out / "release" / "report.html")


def test_no_public_page_is_made_of_a_log_that_was_changed(redact: Redact, out: Path) -> None:
    log = custody.locate_workspace(out).log
    log.write_text(log.read_text().replace("mosaic", "veil").replace("blur", "veil"))
    result = redact("report", out)
    assert result.code == 4
    assert not (out / "release" / "report.html").exists()
    assert "The log is not as it was written" in words_of(out / "private" / "report.html")


def test_names_and_reasons_cannot_put_code_into_a_page(redact: Redact, clip: MadeClip, fake: FakeDetector) -> None:
    nasty = clip.path.rename(clip.path.with_name("<img src=x onerror=alert(1)>'\"&.mp4"))
    out = clip.path.parent / "out"
    assert redact("run", nasty, "-o", out, "--keep-names").code == 0
    assert redact("report", out).code == 0
    assert nasty.name in words_of(out / "private" / "report.html")
    assert custody.portable_name(nasty.stem) in words_of(out / "release" / "report.html")
    nasty.rename(clip.path)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"statement": ', '"statements": '),
        ('"name": "excerpt-0001.mp4"', '"name": "a\\u0000"'),
        ('"operation": "release"', '"operation": ["release"]'),
        ('"checks": [', '"checks": [5, '),
        ('"passed": ', '"past": '),
        ('"operation": "verify", ', ""),
    ],
)
def test_a_log_that_does_not_say_what_it_has_to_is_said_to_be_damaged(
    redact: Redact, out: Path, said: str, instead: str
) -> None:
    log = custody.locate_workspace(out).log
    text = log.read_text()
    assert said in text
    log.write_text(text.replace(said, instead))
    result = redact("report", out)
    assert (result.code, "The log is not as it was written" in result.err) == (4, True)
    assert "The log is not as it was written" in words_of(out / "private" / "report.html")


def test_a_clip_whose_name_is_no_text_is_reported(redact: Redact, clip: MadeClip, fake: FakeDetector) -> None:
    odd = clip.path.rename(clip.path.with_name("caf\udce9.mp4"))
    out = clip.path.parent / "out"
    assert redact("run", odd, "-o", out).code == 0
    assert redact("report", out).code == 0
    assert "caf\\udce9.mp4" in words_of(out / "private" / "report.html")
    odd.rename(clip.path)
