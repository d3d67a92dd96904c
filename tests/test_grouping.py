"""Rows of the review: which tracks are taken for one person, by place, time, clothes and face."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redact.clothes import Colours, alike, colours
from redact.detectors import recognising
from redact.geometry import Box
from redact.likeness import Face
from redact.plan import Track
from redact.records import dump_plan, load_plan
from redact.review.grouping import NEARER, OTHER_FACE, SAME_FACE, group
from redact.sightings import Timeline
from tests.clips import Picture, portrait, textured_background, write_clip
from tests.conftest import Result
from tests.fakes import FakeDetector
from tests.serving import serving

RED, BLUE = (40, 30, 190), (180, 70, 30)  # BGR
STAYS = range(0, 6), range(18, 24)  # frames in which Red is there, at the left and then at the right
OTHER = range(8, 14), range(28, 34)  # and Blue, at the right and then at the left
LEFT, RIGHT = (10, 20), (230, 60)  # where the head's box begins
FRAMES, SIZE = 36, 46  # of the clip; of a head
LINE = Timeline(0, tuple(Fraction(n, 5) for n in range(FRAMES)), ())


def scene(n: int) -> Picture:
    """Return a picture in which one of two people is to be seen, or nobody."""
    picture = textured_background(320, 240)
    for colour, spans, places in ((RED, STAYS, (LEFT, RIGHT)), (BLUE, OTHER, (RIGHT, LEFT))):
        for span, (x, y) in zip(spans, places, strict=True):
            if n in span:
                shade = 0.8 if span is spans[1] else 1.0  # it is darker where they come back
                body = np.clip(np.array(colour) * shade + np.random.default_rng(n).normal(0, 12, (150, 90, 3)), 0, 255)
                picture[y + SIZE : y + SIZE + 130, max(x - 20, 0) : x + 66] = body[:130, : 66 + min(x, 20)].astype(
                    np.uint8
                )
                picture[y : y + SIZE, x : x + SIZE] = portrait(0.5)[22:68, 33:79]
    return picture


def tracks() -> tuple[Track, ...]:
    """Return a track for each stay: 1 and 3 are Red's, 2 and 4 Blue's."""
    spans = [(STAYS[0], LEFT), (OTHER[0], RIGHT), (STAYS[1], RIGHT), (OTHER[1], LEFT)]
    return tuple(
        Track(n, "head", span.start, (Box(x, y, x + SIZE, y + SIZE),) * len(span))
        for n, (span, (x, y)) in enumerate(spans, start=1)
    )


def test_two_people_who_leave_and_come_back_have_a_row_each_by_what_they_wear(
    redact: Callable[..., Result], tmp_path: Path, see: Callable[[object], None]
) -> None:
    clip = write_clip(tmp_path / "two.mp4", (scene(n) for n in range(FRAMES)), rate=5)
    see(FakeDetector([(10, 20, SIZE, SIZE) if n in STAYS[0] else None for n in range(FRAMES)]))
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    (path,) = (tmp_path / "out" / "private").glob("*.plan.json")
    plan = replace(load_plan(path.read_text()), tracks=tracks(), doubts=())
    path.write_text(dump_plan(plan))
    before = sorted(file.name for file in path.parent.iterdir())
    with serving(tmp_path / "out") as client:
        client.enter()
        pause = threading.Event()
        while client.get("/api/state")["looking"]:
            pause.wait(0.05)
        rows = {track["id"]: track["group"] for track in client.get("/api/state")["tracks"]}
        assert rows == {1: 1, 2: 2, 3: 1, 4: 2}
        client.change("show", tracks=[n for n in rows if rows[n] == 1], who="Bea", reason="asked to be seen")
    changed = load_plan(path.read_text())
    assert [track.action for track in changed.tracks] == ["show", "cover", "show", "cover"]
    assert replace(changed, tracks=plan.tracks, edits=()) == plan  # nothing of what was seen is kept
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == before


class FakeRecogniser:
    """Sees one face at the left, in the first and the last stay, and another one at the right: against the clothes."""

    vectors = np.float32([0.0123456789, 0.9876543]), np.float32([0.8765432, 0.0198765432])

    def look(self, picture: Picture, box: Box, others: Sequence[Box]) -> Face:
        """Return who stands at this place."""
        assert picture.shape == (240, 320, 3)
        return Face(self.vectors[(box.x0, box.y0) != LEFT], 40.0)


def test_faces_make_rows_and_nothing_of_them_is_in_any_file_or_answer(
    redact: Callable[..., Result], tmp_path: Path, see: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognising, "load", FakeRecogniser)
    clip = write_clip(tmp_path / "two.mp4", (scene(n) for n in range(FRAMES)), rate=5)
    see(FakeDetector([(10, 20, SIZE, SIZE) if n in STAYS[0] else None for n in range(FRAMES)]))
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    (path,) = (tmp_path / "out" / "private").glob("*.plan.json")
    path.write_text(dump_plan(replace(load_plan(path.read_text()), tracks=tracks(), doubts=())))
    answers: list[bytes] = []
    with serving(tmp_path / "out") as client:
        client.enter()
        send = client.send

        def keep(*given: Any, **named: Any) -> tuple[int, dict[str, str], bytes]:
            status, headers, data = send(*given, **named)
            answers.append(repr(headers).encode() + data)
            return status, headers, data

        monkeypatch.setattr(client, "send", keep)
        pause = threading.Event()
        while client.get("/api/state")["looking"]:
            pause.wait(0.05)
        assert {track["id"]: track["group"] for track in client.get("/api/state")["tracks"]} == {1: 1, 2: 2, 3: 2, 4: 1}
        client.change("show", tracks=[1], who="Bea", reason="asked to be seen")
        client.get("/api/job")
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    written += [gzip.decompress(data) for data in written if data[:2] == b"\x1f\x8b"]
    assert len(answers) > 3
    assert any(b"asked to be seen" in data for data in written)
    for value in np.concatenate(FakeRecogniser.vectors):
        forms = [value.tobytes(), np.float64(value).tobytes(), np.float16(value).tobytes() * 2, f"{value:.4f}".encode()]
        assert not [form for form in forms for data in (*written, *answers) if form in data]


def worn(*shares: tuple[int, ...]) -> dict[int, Colours]:
    """Return what tracks 1, 2, ... wear: the places of equal shares of 16 colours."""
    return {n: tuple(float(k in of) / len(of) for k in range(16)) for n, of in enumerate(shares, start=1)}


def test_without_clothes_only_place_and_time_are_known_and_one_passes_for_another() -> None:
    assert group(tracks(), LINE) == {1: 1, 2: 2, 3: 2, 4: 4}


def test_clothes_that_two_wear_at_one_time_tell_nobody_apart() -> None:
    alone, twin, back = tracks()[0], replace(tracks()[1], first=2), tracks()[2]
    assert group((alone, back), LINE, {1: worn((1,))[1], 3: worn((1,))[1]}) == {1: 1, 3: 1}
    assert group((alone, twin, back), LINE, worn((1,), (1,), (1,))) == {1: 1, 2: 2, 3: 3}


def test_somebody_in_other_clothes_at_the_same_place_is_somebody_else() -> None:
    first, second = tracks()[0], replace(tracks()[3], first=8)
    assert group((first, second), LINE) == {1: 1, 4: 1}
    assert group((first, second), LINE, {1: worn((1,))[1], 4: worn((7,))[1]}) == {1: 1, 4: 4}


@pytest.mark.parametrize("light", [0.7, 1.3])
def test_colours_stay_alike_when_the_light_changes_and_differ_between_clothes(light: float) -> None:
    red, blue = (np.full((60, 60, 3), colour, np.uint8) for colour in (RED, BLUE))
    lit = np.clip(red * light, 0, 255).astype(np.uint8)
    box = Box(5, 5, 55, 55)
    a, b, c = (colours(picture, box) for picture in (red, lit, blue))
    assert a
    assert b
    assert c
    assert alike(a, b) > 0.8
    assert alike(a, c) < 0.2
    assert colours(red, Box(40, 40, 100, 100)) is None  # too little of it is in the picture


def faces(**far: float) -> dict[int, np.ndarray]:
    """Return faces of tracks t1, t2, ... which lie on a line, so far from its beginning."""
    return {int(name[1:]): np.float32([at, 0, 0]) for name, at in far.items()}


def test_who_comes_back_with_the_same_face_is_of_the_same_row_whatever_they_wear() -> None:
    line = tracks()
    assert group(line, LINE, {}, faces(t1=0, t2=2, t3=SAME_FACE * 0.9)) == {1: 1, 2: 2, 3: 1, 4: 4}
    changed = {1: worn((1,))[1], 3: worn((7,))[1]}
    assert group(line, LINE, changed, faces(t1=0, t2=2, t3=SAME_FACE * 0.9)) == {1: 1, 2: 2, 3: 1, 4: 4}
    assert group(line, LINE, {}, faces(t1=0, t2=2, t3=SAME_FACE * 1.1)) == {1: 1, 2: 2, 3: 3, 4: 4}


def test_another_face_is_somebody_else_in_the_same_clothes_and_at_the_same_place() -> None:
    first, second, back = tracks()[0], replace(tracks()[3], first=8), tracks()[2]
    assert group((first, second), LINE) == {1: 1, 4: 1}
    assert group((first, second), LINE, {}, faces(t1=0, t4=OTHER_FACE * 1.01)) == {1: 1, 4: 4}
    dressed = {1: worn((1,))[1], 3: worn((1,))[1]}
    assert group((first, back), LINE, dressed) == {1: 1, 3: 1}
    assert group((first, back), LINE, dressed, faces(t1=0, t3=OTHER_FACE * 0.99)) == {1: 1, 3: 1}
    assert group((first, back), LINE, dressed, faces(t1=0, t3=OTHER_FACE * 1.01)) == {1: 1, 3: 3}


def test_where_two_who_are_there_at_one_time_look_alike_a_face_must_be_nearer_than_they_are() -> None:
    first, beside, back = tracks()[0], replace(tracks()[1], first=2), tracks()[2]
    both, far = (first, beside, back), 0.3
    assert far < SAME_FACE
    assert group(both, LINE, {}, faces(t1=0, t2=far, t3=-far * NEARER * 0.99))[3] == 1
    assert group(both, LINE, {}, faces(t1=0, t2=far, t3=-far * NEARER * 1.01))[3] == 3
    assert group(both, LINE, {}, faces(t1=0, t2=far, t3=far * 0.9))[3] == 2


def test_a_face_must_be_like_all_of_a_row_and_joins_nobody_of_the_same_time() -> None:
    line = tuple(Track(n, "head", 100 * n, (Box(0, 0, 40, 40),) * 6) for n in range(1, 4))
    times = Timeline(0, tuple(Fraction(n, 5) for n in range(400)), ())
    step = SAME_FACE * 0.7
    assert group(line, times, {}, faces(t1=0, t2=step, t3=2 * step)) == {1: 1, 2: 1, 3: 3}
    together = (line[0], replace(line[1], first=103))
    assert group(together, times, {}, faces(t1=0, t2=0.0)) == {1: 1, 2: 2}


def test_faces_join_before_clothes_do() -> None:
    """Else who wears the same would take the place of who has the same face."""
    first, other, back = (Track(n, "head", 100 * n, (Box(0, 0, 40, 40),) * 6) for n in range(1, 4))
    times = Timeline(0, tuple(Fraction(n, 5) for n in range(400)), ())
    during = replace(back, first=203)
    clothes = {1: worn((1,))[1], 2: worn((1,))[1]}
    assert group((first, other, during), times, clothes) == {1: 1, 2: 1, 3: 3}
    assert group((first, other, during), times, clothes, faces(t1=0, t3=0.1)) == {1: 1, 2: 2, 3: 1}
