"""What is covered besides faces, by level and label; and when it is looked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import custody
from redact.crew import Crew
from redact.detectors.looks import Look
from redact.geometry import Box
from redact.looking import CHANGE_LEVELS, CHANGE_S, Gaze
from redact.plan import Detection
from redact.records import load_plan
from tests.clips import Picture, textured_background, write_clip
from tests.conftest import FRAMES, HEIGHT, WIDTH, MadeClip
from tests.covering import CORNER, Redact, assert_covered, plan_of, refused
from tests.fakes import PACE_S, FakeDetector, Paced, Sees, Sides

pytestmark = pytest.mark.usefixtures("nothing_is_left_over_and_the_source_is_unchanged")

TEXT = 230, 14, 60, 16
CODE = 16, 16, 32, 32
WOMAN = 250, 150, 30, 80  # a person of whom no face is seen
NUDE = 10, 150, 40, 40


class FacesOfClipsOnly(FakeDetector):
    """Must not look at a copy: only there are pictures mirrored."""

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face."""
        assert not any(look.mirrored for look in looks)
        return super().detect(picture, frame, looks)


@pytest.fixture
def everything(clip: MadeClip, see: Callable[..., None]) -> None:
    """The detectors in use see the clip's face and its person, a woman's back, a text, a code and a body."""
    bodies = [(x - 20, y - 10, w + 40, 3 * h) for x, y, w, h in clip.faces]
    see(
        FakeDetector(clip.faces),
        Sees("person", bodies),
        Sees("person", [WOMAN] * FRAMES),
        Paced("text", [TEXT] * FRAMES),
        Paced("code", [CODE] * FRAMES),
        Paced("nudity", [NUDE] * FRAMES),
    )


def box_of(sides: Sides) -> Box:
    x, y, w, h = sides
    return Box(x, y, x + w, y + h)


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
        assert 1.1 * small.area < large.area


def test_a_weak_person_is_covered_but_implies_no_head(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(FakeDetector(clip.faces), Sees("person", [WOMAN] * FRAMES, 0.2))
    for level, labels in (("heads", ["head"]), ("people", ["head", "person", "person"])):
        assert redact("analyse", clip.path, "-o", tmp_path / level, "--cover", level).code == 0
        assert sorted(t.label for t in plan_of(tmp_path / level, clip.path).tracks) == labels


def test_where_a_head_was_only_carried_that_of_its_person_is_covered_as_well(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    bodies = [(x - 20, y - 10, w + 40, 4 * h) for x, y, w, h in clip.faces]
    see(FakeDetector(clip.faces[:4]), Sees("person", bodies))
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


def test_a_text_is_carried_from_one_look_to_the_next(redact: Redact, tmp_path: Path, see: Callable[..., None]) -> None:
    shown, places = swinging_text()
    signs = Paced("text", places)
    see(signs)
    path = write_clip(tmp_path / "sign.mp4", shown)
    assert redact("analyse", path, "-o", tmp_path, "--cover", "text").code == 0
    assert signs.asked == [0, 16, 32]
    (track,) = plan_of(tmp_path, path).tracks
    assert track.label == "text"
    assert_covered([track], {n: box_of(place) for n, place in enumerate(places)}, 0.95)
    assert all(box.area < 2 * 70 * 24 for box in track.boxes)


def test_texts_are_looked_for_again_where_a_scene_begins(
    redact: Redact, tmp_path: Path, see: Callable[..., None]
) -> None:
    grounds = [textured_background(160, 120, 1) // 3] * 10 + [255 - textured_background(160, 120, 2) // 3] * 10
    signs = Paced("text", [])
    see(signs)
    path = write_clip(tmp_path / "cut.mp4", grounds)
    assert redact("analyse", path, "-o", tmp_path, "--cover", "text").code == 0
    assert signs.asked == [0, 10]


@pytest.mark.parametrize(("score", "texts"), [(0.9, [TEXT]), (0.4, [TEXT, None])])
def test_what_is_taken_for_text_in_a_sure_face_is_dropped(
    score: float, texts: list[Sides | None], redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    within = [(x + w // 3, y + h // 3, w // 2, h // 3) for x, y, w, h in clip.faces]
    see(Sees("face", clip.faces, score), Paced("text", within), Paced("text", [TEXT] * FRAMES))
    assert redact("analyse", clip.path, "-o", tmp_path, "--cover", "face,text").code == 0
    found = [t for t in plan_of(tmp_path, clip.path).tracks if t.label == "text"]
    assert len(found) == len(texts)
    assert_covered(found, dict.fromkeys(range(FRAMES), box_of(TEXT)))


# What is released


def test_a_clip_in_which_only_texts_were_found_is_held_back_unless_only_texts_were_asked_for(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(Paced("text", [TEXT] * FRAMES))
    result = redact("run", clip.path, "-o", tmp_path / "heads")
    refused(result, 8, tmp_path)
    assert "Nobody was found" in result.err
    assert [t.label for t in plan_of(tmp_path / "heads", clip.path).tracks] == ["text"]
    assert redact("run", clip.path, "-o", tmp_path / "heads", "--allow-empty").code == 0
    assert redact("run", clip.path, "-o", tmp_path / "texts", "--cover", "text").code == 0
    for level in ("heads", "texts"):
        assert (tmp_path / level / "release" / "excerpt-0001.mp4").exists()


def test_where_nothing_that_was_asked_for_is_found_it_is_held_back(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(FakeDetector(clip.faces), Paced("text", []))
    result = redact("run", clip.path, "-o", tmp_path, "--cover", "text")
    refused(result, 8, tmp_path)
    assert "Nothing to cover was found" in result.err


def test_where_faces_are_not_covered_no_copy_is_looked_at_for_them_and_that_is_said(
    redact: Redact, clip: MadeClip, tmp_path: Path, see: Callable[..., None]
) -> None:
    see(FacesOfClipsOnly(clip.faces), Paced("text", [TEXT] * FRAMES))
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
