"""Made clips do what their names say, and their truth is exact."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import make_clips
from bench.leakmeter import measure
from bench.make_clips import KINDS, Label, Photo, make_clip
from redact import custody, handover
from tests.clips import FACE, Picture, portrait, textured_background
from tests.labelled import read_grey, run_script

SMALL = 320, 180
MARKER = 140.0, 50.0, 40.0, 56.0  # x, y, width, height of the bright ellipse that stands for a face


def marker_photo() -> Photo:
    """Return a black picture with a white ellipse in the place of a face."""
    fine = np.zeros((SMALL[1] * 8, SMALL[0] * 8), np.uint8)
    x, y, w, h = (side * 8 for side in MARKER)
    cv2.ellipse(fine, ((x + w / 2 - 0.5, y + h / 2 - 0.5), (w, h), 0), 255, -1)
    grey = np.asarray(cv2.resize(fine, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
    return Photo(np.repeat(grey[..., None], 3, axis=2), [MARKER])


def bright_box(grey: Picture, gain: float) -> list[float]:
    """Return left, top, right and bottom of what is brighter than half of the marker."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    rows, columns = np.nonzero(smooth > 255 * gain / 2)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def touches_post(label: Label, share: float) -> bool:
    left, right = make_clips.post_span(share, SMALL[0])
    return label.x < right and left < label.x + label.w


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_of_a_made_clip_is_exact(kind: str, tmp_path: Path) -> None:
    frames, path = 60, tmp_path / "marker.mp4"
    labels = make_clip([marker_photo()], kind, path, frames, SMALL)
    pictures = read_grey(path)
    assert len(pictures) == frames
    judged = [label for label in labels if label.judged]
    assert len(judged) >= frames / 3
    for label in judged:
        if KINDS[kind].post and touches_post(label, label.frame / (frames - 1)):
            continue
        found = bright_box(pictures[label.frame], KINDS[kind].gain)
        assert found == pytest.approx([label.x, label.y, label.x + label.w, label.y + label.h], abs=1.2), label


def test_the_path_of_each_kind_does_what_its_name_says(tmp_path: Path) -> None:
    photo = marker_photo()

    def ends(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, middle, last = (make_clips.camera(photo, KINDS[kind], share, SMALL) for share in (0, 0.5, 1))
        return first, middle, last

    def turn(matrix: np.ndarray) -> int:
        return round(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) % 360

    assert [turn(m) for m in ends("roll_90")] == [0, 45, 90]
    assert [turn(m) for m in ends("spin")] == [0, 180, 0]
    assert [turn(m) for m in ends("upside_down")] == [180, 180, 180]
    first, _, last = ends("pan")
    assert last[0, 2] - first[0, 2] > SMALL[0] / 3
    assert make_clips.bounds(ends("small")[2], MARKER)[2] == pytest.approx(make_clips.LEAST_SIDE)
    assert [0 < m[0, 2] + SMALL[0] / 2 < SMALL[0] for m in ends("enter_leave")] == [False, True, False]


def test_an_upside_down_clip_shows_the_picture_on_its_head(tmp_path: Path) -> None:
    photo = portrait_photo((320, 180), 0.5)
    make_clip([photo], "upside_down", tmp_path / "clip.mp4", 9, SMALL)
    turned = photo.picture[::-1, ::-1].mean(axis=2)
    assert np.abs(read_grey(tmp_path / "clip.mp4")[4] - turned)[20:-20, 40:-40].mean() < 12


def test_the_face_behind_the_post_is_hidden_and_not_judged(tmp_path: Path) -> None:
    frames, path = 60, tmp_path / "marker.mp4"
    labels = make_clip([marker_photo()], "occluder", path, frames, SMALL)
    assert [label.frame for label in labels] == list(range(frames))
    pictures = read_grey(path)
    assert 3 < sum(not label.judged for label in labels) < frames / 3
    for label in labels:
        x, y, w, h = (round(side) for side in (label.x, label.y, label.w, label.h))
        seen = (pictures[label.frame][y : y + h, x : x + w] > 200).mean() / (np.pi / 4)
        assert seen > 0.55 if label.judged else seen < 0.65, label


def test_a_cut_leads_to_the_other_picture_and_to_other_names(tmp_path: Path) -> None:
    other = Photo(np.full((180, 320, 3), 200, np.uint8), [(10, 20, 30, 40), (200, 60, 30, 40)])
    labels = make_clip([marker_photo(), other], "cut", tmp_path / "clip.mp4", 10, SMALL)
    names = [{label.id for label in labels if label.frame == n} for n in range(10)]
    assert names == [{"0-0"}] * 5 + [{"1-0", "1-1"}] * 5
    means = [picture.mean() for picture in read_grey(tmp_path / "clip.mp4")]
    assert max(means[:5]) < 60 < 150 < min(means[5:])


def test_a_doubtful_or_cut_off_or_tiny_face_is_labelled_but_not_judged(tmp_path: Path) -> None:
    faces = [(100.0, 50.0, 40.0, 40.0), (200.0, 50.0, 9.0, 30.0), (-20.0, 50.0, 40.0, 40.0), (-60.0, 0.0, 30.0, 30.0)]
    photo = Photo(np.zeros((180, 320, 3), np.uint8), faces, [(150.0, 100.0, 40.0, 40.0)])
    labels = make_clip([photo], "lowlight", tmp_path / "clip.mp4", 1, SMALL)
    assert {label.id: label.judged for label in labels} == {"0-0": True, "0-1": False, "0-2": False, "0-4": False}
    written = {}
    for judged, suffix in ((True, "faces"), (False, "ignore")):
        with (tmp_path / f"clip.{suffix}.csv").open(newline="") as file:
            written |= {row["id"]: (judged, float(row["x"])) for row in csv.DictReader(file)}
    assert written == {label.id: (label.judged, pytest.approx(label.x, abs=0.01)) for label in labels}


def test_the_same_seed_gives_the_same_clip_and_another_seed_other_noise(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.mp4" for n in range(3)]
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        make_clip([marker_photo()], "grey_night", path, 6, SMALL, seed)
    one, two, three = (path.read_bytes() for path in paths)
    assert one == two != three


def test_the_clip_makers_script_makes_each_kind_of_each_picture_with_a_face(tmp_path: Path) -> None:
    photo = portrait_photo((320, 180), 0.5)
    for name in ("who.png", "nobody.png"):
        assert cv2.imwrite(str(tmp_path / name), photo.picture)
    face = ",".join(str(side) for side in photo.faces[0])
    (tmp_path / "gt.csv").write_text(f"image,class,x,y,w,h\nwho.png,face,{face}\nnobody.png,plate,{face}\n")
    done = run_script("make_clips.py", tmp_path, "-o", tmp_path / "out", "--kinds", "pan,cut", "--frames", 6)
    assert (done.returncode, done.stderr) == (0, "")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [f"who_{kind}.{end}" for kind in ("cut", "pan") for end in ("faces.csv", "ignore.csv", "mp4")]
    assert run_script("make_clips.py", tmp_path, "-o", tmp_path, "--kinds", "pan,jump").returncode == 2
    assert run_script("make_clips.py", tmp_path / "out", "-o", tmp_path).returncode == 1


def portrait_photo(size: tuple[int, int], scale: float) -> Photo:
    """Return the portrait in the middle of a textured background, and where its face is."""
    picture, face = textured_background(*size), portrait(scale)
    tall, wide = face.shape[:2]
    x, y = (size[0] - wide) // 2, (size[1] - tall) // 2
    picture[y : y + tall, x : x + wide] = face
    left, top, w, h = (side * scale for side in FACE)
    return Photo(picture, [(x + left, y + top, w, h)])


# A face of 29 pixels; shaken by more than its size it is not found, one of 58 is.
MADE = {"pan": 0.3, "roll_90": 0.3, "upside_down": 0.3, "lowlight": 0.3, "shake_blur": 0.6, "occluder": 0.3}


@pytest.fixture(scope="module")
def covered_by_the_tool(real_weights: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """By the name of each clip: it, and its copy; one process of the tool has made all of these."""
    folder, size = tmp_path_factory.mktemp("made"), (480, 270)
    (folder / "clips").mkdir()
    for kind, scale in MADE.items():
        make_clip([portrait_photo(size, scale)], kind, folder / "clips" / f"{kind}.mp4", 20, size)
    command = [sys.executable, "-m", "redact", "run", str(folder / "clips"), "-o", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    space = custody.locate_workspace(folder / "out")
    made = {Path(entry["clip"]).stem: name for name, entry in handover.released(space).items()}
    return {kind: (folder / "clips" / f"{kind}.mp4", space.release / made[kind]) for kind in MADE}


@pytest.mark.parametrize("kind", MADE)
def test_the_tool_leaves_no_face_in_a_made_clip(kind: str, covered_by_the_tool: dict[str, tuple[Path, Path]]) -> None:
    clip, copy = covered_by_the_tool[kind]
    report = measure(clip, copy, clip.with_suffix(".faces.csv"))
    assert report.faces >= 15
    assert report.leaks == ()
