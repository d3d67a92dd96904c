"""What is kept of the frames that a person had on the screen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from redact.errors import PlanError
from redact.plan import Plan, Settings, Source
from redact.review.seen import Seen
from redact.sightings import Timeline

SOURCE = Source("c.mp4", "a" * 64, 320, 240, 10, 20, Fraction(1, 25), Fraction(0), Fraction(1), "b" * 64, 0)
PLAN = Plan(SOURCE, Settings(), {}, ())


def line(first: int, frames: int) -> Timeline:
    return Timeline(first, tuple(Fraction(n, 25) for n in range(first, first + frames)), ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The plan's file, beside which it is kept that frames 10 to 14 were seen."""
    path = tmp_path / "yard.plan.json"
    look(Seen(path, PLAN, line(10, 20)), 10, 15)
    return path


def look(seen: Seen, first: int, end: int) -> None:
    for n in range(first, end):
        seen.serve(n)
    seen.add(range(first, end))


def test_what_was_seen_of_another_clip_or_stream_does_not_count(path: Path) -> None:
    assert Seen(path, PLAN, line(10, 20)).count(SOURCE) == 5
    clip = replace(PLAN, source=replace(SOURCE, sha256="c" * 64))
    stream = replace(PLAN, settings=replace(PLAN.settings, stream=2))
    for other in (clip, stream):
        assert Seen(path, other, line(10, 20)).count(SOURCE) == 0
    look(Seen(path, clip, line(10, 20)), 28, 29)
    assert Seen(path, clip, line(10, 20)).runs() == [(28, 28)]
    assert Seen(path, PLAN, line(10, 20)).count(SOURCE) == 0


@pytest.mark.parametrize(("first", "frames"), [(12, 8), (16, 8), (40, 8), (0, 5)])
def test_what_was_seen_outside_an_excerpt_changes_no_count_in_it(first: int, frames: int, path: Path) -> None:
    excerpt = replace(SOURCE, first=first, frames=frames)
    seen = Seen(path, PLAN, line(first, frames))
    assert seen.count(excerpt) == len(set(range(10, 15)) & set(range(first, first + frames)))
    look(seen, first, first + frames)
    assert seen.count(excerpt) == frames
    assert seen.next_unseen(excerpt, first) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": "%s", "stream": 1, "seen": [1]}' % ("a" * 64)])
def test_a_damaged_record_of_what_was_seen_is_refused_in_words(text: str, path: Path) -> None:
    path.with_name("yard.seen.json").write_text(text)
    with pytest.raises(PlanError, match="is damaged"):
        Seen(path, PLAN, line(10, 20))
