"""The plan is read strictly, and written so that a person can compare it line by line."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.errors import PlanError, UsageError
from redact.geometry import Box
from redact.plan import Detection, Doubt, Edit, Plan, Settings, Source, Track, Verdict
from redact.records import Texts, dump_plan, load_plan, to_plain

SOURCE = Source("clip.mp4", "a" * 64, 320, 240, 5, 10, Fraction(1, 12800), Fraction(1, 5), Fraction(3), "b" * 64, 0)
TRACK = Track(1, "head", 6, (Box(1, 2, 3, 4), Box(-5, 0, 9, 9)))
PLAN = Plan(
    SOURCE,
    Settings(from_time=Fraction(62, 5)),
    {"m": "c" * 64},
    (TRACK,),
    (Doubt(7, 9, 8, Box(1, 2, 3, 4), "seen once", 0.6),),
    (Edit("Ana", "2026-01-01", "widened 1"),),
)


def test_a_plan_survives_being_written_and_read() -> None:
    text = dump_plan(PLAN)
    assert load_plan(text) == PLAN
    assert dump_plan(load_plan(text)) == text
    assert '"-5,0,9,9"' in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("asked", [None, Fraction(0), Fraction(1, 3), Fraction("0.36"), Fraction("0.37")])
@pytest.mark.parametrize("unit", [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 1000)])
def test_a_copy_begins_at_the_first_time_from_the_one_asked_for_that_it_can_name(
    asked: Fraction | None, unit: Fraction
) -> None:
    settings, source = replace(PLAN.settings, from_time=asked), replace(SOURCE, time_base=unit)
    begin = replace(PLAN, settings=settings, source=source).begin
    assert (begin * unit.denominator).denominator == 1
    assert 0 <= begin - (asked or 0) < Fraction(1, unit.denominator)


def test_what_is_written_of_a_changed_plan_is_the_same_with_and_without_the_texts_that_are_known() -> None:
    others = tuple(replace(TRACK, id=n, reason='says "boxes": []\n "tracks": []') for n in (2, 3))
    known: Texts = {}
    for plan in (PLAN, replace(PLAN, tracks=(TRACK, *others)), replace(PLAN, tracks=others[::-1]),
                 replace(PLAN, tracks=(replace(TRACK, first=7), others[1])), replace(PLAN, tracks=())):  # fmt: skip
        text = json.dumps(to_plain(plan), indent=1, ensure_ascii=False) + "\n"
        assert dump_plan(plan, known) == dump_plan(plan) == text
        assert [track for track, _ in known.values()] == list(plan.tracks)


@pytest.mark.parametrize("where", [(), ("source",), ("settings",), ("tracks", 0), ("doubts", 0), ("edits", 0)])
def test_a_missing_or_unknown_key_is_an_error_that_names_it(where: tuple[str | int, ...]) -> None:
    for change in ("add", "remove"):
        data: Any = json.loads(dump_plan(PLAN))
        place: Any = data
        for step in where:
            place = place[step]
        key = "bogus" if change == "add" else next(k for k in place if k != "schema")
        if change == "add":
            place[key] = 1
        else:
            del place[key]
        with pytest.raises(PlanError, match=key):
            load_plan(json.dumps(data))


@pytest.mark.parametrize(
    ("key", "value"),
    [("id", 0), ("id", True), ("label", "dog"), ("boxes", []), ("boxes", ["1,2,3"]), ("boxes", ["3,3,3,9"]),
     ("first", -1), ("first", 14), ("action", "show"), ("action", "hide"), ("boxes", "1,2,3,4"), ("reason", None)],
)  # fmt: skip
def test_a_wrong_value_in_a_track_is_an_error(key: str, value: object) -> None:
    data = json.loads(dump_plan(PLAN))
    data["tracks"][0][key] = value
    with pytest.raises(PlanError, match="plan"):
        load_plan(json.dumps(data))


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("settings", "threshold", 10**400), ("source", "path", "a\0b"), ("source", "time_base", "0"),
     ("source", "begins", "9999")],
)  # fmt: skip
def test_what_no_clip_can_have_is_refused_when_a_plan_is_read(part: str, key: str, value: object) -> None:
    data = json.loads(dump_plan(PLAN))
    data[part][key] = value
    with pytest.raises(PlanError, match=part):
        load_plan(json.dumps(data))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5) | st.floats(), st.lists, max_leaves=4),
       st.sampled_from(["source", "settings", "models", "tracks", "edits", "schema"]))  # fmt: skip
def test_a_plan_with_anything_in_it_is_read_or_refused(value: object, key: str) -> None:
    data = json.loads(dump_plan(PLAN))
    data[key] = value
    with contextlib.suppress(PlanError):
        load_plan(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, '{"schema": 99}'])
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        load_plan(text)


def test_to_show_somebody_needs_a_person_and_a_reason() -> None:
    with pytest.raises(ValueError, match="person"):
        Track(1, "head", 0, (Box(0, 0, 1, 1),), action="show")
    Track(1, "head", 0, (Box(0, 0, 1, 1),), action="show", decided_by="Ana", reason="asked to be seen")


@pytest.mark.parametrize(
    "wrong",
    [{"effect": "glow"}, {"audio": "louder"}, {"threshold": 0.01}, {"threshold": 1.0}, {"crf": 29}, {"crf": -1},
     {"from_time": Fraction(-1)}, {"from_time": Fraction(3), "to_time": Fraction(3)}],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)


def test_a_detection_has_a_known_label_and_a_score() -> None:
    with pytest.raises(ValueError, match="label"):
        Detection(0, Box(0, 0, 1, 1), "dog", 0.5, "d")
    with pytest.raises(ValueError, match="score"):
        Detection(0, Box(0, 0, 1, 1), "face", 1.5, "d")


def test_a_verdict_without_checks_has_not_passed() -> None:
    assert not Verdict().passed
