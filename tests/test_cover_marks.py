"""A mark that was shown by example is covered wherever it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import marks
from redact.geometry import Box
from tests.clips import textured_background, write_clip
from tests.conftest import HEIGHT, WIDTH, MadeClip, Result
from tests.covering import CORNER, Redact, assert_covered, pictures, plan_of, refused
from tests.test_marks import emblem, lay

pytestmark = pytest.mark.usefixtures("nothing_is_left_over_and_the_source_is_unchanged")

SIDE, HIDDEN, MARK_LAST = 90, range(8, 11), 15


@pytest.fixture(scope="module")
def badge_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Box]]:
    """A clip of a badge that moves, turns, is hidden for a while and goes, and where it is."""
    shown, places = [], {}
    for n in range(20):
        picture = textured_background(WIDTH, HEIGHT, seed=7)
        if n not in HIDDEN and n <= MARK_LAST:
            places[n] = lay(picture, (70 + 8 * n, 110 + round(15 * np.sin(n / 4))), SIDE, 6 * n)
        shown.append(picture)
    return write_clip(tmp_path_factory.mktemp("marks") / "badge.mp4", shown), places


@pytest.fixture
def badge_picture(tmp_path: Path) -> Path:
    path = tmp_path / "badge.png"
    cv2.imwrite(str(path), emblem())
    return path


@pytest.mark.parametrize("way", ["picture", "clip"])
def test_a_mark_is_covered_in_every_frame_in_which_it_shows(
    way: str, redact: Redact, badge_clip: tuple[Path, dict[int, Box]], badge_picture: Path, tmp_path: Path
) -> None:
    clip, places = badge_clip
    box = places[0]
    example = ["--image", badge_picture] if way == "picture" else [
        "--clip", clip, "--at", "0", "--box", f"{box.x0},{box.y0},{box.width},{box.height}"
    ]  # fmt: skip
    assert redact("mark", "add", "badge", *example).code == 0
    options = ["--marks", "badge", "--cover", "code", "--effect", "solid", "--json"]
    if way == "clip":
        options += ["--to", "0.2"]
        places = {n: there for n, there in places.items() if n < 5}
    result = redact("run", clip, "-o", tmp_path / "out", *options)
    assert result.code == 0, result
    tracks = [t for t in plan_of(tmp_path / "out", clip).tracks if t.label == "mark"]
    assert_covered(tracks, places, 0.95)
    copy = pictures(tmp_path / "out" / "release" / "excerpt-0001.mp4")
    for n, there in places.items():
        middle = np.s_[there.y0 + 8 : there.y1 - 8, there.x0 + 8 : there.x1 - 8]
        assert copy[n][middle].max() < 16, n
    (found,) = json.loads(result.out)[0]["marks"].items()
    (track,) = tracks
    assert found[0] == "badge"
    assert len(found[1]) == 1
    assert f"seen in {len(places)} of {len(track.boxes)} frames" in found[1][0]


def test_a_mark_that_is_not_seen_is_said_to_be_so(
    redact: Redact, clip: MadeClip, badge_picture: Path, tmp_path: Path, see: Callable[..., None]
) -> None:
    assert redact("mark", "add", "badge", "--image", badge_picture).code == 0
    assert redact("mark", "add", "star", "--image", badge_picture).code == 0
    arguments = ["--marks", "star,badge,badge", "--cover", "code", "--region", CORNER, "--to", "0.1", "--json"]
    result = redact("run", clip.path, "-o", tmp_path / "out", *arguments)
    assert (result.code, json.loads(result.out)[0]["marks"]) == (0, {"badge": [], "star": []})


def test_a_mark_that_is_not_known_is_refused(
    redact: Redact, clip: MadeClip, badge_picture: Path, tmp_path: Path
) -> None:
    assert redact("mark", "add", "badge", "--image", badge_picture).code == 0
    for marked in ("star", "badge,star", "", "../badge"):
        result = redact("run", clip.path, "-o", tmp_path / "out", "--marks", marked, "--cover", "code")
        refused(result, 2, tmp_path)
        assert not (tmp_path / "out").exists()


def test_a_plan_made_with_other_examples_of_a_mark_is_not_used(
    redact: Redact, badge_clip: tuple[Path, dict[int, Box]], badge_picture: Path, tmp_path: Path
) -> None:
    clip, _ = badge_clip
    arguments = [clip, "-o", tmp_path / "out", "--marks", "badge", "--cover", "code", "--to", "0.1"]
    assert redact("mark", "add", "badge", "--image", badge_picture).code == 0
    assert redact("analyse", *arguments).code == 0
    cv2.imwrite(str(badge_picture), emblem(seed=6))
    assert redact("mark", "add", "badge", "--image", badge_picture).code == 0
    result = redact("run", *arguments)
    refused(result, 6, tmp_path)
    assert "otherwise (models)" in result.err
    assert redact("run", *arguments, "--overwrite").code == 0
    assert plan_of(tmp_path / "out", clip).models["mark:badge"]


def test_marks_are_listed_and_removed(redact: Redact, badge_picture: Path) -> None:
    assert redact("mark", "list") == Result(0, "", "")
    for name in ("star", "badge", "star"):
        assert redact("mark", "add", name, "--image", badge_picture).code == 0
    assert redact("mark", "list") == Result(0, "badge\nstar\n", "")
    removed = redact("mark", "remove", "star")
    assert (removed.code, "2 example" in removed.out) == (0, True)
    assert redact("mark", "list").out == "badge\n"
    assert redact("mark", "remove", "star").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--clip", "CLIP"],
        ["--clip", "CLIP", "--at", "0"],
        ["--at", "0", "--box", "40,40,80,80"],
        ["--clip", "CLIP", "--box", "40,40,80,80"],
        ["--image", "badge.png", "--at", "0"],
        ["--image", "badge.png", "--clip", "CLIP", "--at", "0", "--box", "40,40,80,80"],
        ["--image", "missing.png"],
        ["--image", "flat.png"],
        ["--image", "tiny.png"],
        ["--image", "text.png"],
        ["--clip", "CLIP", "--at", "0", "--box", "400,40,80,80"],
        ["--clip", "CLIP", "--at", "0", "--box", "40,40,8,8"],
        ["--clip", "CLIP", "--at", "0", "--box", "middle"],
        ["--clip", "CLIP", "--at", "99", "--box", "40,40,80,80"],
        ["--clip", "CLIP", "--at", "soon", "--box", "40,40,80,80"],
    ],
    ids=" ".join,
)
def test_an_example_that_cannot_be_one_is_not_kept(
    arguments: list[str],
    redact: Redact,
    clip: MadeClip,
    badge_picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("flat.png", np.full((100, 100, 3), 90, np.uint8))
    cv2.imwrite("tiny.png", emblem(20))
    Path("text.png").write_text("This is a letter, not a picture.\n")
    result = redact("mark", "add", "badge", *[clip.path if a == "CLIP" else a for a in arguments])
    assert result.code == 2, result
    assert "Traceback" not in result.err
    assert marks.names() == []
