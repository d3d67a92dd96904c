"""What must not be lost or replaced: another clip's copy, decisions made by hand, and what was checked."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

import redact as program
from redact import custody, excerpts, pipeline
from redact.errors import OutputError
from redact.plan import Edit, Plan
from redact.records import dump_plan, load_plan
from redact.review.session import Desk, Session
from redact.review.store import PlanFile
from tests.clips import moving_portrait
from tests.conftest import Result
from tests.fakes import FakeDetector
from tests.serving import serving
from tests.trees import HEIGHT, WIDTH, faces_of, write_small
from tests.two_people import Case, Recogniser

Redact = Callable[..., Result]

EDITS = (Edit("Ana", "2026-01-01T00:00:00+00:00", "widened track 1 by 10%"),)


@pytest.fixture(autouse=True)
def small(see: Callable[[Any], None]) -> None:
    """Detectors that know where the face of a small clip is."""
    see(FakeDetector(faces_of()))


def decide(path: Path) -> str:
    """Note a decision in a plan, and return its text."""
    path.write_text(dump_plan(replace(load_plan(path.read_text()), edits=EDITS)))
    return path.read_text()


def write_photograph(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), next(iter(moving_portrait(1, WIDTH, HEIGHT, 0.3)))[0])
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("names", [("a/0001.mp4", "b/0001.mp4"), ("a/x?y.mp4", "b/x_y.mp4"), ("a/1.mp4", "b/1.png")])
def test_copies_with_the_names_of_their_clips_do_not_replace_those_of_other_clips(
    names: tuple[str, str], redact: Redact, tmp_path: Path
) -> None:
    out, (one, other) = tmp_path / "out", (tmp_path / name for name in names)
    write_small(one)
    if other.suffix == ".png":
        write_photograph(other)
    else:
        write_small(other, 60)
    assert redact("run", one, "-o", out, "--keep-names").code == 0
    before = files_in(out / "release")
    for more in ((), ("--overwrite",)):
        result = redact("run", other, "-o", out, "--keep-names", *more)
        assert result.code == 6
    assert "of another clip" in result.err
    assert files_in(out / "release") == before
    assert redact("run", one, "-o", out, "--keep-names", "--overwrite").code == 0


def test_one_copy_of_a_name_does_not_replace_the_statement_of_another(redact: Redact, tmp_path: Path) -> None:
    clip, photo = write_small(tmp_path / "clip.mp4"), write_photograph(tmp_path / "photo.png")
    assert redact("run", clip, "-o", tmp_path / "copy.mp4").code == 0
    before = (tmp_path / "copy.statement.json").read_bytes()
    assert redact("run", photo, "-o", tmp_path / "copy.png", "--overwrite").code == 6
    assert (tmp_path / "copy.statement.json").read_bytes() == before


def test_the_number_of_a_copy_that_was_moved_away_is_not_given_again(redact: Redact, tmp_path: Path) -> None:
    out, one, other = tmp_path / "out", write_small(tmp_path / "1.mp4"), write_small(tmp_path / "2.mp4", 60)
    assert redact("run", one, "-o", out).code == 0
    shutil.move(out / "release", tmp_path / "published")
    assert redact("run", other, "-o", out).code == 0
    assert redact("run", one, "-o", out, "--overwrite").code == 0
    assert sorted(p.name for p in (out / "release").glob("*.mp4")) == ["excerpt-0001.mp4", "excerpt-0002.mp4"]


@pytest.mark.parametrize("command", ["run", "analyse"])
def test_overwriting_does_not_throw_decisions_away(command: str, redact: Redact, tmp_path: Path) -> None:
    out, clip = tmp_path / "out", write_small(tmp_path / "1.mp4")
    assert redact("run", clip, "-o", out).code == 0
    path = out / "private" / "1.plan.json"
    text, before = decide(path), files_in(out / "release")
    result = redact(command, clip, "-o", out, "--overwrite")
    assert (result.code, "1 decisions made by hand" in result.err) == (6, True)
    assert (path.read_text(), files_in(out / "release")) == (text, before)
    path.write_text("damaged")
    assert redact(command, clip, "-o", out, "--overwrite").code == 0


@pytest.mark.parametrize("command", ["run", "analyse"])
@pytest.mark.parametrize("again", [True, False])
def test_what_is_decided_while_a_plan_is_made_is_not_thrown_away(
    command: str, again: bool, monkeypatch: pytest.MonkeyPatch, redact: Redact, tmp_path: Path
) -> None:
    out, clip = tmp_path / "out", write_small(tmp_path / "1.mp4")
    path, real, texts = out / "private" / "1.plan.json", pipeline.analysis.make_plan, []
    if again:
        assert redact("analyse", clip, "-o", out).code == 0

    def decide_meanwhile(*given: Any) -> Plan:
        plan = real(*given)
        if not again:  # the plan was brought from elsewhere
            path.write_text(dump_plan(plan))
        texts.append(decide(path))
        return plan

    monkeypatch.setattr(pipeline.analysis, "make_plan", decide_meanwhile)
    result = redact(command, clip, "-o", out, "--overwrite")
    assert (result.code, "was changed while" in result.err) == (6, True)
    assert path.read_text() == texts[0]
    assert list((out / "release").iterdir()) == []


@pytest.mark.parametrize("how", ["render", "program", "sign off"])
def test_a_repair_is_kept_in_the_plan_that_was_given_and_in_no_other(
    how: str, case: Case, redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    see(Recogniser())
    case.change(lambda data: data.update(tracks=data["tracks"][:1]))
    given = tmp_path / "second" / "private" / "second.plan.json"
    given.parent.mkdir(parents=True)
    given.write_bytes(case.plan.read_bytes())
    text = decide(case.plan)
    if how == "render":
        assert redact("render", given, "-o", case.out).code == 0
    elif how == "program":
        outcome = program.render(given, case.out)
        assert len(outcome.plan.tracks) == 2
        assert program.render(load_plan(text), tmp_path / "third").plan.tracks == outcome.plan.tracks
        assert not list((tmp_path / "third" / "private").glob("*.plan.json"))
    else:
        sign_off(given, case.out)
    assert case.plan.read_text() == text
    assert [track.origin for track in load_plan(given.read_text()).tracks] == ["detection", "verification"]


def sign_off(path: Path, out: Path) -> None:
    """Sign a plan off whose copy is released elsewhere."""
    file = PlanFile(path)
    plan = file.read()
    clip = Path(plan.source.path)
    line = excerpts.find_timeline(plan, path, clip, lambda *_: None)
    desk = Desk(file, plan, clip, custody.locate_workspace(out), line, "Ana", False, lambda _: [Recogniser()])
    with Session(desk) as session:
        job = session.sign_off(0, "Ana", False, False)
        while job.running:
            time.sleep(0.01)
        assert job.error is None


def test_a_repair_does_not_throw_decisions_away(case: Case, monkeypatch: pytest.MonkeyPatch, redact: Redact) -> None:
    (path,) = (case.out / "private").glob("*.plan.json")
    case.change(lambda data: data.update(tracks=data["tracks"][:1]))
    real, texts = pipeline.analysis.add_faces, []

    def decide_meanwhile(*given: Any) -> Plan:
        texts.append(decide(path))
        return real(*given)

    monkeypatch.setattr(pipeline.analysis, "add_faces", decide_meanwhile)
    result = redact("run", case.clip, "-o", case.out)
    assert (result.code, "was changed while" in result.err) == (6, True)
    assert path.read_text() == texts[0]
    assert list((case.out / "release").glob("*.mp4")) == []


def test_a_file_that_took_the_place_of_what_was_checked_is_not_released(
    monkeypatch: pytest.MonkeyPatch, redact: Redact, tmp_path: Path
) -> None:
    clip, real = write_small(tmp_path / "1.mp4"), pipeline._verify

    def swap_afterwards(copy: Path, *given: Any) -> Any:
        findings = real(copy, *given)
        shutil.copy(clip, copy)
        return findings

    monkeypatch.setattr(pipeline, "_verify", swap_afterwards)
    result = redact("run", clip, "-o", tmp_path / "out")
    assert (result.code, "is not the file that was checked" in result.err) == (6, True)
    assert list((tmp_path / "out" / "release").iterdir()) == []


def test_while_a_run_is_at_work_no_program_and_no_review_makes_a_copy(redact: Redact, tmp_path: Path) -> None:
    out, clip = tmp_path / "out", write_small(tmp_path / "1.mp4")
    assert redact("analyse", clip, "-o", out).code == 0
    plan = load_plan((out / "private" / "1.plan.json").read_text())
    calls = (lambda: program.run(clip, out), lambda: program.analyse(clip, out), lambda: program.render(plan, out))
    with serving(out) as client, custody.hold(custody.locate_workspace(out)):
        for call in calls:
            with pytest.raises(OutputError, match="Another run"):
                call()
        client.enter()
        client.change("signoff", who="Ana")
        assert "Another run" in client.wait()["error"]["error"]
    assert list((out / "release").iterdir()) == []


def test_what_could_not_be_moved_is_not_said_to_be_released(
    monkeypatch: pytest.MonkeyPatch, redact: Redact, tmp_path: Path
) -> None:
    out, clip = tmp_path / "out", write_small(tmp_path / "1.mp4")

    space, real = custody.locate_workspace(out), os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).parent == space.release:
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fail)
        assert redact("run", clip, "-o", out).code == 6
    assert custody.released(custody.read_log(space).entries) == {}
    assert list(space.release.iterdir()) == []
    assert redact("run", clip, "-o", out).code == 0
    (entry,) = custody.released(custody.read_log(space).entries).values()
    assert entry["name"] == "excerpt-0001.mp4"
