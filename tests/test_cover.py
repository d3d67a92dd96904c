"""What is covered besides faces: by label, by mark, by region and by camera; and when it is looked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from redact import custody, detectors, marks
from redact.crew import Crew
from redact.detectors.looks import Look
from redact.geometry import Box, covered_share
from redact.looking import CHANGE_LEVELS, CHANGE_S, Gaze
from redact.media import FrameReader
from redact.plan import Detection, Plan, Track
from redact.records import load_plan
from tests.clips import Picture, textured_background, write_clip
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip, Result
from tests.fakes import FakeDetector
from tests.test_marks import emblem, lay

Redact = Callable[..., Result]
Sides = tuple[int, int, int, int]

PACE_S = Fraction(16, 25)  # 16 frames
CORNER = "8,220,60,16"  # x, y, width, height: no face is there
TEXT = 230, 14, 60, 16
CODE = 16, 16, 32, 32
WOMAN = 250, 150, 30, 80  # a person of whom no face is seen
NUDE = 10, 150, 40, 40


@pytest.fixture(autouse=True)
def nothing_is_left_over_and_the_source_is_unchanged(
    clip: MadeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name in ("WEIGHTS", "MARKS", "CAMERAS"):
        monkeypatch.setenv(f"REDACT_{name}", str(tmp_path / name.lower()))
    before = clip.sha256()
    yield
    assert clip.sha256() == before
    assert not list(tmp_path.rglob("*.partial.mp4"))


class Sees(FakeDetector):
    """Sees one thing of one label where it is told, as surely as it is told."""

    def __init__(self, label: str, places: Sequence[Sides | None], score: float = 0.9) -> None:
        super().__init__(places)
        self.name, self.labels, self._score = f"sees-{label}", (label,), score
        self.models: Mapping[str, str] = {self.name: "1" * 64}

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        seen = super().detect(picture, frame, looks)
        return [Detection(frame, d.box, self.labels[0], self._score, self.name) for d in seen]


class Paced(Sees):
    """Likewise, now and then. It notes when it is asked and how it is to look."""

    def __init__(
        self, label: str, places: Sequence[Sides | None], score: float = 0.9, every_s: Fraction = PACE_S
    ) -> None:
        super().__init__(label, places, score)
        self.every_s, self._lock = every_s, threading.Lock()
        self._asked: dict[int, tuple[Look, ...]] = {}

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return one look that no other detector takes."""
        return (Look(side + 1),)

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what it was told to see."""
        with self._lock:
            self._asked[frame] = tuple(looks)
        return super().detect(picture, frame, looks)

    @property
    def asked(self) -> list[int]:
        """In which frames it was asked."""
        return sorted(self._asked)


class FacesOfClipsOnly(FakeDetector):
    """Must not look at a copy: only there are pictures mirrored."""

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face."""
        assert not any(look.mirrored for look in looks)
        return super().detect(picture, frame, looks)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put detectors in the place of the real ones."""

    def put(*used: Any) -> None:
        monkeypatch.setattr(detectors, "load_detectors", lambda *_: list(used))

    return put


@pytest.fixture
def everything(clip: MadeClip, use: Callable[..., None]) -> None:
    """The detectors in use see the clip's face and its person, a woman's back, a text, a code and a body."""
    bodies = [(x - 20, y - 10, w + 40, 3 * h) for x, y, w, h in clip.faces]
    use(
        FakeDetector(clip.faces),
        Sees("person", bodies),
        Sees("person", [WOMAN] * FRAMES),
        Paced("text", [TEXT] * FRAMES),
        Paced("code", [CODE] * FRAMES),
        Paced("nudity", [NUDE] * FRAMES),
    )


def plan_of(out: Path, clip: Path) -> Plan:
    return load_plan((out / "private" / f"{clip.stem}.plan.json").read_text())


def box_of(sides: Sides) -> Box:
    x, y, w, h = sides
    return Box(x, y, x + w, y + h)


def assert_covered(tracks: Sequence[Track], where: Mapping[int, Box], share: float = 1.0) -> None:
    """Assert that some track covers a thing in each frame in which it is there."""
    for n, there in where.items():
        boxes = [t.boxes[n - t.first] for t in tracks if t.first <= n <= t.last]
        assert max((covered_share(there, box) for box in boxes), default=0) >= share, n


def pictures(path: Path) -> list[Picture]:
    with FrameReader(path) as reader:
        return [frame.picture for frame in reader]


def refused(result: Result, code: int, tmp_path: Path) -> None:
    """Assert that a command failed with a message and advice, and that nothing was released."""
    assert result.code == code, result
    message, advice = result.err.rstrip("\n").split("\n")[-2:]
    assert message.startswith("redact: ")
    assert len(advice.strip()) > 10
    assert "Traceback" not in result.err
    assert not list(tmp_path.rglob("excerpt-*"))


# Levels and labels


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("cover", "covered"),
    [
        ("faces", {"face": 1, "head": 1, "text": 1, "code": 1}),
        ("heads", {"head": 2, "text": 1, "code": 1}),
        (None, {"head": 2, "text": 1, "code": 1}),
        ("people", {"head": 1, "person": 2, "text": 1, "code": 1}),
        ("people,nudity", {"head": 1, "person": 2, "text": 1, "code": 1, "nudity": 1}),
        ("face , text", {"face": 1, "head": 1, "text": 1}),
        ("face", {"face": 1, "head": 1}),
        ("person", {"person": 2}),
        ("text,code", {"text": 1, "code": 1}),
        ("nudity", {"nudity": 1}),
    ],
)
def test_a_level_or_labels_say_what_is_covered(
    cover: str | None, covered: dict[str, int], redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    arguments = ["--cover", cover] if cover else []
    assert redact("analyse", clip.path, "-o", tmp_path, *arguments).code == 0
    plan = plan_of(tmp_path, clip.path)
    labels = [track.label for track in plan.tracks]
    assert {label: labels.count(label) for label in labels} == covered
    places = {"text": TEXT, "code": CODE, "nudity": NUDE, "head": (250, 150, 30, 28), "person": WOMAN}
    for label in set(labels) & ({"text", "code", "nudity"} | ({"person"} if "person" in labels else {"head"})):
        there = dict.fromkeys(range(FRAMES), box_of(places[label]))
        assert_covered([t for t in plan.tracks if t.label == label], there, 0.95)


@pytest.mark.usefixtures("everything")
def test_faces_alone_have_smaller_covers_than_heads(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    tracks = {}
    for level in ("faces", "heads"):
        assert redact("analyse", clip.path, "-o", tmp_path / level, "--cover", level).code == 0
        found = plan_of(tmp_path / level, clip.path).tracks
        (tracks[level],) = (t for t in found if t.label in ("face", "head") and not t.reason)
    for face, small, large in zip(clip.faces, tracks["faces"].boxes, tracks["heads"].boxes, strict=True):
        assert large.contains(small)
        assert small.contains(box_of(face))
        assert 1.2 * small.area < large.area


def test_a_weak_person_is_covered_but_implies_no_head(
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(FakeDetector(clip.faces), Sees("person", [WOMAN] * FRAMES, 0.2))
    for level, labels in (("heads", ["head"]), ("people", ["head", "person", "person"])):
        assert redact("analyse", clip.path, "-o", tmp_path / level, "--cover", level).code == 0
        assert sorted(t.label for t in plan_of(tmp_path / level, clip.path).tracks) == labels


def test_where_a_head_was_only_carried_that_of_its_person_is_covered_as_well(
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    bodies = [(x - 20, y - 10, w + 40, 4 * h) for x, y, w, h in clip.faces]
    use(FakeDetector(clip.faces[:4]), Sees("person", bodies))
    assert redact("analyse", clip.path, "-o", tmp_path).code == 0
    seen, implied = plan_of(tmp_path, clip.path).tracks
    assert {seen.label, implied.label} == {"head"}
    assert 4 < implied.first < 14
    assert implied.last == FRAMES - 1
    there = {n: Box(x, y, x + w, y + h) for n, (x, y, w, h) in enumerate(clip.faces)}
    assert_covered([seen, implied], there, 0.95)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("cover", ["", "hands", "faces,", "heads,mark", "region", "Faces", "face;text"])
def test_what_is_no_label_is_refused_with_what_there_is(
    cover: str, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    result = redact("run", clip.path, "-o", tmp_path / "out", "--cover", cover)
    refused(result, 2, tmp_path)
    assert all(word in result.err for word in ("faces", "heads", "people", "face", "text", "nudity", "plate"))
    assert not (tmp_path / "out").exists()


def test_a_label_that_nothing_finds_is_refused(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    result = redact("run", clip.path, "-o", tmp_path / "out", "--cover", "plate")
    refused(result, 2, tmp_path)
    assert "'plate'" in result.err


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(("first", "second"), [("code,head,text", " text,code , head"), ("heads", "text,heads,head")])
def test_the_order_of_labels_does_not_matter(
    first: str, second: str, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path, "--cover", first).code == 0
    assert redact("run", clip.path, "-o", tmp_path, "--cover", second, "--to", "99").code == 6
    assert redact("run", clip.path, "-o", tmp_path, "--cover", second).code == 0
    operations = [entry["operation"] for entry in custody.read_log(custody.locate_workspace(tmp_path)).entries]
    assert operations.count("analyse") == 1


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("field", "options"),
    [("cover", ["--cover", "faces"]), ("marks", ["--marks", "badge"]), ("regions", ["--region", CORNER])],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_plan_that_was_made_otherwise_is_kept_unless_told_otherwise(
    field: str, options: list[str], before: bool, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    first, second = (options, []) if before else ([], options)
    assert redact("analyse", clip.path, "-o", tmp_path, *first).code == 0
    path = tmp_path / "private" / f"{clip.path.stem}.plan.json"
    kept = path.read_bytes()
    result = redact("run", clip.path, "-o", tmp_path, *second)
    refused(result, 6, tmp_path)
    assert f"otherwise ({field})" in result.err
    assert "--overwrite" in result.err
    assert path.read_bytes() == kept
    assert redact("analyse", clip.path, "-o", tmp_path, *second, "--overwrite").code == 0
    made = plan_of(tmp_path, clip.path)
    assert getattr(made.settings, field) != getattr(load_plan(kept.decode()).settings, field)


# Detectors that look now and then


def asked_in(
    detector: Paced, levels: Sequence[float], cuts: Sequence[int] = (), fast: bool = False, rate: int = 25
) -> list[int]:
    """Return in which frames a detector is asked, where the pictures are as bright as said."""
    with Crew() as crew:
        gaze = Gaze([detector], fast, 0.33, crew)
        for n, level in enumerate(levels):
            gaze.look(np.full((36, 64, 3), round(level), np.uint8), n, Fraction(n, rate), n in cuts)
        gaze.seen()
    assert all(looks == (Look(65),) for looks in detector._asked.values())
    return detector.asked


MUCH, LITTLE = 100 + CHANGE_LEVELS + 2, 100 + CHANGE_LEVELS - 2


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("levels", "cuts", "asked"),
    [
        ([100] * 40, (), [0, 16, 32]),
        ([100] * 40, (10,), [0, 10, 26]),
        ([100] * 40, (10, 11, 39), [0, 10, 11, 27, 39]),
        ([100] * 3 + [MUCH] * 37, (), [0, 12, 28]),
        ([100] * 11 + [MUCH] * 29, (), [0, 12, 28]),
        ([100] * 3 + [LITTLE] * 37, (), [0, 16, 32]),
        ([100] * 3 + [MUCH] * 3 + [100] * 34, (), [0, 16, 32]),
        ([100 + n for n in range(40)], (), [0, 13, 26, 39]),
    ],
    ids=["still", "a cut", "cuts", "change, soon", "change, late", "too little", "a flash", "slowly"],
)
def test_a_paced_detector_looks_at_its_pace_at_cuts_and_where_much_has_changed(
    levels: list[float], cuts: tuple[int, ...], asked: list[int], fast: bool
) -> None:
    assert Fraction(12, 25) == CHANGE_S
    assert asked_in(Paced("text", []), levels, cuts, fast) == asked


@pytest.mark.parametrize(
    ("every_s", "rate", "asked"),
    [(Fraction(0), 25, list(range(20))), (Fraction(4, 25), 25, [0, 4, 8, 12, 16]), (PACE_S, 10, [0, 7, 14]),
     (Fraction(1, 7), 50, [0, 8, 16])],
)  # fmt: skip
def test_the_pace_is_kept_in_seconds(every_s: Fraction, rate: int, asked: list[int]) -> None:
    assert asked_in(Paced("text", [], every_s=every_s), [100] * 20, rate=rate) == asked


def swinging_text() -> tuple[list[Picture], list[Sides]]:
    """Return pictures of a sign that swings, and where it is: at frames 0, 16 and 32 in the same place."""
    shown, places = [], []
    for n in range(44):
        picture = textured_background(WIDTH, HEIGHT)
        x = 130 + round(24 * np.sin(n * np.pi / 8))
        picture[100:124, x : x + 70] = 225
        cv2.putText(picture, "CELL 12", (x + 4, 117), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1)
        shown.append(picture)
        places.append((x, 100, 70, 24))
    return shown, places


def test_a_text_is_carried_from_one_look_to_the_next(redact: Redact, tmp_path: Path, use: Callable[..., None]) -> None:
    shown, places = swinging_text()
    signs = Paced("text", places)
    use(signs)
    path = write_clip(tmp_path / "sign.mp4", shown)
    assert redact("analyse", path, "-o", tmp_path, "--cover", "text").code == 0
    assert signs.asked == [0, 16, 32]
    (track,) = plan_of(tmp_path, path).tracks
    assert track.label == "text"
    assert_covered([track], {n: box_of(place) for n, place in enumerate(places)}, 0.95)
    assert all(box.area < 2 * 70 * 24 for box in track.boxes)


def test_texts_are_looked_for_again_where_a_scene_begins(
    redact: Redact, tmp_path: Path, use: Callable[..., None]
) -> None:
    grounds = [textured_background(160, 120, 1) // 3] * 10 + [255 - textured_background(160, 120, 2) // 3] * 10
    signs = Paced("text", [])
    use(signs)
    path = write_clip(tmp_path / "cut.mp4", grounds)
    assert redact("analyse", path, "-o", tmp_path, "--cover", "text").code == 0
    assert signs.asked == [0, 10]


@pytest.mark.parametrize(("score", "texts"), [(0.9, [TEXT]), (0.4, [TEXT, None])])
def test_what_is_taken_for_text_in_a_sure_face_is_dropped(
    score: float, texts: list[Sides | None], redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    within = [(x + w // 3, y + h // 3, w // 2, h // 3) for x, y, w, h in clip.faces]
    use(Sees("face", clip.faces, score), Paced("text", within), Paced("text", [TEXT] * FRAMES))
    assert redact("analyse", clip.path, "-o", tmp_path, "--cover", "face,text").code == 0
    found = [t for t in plan_of(tmp_path, clip.path).tracks if t.label == "text"]
    assert len(found) == len(texts)
    assert_covered(found, dict.fromkeys(range(FRAMES), box_of(TEXT)))


# What is released


def test_a_clip_in_which_only_texts_were_found_is_held_back_unless_only_texts_were_asked_for(
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(Paced("text", [TEXT] * FRAMES))
    result = redact("run", clip.path, "-o", tmp_path / "heads")
    refused(result, 8, tmp_path)
    assert "Nobody was found" in result.err
    assert [t.label for t in plan_of(tmp_path / "heads", clip.path).tracks] == ["text"]
    assert redact("run", clip.path, "-o", tmp_path / "heads", "--allow-empty").code == 0
    assert redact("run", clip.path, "-o", tmp_path / "texts", "--cover", "text").code == 0
    for level in ("heads", "texts"):
        assert (tmp_path / level / "release" / "excerpt-0001.mp4").exists()


def test_where_nothing_that_was_asked_for_is_found_it_is_held_back(
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(FakeDetector(clip.faces), Paced("text", []))
    result = redact("run", clip.path, "-o", tmp_path, "--cover", "text")
    refused(result, 8, tmp_path)
    assert "Nothing to cover was found" in result.err


def test_where_faces_are_not_covered_no_copy_is_looked_at_for_them_and_that_is_said(
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(FacesOfClipsOnly(clip.faces), Paced("text", [TEXT] * FRAMES))
    result = redact("run", clip.path, "-o", tmp_path, "--cover", "text", "--json")
    assert result.code == 0
    checks = {check["name"]: check["passed"] for check in json.loads(result.out)[0]["checks"]}
    second = [name for name in checks if "second look for faces" in name]
    assert [checks[name] for name in second] == [None]
    statement = json.loads((tmp_path / "release" / "excerpt-0001.statement.json").read_text())
    assert set(second) <= set(statement["not_checked"])
    assert not set(second) & set(statement["checked"])
    assert statement["covered"] == {"text": 1}
    plan = tmp_path / "private" / f"{clip.path.stem}.plan.json"
    again = redact("verify", tmp_path / "release" / "excerpt-0001.mp4", "--plan", plan)
    assert again.code == 0
    assert f"NOT CHECKED  {second[0]}" in again.out


# Regions drawn by hand


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
    redact: Redact, clip: MadeClip, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(FakeDetector([]))
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
    redact: Redact, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(Paced("text", []))
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


# Marks by example

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
    redact: Redact, clip: MadeClip, badge_picture: Path, tmp_path: Path, use: Callable[..., None]
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
