"""What a person draws, or keeps for a camera, is covered; what would cover nothing is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact.geometry import Box
from tests.clips import Picture, textured_background, write_clip
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip, Result
from tests.covering import CORNER, Redact, assert_covered, pictures, plan_of, refused
from tests.fakes import FakeDetector, Paced

pytestmark = pytest.mark.usefixtures("nothing_is_left_over_and_the_source_is_unchanged")


def assert_corner_covered(clip: Path, copy: Path, frames: Sequence[int]) -> None:
    """Assert that the corner is black in just these frames."""
    inner = np.s_[222:234, 10:66]
    for n, (before, after) in enumerate(zip(pictures(clip), pictures(copy), strict=True)):
        if n in frames:
            assert before[inner].mean() > 40
            assert after[inner].max() < 16, n
        else:
            assert np.abs(before[inner].astype(int) - after[inner]).mean() < 6, n


@pytest.mark.parametrize(
    ("region", "frames"),
    [(CORNER, range(FRAMES)), (f"{CORNER}@0.2-0.4", range(5, 11)), (f"{CORNER}@-0.1", range(3)),
     (f"{CORNER}@0:00.8-", range(20, FRAMES))],
)  # fmt: skip
def test_a_region_is_covered_for_its_time(
    region: str, frames: range, redact: Redact, clip: MadeClip, tmp_path: Path, fake: FakeDetector
) -> None:
    assert redact("run", clip.path, "-o", tmp_path, "--region", region, "--effect", "solid").code == 0
    assert_corner_covered(clip.path, tmp_path / "release" / "excerpt-0001.mp4", frames)
    _, track = plan_of(tmp_path, clip.path).tracks
    assert (track.label, track.origin, track.reason, track.action) == ("region", "person", region, "cover")
    assert range(track.first, track.last + 1) == frames
    assert set(track.boxes) == {Box(8, 220, 68, 236)}


def test_a_region_alone_is_no_success_where_faces_are_to_be_covered(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(FakeDetector([]))
    refused(redact("run", clip.path, "-o", tmp_path, "--region", CORNER), 8, tmp_path)
    assert redact("run", clip.path, "-o", tmp_path, "--region", CORNER, "--allow-empty").code == 0


def wandering_square() -> tuple[list[Picture], dict[int, Box]]:
    """Return pictures of a textured square on a winding way, and where it is."""
    square = np.random.default_rng(3).integers(0, 255, (6, 6, 3), np.uint8)
    square = np.asarray(cv2.resize(square, (40, 40), interpolation=cv2.INTER_CUBIC), np.uint8)
    shown, places = [], {}
    for n in range(25):
        picture = textured_background(WIDTH, HEIGHT)
        x, y = 60 + 6 * n, round(90 + 40 * np.sin(n / 4))
        picture[y : y + 40, x : x + 40] = square
        shown.append(picture)
        places[n] = Box(x, y, x + 40, y + 40)
    return shown, places


def test_regions_of_a_file_stand_or_follow_the_picture(
    redact: Redact, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(Paced("text", []))
    shown, places = wandering_square()
    path, file = write_clip(tmp_path / "yard.mp4", shown), tmp_path / "regions.toml"
    x, y = places[0].x0, places[0].y0
    file.write_text(
        f"[[region]]\nname = 'badge'\nkeys = [{{at = 0, box = [{x}, {y}, 40, 40]}}]\nfollow = true\n"
        "[[region]]\nname = 'clock'\nbox = [8, 220, 60, 16]\nfrom = 0.2\nto = '0:00.4'\n"
    )
    arguments = ["--cover", "text", "--regions", file, "--effect", "solid"]
    assert redact("run", path, "-o", tmp_path, *arguments).code == 0
    tracks = {track.reason: track for track in plan_of(tmp_path, path).tracks}
    assert {(t.label, t.origin) for t in tracks.values()} == {("region", "person")}
    assert_covered([tracks["badge"]], places, 0.9)
    assert all(box.area < 2 * 40 * 40 for box in tracks["badge"].boxes)
    assert range(tracks["clock"].first, tracks["clock"].last + 1) == range(5, 11)
    copy = pictures(tmp_path / "release" / "excerpt-0001.mp4")
    for n, box in places.items():
        assert copy[n][box.y0 + 6 : box.y1 - 6, box.x0 + 6 : box.x1 - 6].max() < 16, n
    assert_corner_covered(path, tmp_path / "release" / "excerpt-0001.mp4", range(5, 11))


def test_regions_that_are_followed_may_meet(redact: Redact, tmp_path: Path, see: Callable[..., None]) -> None:
    see(Paced("text", []))
    shown, places = wandering_square()
    path, file = write_clip(tmp_path / "yard.mp4", shown), tmp_path / "regions.toml"
    drawn = [("badge", 0), ("badge again", 10)]
    file.write_text(
        "".join(
            f"[[region]]\nname = '{name}'\nfollow = true\n"
            f"keys = [{{at = {n / 25}, box = [{places[n].x0}, {places[n].y0}, 40, 40]}}]\n"
            for name, n in drawn
        )
    )
    assert redact("run", path, "-o", tmp_path, "--cover", "text", "--regions", file).code == 0
    tracks = plan_of(tmp_path, path).tracks
    assert [track.reason for track in tracks] == ["badge", "badge again"]
    for track in tracks:
        assert_covered([track], places, 0.9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--region", "1,2,3"], "is not a region"),
        (["--region", "1,2,0,4"], "is not a region"),
        (["--region", f"{CORNER}@2-1"], "ends before it begins"),
        (["--region", "400,10,20,20"], "outside the picture, which is 320x240"),
        (["--region", CORNER, "--region", "-30,10,20,20"], "outside the picture"),
        (["--region", f"{CORNER}@9-10"], "begins after the last frame"),
        (["--region", f"{CORNER}@-0.1", "--from", "0.5"], "ends before the first frame"),
        (["--regions", "missing.toml"], "cannot be read"),
        (["--regions", "wrong.toml"], "unknown key 'bax'"),
        (["--regions", "regions.txt"], "neither a .toml nor a .json"),
        (["--regions", "outside.toml"], "outside the picture"),
        (["--camera", "yard"], "no camera profile called 'yard'"),
    ],
)
def test_a_region_that_would_cover_nothing_is_refused(
    options: list[str],
    says: str,
    redact: Redact,
    clip: MadeClip,
    tmp_path: Path,
    fake: FakeDetector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text("[[region]]\nname = 'a'\nbox = [1, 2, 3, 4]\nbax = 1\n")
    Path("outside.toml").write_text("[[region]]\nname = 'a'\nbox = [320, 2, 30, 40]\nfollow = true\n")
    result = redact("run", clip.path, "-o", tmp_path / "out", *options)
    refused(result, 2, tmp_path)
    assert says in result.err
    assert not list(tmp_path.rglob("*.plan.json"))


@pytest.mark.parametrize("follow", ["true", "false"])
def test_a_region_outside_the_picture_is_refused_where_detections_are_used_again(
    follow: str, redact: Redact, clip: MadeClip, tmp_path: Path, fake: FakeDetector
) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path).code == 0
    kept = plan_of(tmp_path, clip.path)
    file = tmp_path / "outside.toml"
    file.write_text(f"[[region]]\nname = 'a'\nbox = [320, 2, 30, 40]\nfollow = {follow}\n")
    refused(redact("run", clip.path, "-o", tmp_path, "--regions", file, "--overwrite"), 2, tmp_path)
    assert plan_of(tmp_path, clip.path) == kept


# Cameras


def test_what_is_kept_for_a_camera_is_covered_in_its_clips(
    redact: Redact, clip: MadeClip, tmp_path: Path, fake: FakeDetector
) -> None:
    added = redact("camera", "add", "yard", "--clip", clip.path, "--region", CORNER, "--region", "300,0,20,8")
    assert (added.code, "320x240" in added.out) == (0, True)
    arguments = ["--camera", "yard", "--effect", "solid"]
    assert redact("analyse", clip.path, "-o", tmp_path, "--camera", "yard").code == 0
    assert redact("run", clip.path, "-o", tmp_path, *arguments).code == 0
    assert_corner_covered(clip.path, tmp_path / "release" / "excerpt-0001.mp4", range(FRAMES))
    _, corner, other = plan_of(tmp_path, clip.path).tracks
    assert {(t.label, t.origin, t.first, len(t.boxes)) for t in (corner, other)} == {("region", "person", 0, FRAMES)}
    assert (set(corner.boxes), set(other.boxes)) == ({Box(8, 220, 68, 236)}, {Box(300, 0, 320, 8)})
    small = write_clip(tmp_path / "small.mp4", [textured_background(160, 240)] * 3)
    result = redact("run", small, "-o", tmp_path / "other", "--camera", "yard")
    refused(result, 2, tmp_path / "other")
    assert "320x240" in result.err
    assert "160x240" in result.err


def test_cameras_are_listed_replaced_and_removed(redact: Redact, clip: MadeClip) -> None:
    assert redact("camera", "list") == Result(0, "", "")
    add = ["camera", "add", "yard", "--clip", clip.path, "--region"]
    assert redact(*add, CORNER).code == 0
    shown = redact("camera", "list").out
    assert all(word in shown for word in ("yard", "320x240", CORNER))
    assert redact(*add, "1,2,3,4").code == 6
    assert redact("camera", "list").out == shown
    assert redact(*add, "1,2,3,4", "--overwrite").code == 0
    assert "1,2,3,4" in redact("camera", "list").out
    assert redact("camera", "remove", "yard").code == 0
    assert redact("camera", "list") == Result(0, "", "")
    assert redact("camera", "remove", "yard").code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["yard"], 2),
        (["yard", "--region", "400,10,20,20"], 2),
        (["yard", "--region", f"{CORNER}@1-2"], 2),
        (["../yard", "--region", CORNER], 2),
        (["yard", "--regions", "missing.toml"], 2),
        (["yard", "--region", CORNER, "--clip", "missing.mp4"], 3),
    ],
)
def test_a_camera_that_is_not_fit_is_not_kept(
    arguments: list[str], code: int, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    refused(redact("camera", "add", "--clip", clip.path, *arguments), code, tmp_path)
    assert redact("camera", "list").out == ""
