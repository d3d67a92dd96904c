"""What the tests share: a clip, a detector that knows where its face is, and the command line in this process."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from redact import cli, crew, detectors, weights
from tests.browsing import browser as browser
from tests.browsing import page as page
from tests.clips import moving_portrait, write_clip
from tests.fakes import FakeDetector
from tests.serving import analysed
from tests.serving import client as client
from tests.tiny_weights import installed as installed
from tests.tiny_weights import no_network as no_network
from tests.tiny_weights import tiny_cards as tiny_cards
from tests.tiny_weights import upstream as upstream
from tests.two_people import case as case
from tests.two_people import two_people as two_people

# The suite says the same of the same code on every machine; `--hypothesis-profile search` looks for new examples.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("same")

FRAMES = 24
WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class MadeClip:
    """A clip and where its face is."""

    path: Path
    faces: tuple[tuple[int, int, int, int], ...]

    def sha256(self) -> str:
        """Return the hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def made_clip(tmp_path_factory: pytest.TempPathFactory) -> MadeClip:
    frames = list(moving_portrait(FRAMES, WIDTH, HEIGHT, 0.5))
    path = write_clip(tmp_path_factory.mktemp("clips") / "holding cell 7.mp4", (p for p, _ in frames), sound=True)
    return MadeClip(path, tuple(face for _, face in frames if face))


@pytest.fixture
def clip(made_clip: MadeClip, tmp_path: Path) -> MadeClip:
    """A copy of the clip that a test may damage."""
    path = tmp_path / "north wing" / made_clip.path.name
    path.parent.mkdir()
    path.write_bytes(made_clip.path.read_bytes())
    return MadeClip(path, made_clip.faces)


@pytest.fixture(scope="session")
def made_plan(made_clip: MadeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which the clip was analysed, by a detector that sees its face in every frame."""
    return analysed(made_clip.path, FakeDetector(made_clip.faces), tmp_path_factory.mktemp("analysed") / "out")


@pytest.fixture
def out(made_plan: Path, made_clip: MadeClip, clip: MadeClip, tmp_path: Path) -> Path:
    """A copy of that folder which a test may change; its plan is that of the test's own clip."""
    copy = Path(shutil.copytree(made_plan, tmp_path / "out"))
    (plan,) = (copy / "private").glob("*.plan.json")
    plan.write_text(plan.read_text().replace(str(made_clip.path), str(clip.path)))
    return copy


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put detectors in the place of the real ones. All is done in this process: another one would not know them."""

    def use(*used: Any) -> None:
        monkeypatch.setattr(detectors, "load_detectors", lambda *_: list(used))
        monkeypatch.setattr(crew, "processes_for", lambda clips: 1)

    return use


@pytest.fixture
def nothing_is_left_over_and_the_source_is_unchanged(
    clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Folders of the user are the test's own; when it ends the clip is as it was, and no unchecked copy is left."""
    for name in ("WEIGHTS", "MARKS", "CAMERAS"):
        monkeypatch.setenv(f"REDACT_{name}", str(tmp_path / name.lower()))
    before = clip.sha256()
    yield
    assert clip.sha256() == before
    assert not list(tmp_path.rglob("*.partial.mp4"))


@pytest.fixture
def fake(clip: MadeClip, see: Callable[[Any], None]) -> FakeDetector:
    """The detector in use sees the clip's face in every frame."""
    detector = FakeDetector(clip.faces)
    see(detector)
    return detector


@pytest.fixture
def redact(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*arguments: object) -> Result:
        code = 0
        try:
            cli.main([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def real_weights() -> None:
    """Skip where CenterFace is not installed; `make test` installs it."""
    if not weights.is_installed(weights.cards()["centerface"]):
        pytest.skip("CenterFace is not installed: run `redact models fetch`")
