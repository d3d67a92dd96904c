"""The meter finds what can still be seen of a face, and agrees with the one that it was made after."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import leakmeter
from bench.leakmeter import measure
from tests.clips import FACE, Picture, portrait, textured_background, write_clip
from tests.labelled import FRAMES, ROOT, Box, Scene, fill, run_script, write_labels

REFERENCE = ROOT.parent / "shared" / "tools" / "leakmeter.py"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


def two_portraits() -> tuple[Picture, Box, Box]:
    """Return a picture with two faces, and where they are."""
    picture, face = textured_background(480, 240), portrait(0.6)
    tall, wide = face.shape[:2]
    x, y, w, h = (round(side * 0.6) for side in FACE)
    for left in (40, 280):
        picture[30 : 30 + tall, left : left + wide] = face
    return picture, (40 + x, 30 + y, w, h), (280 + x, 30 + y, w, h)


def test_every_face_leaks_whole_in_an_untouched_copy(scene: Scene) -> None:
    report = scene.measure([None] * FRAMES)
    assert (report.faces, report.leaked, report.leak_rate) == (FRAMES, FRAMES, 1.0)
    assert [leak.r for leak in report.leaks] == pytest.approx([1.0] * FRAMES, abs=0.03)
    assert (report.tracks, report.tracks_leaked, report.longest_leak) == (1, 1, FRAMES)
    assert (report.frames_original, report.frames_redacted, report.spared) == (FRAMES, FRAMES, 1.0)


def test_no_face_leaks_where_all_are_filled_and_the_rest_is_spared(scene: Scene) -> None:
    report = scene.measure(scene.faces)
    assert (report.faces, report.leaked, report.tracks_leaked, report.longest_leak) == (FRAMES, 0, 0, 0)
    assert report.leaks == ()
    assert report.spared is not None
    assert report.spared > 0.999


def test_the_halves_of_a_face_hold_about_half_of_it_each(scene: Scene) -> None:
    left = scene.measure([(x, y, w // 2, h) for x, y, w, h in scene.faces])
    right = scene.measure([(x + w // 2, y, w - w // 2, h) for x, y, w, h in scene.faces])
    assert left.leaked == right.leaked == FRAMES
    for a, b in zip(left.leaks, right.leaks, strict=True):
        assert a.r + b.r == pytest.approx(1.0, abs=0.12)
        assert 0.35 < a.r < 0.65


def test_a_leak_is_told_with_its_label_and_its_frame(scene: Scene) -> None:
    report = scene.measure([None if n == 7 else face for n, face in enumerate(scene.faces)])
    (leak,) = report.leaks
    assert (leak.frame, leak.shown, leak.id, leak.x, leak.y, leak.w, leak.h) == (7, 7, "a", *scene.faces[7])


def test_a_copy_of_another_size_is_measured(scene: Scene, tmp_path: Path) -> None:
    small = (np.asarray(cv2.resize(p, (320, 240), interpolation=cv2.INTER_AREA), np.uint8) for p in scene.pictures)
    report = measure(scene.clip, write_clip(tmp_path / "copy.mp4", small), scene.labels)
    assert report.leaked == FRAMES


def test_a_copy_with_fewer_frames_is_paired_by_time(tmp_path: Path) -> None:
    picture, face, _ = two_portraits()
    clip = write_clip(tmp_path / "clip.mp4", [picture] * 18)
    labels = write_labels(tmp_path / "clip.faces.csv", ((n, *face, "a") for n in range(18)))
    kept = range(0, 18, 3)
    pictures = [fill(picture, face) if n >= 9 else picture for n in kept]
    report = measure(clip, write_clip(tmp_path / "copy.mp4", pictures, times=[40 * n for n in kept]), labels)
    assert (report.faces, report.frames_original, report.frames_redacted) == (18, 18, 6)
    assert [leak.frame for leak in report.leaks] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [leak.shown for leak in report.leaks] == [0, 0, 1, 1, 1, 2, 2, 2]


def test_a_copy_that_ends_early_still_answers_for_every_frame(scene: Scene, tmp_path: Path) -> None:
    copy = write_clip(tmp_path / "copy.mp4", scene.pictures[:5])
    report = measure(scene.clip, copy, scene.labels)
    assert report.faces == FRAMES
    assert [leak.shown for leak in report.leaks][:5] == [0, 1, 2, 3, 4]


def test_partners_never_go_back_in_time() -> None:
    assert leakmeter.nearest([0.0, 1.0, 2.0, 0.5], [0.1, 0.9, 2.2]) == [0, 1, 2, 2]
    assert leakmeter.nearest([], [1.0]) == []


def test_people_are_told_apart_and_the_longest_leak_is_one_persons(tmp_path: Path) -> None:
    picture, left, right = two_portraits()
    clip = write_clip(tmp_path / "clip.mp4", [picture] * 10)
    labels = write_labels(
        tmp_path / "clip.faces.csv", (row for n in range(10) for row in ((n, *left, "a"), (n, *right, "b")))
    )
    seen = {0, 1, 2, 3, 6, 7}
    pictures = [fill(picture if n in seen else fill(picture, left), right) for n in range(10)]
    report = measure(clip, write_clip(tmp_path / "copy.mp4", pictures), labels)
    assert (report.faces, report.leaked) == (20, 6)
    assert (report.tracks, report.tracks_leaked, report.longest_leak) == (2, 1, 4)
    assert {leak.id for leak in report.leaks} == {"a"}


def test_without_names_there_are_no_tracks(scene: Scene, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "x.faces.csv", [(0, *scene.faces[0], "a"), (1, *scene.faces[1], "a")], False)
    report = measure(scene.clip, scene.clip, labels)
    assert (report.faces, report.leaked) == (2, 2)
    assert (report.tracks, report.tracks_leaked, report.longest_leak) == (None, None, None)


def test_an_ignored_face_is_no_leak_and_covering_it_costs_nothing(tmp_path: Path) -> None:
    picture, left, right = two_portraits()
    clip = write_clip(tmp_path / "clip.mp4", [picture] * 3)
    copy = write_clip(tmp_path / "copy.mp4", [fill(fill(picture, left), right)] * 3)
    labels = write_labels(tmp_path / "clip.faces.csv", ((n, *left, "a") for n in range(3)))
    charged = measure(clip, copy, labels)
    ignored = ((n, *right, "b") for n in range(3))
    named = measure(clip, copy, labels, write_labels(tmp_path / "elsewhere.csv", ignored))
    (tmp_path / "elsewhere.csv").rename(tmp_path / "clip.ignore.csv")
    beside = measure(clip, copy, labels)
    assert charged.spared is not None
    assert named.spared is not None
    assert charged.spared < 0.99 < named.spared
    assert beside == named
    assert measure(clip, clip, labels).faces == 3


def test_faces_that_show_nothing_are_not_judged(tmp_path: Path) -> None:
    picture = np.full((120, 160, 3), 120, np.uint8)
    picture[60:, 80:] = textured_background(80, 60)
    clip = write_clip(tmp_path / "clip.mp4", [picture] * 2)
    flat, tiny, real = (0, 10, 10, 40, 40, "flat"), (0, 100, 80, 5, 20, "tiny"), (0, 90, 65, 40, 40, "real")
    beyond, later = (0, 158, 80, 40, 40, "beyond"), (9, 90, 65, 40, 40, "later")
    report = measure(clip, clip, write_labels(tmp_path / "clip.faces.csv", (flat, tiny, real, beyond, later)))
    assert [leak.id for leak in report.leaks] == ["real"]
    assert report.faces == report.tracks == 1


@pytest.mark.parametrize("keep_every", [1, 3])
def test_the_meter_agrees_with_the_reference(scene: Scene, tmp_path: Path, keep_every: int) -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference meter is not on this machine")
    parts = np.linspace(0, 1, FRAMES)
    pictures = [
        fill(picture, (x, y, round(w * part), h) if part else (0, 0, 60, 60))
        for picture, (x, y, w, h), part in zip(scene.pictures, scene.faces, parts, strict=True)
    ]
    kept = range(0, FRAMES, keep_every)
    copy = write_clip(tmp_path / "copy.mp4", [pictures[n] for n in kept], times=[40 * n for n in kept])
    command = [sys.executable, str(REFERENCE), str(scene.clip), str(copy), str(scene.labels)]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = asdict(measure(scene.clip, copy, scene.labels))
    assert 0 < expected["leaked"] < expected["faces"]
    assert {key: found[key] for key in expected} == expected


def test_the_meters_script_prints_the_report_and_draws_the_worst(scene: Scene, tmp_path: Path) -> None:
    covers: list[Box | None] = list(scene.faces)
    x, y, w, h = scene.faces[3]
    covers[3], covers[4] = (x, y, w // 2, h), None
    copy = scene.copy(covers)
    sheet = tmp_path / "sheets" / "worst.png"
    done = run_script("leakmeter.py", scene.clip, copy, scene.labels, "--json", "--worst", sheet)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["leaked"], [leak["frame"] for leak in report["leaks"]]) == (2, [3, 4])
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    worst, shown, other, half_shown = (drawn[:, n : n + 96].astype(int) for n in (0, 96, 192, 288))
    assert np.abs(worst - shown).mean() < 4 < np.abs(other - half_shown).mean()


def test_the_meters_script_fails_on_what_it_cannot_measure(scene: Scene, tmp_path: Path) -> None:
    done = run_script("leakmeter.py", scene.clip, scene.clip, tmp_path / "missing.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing.csv" in done.stderr
