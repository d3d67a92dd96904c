"""What becomes of changes that are made while the review is still at work, and of what that work has found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from redact.review import session
from tests.conftest import FRAMES
from tests.serving import Client, plan_in, serving
from tests.test_repairing import lose_a_track
from tests.two_people import Case

Held = Callable[[str], Any]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """What keeps a piece of the review's work from ending as long as something else is done."""

    @contextmanager
    def hold(name: str) -> Iterator[None]:
        done, work = threading.Event(), getattr(session, name)

        def slowly(*given: Any) -> Any:
            made = work(*given)
            assert done.wait(20)
            return made

        with monkeypatch.context() as patched:
            patched.setattr(session, name, slowly)
            try:
                yield
            finally:
                done.set()

    return hold


def end_of(client: Client) -> str:
    """Return why nothing came of the work."""
    return str(client.wait()["error"]["error"])


@pytest.mark.usefixtures("fake")
def test_a_cut_does_not_bring_frames_back_that_a_redo_has_cut_off_meanwhile(
    client: Client, out: Path, held: Held
) -> None:
    client.change("cut", first=12, last=23)
    client.wait()
    client.change("undo")
    with held("cut_source"):
        client.change("cut", first=0, last=15)
        client.change("redo")
    assert "changed meanwhile" in end_of(client)
    plan = plan_in(out)
    assert (plan.source.first, plan.source.frames) == (12, 12)
    assert [(track.first, track.last) for track in plan.tracks] == [(12, 23)]


@pytest.mark.usefixtures("fake")
def test_a_cut_does_not_make_heard_again_what_is_muted_meanwhile(client: Client, out: Path, held: Held) -> None:
    client.change("sound", how="keep")
    with held("cut_source"):
        client.change("cut", first=0, last=15)
        client.change("mute", first=3, last=6)
    assert "changed meanwhile" in end_of(client)
    assert plan_in(out).settings.mute
    with held("cut_source"):  # what changes neither the excerpt nor the sound is no obstacle
        client.change("cut", first=0, last=15)
        client.change("widen", tracks=[1], share=0.1)
    assert client.wait()["error"] is None
    assert [edit.what.split()[0] for edit in plan_in(out).edits[-2:]] == ["widened", "cut"]


@pytest.mark.usefixtures("fake")
def test_nothing_is_followed_in_an_excerpt_that_is_another_one_meanwhile(client: Client, out: Path, held: Held) -> None:
    client.change("cut", first=4, last=12)
    client.wait()
    with held("follow_box"):
        client.change("follow", frame=6, box=[20, 20, 80, 80], label="head", name="", track=1)
        client.change("undo")
    assert "changed meanwhile" in end_of(client)
    assert (plan_in(out).source.frames, len(plan_in(out).tracks)) == (FRAMES, 1)


@pytest.mark.parametrize("wish", ["undo", "redo"])
def test_what_was_found_in_a_copy_is_not_taken_away_by_undo_or_redo(case: Case, wish: str) -> None:
    case.change(lose_a_track)
    with serving(case.out) as client:
        client.enter()
        for _ in range(2):
            client.change("draw", label="region", first=2, last=5, box=[0, 0, 9, 9], name="clock")
        client.change("undo")
        client.change("signoff", who="Ana")
        assert client.wait()["error"] is None
        found = [track for track in case.read().tracks if track.origin == "verification"]
        assert found
        assert "nothing more" in client.change(wish, 400)["error"]
    assert set(found) <= set(case.read().tracks)
