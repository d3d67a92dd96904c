"""What Python programs call, and the examples that show it."""

from __future__ import annotations

import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import redact
from redact import Settings
from redact.records import dump_plan
from tests.clips import textured_background, write_clip
from tests.conftest import FRAMES, MadeClip
from tests.fakes import FakeDetector

EXAMPLES = Path(__file__).parent.parent / "examples"


def first_picture(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24")


def test_a_program_analyses_renders_and_verifies(clip: MadeClip, tmp_path: Path) -> None:
    eyes, settings = [FakeDetector(clip.faces)], Settings(effect="solid")
    passes: list[str] = []

    def note(title: str) -> Callable[[int, int | None], None]:
        passes.append(title)
        return lambda done, total: None

    plan = redact.analyse(clip.path, tmp_path / "out", settings, detectors=eyes, progress=note)
    assert plan.covered_frames() == FRAMES
    outcome = redact.render(plan, str(tmp_path / "out"), detectors=eyes)
    assert outcome.copy == tmp_path / "out" / "release" / "excerpt-0001.mp4"
    verdict = redact.verify(outcome.copy, plan, detectors=eyes)
    assert verdict.passed
    assert not redact.verify(clip.path, plan, detectors=eyes).passed
    assert passes == ["look", "follow"]


def test_a_plan_may_be_in_a_file_and_its_clip_elsewhere(clip: MadeClip, tmp_path: Path, fake: FakeDetector) -> None:
    file = tmp_path / "mine.json"
    file.write_text(dump_plan(redact.analyse(clip.path, tmp_path / "out")))
    moved = clip.path.rename(tmp_path / "moved.mp4")
    with pytest.raises(redact.RedactError):
        redact.render(file, tmp_path / "out")
    copy = redact.render(str(file), tmp_path / "copy.mp4", clip=str(moved)).copy
    assert copy == tmp_path / "copy.mp4"
    assert redact.verify(copy, file, clip=moved).passed
    assert redact.sheet(file, clip=moved).startswith(b"\x89PNG")
    moved.rename(clip.path)


def test_run_covers_by_default_what_the_command_covers(clip: MadeClip, tmp_path: Path, fake: FakeDetector) -> None:
    outcome = redact.run(clip.path, tmp_path / "out")
    assert outcome.plan.settings == Settings()
    assert {track.label for track in outcome.plan.tracks} == {"head"}


@pytest.mark.usefixtures("fake")
def test_the_lines_of_the_readme_run(
    clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clip.path.rename("clip.mp4")
    (code,) = (EXAMPLES.parent / "README.md").read_text("utf-8").split("```python\n")[1:]
    exec(code.split("```")[0], {})
    assert capsys.readouterr().out == f"{Path('out/release/excerpt-0001.mp4')} {FRAMES}\n"


@pytest.mark.usefixtures("fake")
def test_the_script_redacts_a_folder_and_goes_on_past_a_bad_clip(
    clip: MadeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clip.path.parent / "broken.mp4").write_text("no film")
    main = runpy.run_path(str(EXAMPLES / "script.py"))["main"]
    main(clip.path.parent, tmp_path / "out")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("broken.mp4: ")
    assert said[1] == f"{clip.path.name}: excerpt-0001.mp4, {FRAMES} of {FRAMES} frames have something covered"


@pytest.mark.usefixtures("fake")
def test_the_notebook_shows_a_sheet(clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bytes] = []
    display = types.ModuleType("IPython.display")
    display.Image = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.chdir(tmp_path)
    clip.path.rename("clip.mp4")
    cells = (EXAMPLES / "notebook.py").read_text().split("# %%")
    assert len(cells) == 3
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile("#" + cell if cell[0] == " " else cell, "cell", "exec"), names)
    assert shown[0].startswith(b"\x89PNG")


def test_the_detector_of_ones_own_covers_red_signs(tmp_path: Path, see: Callable[[object], None]) -> None:
    picture = textured_background(320, 240)
    cv2.rectangle(picture, (200, 100), (280, 140), (20, 20, 220), -1)
    path = write_clip(tmp_path / "clip.mp4", [picture] * 5)
    see(FakeDetector([(40, 60, 40, 50)] * 5))
    outcome = runpy.run_path(str(EXAMPLES / "own_detector.py"))["main"](path, tmp_path / "out")
    assert {track.label for track in outcome.plan.tracks} == {"head", "text"}
    shown = first_picture(outcome.copy)[105:135, 205:275].astype(int)
    assert (shown[..., 2] - shown[..., 0]).mean() < 100
