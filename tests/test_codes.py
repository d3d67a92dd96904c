"""QR codes and bar codes are covered whole, upright and turned, and nothing is a code where there is none."""

from __future__ import annotations

from itertools import groupby

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench import drawn
from redact.detectors import codes
from redact.detectors.codes import CodeDetector
from redact.detectors.looks import Look
from tests.clips import ink_covered

Picture = NDArray[np.uint8]
Ink = NDArray[np.bool_]

WIDTH, HEIGHT = 854, 480
LOOKS = (Look(WIDTH),)
# The modules of the digits of an EAN-13: on the left of the middle (odd parity), and of which parity they are there.
LEFT = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
PARITY_OF_4 = "LGLLGG"


def ean_13() -> NDArray[np.uint8]:
    """Return the modules of 4006381333931, 0 for a bar and 255 for a gap, with its quiet zones."""
    right = [digit.translate(str.maketrans("01", "10")) for digit in LEFT]
    left = [LEFT[int(d)] if kind == "L" else right[int(d)][::-1] for d, kind in zip("006381", PARITY_OF_4, strict=True)]
    modules = "101" + "".join(left) + "01010" + "".join(right[int(d)] for d in "333931") + "101"
    return np.array([255 * (m == "0") for m in f"{'0' * 9}{modules}{'0' * 9}"], np.uint8)


def qr_code() -> NDArray[np.uint8]:
    """Return the modules of a QR code with its quiet zone."""
    return np.asarray(cv2.QRCodeEncoder.create().encode("https://example.org/cell-7"), np.uint8)


def placed(label: NDArray[np.uint8], turn: int) -> tuple[Picture, Ink]:
    """Return a picture of a turned label on grey, a little blurred and noisy, and where its ink is."""
    height, width = label.shape
    forth = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    forth[:, 2] += (WIDTH - width) / 2, (HEIGHT - height) / 2
    inside = cv2.warpAffine(np.full_like(label, 255), forth, (WIDTH, HEIGHT)) > 127
    drawn = np.where(inside, cv2.warpAffine(label, forth, (WIDTH, HEIGHT)), 90)
    noisy = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 0.6) + np.random.default_rng(7).normal(0, 5, drawn.shape)
    return np.repeat(noisy.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), inside & (drawn < 80)


def test_the_codes_of_the_bench_have_the_bars_of_their_kind() -> None:
    assert [tuple(str(len([*run])) for _, run in groupby(digit)) for digit in LEFT] == [*map(tuple, drawn.EAN)]
    for table, wide, length in ((drawn.CODE_39, 3, 10), (drawn.INTERLEAVED, 2, 5)):
        assert len({*table}) == 10
        assert {(len(digit), digit.count("5")) for digit in table} == {(length, wide)}
    assert drawn.START_39 not in drawn.CODE_39


@pytest.mark.parametrize("turn", [0, 30, 90, 180])
@pytest.mark.parametrize("module", [3, 6])
def test_a_qr_code_is_covered_however_it_is_turned(module: int, turn: int) -> None:
    picture, ink = placed(np.kron(qr_code(), np.ones((module, module), np.uint8)), turn)
    assert ink_covered(CodeDetector().detect(picture, 3, LOOKS), ink) == 1


@pytest.mark.parametrize("turn", [0, 30, 90, 180])
@pytest.mark.parametrize("module", [1, 3])
def test_a_bar_code_is_covered_to_the_ends_of_its_bars(module: int, turn: int) -> None:
    label = np.pad(np.tile(np.repeat(ean_13(), module), (80, 1)), ((10, 10), (0, 0)), constant_values=255)
    picture, ink = placed(label, turn)
    seen = CodeDetector().detect(picture, 3, LOOKS)
    assert ink_covered(seen, ink) == 1
    assert ink_covered(seen, np.ones_like(ink)) < 0.4


@pytest.mark.parametrize("seed", range(3))
def test_a_bar_code_does_not_grow_over_a_shelf_around_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    shelf = np.full((HEIGHT, WIDTH), 90, np.uint8)
    for y, x in np.ndindex(HEIGHT // 12, WIDTH // 12):
        height, width = random.integers(6, 12, 2)
        shelf[12 * y : 12 * y + height, 12 * x : 12 * x + width] = random.integers(0, 256)
    label = np.pad(np.tile(ean_13(), (40, 1)), 4, constant_values=255)
    here = slice(216, 216 + label.shape[0]), slice(366, 366 + label.shape[1])
    shelf[here] = label
    ink = np.zeros(shelf.shape, bool)
    ink[here] = label < 80
    picture = np.repeat(cv2.GaussianBlur(shelf, (0, 0), 0.6)[..., None], 3, axis=2).astype(np.uint8)
    seen = CodeDetector().detect(picture, 3, LOOKS)
    assert ink_covered(seen, ink) == 1
    assert ink_covered(seen, np.ones_like(ink)) < 0.05


@pytest.mark.parametrize(
    "what", ["flag", "beams", "blinds", "a window with blinds", "narrow blinds, not sharp", "noise"]
)
def test_what_has_no_bars_is_no_code_whatever_opencv_says(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    picture = np.full((HEIGHT, WIDTH), 90, np.uint8)
    part = picture[200:300, 300:420]
    if what == "flag":
        picture[:, 340:380] = 255
    elif what == "blinds":
        picture[:, 300:420][:, np.arange(120) % 12 < 6] = 255
    elif what == "a window with blinds":
        picture[:, 300:420][:, np.arange(120) % 8 < 4] = 255
        picture[:, 300:312], picture[:, 312:324] = 255, 90
    elif what == "narrow blinds, not sharp":
        picture[:, 300:420] = 172 + 82 * np.sin(np.arange(120) / 1.05)
        picture[:, 300:312], picture[:, 312:330] = 255, 90
    elif what == "beams":
        cv2.line(part, (0, 99), (119, 0), 255, 30)
        cv2.line(part, (0, 0), (119, 99), 20, 30)
    else:
        part[:] = np.random.default_rng(5).integers(0, 256, part.shape)
    code = np.pad(np.tile(ean_13(), (100, 1)), 2, constant_values=255)
    there = np.array([(296, 196), (424, 196), (424, 304), (296, 304)], np.float64)
    qr = cv2.QRCodeDetectorAruco
    monkeypatch.setattr(codes, "_corners", lambda by, _: iter([] if isinstance(by, qr) else [there]))
    monkeypatch.setattr(codes, "SMALLER", 1.0)
    shown = np.repeat(picture[..., None], 3, axis=2)
    assert CodeDetector().detect(shown, 3, LOOKS) == []
    shown[200 : 200 + code.shape[0], 300 : 300 + code.shape[1]] = code[..., None]
    assert len(CodeDetector().detect(shown, 3, LOOKS)) == 1


def test_a_detection_says_what_it_is_and_the_picture_stays_as_it_was() -> None:
    picture, _ = placed(np.kron(qr_code(), np.ones((4, 4), np.uint8)), 0)
    before = picture.copy()
    seen = CodeDetector().detect(picture, 3, LOOKS)
    assert (picture == before).all()
    assert {(d.frame, d.label, d.detector, d.angle, d.score) for d in seen} == {(3, "code", "codes", 0, 1)}


@pytest.mark.parametrize(("level", "spread"), [(0, 0), (255, 0), (128, 10), (128, 60)])
def test_nothing_is_a_code_where_there_is_none(level: int, spread: int) -> None:
    picture = np.random.default_rng(5).normal(level, spread, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    assert CodeDetector().detect(picture, 0, LOOKS) == []


def test_a_detector_of_opencv_that_fails_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def detectMulti(self, _: object) -> None:  # noqa: N802 - as OpenCV names it
            raise cv2.error("odd picture")

    monkeypatch.setattr(cv2, "QRCodeDetectorAruco", Failing)
    picture, _ = placed(np.kron(qr_code(), np.ones((4, 4), np.uint8)), 0)
    assert CodeDetector().detect(picture, 0, LOOKS) == []
