"""The contract that every detector keeps: those of the program, and any other that is registered like them."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import detectors, marks, weights
from redact.detectors import GROUP, Detector, HoldingDetector, NearDetector, PacedDetector
from redact.detectors.looks import Look
from redact.errors import DependencyError, UsageError
from redact.geometry import Box
from redact.plan import LABELS, Detection, Settings
from tests.clips import moving_portrait, textured_background
from tests.fakes import FakeDetector

LOOKS = (Look(480), Look(64, 45), Look(96, 270, mirrored=True), Look(64, 135, within=Box(-4, 3, 30, 20)))
EXAMPLE = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (120, 120, 3), np.uint8), (0, 0), 2)
Scene = tuple[np.ndarray, Box]


def portrait_scene() -> Scene:
    picture, face = next(iter(moving_portrait(1)))
    assert face is not None
    x, y, w, h = face
    return picture, Box(x, y, x + w, y + h)


def text_scene() -> Scene:
    picture = np.full((360, 640, 3), 200, np.uint8)
    cv2.putText(picture, "BLOCK 12", (200, 180), cv2.FONT_HERSHEY_SIMPLEX, 1, (20, 20, 20), 2)
    return picture, Box(205, 162, 340, 180)


def code_scene() -> Scene:
    code = np.asarray(cv2.QRCodeEncoder.create().encode("cell 12"), np.uint8)
    large = cv2.resize(code, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
    picture = np.full((360, 640, 3), 255, np.uint8)
    picture[100 : 100 + len(large), 200 : 200 + len(large)] = large[..., None]
    return picture, Box(210, 110, 190 + len(large), 90 + len(large))


def mark_scene() -> Scene:
    picture = textured_background(640, 360)
    picture[90:210, 250:370] = EXAMPLE
    return picture, Box(255, 95, 365, 205)


def tag_scene() -> Scene:
    picture = np.full((360, 640, 3), 60, np.uint8)
    picture[160:190, 310:330] = 220
    return picture, Box(310, 160, 330, 190)


# What each must see; no picture in this project may show exposed bodies.
SCENES: dict[str, Callable[[], Scene]] = {
    "centerface": portrait_scene, "yolox-nano": portrait_scene, "ppocr-det-v6": text_scene, "codes": code_scene,
    "marks": mark_scene, "tags": tag_scene,
}  # fmt: skip
REGISTERED = {entry.name: entry for entry in entry_points(group=GROUP)}


FACE = Detection(0, Box(300, 40, 340, 80), "face", 0.9, "eyes")


def looks_of(detector: Detector, picture: np.ndarray) -> tuple[Look, ...]:
    if not isinstance(detector, PacedDetector):
        return (Look(480), Look(832))
    near = detector.looks_near([FACE], *picture.shape[1::-1]) if isinstance(detector, NearDetector) else ()
    return (*detector.looks(max(picture.shape[:2])), *near)


@pytest.fixture(params=["fake", *sorted(REGISTERED)], scope="module")
def named(request: pytest.FixtureRequest) -> tuple[str, Detector]:
    """A detector and its name; skipped where its weights are not installed."""
    if request.param == "fake":
        return "fake", FakeDetector([face for _, face in moving_portrait(4)])
    maker = REGISTERED[request.param].load()
    if "mark" in maker.labels:
        return request.param, maker({"emblem": [EXAMPLE]})
    cards = [weights.cards()[card] for card in getattr(maker, "cards", (request.param,)) if card in weights.cards()]
    if cards and not any(map(weights.is_installed, cards)):
        pytest.skip(f"{cards[0].id} is not installed: run `redact models fetch {cards[0].id}`")
    return request.param, maker(None)


@pytest.fixture
def detector(named: tuple[str, Detector]) -> Detector:
    return named[1]


def test_a_detector_sees_what_it_is_for_and_nothing_else_changes(named: tuple[str, Detector]) -> None:
    name, detector = named
    if name == "nudenet-320n":
        pytest.skip("there is no picture to show it")
    picture, there = SCENES.get(name, portrait_scene)()
    before = picture.copy()
    seen = detector.detect(picture, 0, looks_of(detector, picture))
    assert any(covers(d.box, there) > 0.6 for d in seen)
    assert (picture == before).all()
    for d in seen:
        assert d.frame == 0
        assert d.detector == detector.name or d.detector.startswith("mark:")
        assert d.label in detector.labels
        assert 0 <= d.score <= 1


def covers(box: Box, there: Box) -> float:
    shared = box.intersect(there)
    return shared.area / there.area if shared else 0.0


def test_a_detector_says_the_same_in_several_threads_at_once(named: tuple[str, Detector]) -> None:
    name, detector = named
    picture, _ = SCENES.get(name, portrait_scene)()

    def look(frame: int) -> list[Detection]:
        return detector.detect(picture, 0, looks_of(detector, picture))

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(look, range(8))
    assert all(other == first for other in others)


def test_what_a_detector_that_holds_sees_depends_on_the_picture_alone(named: tuple[str, Detector]) -> None:
    name, detector = named
    if not isinstance(detector, HoldingDetector):
        pytest.skip("it does not hold what it has seen")
    picture, _ = SCENES[name]()
    first, later = (detector.detect(picture, n, looks_of(detector, picture)) for n in (0, 50))
    assert [replace(d, frame=50) for d in first] == later


@pytest.mark.parametrize("noise", [1, 256])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 31), (40, 1500), (1500, 40), (719, 1279)])
def test_a_detector_takes_pictures_of_any_size(detector: Detector, size: tuple[int, int], noise: int) -> None:
    picture = np.random.default_rng(5).integers(0, noise, (*size, 3), np.uint8)
    before = picture.copy()
    for d in [*detector.detect(picture, 99, LOOKS), *detector.detect(picture, 99, looks_of(detector, picture))]:
        assert (d.frame, d.label in detector.labels) == (99, True)
        assert 0 <= d.score <= 1
    assert (picture == before).all()


def test_a_detector_says_what_it_is(detector: Detector) -> None:
    assert detector.name
    assert set(detector.labels) <= set(LABELS)
    assert detector.models
    assert all(detector.models.values())


def test_a_detector_is_not_sure_of_anything_where_nothing_is(detector: Detector) -> None:
    ground = textured_background(480, 360)
    assert all(d.score < 0.5 for d in detector.detect(ground, 99, looks_of(detector, ground)))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register detectors of these names in place of all others."""

    def register(**makers: type) -> None:
        def load(entry: EntryPoint) -> type:
            return makers[entry.name]

        monkeypatch.setattr(EntryPoint, "load", load)
        found = [EntryPoint(name, "nowhere", GROUP) for name in makers]
        monkeypatch.setattr(detectors, "entry_points", lambda group: found if group == GROUP else [])

    return register


class Faces(FakeDetector):
    """Is registered for faces."""

    def __init__(self, weights_folder: object = None) -> None:
        super().__init__([])


class Persons(Faces):
    """Is registered for persons."""

    labels = ("person",)


class Plates(Faces):
    """Is registered for plates."""

    labels = ("plate",)


class Marks(Faces):
    """Is registered for marks."""

    labels = ("mark",)


class NoWeights(Persons):
    """Cannot be made."""

    def __init__(self, weights_folder: object = None) -> None:
        raise DependencyError("Weights are missing.")


def loaded(**settings: tuple[str, ...]) -> set[str]:
    return {type(d).__name__ for d in detectors.load_detectors(Settings(**settings))}


def test_detectors_are_loaded_for_what_is_covered(registered: Callable[..., None]) -> None:
    registered(faces=Faces, persons=Persons, plates=Plates)
    assert loaded(cover=("face",)) == {"Faces", "Persons"}
    assert loaded(cover=("head", "plate")) == {"Faces", "Persons", "Plates"}
    assert loaded(cover=("plate",)) == {"Plates"}


def test_persons_are_looked_for_only_where_their_weights_are_unless_they_are_to_be_covered(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(faces=Faces, **{"yolox-nano": NoWeights})
    monkeypatch.setattr(weights, "is_installed", lambda card, folder=None: False)
    assert loaded(cover=("head",)) == {"Faces"}
    with pytest.raises(DependencyError):
        loaded(cover=("head", "person"))


def test_persons_are_looked_for_where_their_weights_are_in_the_folder_that_was_given(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registered(faces=Faces, **{"yolox-nano": Persons})
    monkeypatch.setattr(weights, "is_installed", lambda card, folder=None: folder == tmp_path)
    for folder, kinds in ((None, [Faces]), (tmp_path, [Faces, Persons])):
        assert [type(d) for d in detectors.load_detectors(Settings(cover=("head",)), folder)] == kinds


def test_a_detector_of_several_cards_is_ready_with_any_of_them(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Persons, "cards", ("yolox-s", "yolox-nano"), raising=False)
    registered(faces=Faces, persons=Persons)
    for there, found in (("yolox-s", {"Faces", "Persons"}), ("yunet-n", {"Faces"})):
        monkeypatch.setattr(
            weights, "is_installed", lambda card, folder, there=there: (card.id, folder) == (there, tmp_path)
        )
        assert {type(d).__name__ for d in detectors.load_detectors(Settings(cover=("head",)), tmp_path)} == found


def test_what_nothing_finds_is_an_error(registered: Callable[..., None]) -> None:
    registered(faces=Faces)
    with pytest.raises(UsageError, match="plate"):
        loaded(cover=("head", "plate"))


def test_marks_are_looked_for_where_they_are_named(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(faces=Faces, marks=Marks)
    monkeypatch.setattr(marks, "load", lambda name: [EXAMPLE])
    assert loaded(cover=("head",)) == {"Faces"}
    assert loaded(cover=("head",), marks=("emblem",)) == {"Faces", "Marks"}


def test_a_mark_that_is_not_in_the_library_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("REDACT_MARKS", str(tmp_path))
    with pytest.raises(UsageError, match="emblem"):
        detectors.load_detectors(Settings(cover=("code",), marks=("emblem",)))


def test_the_detector_of_the_documents_works() -> None:
    space = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "own_detector.py"))
    picture = np.full((240, 320, 3), 90, np.uint8)
    picture[100:140, 50:120] = (20, 20, 230)
    detector = space["SignDetector"](None)
    assert isinstance(detector, PacedDetector)
    (seen,) = detector.detect(picture, 7, detector.looks(320))
    assert seen == Detection(7, Box(50, 100, 120, 140), "text", 0.9, "signs")
