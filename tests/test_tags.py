"""Tags that people wear are covered, whatever stands on them, and little else that they wear is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench import tags as bench
from redact.analysis import look
from redact.detectors import load_detectors
from redact.detectors.looks import chest_of
from redact.detectors.tags import DEEP, FACE, MOST, WIDE, TagDetector
from redact.geometry import Box
from redact.plan import Detection, Settings
from tests.clips import ink_covered, write_clip
from tests.fakes import FakeDetector

Picture = NDArray[np.uint8]

SIDE = 480  # pixels of the pictures, which are square so that they can be turned
FACES = {0: (240, 90), 90: (390, 240), 180: (240, 390), 270: (90, 240)}  # their middles, by the turn
COLOURS = {"white on dark": (60, 55, 50), "white on red": (60, 50, 170), "grey on black": (15, 15, 15)}


def face_at(x: int, y: int, side: int, angle: int = 0) -> Detection:
    """Return a face of a side around a point."""
    return Detection(3, Box(x - side // 2, y - side // 2, x + side // 2, y + side // 2), "face", 0.9, "eyes", angle)


def clothes(colour: tuple[int, int, int], seed: int = 5) -> NDArray[np.float32]:
    """Return cloth with soft folds."""
    folds = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 60, (SIDE, SIDE)).astype(np.float32), (0, 0), 9)
    return np.asarray(np.full((SIDE, SIDE, 3), colour, np.float32) * (1 + folds[..., None] / 60), np.float32)


def finished(drawn: NDArray[np.float32]) -> Picture:
    """Return a picture as a camera would give it: a little blurred and noisy."""
    noise = np.random.default_rng(7).normal(0, 3, drawn.shape)
    return np.asarray((cv2.GaussianBlur(drawn, (0, 0), 0.8) + noise).clip(0, 255), np.uint8)


def wearing(colour: tuple[int, int, int], level: int, lean: float, turn: int = 0) -> tuple[Picture, NDArray[np.bool_]]:
    """Return somebody's clothes with a card of 26x40 px on them, leaning, turned as a whole; and where it is."""
    card = np.full((40, 26, 3), level, np.float32)
    card[30:] = (150, 90, 40)
    cv2.line(card, (6, 24), (20, 24), (0.7 * level,) * 3)
    forth = cv2.getRotationMatrix2D((12.5, 19.5), lean, 1)
    forth[:, 2] += 240 - 12.5, 270 - 19.5
    there = cv2.warpAffine(np.ones((40, 26), np.float32), forth, (SIDE, SIDE))[..., None]
    drawn = clothes(colour) * (1 - there) + cv2.warpAffine(card, forth, (SIDE, SIDE)) * there
    picture, where = (np.ascontiguousarray(np.rot90(p, -turn // 90)) for p in (finished(drawn), there[..., 0] > 0.5))
    return picture, where


def found(picture: Picture, *faces: Detection) -> list[Detection]:
    """Return the tags of people with these faces."""
    detector = TagDetector()
    return detector.detect(picture, 3, detector.looks_near(faces, picture.shape[1], picture.shape[0]))


@pytest.mark.parametrize("lean", [-15, 0, 8])
@pytest.mark.parametrize("clothing", COLOURS)
def test_a_card_that_cannot_be_read_is_covered(clothing: str, lean: float) -> None:
    picture, where = wearing(COLOURS[clothing], 130 if clothing.startswith("grey") else 230, lean)
    seen = found(picture, face_at(240, 90, 66))
    assert ink_covered(seen, where) >= 0.95
    assert sum(d.box.area for d in seen) < 3 * np.count_nonzero(where)
    assert {(d.frame, d.label, d.detector) for d in seen} == {(3, "text", "tags")}


@pytest.mark.parametrize("turn", FACES)
def test_a_card_is_covered_on_somebody_who_lies(turn: int) -> None:
    picture, where = wearing(COLOURS["white on red"], 230, 4, turn)
    assert ink_covered(found(picture, face_at(*FACES[turn], 66, turn)), where) >= 0.95


@pytest.mark.parametrize("kind", ["nothing", "a button", "a tie", "a wall beside", "light from one side"])
def test_what_is_no_tag_is_left_alone(kind: str) -> None:
    drawn = clothes((70, 60, 60))
    if kind == "a button":
        cv2.circle(drawn, (240, 260), 16, (220, 220, 220), -1, cv2.LINE_AA)
    elif kind == "a tie":
        cv2.fillConvexPoly(drawn, np.array([(232, 130), (248, 130), (262, 330), (240, 360), (218, 330)]), (40, 40, 190))
    elif kind == "a wall beside":
        cv2.rectangle(drawn, (0, 0), (190, SIDE), (220, 225, 225), -1)
    elif kind == "light from one side":
        drawn *= np.linspace(0.5, 2.5, SIDE, dtype=np.float32)[None, :, None]
    assert found(finished(drawn), face_at(240, 90, 66)) == []


def test_rectangles_are_tags_only_below_a_face() -> None:
    picture, where = wearing(COLOURS["white on red"], 230, 0)
    assert found(picture) == []
    assert ink_covered(found(picture, face_at(60, 90, 66)), where) == 0


def test_people_are_shown_as_large_as_each_other_near_ones_first_and_far_ones_not() -> None:
    crowd = [face_at(60 * n + 60, 100, 16 + 8 * n) for n in range(MOST + 4)]
    looks = TagDetector().looks_near(crowd, 1280, 720)
    assert len(looks) == MOST
    for shown, face in zip(looks, crowd[::-1], strict=False):
        part = chest_of(face, DEEP, WIDE).clip(1280, 720)
        assert shown.within == part
        assert part is not None
        assert shown.side == pytest.approx(FACE * max(part.width, part.height) / face.box.width, abs=1)
    assert TagDetector().looks_near([face_at(300, 100, 20)], 1280, 720) == ()
    assert TagDetector().looks_near([face_at(300, 719, 60)], 1280, 720) == ()


def test_tags_belong_to_texts() -> None:
    def names(cover: tuple[str, ...]) -> set[str]:
        return {d.name for d in load_detectors(Settings(cover=cover))}

    assert "tags" in names(Settings().cover)
    assert "tags" not in names(("head",))


def test_a_tag_is_seen_in_a_clip_beside_a_face(tmp_path: Path) -> None:
    picture, where = wearing(COLOURS["white on red"], 230, 0)
    clip = write_clip(tmp_path / "clip.mp4", [picture] * 12)
    eyes = FakeDetector([(207, 57, 66, 66)] * 12)
    sightings = look(clip, Settings(), [eyes, TagDetector()], lambda done, total: None)
    texts = [d for d in sightings.detections if d.label == "text"]
    assert ink_covered(texts, where) >= 0.95


def test_the_bench_says_where_it_draws_a_tag_and_how_many_were_found() -> None:
    picture = np.full((400, 400, 3), 20, np.uint8)
    picture[40:100, 170:230] = 130  # the face tells of the light
    worn, where, kind = bench.wear(picture, Box(170, 40, 230, 100), np.random.default_rng(3))
    changed = cv2.absdiff(worn, picture).mean(axis=2) > 40
    assert np.count_nonzero(changed & where) > 0.9 * np.count_nonzero(where)
    assert np.count_nonzero(changed & ~cv2.dilate(where.astype(np.uint8), np.ones((5, 5))).astype(bool)) == 0
    rows = bench.table([bench.Tried(kind, 0.95, 0.2, 0.96, 0.1, 0.01), bench.Tried(kind, 0.3, 0.0, 0.3, 0.3, 0.03)])
    assert rows.splitlines()[-1].replace("|", " ").split() == ["all", "2", "1", "0", "1", "0.20", "20"]
