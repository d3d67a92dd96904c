"""What becomes of decisions when a review ends before it should, and of a clip with an odd name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import pytest

from redact.records import dump_plan, to_bytes
from tests.conftest import MadeClip
from tests.serving import Client, plan_in, serving

pytestmark = pytest.mark.usefixtures("fake")


def plan_file(out: Path) -> Path:
    (path,) = (out / "private").glob("*.plan.json")
    return path


def test_a_review_that_is_killed_while_it_saves_has_kept_every_change_that_it_answered(out: Path) -> None:
    command = [sys.executable, "-m", "redact", "review", str(out), "--no-browser", "--by", "Ana"]
    answered = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        client = Client(next(word for line in process.stdout for word in line.split() if word.startswith("http://")))
        client.enter()
        killer = threading.Timer(0.7, os.kill, (process.pid, signal.SIGKILL))
        try:
            while True:
                client.change("sound", how=("keep", "none")[answered % 2])
                answered += 1
                if answered == 3:
                    killer.start()
        except (OSError, HTTPException):  # it has been killed
            pass
        assert process.wait(20) == -signal.SIGKILL
    assert answered >= 3
    assert len(plan_in(out).edits) in (answered, answered + 1)
    with serving(out) as again:  # what held the plan was let go
        again.enter()
        client = again
        assert client.change("undo", 400)["error"]  # undo begins anew
        client.change("widen", tracks=[1], share=0.1)
    assert plan_in(out).edits[-1].what == "widened track 1 by 10%"


def test_a_plan_that_was_removed_meanwhile_is_not_made_again_by_a_change(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        plan_file(out).unlink()
        for _ in range(2):
            assert "There is no plan" in client.change("widen", 400, tracks=[1], share=0.1)["error"]
    assert list((out / "private").glob("*.plan.json")) == []


def test_the_plan_of_a_clip_whose_name_is_no_utf8_is_changed_like_any_other(out: Path, clip: MadeClip) -> None:
    odd = os.fsdecode(os.fsencode(clip.path.parent) + b"/caf\xe9.mp4")
    os.rename(clip.path, odd)
    plan = plan_in(out)
    plan_file(out).write_bytes(to_bytes(dump_plan(replace(plan, source=replace(plan.source, path=odd)))))
    with serving(out) as client:
        client.enter()
        assert len(client.change("widen", tracks=[1], share=0.1)["edits"]) == 1
        assert client.get("/api/clip")["name"]
    assert plan_in(out).source.path == odd
