"""How the camera moves is measured, a new scene is told from a fast camera, and no picture is too strange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.scenes import Clock, Scene
from redact.sightings import Timeline

WIDTH, HEIGHT = 480, 360
Camera = Callable[[int], tuple[float, float, float, float]]  # from a frame to x, y, degrees and zoom


def ground(seed: int = 3, width: int = 1400, height: int = 1300, patch: int = 24) -> np.ndarray:
    """Return a wide ground of colour patches with hard contrast."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // patch, width // patch, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def filmed(scene: np.ndarray, camera: Camera, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what a camera over the ground sees, and the map (3, 3) from the ground to it."""
    for n in range(frames):
        x, y, turn, zoom = camera(n)
        seen = np.vstack([cv2.getRotationMatrix2D((x, y), turn, zoom), (0, 0, 1)])
        seen[:2, 2] += WIDTH / 2 - x, HEIGHT / 2 - y
        yield cv2.warpAffine(scene, seen[:2], (WIDTH, HEIGHT)), seen


def apart(one: np.ndarray, two: np.ndarray) -> float:
    """Return how far two maps (2, 3) bring a point of the picture apart at most."""
    points = np.array([(x, y, 1) for x in (0, WIDTH) for y in (0, HEIGHT)], np.float64)
    return float(np.linalg.norm(points @ (one - two).T, axis=1).max())


@pytest.mark.parametrize(
    "camera",
    [
        lambda n: (500 + 9 * n, 500 + 4 * n, 0, 1),
        lambda n: (600 - 25 * n, 500, 0, 1),
        lambda n: (600, 600, 2 * n, 1),
        lambda n: (600, 600, -6 * n, 1),
        lambda n: (600, 600, 0, 1.03**n),
        lambda n: (600, 600, 0, 0.98**n),
        lambda n: (600 + 4 * n, 600 - 3 * n, 1.5 * n, 1.02**n),
    ],
    ids=["pan", "fast pan", "turn", "fast turn back", "zoom in", "zoom out", "all together"],
)
def test_the_motion_of_the_camera_is_measured(camera: Camera) -> None:
    scene, before = Scene(), None
    for picture, seen in filmed(ground(), camera, 8):
        moved, cut = scene.show(picture)
        assert not cut
        if before is not None:
            assert apart(moved, (seen @ np.linalg.inv(before))[:2]) < 2
        before = seen


def test_the_motion_is_in_pixels_of_the_picture_also_where_it_is_large() -> None:
    wide = cv2.resize(ground(), None, fx=4, fy=4)
    scene = Scene()
    for n in range(4):
        moved, _ = scene.show(wide[600 : 600 + 1080, 500 + 30 * n : 500 + 30 * n + 1920])
    assert np.abs(moved - np.array([(1, 0, -30), (0, 1, 0)])).max() < 1


def test_a_still_camera_does_not_move() -> None:
    scene, still = Scene(), ground()[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(1)
    for n in range(5):
        picture = np.clip(still + noise.normal(0, 4, still.shape), 0, 255).astype(np.uint8)
        moved, cut = scene.show(picture)
        assert not cut
        assert apart(moved, np.eye(2, 3)) < (0.5 if n else 1e-9)


def test_what_moves_before_a_still_camera_is_not_taken_for_the_cameras_motion() -> None:
    scene, still, walker = Scene(), ground()[:HEIGHT, :WIDTH], ground(9)[:HEIGHT, :140]
    for n in range(8):
        picture = still.copy()
        picture[:, 40 + 12 * n : 180 + 12 * n] = walker
        moved, cut = scene.show(picture)
        assert not cut
        assert apart(moved, np.eye(2, 3)) < 1


@pytest.mark.parametrize("before", [lambda n: (500, 500, 0, 1), lambda n: (500 + 3 * n, 500, 0, 1)])
def test_a_new_scene_is_a_cut_and_only_its_first_frame(before: Camera) -> None:
    scene = Scene()
    pictures = [p for seed in (3, 4, 5) for p, _ in filmed(ground(seed), before, 10)]
    assert [n for n, picture in enumerate(pictures) if scene.show(picture)[1]] == [10, 20]


def test_the_camera_does_not_move_over_a_cut() -> None:
    scene = Scene()
    scene.show(ground(3)[:HEIGHT, :WIDTH])
    moved, cut = scene.show(ground(4)[:HEIGHT, :WIDTH])
    assert cut
    assert (moved == np.eye(2, 3)).all()


@pytest.mark.parametrize(
    "camera",
    [lambda n: (300 + 70 * n, 500, 0, 1), lambda n: (650, 650, 25 * n, 1)],
    ids=["pan", "spin"],
)
def test_a_camera_too_fast_to_measure_is_not_a_cut_on_every_frame(camera: Camera) -> None:
    scene = Scene()
    cuts = [scene.show(picture)[1] for picture, _ in filmed(ground(), camera, 12)]
    assert sum(cuts) <= 3


@pytest.mark.parametrize("step", [0, 3, 9, 70])
def test_where_only_cuts_are_wanted_they_are_the_same_and_the_camera_is_not_measured(step: int) -> None:
    whole, only = Scene(), Scene(cuts_only=True)
    pictures = [p for seed in (3, 4) for p, _ in filmed(ground(seed), lambda n: (300 + step * n, 500, 0, 1), 10)]
    seen = [(whole.show(picture), only.show(picture)) for picture in pictures]
    assert any(cut for (_, cut), _ in seen) == (step < 9)
    assert [cut for (_, cut), _ in seen] == [cut for _, (_, cut) in seen]
    assert step == 70 or all((moved == np.eye(2, 3)).all() for _, (moved, _) in seen)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_do_not_move_and_are_no_cuts(level: int) -> None:
    scene = Scene()
    for _ in range(4):
        moved, cut = scene.show(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
        assert not cut
        assert (moved == np.eye(2, 3)).all()


def test_a_scene_that_begins_after_black_is_a_cut() -> None:
    scene = Scene()
    cuts = [scene.show(np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1] for _ in range(5)]
    assert cuts == [False] * 5
    assert scene.show(ground()[:HEIGHT, :WIDTH])[1]


@pytest.mark.parametrize(
    "size",
    [
        (1, 1), (2, 3), (16, 16), (23, 400), (40, 1500), (1500, 40), (33, 31),
        (1, 1500), (1500, 2),
    ],
)  # fmt: skip
def test_pictures_of_any_size_can_be_shown(size: tuple[int, int]) -> None:
    scene, random = Scene(), np.random.default_rng(1)
    for _ in range(3):
        moved, _ = scene.show(random.integers(0, 256, (*size, 3), dtype=np.uint8))
        assert np.isfinite(moved).all()
        assert moved.shape == (2, 3)


def test_the_picture_is_not_changed() -> None:
    scene, picture = Scene(), ground()[:200, :300].copy()
    picture.flags.writeable = False
    before = picture.copy()
    scene.show(picture)
    scene.show(picture)
    assert (picture == before).all()


def map_of(turn: float, zoom: float, x: float, y: float) -> tuple[float, ...]:
    sine, cosine = zoom * np.sin(turn), zoom * np.cos(turn)
    return cosine, -sine, x, sine, cosine, y


maps = st.builds(map_of, st.floats(-0.5, 0.5), st.floats(0.8, 1.25), st.floats(-90, 90), st.floats(-90, 90))


@given(
    st.lists(maps, min_size=2, max_size=12), st.floats(-500, 2000), st.floats(-500, 2000), st.integers(0, 50), st.data()
)
def test_forward_with_the_camera_and_back_again_is_where_it_was(
    camera: list[tuple[float, ...]], x: float, y: float, first: int, data: st.DataObject
) -> None:
    line = Timeline(first, tuple(Fraction(n, 25) for n in range(len(camera))), (), tuple(camera))
    a, b = (data.draw(st.integers(first, first + len(camera) - 1)) for _ in range(2))
    assert line.moved(*line.moved(x, y, a, b), b, a) == pytest.approx((x, y), abs=1e-5)
    middle = data.draw(st.integers(min(a, b), max(a, b)))
    assert line.moved(*line.moved(x, y, a, middle), middle, b) == pytest.approx(line.moved(x, y, a, b), abs=1e-5)


def test_a_point_moves_with_the_camera() -> None:
    line = Timeline(10, tuple(Fraction(n, 25) for n in range(5)), (), ((1.0, 0, 7, 0, 1, -2),) * 5)
    assert line.moved(100, 50, 10, 13) == (121, 44)
    assert line.moved(121, 44, 13, 10) == (100, 50)
    still = Timeline(10, line.times, ())
    assert still.moved(100, 50, 10, 13) == (100, 50)


def test_what_scene_measures_is_what_the_timeline_moves_by() -> None:
    scene = Scene()
    films = list(filmed(ground(), lambda n: (500 + 8 * n, 500 + 3 * n, n, 1.01**n), 6))
    camera = tuple(tuple(float(v) for v in scene.show(picture)[0].flat) for picture, _ in films)
    line = Timeline(0, tuple(Fraction(n, 25) for n in range(6)), (), camera)
    truth = films[5][1] @ np.linalg.inv(films[0][1]) @ (200, 150, 1)
    assert np.abs(np.array(line.moved(200, 150, 0, 5)) - truth[:2]).max() < 2


def timeline_of(pictures: Iterable[np.ndarray]) -> Timeline:
    clock = Clock()
    for n, picture in enumerate(pictures):
        clock.show(picture, n + 7, Fraction(n, 25))
    return clock.timeline


def panned(n: int) -> np.ndarray:
    return ground()[300 : 300 + HEIGHT, 200 + 3 * n : 200 + 3 * n + WIDTH]


@pytest.mark.parametrize("length", [1, 2, 12])
@pytest.mark.parametrize("what", ["black", "white", "noise", "another scene"])
def test_a_scene_that_comes_back_at_once_has_gone_on(what: str, length: int) -> None:
    noise, elsewhere = np.random.default_rng(2), ground(9)
    shown = {
        "black": lambda n: np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        "white": lambda n: np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        "noise": lambda n: noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        "another scene": lambda n: elsewhere[n : n + HEIGHT, 5 * n : 5 * n + WIDTH],
    }[what]
    line = timeline_of(shown(n) if 20 <= n < 20 + length else panned(n) for n in range(50))
    assert line.cuts == ()
    x, y = line.moved(300, 200, 7 + 10, 7 + 48)
    assert abs(x - (300 - 3 * 38)) < 3
    assert abs(y - 200) < 3


@pytest.mark.parametrize(("length", "cuts"), [(40, 2), (None, 1)])
def test_a_scene_that_does_not_come_back_within_a_second_has_ended(length: int | None, cuts: int) -> None:
    elsewhere = ground(9)
    end = 90 if length is None else 20 + length
    line = timeline_of(elsewhere[:HEIGHT, 5 * n : 5 * n + WIDTH] if 20 <= n < end else panned(n) for n in range(90))
    assert line.cuts == (27, 67)[:cuts]
