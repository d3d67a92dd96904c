"""Marks by example: what the library keeps, and what the detector finds by it."""

from __future__ import annotations

import os
import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import marks
from redact.detectors.marks import MarkDetector, _is_sound
from redact.errors import OutputError, UsageError
from redact.geometry import Box, covered_share
from redact.plan import Detection
from tests.clips import Picture, textured_background

WIDTH, HEIGHT = 640, 360


def emblem(side: int = 120, seed: int = 5) -> Picture:
    """Return a badge of polygons and letters."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 480, 3), 150, np.uint8)
    for _ in range(14):
        corners = rng.integers(30, 450, (1, 2)) + rng.integers(-110, 110, (4, 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], rng.integers(0, 256, 3).tolist())
    text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), 4))
    cv2.putText(picture, text, (40, 280), cv2.FONT_HERSHEY_DUPLEX, 4, rng.integers(0, 256, 3).tolist(), 9)
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def lay(onto: Picture, middle: tuple[int, int], side: int = 120, turn: float = 0, seed: int = 5) -> Box:
    """Lay the emblem onto a picture, and return the box around it."""
    forth = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, 1.0)
    forth[:, 2] += np.array(middle) - side / 2
    height, width = onto.shape[:2]
    cover = cv2.warpAffine(np.full((side, side), 255, np.uint8), forth, (width, height)) > 127
    onto[cover] = cv2.warpAffine(emblem(side, seed), forth, (width, height))[cover]
    rows, columns = np.nonzero(cover)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def background() -> Picture:
    return textured_background(WIDTH, HEIGHT, seed=7)


@pytest.fixture(scope="module")
def detector() -> MarkDetector:
    return MarkDetector({"badge": [emblem()]})


def assert_covers(seen: list[Detection], *truths: Box) -> None:
    assert len(seen) == len(truths)
    for truth in truths:
        best = max(seen, key=lambda d: covered_share(truth, d.box))
        assert covered_share(truth, best.box) >= 0.9
        assert best.box.area < 1.6 * truth.area


# The library


def test_what_is_added_is_loaded_again_to_the_pixel(tmp_path: Path) -> None:
    assert marks.add("wall-7_B", emblem(), tmp_path) >= marks.LEAST_FEATURES
    (held,) = marks.load("wall-7_B", tmp_path)
    assert (held == emblem()).all()
    assert marks.names(tmp_path) == ["wall-7_B"]


def test_a_mark_has_several_examples_and_they_go_together(tmp_path: Path) -> None:
    for seed in range(11):
        marks.add("badge", emblem(seed=seed), tmp_path)
    marks.add("badge-2", emblem(), tmp_path)
    held = marks.load("badge", tmp_path)
    assert all((picture == emblem(seed=seed)).all() for seed, picture in enumerate(held))
    assert marks.names(tmp_path) == ["badge", "badge-2"]
    assert marks.remove("badge", tmp_path) == len(held) == 11
    assert marks.names(tmp_path) == ["badge-2"]


def test_an_example_added_after_another_was_lost_replaces_none(tmp_path: Path) -> None:
    for seed in (1, 2):
        marks.add("badge", emblem(seed=seed), tmp_path)
    (tmp_path / "badge.1.png").unlink()
    marks.add("badge", emblem(seed=3), tmp_path)
    assert [(p == emblem(seed=s)).all() for s, p in zip((2, 3), marks.load("badge", tmp_path), strict=True)] == [
        True
    ] * 2


def test_only_the_owner_can_read_the_library(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "marks"
    before = os.umask(0)
    try:
        marks.add("badge", emblem(), folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]


def test_the_library_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDACT_MARKS", str(tmp_path / "here"))
    assert marks.names() == []
    marks.add("badge", emblem())
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["badge.1.png"]
    assert marks.names() == ["badge"]


def test_a_kept_example_holds_nothing_but_pixels(tmp_path: Path) -> None:
    marks.add("badge", emblem(), tmp_path)
    data, kinds, at = (tmp_path / "badge.1.png").read_bytes(), set(), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kinds.add(data[at + 4 : at + 8])
        at += length + 12
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "a.b", "ä", "a,b", "x" * 65, "a\n", ".*"])
def test_a_name_that_is_no_file_name_is_refused(name: str, tmp_path: Path) -> None:
    for use in (lambda: marks.add(name, emblem(), tmp_path), lambda: marks.load(name, tmp_path)):
        with pytest.raises(UsageError, match="not a name"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_mark_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="known are: none"):
        marks.load("badge", tmp_path / "nowhere")
    marks.add("star", emblem(), tmp_path)
    for use in (marks.load, marks.remove):
        with pytest.raises(UsageError, match="no mark badge; known are: star"):
            use("badge", tmp_path)


@pytest.mark.parametrize(
    ("example", "why"),
    [
        (emblem(20), "too small"),
        (emblem()[:, :10], "too small"),
        (np.full((200, 200, 3), 90, np.uint8), "too smooth"),
        (cv2.GaussianBlur(emblem(), (0, 0), 25), "too smooth"),
        (np.tile(emblem(8), (125, 125, 1)), "too smooth"),
    ],
)
def test_an_example_that_nothing_could_be_found_by_is_refused_when_it_is_added(
    example: Picture, why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        marks.add("badge", example, tmp_path)
    assert caught.value.advice.startswith("Give ")
    assert marks.names(tmp_path) == []


def test_a_disk_that_fails_leaves_the_library_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks.add("badge", emblem(), tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, full)
            with pytest.raises(OutputError, match="No space left"):
                marks.add("badge", emblem(seed=6), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["badge.1.png"]


def test_a_picture_file_is_read_as_colours_whatever_it_holds(tmp_path: Path) -> None:
    grey = emblem()[..., 0]
    for name, stored in (
        ("grey.png", grey),
        ("deep.png", grey.astype(np.uint16) * 257),
        ("clear.png", cv2.cvtColor(emblem(), cv2.COLOR_BGR2BGRA)),
    ):
        cv2.imwrite(str(tmp_path / name), stored)
        read = marks.read(tmp_path / name)
        assert (read.dtype, read.shape) == (np.uint8, (120, 120, 3))


@pytest.mark.parametrize("data", [b"", b"no picture", cv2.imencode(".png", emblem())[1].tobytes()[:60]])
def test_a_file_that_is_no_picture_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "crop.png"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"crop\.png cannot be read"):
        marks.read(path)
    with pytest.raises(UsageError, match=r"other\.png cannot be read"):
        marks.read(tmp_path / "other.png")


def test_a_crop_is_what_the_box_shows_and_never_empty() -> None:
    picture = background()
    part = marks.crop(picture, Box(-5, 300, 40, 400))
    assert (part == picture[300:, :40]).all()
    assert not np.shares_memory(part, picture)
    with pytest.raises(UsageError, match="outside the picture, which is 640x360"):
        marks.crop(picture, Box(640, 0, 700, 50))


# The detector


@pytest.mark.parametrize("turn", [0, 30, 60, 90, 180, 225])
@pytest.mark.parametrize("side", [60, 120, 240])
def test_a_mark_is_found_turned_and_from_half_to_twice_its_size(detector: MarkDetector, turn: int, side: int) -> None:
    picture = background()
    truth = lay(picture, (300, 180), side, turn)
    before = picture.copy()
    seen = detector.detect(picture, 4, ())
    assert_covers(seen, truth)
    assert (picture == before).all()
    assert (seen[0].frame, seen[0].label, seen[0].detector) == (4, "mark", "mark:badge")
    assert seen[0].score >= 0.5


@pytest.mark.parametrize("side", [80, 120, 200])
@pytest.mark.parametrize("edge", [0, 1, 2, 3])
def test_a_mark_is_found_with_two_fifths_of_it_hidden(detector: MarkDetector, side: int, edge: int) -> None:
    picture = background()
    x0, y0, far = 300 - side // 2, 180 - side // 2, side * 2 // 5
    truth = lay(picture, (300, 180), side)
    hidden = [np.s_[y0 : y0 + far, :], np.s_[y0 + side - far :, :], np.s_[:, : x0 + far], np.s_[:, x0 + side - far :]]
    picture[hidden[edge]] = background()[hidden[edge]]
    assert_covers(detector.detect(picture, 0, ()), truth)


def test_two_of_the_same_are_both_found(detector: MarkDetector) -> None:
    picture = background()
    assert_covers(detector.detect(picture, 0, ()))
    left, right = lay(picture, (120, 120), 100), lay(picture, (480, 220), 150, 40)
    assert_covers(detector.detect(picture, 0, ()), left, right)


def test_several_marks_go_by_their_own_names_whichever_of_their_examples_is_seen() -> None:
    detector = MarkDetector({"star": [emblem(seed=1), emblem(seed=2)], "badge": [emblem()]})
    picture = background()
    star, badge = lay(picture, (150, 180), 110, 20, seed=2), lay(picture, (450, 180), 130)
    seen = {d.detector: d for d in detector.detect(picture, 0, ())}
    assert set(seen) == {"mark:star", "mark:badge"}
    assert_covers([seen["mark:star"]], star)
    assert_covers([seen["mark:badge"]], badge)
    assert set(detector.models) == set(seen)
    assert all(len(sha256) == 64 for sha256 in detector.models.values())


def test_a_mark_in_a_large_picture_is_found_where_it_is(detector: MarkDetector) -> None:
    picture = textured_background(1920, 1080)
    truth = lay(picture, (1500, 600), 400, 33)
    assert_covers(detector.detect(picture, 0, ()), truth)


def test_nothing_is_found_where_there_is_nothing(detector: MarkDetector) -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    other = background()
    lay(other, (300, 180), 150, seed=9)
    for picture in (background(), noise, cv2.GaussianBlur(noise, (0, 0), 2), other, np.zeros_like(noise)):
        assert detector.detect(np.asarray(picture, np.uint8), 0, ()) == []


@pytest.mark.parametrize(
    "outline",
    [
        pytest.param([(100, 0), (0, 0), (0, 100), (100, 100)], id="mirrored"),
        pytest.param([(0, 0), (100, 100), (100, 0), (0, 100)], id="folded"),
        pytest.param([(0, 0), (100, 0), (30, 30), (0, 100)], id="dented"),
        pytest.param([(0, 0), (100, 0), (100, 20), (0, 20)], id="crushed"),
        pytest.param([(0, 0), (200, 0), (200, 200), (0, 200)], id="blown up"),
    ],
)
def test_an_outline_that_no_flat_thing_has_is_not_sound(outline: list[tuple[int, int]]) -> None:
    square = np.array([(0, 0), (100, 0), (100, 100), (0, 100)], np.float64)
    assert _is_sound(square + 5, square)
    assert not _is_sound(np.array(outline, np.float64), square)


def test_threads_see_what_one_sees(detector: MarkDetector) -> None:
    pictures = []
    for n in range(8):
        pictures.append(background())
        lay(pictures[-1], (200 + 30 * n, 180), 90 + 10 * n, 15 * n)
    alone = [detector.detect(picture, n, ()) for n, picture in enumerate(pictures)]
    with ThreadPoolExecutor(4) as crew:
        together = list(crew.map(lambda n: detector.detect(pictures[n], n, ()), range(8)))
    assert together == alone
    assert all(len(seen) == 1 for seen in alone)
