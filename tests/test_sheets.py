"""A contact sheet shows every doubt where it is, the worst first, and no face that the copy will not show."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from redact.errors import PlanError
from redact.geometry import Box
from redact.media import Digest, Frame, FrameReader, hash_file
from redact.plan import Doubt, Plan, Settings, Source, Track
from redact.rendering import render
from redact.sheets import (
    COLUMNS,
    GAP,
    GROUND,
    MOST_TILES,
    OUTLINE,
    STRIP,
    TILE,
    Moment,
    draw_copy_sheet,
    draw_sheet,
    draw_tiles,
    encode_png,
    moments_of,
    moments_of_tracks,
)
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip, Result

MIDDLE = Box(140, 100, 180, 140)


def quiet(done: int, total: int | None) -> None:
    """Show no progress."""


def leave(picture: np.ndarray, frame: int) -> np.ndarray:
    """Cover nothing."""
    return picture


def level(frame: int) -> int:
    """Return the grey of a frame that `plain_frames` makes."""
    return 50 + frame * 3


def plain_frames(first: int = 0, count: int = FRAMES, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Frame]:
    for n in range(first, first + count):
        yield Frame(n, Fraction(n, 25), np.full((height, width, 3), level(n), np.uint8), False)


def tile_of(sheet: np.ndarray, n: int, count: int = COLUMNS) -> np.ndarray:
    """Return the picture of a sheet's tile; count is how many tiles the sheet has."""
    row, column = divmod(n, min(COLUMNS, count))
    y, x = GAP + row * (TILE + STRIP + GAP), GAP + column * (TILE + GAP)
    return sheet[y : y + TILE, x : x + TILE]


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return where a mask is set: first column and row, last column and row."""
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every text that is written, and its width in pixels."""
    written: list[tuple[str, int]] = []

    def note(picture: np.ndarray, text: str, _: Any, font: int, scale: float, *__: Any) -> np.ndarray:
        written.append((text, cv2.getTextSize(text, font, scale, 1)[0][0]))
        return picture

    monkeypatch.setattr(cv2, "putText", note)
    return written


def plan_of(clip: MadeClip, first: int = 0) -> Plan:
    """Return a plan that covers the head in every frame from the first on."""
    heads = tuple(Box(x, y, x + w, y + h).grow(0.4, 0.4, 0.4, 0.4) for x, y, w, h in clip.faces[first:])
    begins, ends = Fraction(first, 25), Fraction(FRAMES - 1, 25)
    digest = Digest()
    with FrameReader(clip.path, begins) as reader:
        for frame in reader:
            digest.add(frame)
    source = Source(str(clip.path), hash_file(clip.path), WIDTH, HEIGHT, first, FRAMES - first, Fraction(1, 12800),
                    begins, ends, digest.hexdigest(), 0)  # fmt: skip
    return Plan(source, Settings(from_time=begins if first else None), {}, (Track(1, "head", first, heads),))


def face_of(clip: MadeClip, frame: int) -> Moment:
    x, y, w, h = clip.faces[frame]
    return Moment(frame, Box(x, y, x + w, y + h), "a face")


def edges(picture: np.ndarray) -> float:
    return float(np.abs(np.diff(picture.astype(int), axis=0)).mean())


def test_a_covered_face_is_not_on_the_sheet_and_what_is_around_it_is(made_clip: MadeClip) -> None:
    moments = [face_of(made_clip, n) for n in (3, 11, FRAMES - 1)]
    plan = plan_of(made_clip)
    covered = draw_sheet(moments, plan, made_clip.path, True, quiet)
    open_ = draw_sheet(moments, plan, made_clip.path, False, quiet)
    assert covered.shape == open_.shape
    for n in range(len(moments)):
        without, with_ = tile_of(covered, n, 3), tile_of(open_, n, 3)
        face = np.s_[TILE // 2 - 35 : TILE // 2 + 35, TILE // 2 - 25 : TILE // 2 + 25]
        assert edges(without[face]) < 0.35 * edges(with_[face])
        assert (without[:10] == with_[:10]).all()


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (0, 255, 255)])
def test_the_outline_is_around_the_box_and_seen_on_any_ground(ground: tuple[int, int, int]) -> None:
    frames = [Frame(0, Fraction(0), np.full((HEIGHT, WIDTH, 3), ground, np.uint8), False)]
    tile = tile_of(draw_tiles([Moment(0, MIDDLE, "")], frames, leave, quiet), 0, 1)
    seen = np.abs(tile.astype(int) - ground).max(axis=2) > 100
    scale = TILE / (3 * MIDDLE.width)
    begin, end = (TILE - MIDDLE.width * scale) / 2, (TILE + MIDDLE.width * scale) / 2
    assert np.abs(np.array(extent(seen)) - (begin, begin, end - 1, end - 1)).max() <= 2
    inside = np.s_[round(begin) + 1 : round(end) - 1]
    assert (tile[inside, inside] == ground).all()


@pytest.mark.parametrize(
    "box",
    [Box(0, 0, 40, 40), Box(WIDTH - 12, HEIGHT - 12, WIDTH, HEIGHT), Box(-30, 90, 20, 140), Box(300, 220, 360, 280)],
)
def test_a_box_at_the_edge_or_partly_outside_is_outlined_in_a_tile_full_of_the_picture(box: Box) -> None:
    tile = tile_of(draw_tiles([Moment(0, box, "")], plain_frames(), leave, quiet), 0, 1)
    for colour in OUTLINE:
        line = (tile == colour).all(axis=2)
        x0, y0, x1, y1 = extent(line)
        assert min(x1 - x0, y1 - y0) > 15
        assert line[y0 : y1 + 1, (x0, x1)].all()
        assert line[(y0, y1), x0 : x1 + 1].all()
    assert not (tile == GROUND).all(axis=2).any()
    assert (tile == level(0)).all(axis=2).mean() > 0.9


@pytest.mark.parametrize(("width", "height"), [(WIDTH, HEIGHT), (90, 400), (31, 17)])
@pytest.mark.parametrize("box", [Box(0, 0, WIDTH, 20), Box(-900, -900, 900, 900), Box(500, 500, 510, 510)])
def test_a_box_of_any_size_and_place_gives_a_tile(box: Box, width: int, height: int) -> None:
    frames = plain_frames(width=width, height=height)
    tile = tile_of(draw_tiles([Moment(0, box, "")], frames, leave, quiet), 0, 1)
    assert (tile == level(0)).all(axis=2).any()


@pytest.mark.usefixtures("fake")
def test_a_sheet_replaces_nothing_but_the_one_before_and_is_never_released(
    redact: Callable[..., Result], clip: MadeClip, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert redact("run", clip.path, "-o", out).code == 0
    (plan,) = (out / "private").glob("*.plan.json")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"a photograph")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "sent").symlink_to(out / "release")
    for code, where in ((2, clip.path), (2, plan), (2, tmp_path / "new.mp4"), (6, picture),
                        (6, out / "release" / "sheet.png"), (6, tmp_path / "sent" / "sheet.png")):  # fmt: skip
        for option in ("--tracks", "--uncovered"):
            assert redact("sheet", plan, option, "-o", where).code == code, where
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    for _ in range(2):
        assert redact("sheet", plan, "--uncovered").code == 0


def test_the_worst_comes_first_and_the_caption_says_why() -> None:
    doubts = [Doubt(2, 2, 2, MIDDLE, "seen once", 0.2), Doubt(7, 12, 9, MIDDLE, "two cross", 0.9),
              Doubt(4, 4, 4, MIDDLE, "damaged", 0.2)]  # fmt: skip
    moments = moments_of(doubts)
    assert [m.frame for m in moments] == [9, 2, 4]
    assert moments[0].caption == "risk 0.90, frames 7-12: two cross"
    assert moments[1].caption == "risk 0.20: seen once"
    sheet = draw_tiles(moments, plain_frames(), leave, quiet)
    assert [int(tile_of(sheet, n, 3)[5, 5, 0]) for n in range(3)] == [level(n) for n in (9, 2, 4)]


def test_each_track_is_shown_where_most_of_it_is_in_the_picture() -> None:
    leaving = Track(
        2, "head", 4, tuple(Box(x, 10, x + 50, 60) for x in (WIDTH - 20, WIDTH - 40, WIDTH - 70, WIDTH - 30))
    )
    shown = Track(1, "head", 9, (MIDDLE,), "show", "person", "A. Editor", "a politician")
    first, second = moments_of_tracks([shown, leaving], WIDTH, HEIGHT)
    assert (first.frame, first.box, first.caption) == (6, leaving.boxes[2], "track 2: head, frames 4-7")
    assert (second.frame, second.caption) == (9, "track 1: head, left visible by A. Editor")


@pytest.mark.usefixtures("fake")
def test_the_sheet_of_tracks_lies_beside_the_plan(
    redact: Callable[..., Result], clip: MadeClip, tmp_path: Path
) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path).code == 0
    plan = tmp_path / "private" / f"{clip.path.stem}.plan.json"
    sheet = plan.with_name(f"{clip.path.stem}.tracks.png")
    assert redact("sheet", plan, "--tracks").out == f"{sheet}\n"
    assert tile_of(cv2.imread(str(sheet)), 0, 1).shape == (TILE, TILE, 3)


def test_frame_and_time_of_the_clip_stand_under_the_tile(texts: list[tuple[str, int]]) -> None:
    frames = [Frame(37, Fraction(3661) + Fraction(12, 25), np.zeros((HEIGHT, WIDTH, 3), np.uint8), False)]
    draw_tiles([Moment(37, MIDDLE, "risk 0.60: seen once")], frames, leave, quiet)
    assert [text for text, _ in texts] == ["frame 37 at 1:01:01.480", "risk 0.60: seen once"]


@pytest.mark.parametrize("word", ["seen ", "W", "größer\n"])
def test_a_long_caption_is_plain_text_that_fits_its_tile_and_shows_that_it_goes_on(
    word: str, texts: list[tuple[str, int]]
) -> None:
    draw_tiles([Moment(0, MIDDLE, word * 90)], plain_frames(), leave, quiet)
    assert texts[-1][0].endswith("...")
    assert all(text.isascii() and width < TILE for text, width in texts)


@pytest.mark.parametrize(("count", "left_out"), [(MOST_TILES, 0), (MOST_TILES + 3, 3)])
def test_what_does_not_fit_on_the_sheet_is_counted(count: int, left_out: int, texts: list[tuple[str, int]]) -> None:
    moments = [Moment(n % FRAMES, MIDDLE, "") for n in range(count)]
    sheet = draw_tiles(moments, plain_frames(), leave, quiet)
    rows = MOST_TILES // COLUMNS
    assert (sheet.shape[0] > rows * (TILE + STRIP + GAP) + GAP) == bool(left_out)
    assert ([f"and {left_out} more that are not shown here"] if left_out else []) == [
        text for text, _ in texts if "more" in text
    ]
    assert (tile_of(sheet, MOST_TILES - 1)[5, 5] == level((MOST_TILES - 1) % FRAMES)).all()


def test_without_moments_the_sheet_says_so_and_nothing_is_read(texts: list[tuple[str, int]]) -> None:
    sheet = draw_tiles([], iter(()), leave, quiet)
    assert [text for text, _ in texts] == ["There is nothing to show."]
    assert sheet.ndim == 3
    assert sheet.shape[0] < TILE


def test_each_frame_is_read_and_covered_once_and_none_after_the_last_needed_one() -> None:
    covered: list[int] = []
    steps: list[tuple[int, int | None]] = []

    def frames() -> Iterator[Frame]:
        yield from plain_frames(5, 10)
        raise AssertionError("read beyond the last frame that is needed")

    def cover(picture: np.ndarray, frame: int) -> np.ndarray:
        covered.append(frame)
        return picture

    moments = [Moment(14, MIDDLE, ""), Moment(7, MIDDLE, ""), Moment(14, Box(0, 0, 9, 9), ""), Moment(7, MIDDLE, "")]
    sheet = draw_tiles(moments, frames(), cover, lambda done, total: steps.append((done, total)))
    assert covered == [7, 14]
    assert steps == [(n, 10) for n in range(1, 11)]
    assert (tile_of(sheet, 1, 4) == tile_of(sheet, 3, 4)).all()
    assert not (tile_of(sheet, 0, 4) == tile_of(sheet, 2, 4)).all()


def test_no_picture_is_kept_longer_than_its_tile_takes() -> None:
    pictures: list[weakref.ref[np.ndarray]] = []

    def frames() -> Iterator[Frame]:
        for n in range(FRAMES):
            assert all(picture() is None for picture in pictures[:-1])
            picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            pictures.append(weakref.ref(picture))
            yield Frame(n, Fraction(n), picture, False)

    draw_tiles([Moment(n, Box(0, 0, WIDTH, HEIGHT), "") for n in range(FRAMES)], frames(), leave, quiet)
    assert len(pictures) == FRAMES


@pytest.mark.parametrize("frame", [3, 15])
def test_a_moment_outside_the_excerpt_is_an_error(frame: int) -> None:
    with pytest.raises(ValueError, match=f"frame {frame} "):
        draw_tiles([Moment(8, MIDDLE, ""), Moment(frame, MIDDLE, "")], plain_frames(5, 10), leave, quiet)


def test_the_sheet_of_a_copy_shows_the_same_places_under_the_frames_and_times_of_the_clip(
    made_clip: MadeClip, tmp_path: Path, texts: list[tuple[str, int]]
) -> None:
    first = 5
    plan = plan_of(made_clip, first)
    copy = tmp_path / "copy.mp4"
    render(plan, made_clip.path, copy, quiet)
    moments = [face_of(made_clip, n) for n in (20, first, 12)]
    expected = draw_sheet(moments, plan, made_clip.path, True, quiet)
    said = texts.copy()
    texts.clear()
    shown = draw_copy_sheet(moments, plan, copy, quiet)
    assert texts == said
    assert texts[0][0] == "frame 5 at 0:00.200"
    apart = [[np.abs(tile_of(expected, a, 3).astype(int) - tile_of(shown, b, 3)).mean() for b in range(3)]
             for a in range(3)]  # fmt: skip
    assert max(np.diag(apart)) < 3
    assert min(apart[0][1], apart[1][2], apart[2][0]) > 3 * max(np.diag(apart))


def test_a_sheet_is_not_made_of_another_clip(made_clip: MadeClip, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(made_clip.path.read_bytes() + b"\0\0\0\x08free")
    with pytest.raises(PlanError):
        draw_sheet([face_of(made_clip, 3)], plan_of(made_clip), other, True, quiet)


def test_a_png_holds_the_sheet_without_loss() -> None:
    sheet = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    data = encode_png(sheet)
    assert data.startswith(b"\x89PNG")
    assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) == sheet).all()
