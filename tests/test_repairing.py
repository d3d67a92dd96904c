"""A copy that shows a face is found out, repaired, and never released as it was."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from redact import custody, detectors, pipeline
from redact.analysis import add_faces
from redact.detectors.looks import Look
from redact.geometry import Box
from redact.media import FrameReader, FrameWriter
from redact.pipeline import ROUNDS
from redact.plan import Detection, Plan, Settings, Source, Track
from redact.records import load_plan, to_plain
from redact.rendering import render
from redact.sightings import Timeline
from tests.clips import moving_portrait, portrait, write_clip
from tests.conftest import MadeClip, Result
from tests.fakes import FakeDetector
from tests.two_people import FRAMES, HEIGHT, SCALE, WIDTH, Case, Recogniser, face_at, shown, two

Redact = Callable[..., Result]


def lose_a_track(data: dict[str, Any]) -> None:
    """Take the track of who walks at the right out of a plan."""
    data["tracks"] = [track for track in data["tracks"] if not is_right(track)]


def is_right(track: Mapping[str, Any]) -> bool:
    return int(track["boxes"][0].split(",")[0]) > 150


def lose_frames(first: int, last: int) -> Callable[[dict[str, Any]], None]:
    """Return what splits the track of who walks at the right in two, without some frames."""

    def change(data: dict[str, Any]) -> None:
        (track,) = (t for t in data["tracks"] if is_right(t))
        assert track["first"] == 0
        rest = {**track, "id": 7, "first": last + 1, "boxes": track["boxes"][last + 1 :]}
        track["boxes"] = track["boxes"][:first]
        data["tracks"].append(rest)

    return change


SABOTAGES = {"a track": lose_a_track, "ten frames": lose_frames(5, 14), "one frame": lose_frames(9, 9)}


def test_the_clip_shows_faces_and_the_copy_does_not(case: Case) -> None:
    """What the other tests stand on."""
    assert shown(case.clip) == list(range(FRAMES))
    assert shown(case.copy) == []
    assert [entry["operation"] for entry in case.log()] == ["analyse", "render", "verify", "release"]


@pytest.mark.parametrize("lost", SABOTAGES)
def test_a_plan_that_lost_something_is_repaired_before_anything_is_released(
    lost: str, case: Case, redact: Redact
) -> None:
    case.change(SABOTAGES[lost])
    before = case.read()
    result = redact("run", case.clip, "-o", case.out)
    assert result.code == 0, result.err
    assert shown(case.copy) == []
    plan = case.read()
    assert plan.tracks[: len(before.tracks)] == before.tracks
    (added,) = plan.tracks[len(before.tracks) :]
    assert (added.origin, added.label, added.action) == ("verification", "head", "cover")
    for n in {"a track": range(FRAMES), "ten frames": range(5, 15), "one frame": [9]}[lost]:
        assert added.boxes[n - added.first].contains(face_at(two(n)))
    new = case.log()[4:]
    assert [entry["operation"] for entry in new] == ["render", "verify", "repair", "render", "verify", "release"]
    assert new[2]["tracks_added"] == 1
    assert [entry.get("passed") for entry in new] == [None, False, None, None, True, None]
    assert redact("log", case.out).code == 0
    assert redact("verify", case.copy, "--plan", case.plan).code == 0


@pytest.mark.parametrize("lost", SABOTAGES)
def test_a_copy_that_was_made_from_such_a_plan_does_not_pass(
    lost: str, case: Case, redact: Redact, tmp_path: Path
) -> None:
    case.change(SABOTAGES[lost])
    copy = tmp_path / "copy.mp4"
    render(case.read(), case.clip, copy, lambda done, total: None)
    assert shown(copy)
    result = redact("verify", copy, "--plan", case.plan)
    assert result.code == 7
    failed = [line for line in result.out.splitlines() if line.startswith("FAILED")]
    assert failed == [
        f"FAILED       a second look for faces by recogniser: {FRAMES} frames mirrored, 1 of them also turned and "
        "enlarged: 1 face that is not covered"
    ]


def test_a_face_that_the_copy_alone_shows_is_found_by_comparing_it(case: Case, redact: Redact, tmp_path: Path) -> None:
    copy, person = tmp_path / "copy.mp4", portrait(SCALE)
    with FrameReader(case.copy) as reader, FrameWriter(copy, reader, 17) as writer:
        for frame in reader:
            picture = frame.picture.copy()
            picture[60 : 60 + person.shape[0], 110 : 110 + person.shape[1]] = person
            writer.write(picture, frame.time)
    result = redact("verify", copy, "--plan", case.plan)
    assert result.code == 7
    assert "FAILED       the rest equals the source" in result.out


def test_a_plan_without_a_single_track_is_held_back_and_repaired_where_it_may_be_empty(
    case: Case, redact: Redact
) -> None:
    case.change(lambda data: data["tracks"].clear())
    assert redact("run", case.clip, "-o", case.out).code == 8
    assert list((case.out / "release").iterdir()) == []
    assert redact("run", case.clip, "-o", case.out, "--allow-empty").code == 0
    assert shown(case.copy) == []
    assert {t.origin for t in case.read().tracks} == {"verification"}
    assert len(case.read().tracks) == 2


class LessSure(Recogniser):
    """Is not as sure of a face as it could be, and seldom sees one."""

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in the picture."""
        seen = super().detect(picture, frame, looks) if 8 <= frame < 11 else []
        return [replace(d, score=0.7) for d in seen]


@pytest.mark.parametrize("threshold", ["0.75", "0.9"])
def test_a_copy_is_searched_as_usual_where_only_surer_sightings_were_to_be_covered(
    threshold: str, two_people: Path, redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    see(LessSure())
    copy = tmp_path / "copy.mp4"
    assert redact("run", two_people, "-o", copy, "--threshold", threshold, "--allow-empty").code == 0
    assert shown(copy) == []


def test_a_repaired_plan_is_used_again_and_needs_no_repair(case: Case, redact: Redact) -> None:
    case.change(lose_a_track)
    assert redact("run", case.clip, "-o", case.out).code == 0
    copy, plan = case.copy.read_bytes(), case.plan.read_bytes()
    case.change(lambda data: None)
    begun = len(case.log())
    assert redact("run", case.clip, "-o", case.out).code == 0
    assert case.copy.read_bytes() == copy
    assert case.read() == load_plan(plan.decode())
    assert [entry["operation"] for entry in case.log()[begun:]] == ["render", "verify", "release"]


def test_a_sign_off_does_not_hold_for_what_was_added_after_it_or_made_otherwise(case: Case, redact: Redact) -> None:
    def sign(data: dict[str, Any]) -> None:
        data["review"] = {"who": "Ana", "when": "2026-01-01T00:00:00+00:00", "frames_seen": FRAMES, "doubts_left": 0}

    def reviewed(*options: str) -> tuple[str, bool]:
        assert redact("run", case.clip, "-o", case.out, *options).code == 0
        statement = json.loads((case.out / "release" / "excerpt-0001.statement.json").read_text())
        return statement["reviewed_by_a_person"].split(",")[0], case.read().review is not None

    case.change(sign)
    assert reviewed() == ("yes", True)
    case.change(sign)
    assert reviewed("--effect", "mosaic") == ("no", False)
    case.change(sign)
    case.change(lose_a_track)
    assert reviewed("--effect", "mosaic") == ("no", False)


def test_render_repairs_as_well(case: Case, redact: Redact, tmp_path: Path) -> None:
    case.change(lose_a_track)
    out = tmp_path / "elsewhere"
    assert redact("render", case.plan, "-o", out).code == 0
    assert shown(out / "release" / "excerpt-0001.mp4") == []
    assert [t.origin for t in case.read().tracks] == ["detection", "verification"]


def test_an_excerpt_is_repaired_at_its_own_frames(two_people: Path, redact: Redact, see: Callable[[Any], None],
                                                  tmp_path: Path) -> None:  # fmt: skip
    see(Recogniser())
    out = tmp_path / "out"
    assert redact("run", two_people, "-o", out, "--from", "0.24").code == 0
    case = Case(two_people, out, out / "private" / "yard.plan.json")
    case.change(lose_a_track)
    assert redact("run", two_people, "-o", out, "--from", "0.24").code == 0
    assert shown(case.copy) == []
    added = case.read().tracks[-1]
    assert (added.origin, added.first, added.last) == ("verification", 6, FRAMES - 1)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Recogniser:
    """One more detector is installed, which sees what is at the right only."""
    other = Recogniser("other", sees=Box(150, 0, WIDTH, HEIGHT))
    for room in (pipeline, detectors):
        monkeypatch.setattr(room, "load_others", lambda *_: [other])
    return other


@pytest.mark.usefixtures("other")
def test_a_face_that_only_another_detector_sees_is_covered(
    two_people: Path, redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    see(Recogniser(sees=Box(0, 0, 150, HEIGHT)))
    out = tmp_path / "out"
    assert redact("run", two_people, "-o", out).code == 0
    case = Case(two_people, out, out / "private" / "yard.plan.json")
    assert shown(case.copy) == []
    assert [t.origin for t in case.read().tracks] == ["detection", "verification"]
    (first, second) = (entry for entry in case.log() if entry["operation"] == "verify")
    figures = {c["name"]: c["figure"] for c in first["checks"]}
    assert "no faces that are not covered" in figures["a second look for faces by recogniser"]
    assert "1 face that is not covered" in figures["a second look for faces by other"]
    assert second["passed"]


@pytest.mark.usefixtures("other")
def test_every_second_look_is_in_the_verdict_and_the_statement(case: Case, redact: Redact) -> None:
    (case.copy).unlink()
    (case.out / "release" / "excerpt-0001.statement.json").unlink()
    result = redact("run", case.clip, "-o", case.out, "--json")
    assert result.code == 0, result.err
    checks = {c["name"]: c for c in json.loads(result.out)[0]["checks"]}
    statement = json.loads((case.out / "release" / "excerpt-0001.statement.json").read_text())
    for name in ("recogniser", "other"):
        check = checks[f"a second look for faces by {name}"]
        assert check["passed"] is True
        assert check["figure"].startswith(f"{FRAMES} frames mirrored, 1 of them also turned and enlarged: no face")
        assert statement["checked"][check["name"]] == "held"
    verified = next(e for e in reversed(case.log()) if e["operation"] == "verify")
    assert to_plain(verified["checks"]) == list(checks.values())


class Liar(Recogniser):
    """Sees the true faces, and in each copy another one, in a place where nothing is covered."""

    def __init__(self) -> None:
        super().__init__()
        self._passes = 0

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what is there and one thing more."""
        if any(look.within for look in looks):
            return []
        self._passes += frame == 0
        found = super().detect(picture, frame, looks)
        if self._passes > 1 and 4 <= frame <= 8:
            x = 36 * self._passes
            found.append(Detection(frame, Box(x, 165, x + 16, 185), "face", 0.9, self.name))
        return found


def test_a_copy_that_cannot_be_made_clean_is_refused_with_a_sheet_of_what_remains(
    two_people: Path, redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    see(Liar())
    out = tmp_path / "out"
    result = redact("run", two_people, "-o", out)
    assert result.code == 7
    assert list((out / "release").iterdir()) == []
    assert not list(tmp_path.rglob("*.partial.mp4"))
    operations = [e["operation"] for e in custody.read_log(custody.locate_workspace(out)).entries]
    assert operations.count("render") == operations.count("verify") == ROUNDS == 3
    assert operations.count("repair") == ROUNDS - 1
    assert "release" not in operations
    sheet = out / "private" / "yard.remaining.png"
    assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
    assert cv2.imread(str(sheet)) is not None
    assert str(sheet) in result.err
    assert "1 face that is not covered" in result.err


def test_no_sheet_is_drawn_where_no_face_remains(case: Case, redact: Redact, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that fails another check is refused at once: nothing can be repaired."""
    real = pipeline.rendering.render

    def spoil(plan: Plan, clip: Path, partial: Path, progress: Any) -> None:
        real(replace(plan, tracks=()), clip, partial, progress)

    case.change(lambda data: None)
    monkeypatch.setattr(pipeline.rendering, "render", spoil)
    begun = len(case.log())
    result = redact("run", case.clip, "-o", case.out)
    assert result.code == 7
    assert "covered regions" in result.err
    assert [e["operation"] for e in case.log()[begun:]].count("render") == 1
    assert list((case.out / "release").iterdir()) == []
    assert not list((case.out / "private").glob("*.png"))


def test_who_is_shown_by_decision_of_a_person_is_shown(case: Case, redact: Redact) -> None:
    def decide(data: dict[str, Any]) -> None:
        for track in data["tracks"]:
            if is_right(track):
                track.update(action="show", decided_by="Editor", reason="the minister, who agreed")

    case.change(decide)
    assert redact("run", case.clip, "-o", case.out).code == 0
    statement = json.loads((case.out / "release" / "excerpt-0001.statement.json").read_text())
    assert statement["left_visible_by_decision"] == {"head": 1}
    assert len(shown(case.copy)) == FRAMES


@pytest.mark.usefixtures("real_weights")
def test_the_real_detector_repairs_a_plan_that_lost_its_track(redact: Redact, tmp_path: Path) -> None:
    frames = list(moving_portrait(12, 320, 240, 0.5))
    clip, out = write_clip(tmp_path / "cell.mp4", (p for p, _ in frames)), tmp_path / "out"
    assert redact("analyse", clip, "-o", out).code == 0
    case = Case(clip, out, out / "private" / "cell.plan.json")
    assert case.read().tracks
    case.change(lambda data: data["tracks"].clear())
    assert redact("run", clip, "-o", out, "--allow-empty").code == 0
    added = case.read().tracks
    assert {t.origin for t in added} == {"verification"}
    with FrameReader(case.copy) as copy:
        for (picture, face), frame in zip(frames, copy, strict=True):
            assert face is not None
            x, y, w, h = face
            before, after = (p[y : y + h, x : x + w].astype(int) for p in (picture, frame.picture))
            assert np.abs(np.diff(after, axis=0)).mean() < 0.35 * np.abs(np.diff(before, axis=0)).mean()


LENS = Box(2, 180, 52, 236)


class Doubting(FakeDetector):
    """Sees a lens as well, is not sure of it, and asks."""

    def __init__(self, faces: Sequence[tuple[int, int, int, int]], answer: float) -> None:
        super().__init__(faces)
        self._answer = answer

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the face and the lens."""
        return [*super().detect(picture, frame, looks), Detection(frame, LENS, "face", 0.58, self.name)]

    def ask(self, picture: np.ndarray, detection: Detection) -> float:
        """Return the answer for the lens."""
        assert detection.box == LENS
        return self._answer


@pytest.mark.parametrize(("answer", "tracks"), [(0.05, 1), (0.5, 2)])
def test_what_was_dropped_because_another_model_denied_it_is_not_repaired(
    clip: MadeClip, redact: Redact, see: Callable[[Any], None], tmp_path: Path, answer: float, tracks: int
) -> None:
    see(Doubting(clip.faces, answer))
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0
    (path,) = (tmp_path / "out" / "private").glob("*.plan.json")
    case = Case(clip.path, tmp_path / "out", path)
    assert len(case.read().tracks) == tracks
    assert any("by one model of two" in d.reason for d in case.read().doubts) == (tracks == 1)
    assert [entry["operation"] for entry in case.log()].count("render") == 1


def test_what_the_second_look_found_is_covered_whatever_was_answered_about_it(clip: MadeClip) -> None:
    times = tuple(Fraction(n, 25) for n in range(9))
    source = Source(str(clip.path), "0" * 64, 320, 240, 0, 9, Fraction(1, 25), times[0], times[-1], "0" * 64, 0)
    seen = [Detection(n, LENS, "face", 0.58, "eyes", judged=0.0) for n in range(9)]
    plan = add_faces(Plan(source, Settings(), {}, ()), [seen], Timeline(0, times, ()))
    assert [track.label for track in plan.tracks] == ["head"]


@pytest.mark.parametrize("known", [None, "cover", "show"])
def test_where_persons_are_covered_the_body_of_a_face_that_was_found_is_too(known: str | None, clip: MadeClip) -> None:
    times = tuple(Fraction(n, 25) for n in range(9))
    source = Source(str(clip.path), "0" * 64, 320, 240, 0, 9, Fraction(1, 25), times[0], times[-1], "0" * 64, 0)
    around = Box(LENS.x0 - 30, LENS.y0 - 10, LENS.x1 + 30, LENS.y1 + 160)
    person = Track(4, "person", 0, (around,) * 9, known or "cover", decided_by="Ann", reason="a guard")
    seen = [Detection(n, LENS, "face", 0.58, "eyes") for n in range(9)]
    plan = Plan(source, Settings(cover=("head", "person")), {}, (person,) if known else ())
    added = [track for track in add_faces(plan, [seen], Timeline(0, times, ())).tracks if track is not person]
    assert [track.label for track in added] == (["head"] if known == "cover" else ["head", "person"])
    assert {track.origin for track in added} == {"verification"}
    for body in added[1:]:
        assert (body.first, body.last) == (0, 8)
        assert all(box.contains(added[0].boxes[n]) and box.y1 > LENS.y1 + 100 for n, box in enumerate(body.boxes))


class Asking(Recogniser):
    """Is not too sure of faces, and notes in which frames it asks about one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in the picture."""
        return [replace(d, score=0.58) for d in super().detect(picture, frame, looks)]

    def ask(self, picture: np.ndarray, detection: Detection) -> float:
        """Note the question."""
        self.asked.append(detection.frame)
        return 0.9


def test_nobody_is_asked_again_about_what_the_second_look_found(
    case: Case, redact: Redact, see: Callable[[Any], None]
) -> None:
    eyes = Asking()
    see(eyes)
    case.change(lose_a_track)
    assert redact("render", case.plan, "-o", case.out).code == 0
    assert shown(case.copy) == []
    assert [entry["operation"] for entry in case.log()].count("repair") == 1
    assert sorted(eyes.asked) == [0, 6, 12]
