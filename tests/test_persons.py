"""The detector of persons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from redact import weights
from redact.detectors import persons
from redact.detectors.looks import Look, see
from redact.detectors.persons import GREY, SCORE_FLOOR, SIDE, SIDES, STRIDES, PersonDetector, decode
from redact.errors import DependencyError
from redact.geometry import Box
from redact.plan import Detection
from tests.clips import FACE, portrait, textured_background
from tests.overlap import iou

LOOK = Look(SIDE)
TURNED = (Look(64, 90), Look(96, 270, mirrored=True), Look(64, 45, within=Box(-4, 3, 30, 20)))


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    if not any(weights.is_installed(weights.cards()[card]) for card in PersonDetector.cards):
        pytest.skip("YOLOX is not installed: run `redact models fetch yolox-nano`")
    return PersonDetector()


def empty(height: int, width: int) -> NDArray[np.float32]:
    """Return an output in which nothing is."""
    return np.zeros((sum((height // s) * (width // s) for s in STRIDES), 85), np.float32)


def put(
    cells: NDArray[np.float32],
    shape: tuple[int, int],
    stride: int,
    box: tuple[float, float, float, float],
    scores: tuple[float, float] = (0.9, 0.8),
    kind: int = 0,
) -> None:
    """Write a box with objectness and class score where the network would, in the map of a stride."""
    height, width = shape
    x, y, wide, tall = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
    row, column = int(y // stride), int(x // stride)
    start = sum((height // s) * (width // s) for s in STRIDES if s < stride)
    cell = cells[start + row * (width // stride) + column]
    cell[:5] = x / stride - column, y / stride - row, np.log(wide / stride), np.log(tall / stride), scores[0]
    cell[5 + kind] = scores[1]


@pytest.mark.parametrize("stride", STRIDES)
def test_a_person_in_the_map_of_any_stride_is_where_it_says(stride: int) -> None:
    cells = empty(256, 416)
    put(cells, (256, 416), stride, (101, 40, 181, 230))
    assert decode(cells, 256, 416) == pytest.approx(np.array([[101, 40, 181, 230, 0.72]]), abs=0.01)


def test_persons_of_all_strides_are_found_best_first() -> None:
    cells = empty(256, 416)
    boxes = [(10, 10, 30, 60), (100, 20, 160, 150), (250, 5, 410, 250)]
    for stride, box, score in zip(STRIDES, boxes, (0.5, 0.9, 0.7), strict=True):
        put(cells, (256, 416), stride, box, (1, score))
    assert decode(cells, 256, 416)[:, :4] == pytest.approx(np.array([boxes[1], boxes[2], boxes[0]]), abs=0.01)


def test_one_person_in_two_maps_is_found_once() -> None:
    cells = empty(256, 416)
    put(cells, (256, 416), 8, (100, 40, 180, 230), (0.5, 0.5))
    put(cells, (256, 416), 16, (104, 44, 182, 228), (0.9, 0.9))
    assert decode(cells, 256, 416)[:, 4] == pytest.approx([0.81])


def test_other_classes_are_no_persons() -> None:
    cells = empty(64, 64)
    put(cells, (64, 64), 8, (10, 10, 30, 30), (1, 1), kind=1)
    put(cells, (64, 64), 16, (30, 30, 60, 60), (1, 1), kind=79)
    assert decode(cells, 64, 64).shape == (0, 5)


def test_what_is_a_person_and_something_else_is_a_person() -> None:
    cells = empty(64, 64)
    put(cells, (64, 64), 8, (10, 10, 30, 30), (1, 0.9), kind=56)
    put(cells, (64, 64), 8, (10, 10, 30, 30), (1, 0.3))
    assert decode(cells, 64, 64)[:, 4] == pytest.approx([0.3])


@pytest.mark.parametrize(
    ("scores", "found"), [((1, SCORE_FLOOR + 1e-3), 1), ((1, SCORE_FLOOR - 1e-3), 0), ((0.2, 0.2), 0)]
)
def test_the_floor_is_for_objectness_times_class(scores: tuple[float, float], found: int) -> None:
    cells = empty(64, 96)
    put(cells, (64, 96), 16, (10, 10, 50, 50), scores)
    assert len(decode(cells, 64, 96)) == found


def test_a_score_above_one_by_rounding_is_one() -> None:
    cells = empty(32, 32)
    put(cells, (32, 32), 8, (2, 2, 20, 20), (1.0000001, 1.0000001))
    assert decode(cells, 32, 32)[0, 4] == 1


@settings(deadline=None, max_examples=50)
@given(st.integers(40, 1500), st.integers(40, 1500), st.sampled_from([96, 416, 640]), st.data())
def test_a_box_comes_back_to_where_it_was_in_the_picture(
    width: int, height: int, side: int, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.floats(0, 0.6)) * width, data.draw(st.floats(0, 0.6)) * height
    x1, y1 = x0 + max(8, 0.3 * width), y0 + max(8, 0.3 * height)

    def find(shown: NDArray[np.uint8]) -> NDArray[np.float64]:
        rows, columns = (-(-n // 32) * 32 for n in shown.shape[:2])
        fx, fy = shown.shape[1] / width, shown.shape[0] / height
        cells = empty(rows, columns)
        put(cells, (rows, columns), 8, (x0 * fx, y0 * fy, x1 * fx, y1 * fy))
        return decode(cells, rows, columns)

    def kind(row: NDArray[np.float64], _: Look) -> Detection:
        assert row[:4] == pytest.approx([x0, y0, x1, y1], abs=1)
        return Detection(0, Box.outward(*(float(v) for v in row[:4])), "person", float(row[4]), "test", 0)

    assert len(see(find, np.zeros((height, width, 3), np.uint8), [Look(side)], kind)) == 1


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_the_portrait_is_a_person(detector: PersonDetector, angle: int) -> None:
    picture, shown = textured_background(640, 480), portrait()
    picture[150:450, 200:450] = shown
    turned = np.ascontiguousarray(np.rot90(picture, -angle // 90))
    best = detector.detect(turned, 0, [Look(416, angle)])[0]
    assert best.score > 0.5
    assert best.angle == angle
    if angle == 0:
        assert iou(best.box, Box(200, 150, 450, 450)) > 0.5
        x, y, wide, tall = FACE
        face = Box(200 + x, 150 + y, 200 + x + wide, 150 + y + tall)
        assert best.box.x0 <= face.x0 < face.x1 <= best.box.x1
        assert best.box.y0 <= face.y0 < face.y1 <= best.box.y1


def test_where_nobody_is_nobody_is_surely_seen(detector: PersonDetector) -> None:
    assert all(d.score < 0.3 for d in detector.detect(textured_background(640, 480), 0, [LOOK]))


class Square:
    """A network of a fixed input that sees one person, and remembers what it was shown."""

    def __init__(self, box: tuple[float, float, float, float]) -> None:
        self.box, self.shown = box, np.empty(0, np.float32)

    def run(self, _: object, inputs: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32]]:
        """Return what it sees."""
        self.shown = inputs["images"][0]
        height, width = self.shown.shape[1:]
        cells = empty(height, width)
        put(cells, (height, width), 8, self.box)
        return (cells[None],)


def installed(monkeypatch: pytest.MonkeyPatch, ids: set[str], network: object = None) -> None:
    """Let the weights of these cards be there, and a network run in their place."""
    monkeypatch.setattr(weights, "is_installed", lambda card, folder=None: card.id in ids)
    monkeypatch.setattr(weights, "load", lambda card, folder=None: card.encode())
    monkeypatch.setattr(persons, "open_model", lambda card, model: (network, {card: model.decode()}))


@pytest.mark.parametrize(
    ("ids", "looks"),
    [({"yolox-nano"}, "yolox-nano"), ({"yolox-nano", "yolox-tiny"}, "yolox-tiny"), (set(SIDES), "yolox-s")],
)
def test_the_largest_model_that_is_installed_looks(monkeypatch: pytest.MonkeyPatch, ids: set[str], looks: str) -> None:
    installed(monkeypatch, ids)
    detector = PersonDetector()
    assert (detector.name, detector.models) == (looks, {looks: looks})
    assert {look.side for look in detector.looks(1920)} == {SIDES[looks]}


@pytest.mark.parametrize("card", [card for card in SIDES if not weights.cards()[card].clean])
@pytest.mark.parametrize("size", [(480, 854), (1500, 40), (33, 31)])
def test_a_model_of_a_fixed_input_is_shown_a_grey_square_and_its_boxes_come_back(
    monkeypatch: pytest.MonkeyPatch, card: str, size: tuple[int, int]
) -> None:
    side = SIDES[card]
    factor = side / max(size)
    x1, y1 = size[1] * factor, size[0] * factor
    network = Square((0, 0, x1, y1))
    installed(monkeypatch, {card}, network)
    picture = np.full((*size, 3), (10, 20, 30), np.uint8)
    for shown_at in (side, 2 * side):
        (seen,) = PersonDetector().detect(picture, 0, [Look(shown_at)])
        there = seen.box.x0, seen.box.y0, seen.box.x1, seen.box.y1
        assert there == pytest.approx((0, 0, size[1], size[0]), abs=2 / factor + 1)
        assert network.shown.shape == (3, side, side)
        assert network.shown[:, 0, 0].tolist() == [10, 20, 30]
        assert network.shown[:, -1, -1].tolist() == [GREY] * 3


def test_who_has_no_weights_is_told_to_fetch_some_that_are_at_an_address(tmp_path: Path) -> None:
    with pytest.raises(DependencyError) as caught:
        PersonDetector(tmp_path)
    assert caught.value.advice == "Run `redact models fetch yolox-tiny`."
