"""A photograph is a clip of one frame, and gets a picture back that holds nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from redact import rendering
from redact.effects import Coverer
from redact.errors import InputError
from redact.media import FrameReader, holds_only_its_picture, is_still
from redact.media.stills import encode_still, read_still
from redact.pipeline import read_plan
from tests.clips import FACE, portrait, textured_background
from tests.conftest import Result
from tests.fakes import FakeDetector

Redact = Callable[..., Result]

WIDTH, HEIGHT, LEFT, TOP = 320, 240, 60, 40
PLACE = (LEFT + FACE[0] // 2, TOP + FACE[1] // 2, FACE[2] // 2, FACE[3] // 2)
SECRET = "Ana Horvat, cell 7"


def photo() -> NDArray[np.uint8]:
    """Return a picture, BGR, of somebody before a background."""
    picture, face = textured_background(WIDTH, HEIGHT), portrait(0.5)
    picture[TOP : TOP + face.shape[0], LEFT : LEFT + face.shape[1]] = face
    return picture


def write_photo(path: Path, picture: NDArray[np.uint8], orientation: int = 1, **options: Any) -> Path:
    """Write a picture (BGR, or BGRA) with everything that a camera puts beside it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, SECRET
    order = [2, 1, 0, 3][: picture.shape[2]]
    image = Image.fromarray(np.ascontiguousarray(picture[..., order]))
    kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".heic": "HEIF"}[path.suffix]
    image.save(path, kind, exif=exif.tobytes(), icc_profile=b"icc of this camera", quality=95, **options)
    return path


def lying(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return how a camera stores a picture that its EXIF orientation brings upright."""
    stored = picture[:, ::-1] if orientation in (2, 4, 5, 7) else picture
    return np.rot90(stored, {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation])


@pytest.fixture
def see_it(see: Callable[[Any], None]) -> None:
    see(FakeDetector([PLACE]))


@pytest.mark.usefixtures("see_it")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".heic"])
def test_a_photograph_gets_a_covered_picture_back_without_anything_beside_it(
    suffix: str, redact: Redact, tmp_path: Path
) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    source = photo()
    clip = write_photo(tmp_path / f"IMG_7{suffix}", source)
    assert SECRET.encode() in clip.read_bytes()
    out = tmp_path / "out"
    result = redact("run", clip, "-o", out)
    assert (result.code, result.err) == (0, "")
    assert sorted(p.name for p in (out / "release").iterdir()) == ["excerpt-0001.png", "excerpt-0001.statement.json"]
    data = (out / "release" / "excerpt-0001.png").read_bytes()
    kinds = [data[at + 4 : at + 8] for at in _chunks(data)]
    assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == (b"IHDR", {b"IDAT"}, b"IEND")
    copy = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert copy.shape == source.shape
    assert np.abs(copy[-30:].astype(int) - source[-30:]).mean() < 4
    x, y, w, h = PLACE
    face = np.s_[y : y + h, x : x + w]
    assert (
        np.abs(np.diff(copy[face].astype(int), axis=0)).mean()
        < 0.3 * np.abs(np.diff(source[face].astype(int), axis=0)).mean()
    )
    statement = json.loads((out / "release" / "excerpt-0001.statement.json").read_text())
    assert statement["statement"] == "Parts of this picture were covered before publication."


def _chunks(data: bytes) -> list[int]:
    """Return where the chunks of a PNG begin; the last one ends where the file does."""
    at, found = 8, []
    while at < len(data):
        found.append(at)
        at += 12 + int.from_bytes(data[at : at + 4])
    assert at == len(data)
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_photograph_is_shown_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    source = photo()
    clip = write_photo(tmp_path / f"a{suffix}", np.ascontiguousarray(lying(source, orientation)), orientation)
    with FrameReader(clip) as reader:
        (frame,) = reader
    assert frame.picture.shape == source.shape
    assert np.abs(frame.picture.astype(int) - source).mean() < 5


def test_what_is_transparent_is_not_shown(tmp_path: Path) -> None:
    picture = np.dstack([photo(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[:120, :, 3] = 0
    shown = read_still(write_photo(tmp_path / "a.png", picture))
    assert shown[:120].max() == 0
    assert (shown[120:] == picture[120:, :, :3]).all()


@pytest.mark.usefixtures("see_it")
def test_what_is_covered_in_a_photograph_is_gone(redact: Redact, tmp_path: Path) -> None:
    first = write_photo(tmp_path / "first.png", photo())
    assert redact("analyse", first, "-o", tmp_path / "a").code == 0
    plan = read_plan(tmp_path / "a" / "private" / "first.plan.json")
    with FrameReader(first) as reader:
        (frame,) = reader
    _, mask = Coverer(plan).cover(frame.picture, 0)
    blocks = np.random.default_rng(3).integers(0, 256, (HEIGHT // 2, WIDTH // 2, 3), dtype=np.uint8)
    noise = blocks.repeat(2, axis=0).repeat(2, axis=1)
    second = write_photo(tmp_path / "second.png", np.where(mask[..., None] > 0, noise, photo()))
    assert redact("analyse", second, "-o", tmp_path / "b").code == 0
    twin = read_plan(tmp_path / "b" / "private" / "second.plan.json")
    for name, of, clip in (("one", plan, first), ("two", twin, second), ("again", plan, first)):
        rendering.render(of, clip, tmp_path / f"{name}.png", lambda done, total: None)
    one, two, again = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "two", "again"))
    assert one == two == again


@pytest.mark.usefixtures("see_it")
@pytest.mark.parametrize("change", ["the face shown", "a tag", "bytes after the end", "nothing"])
def test_verify_refuses_a_picture_that_is_not_what_the_plan_says(change: str, redact: Redact, tmp_path: Path) -> None:
    clip, copy = write_photo(tmp_path / "a.jpg", photo()), tmp_path / "copy.png"
    assert redact("run", clip, "-o", copy).code == 0
    data = copy.read_bytes()
    if change == "the face shown":
        data = encode_still(read_still(clip))
    elif change == "a tag":
        image = Image.open(BytesIO(data))
        exif = Image.Exif()
        exif[0x010E] = SECRET
        image.save(tmp_path / "tagged.png", exif=exif)
        data = (tmp_path / "tagged.png").read_bytes()
    elif change == "bytes after the end":
        data += b"thumbnail"
    copy.write_bytes(data)
    assert holds_only_its_picture(copy) == (change in ("the face shown", "nothing"))
    result = redact("verify", copy, "--plan", tmp_path / "copy.private" / "a.plan.json")
    assert result.code == (0 if change == "nothing" else 7)
    assert redact("verify", copy).code == (0 if change in ("the face shown", "nothing") else 7)
    assert redact("verify", clip).code == 7


@pytest.mark.usefixtures("see_it")
def test_a_photograph_is_not_released_under_the_name_of_a_film(redact: Redact, tmp_path: Path) -> None:
    clip = write_photo(tmp_path / "a.jpg", photo())
    result = redact("run", clip, "-o", tmp_path / "copy.mp4")
    assert (result.code, ".png" in result.err) == (6, True)
    assert not (tmp_path / "copy.mp4").exists()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_photograph_of_which_a_part_is_missing_is_refused(suffix: str, tmp_path: Path) -> None:
    clip = write_photo(tmp_path / f"a{suffix}", photo())
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    with pytest.raises(InputError), FrameReader(clip) as reader:
        list(reader)


def test_a_second_picture_in_a_photograph_is_not_shown_and_jpegs_in_a_row_are_a_film(tmp_path: Path) -> None:
    both = tmp_path / "depth.jpg"
    pictures = [Image.fromarray(photo()), Image.fromarray(textured_background(WIDTH, HEIGHT, 9))]
    pictures[0].save(both, "MPO", save_all=True, append_images=pictures[1:])
    assert is_still(both)
    with FrameReader(both) as reader:
        assert len(list(reader)) == 1
    jpegs = [cv2.imencode(".jpg", textured_background(WIDTH, HEIGHT, n))[1].tobytes() for n in range(9)]
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(b"".join(jpegs))
    assert not is_still(film)
    with FrameReader(film) as reader:
        assert len(list(reader)) == 9


def test_a_moving_webp_is_refused_and_a_moving_png_moves(tmp_path: Path) -> None:
    pictures = [Image.fromarray(textured_background(WIDTH, HEIGHT, n)) for n in range(3)]
    for suffix in ("webp", "png"):
        pictures[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pictures[1:])
    with pytest.raises(InputError, match="moving WEBP"), FrameReader(tmp_path / "a.webp") as reader:
        list(reader)
    with FrameReader(tmp_path / "a.png") as reader:
        assert len(list(reader)) == 3
