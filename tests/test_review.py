"""The review's server: what it shows, and what becomes of a decision."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from redact import custody
from redact.errors import OutputError
from redact.geometry import Box
from redact.media import FrameReader
from redact.plan import Doubt, Plan, Track
from redact.records import dump_plan, load_plan
from tests.conftest import FRAMES, MadeClip, Result
from tests.fakes import BlindDetector
from tests.serving import Client, plan_in, serving

Redact = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("fake")


def rewrite(out: Path, change: Callable[[Plan], Plan]) -> None:
    """Change the plan behind the review's back."""
    (path,) = (out / "private").glob("*.plan.json")
    path.write_text(dump_plan(change(load_plan(path.read_text()))))


def log_of(out: Path, operation: str) -> list[Any]:
    report = custody.read_log(custody.locate_workspace(out))
    assert report.faults == ()
    return [entry for entry in report.entries if entry["operation"] == operation]


def picture(client: Client, frame: int) -> tuple[np.ndarray[Any, Any], list[list[Any]]]:
    status, headers, data = client.send("GET", f"/frame/{frame}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), json.loads(headers["x-regions"])


def test_pictures_are_covered_and_say_where(client: Client, clip: MadeClip) -> None:
    with FrameReader(clip.path) as reader:
        whole = [frame.picture for frame in reader]
    for n in (0, 11, 23):
        shown, regions = picture(client, n)
        x, y, w, h = clip.faces[n]
        ((_, x0, y0, x1, y1, covered),) = regions
        assert covered
        assert Box(x0, y0, x1, y1).contains(Box(x, y, x + w, y + h))
        face = np.s_[y : y + h, x : x + w]
        assert (
            np.abs(np.diff(shown[face].astype(int), axis=0)).mean()
            < 0.4 * np.abs(np.diff(whole[n][face].astype(int), axis=0)).mean()
        )


def test_a_change_is_on_disk_before_it_is_answered_and_is_shown_at_once(client: Client, out: Path) -> None:
    before = picture(client, 3)[1][0]
    state = client.change("widen", tracks=[1], share=0.2)
    assert state["edits"][-1]["what"] == "widened track 1 by 20%"
    assert state["edits"][-1]["who"] == "Ana"
    (path,) = (out / "private").glob("*.plan.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(plan_in(out).edits) == 1
    after = picture(client, 3)[1][0]
    assert after[1] < before[1]
    assert after[4] > before[4]


def test_two_tabs_cannot_overwrite_each_other_nor_another_program(client: Client, out: Path) -> None:
    revision = client.get("/api/state")["revision"]
    client.post("widen", revision=revision, tracks=[1], share=0.2)
    assert "meanwhile" in client.post("widen", 409, revision=revision, tracks=[1], share=0.2)["error"]
    assert len(plan_in(out).edits) == 1
    rewrite(out, lambda plan: replace(plan, tracks=(replace(plan.tracks[0], reason="by hand"),)))
    assert "Another program" in client.change("widen", 409, tracks=[1], share=0.2)["error"]
    assert client.get("/api/state")["tracks"][0]["reason"] == "by hand"
    client.change("widen", tracks=[1], share=0.2)
    assert plan_in(out).tracks[0].reason == "by hand"


def test_a_plan_is_reviewed_by_one_review_at_a_time(client: Client, out: Path) -> None:
    with pytest.raises(OutputError, match="being reviewed already"), serving(out):
        pass


def test_undo_and_redo_go_through_all_changes_and_each_is_kept_in_the_edits(client: Client, out: Path) -> None:
    first = plan_in(out)
    for _ in range(12):
        client.change("widen", tracks=[1], share=0.05)
    last = plan_in(out)
    for _ in range(12):
        client.change("undo")
    assert plan_in(out).tracks == first.tracks
    client.change("undo", 400)
    for _ in range(12):
        state = client.change("redo")
    assert plan_in(out).tracks == last.tracks
    assert (state["undo"], state["redo"]) == (True, False)
    assert len(plan_in(out).edits) == 36
    assert plan_in(out).edits[-1].what == "redid: widened track 1 by 5%"


def test_to_show_somebody_needs_a_name_and_a_reason_and_can_be_forbidden(client: Client, out: Path) -> None:
    client.change("show", 400, tracks=[1], reason="")
    client.change("show", 400, tracks=[1], who=" ", reason="asked to be seen")
    client.change("show", tracks=[1], who="Bea", reason="asked to be seen")
    assert (plan_in(out).tracks[0].decided_by, plan_in(out).tracks[0].action) == ("Bea", "show")
    assert picture(client, 3)[1][0][5] is False


def test_with_never_show_nothing_that_was_found_is_uncovered_in_any_way(out: Path) -> None:
    with serving(out, never_show=True) as client:
        client.enter()
        for wish, body in (("show", {"tracks": [1], "reason": "x"}), ("remove", {"tracks": [1]}),
                           ("move", {"track": 1, "frame": 3, "box": [0, 0, 9, 9]})):  # fmt: skip
            client.change(wish, 400, **body)
        client.change("draw", label="region", first=2, last=5, box=[0, 0, 20, 20], name="clock")
        client.change("undo")
        client.change("split", track=1, frame=9)  # which takes the number of what was drawn
        client.change("show", 400, tracks=[2], reason="x")
        client.change("join", tracks=[1, 2])
        client.change("draw", label="region", first=2, last=5, box=[0, 0, 20, 20], name="clock")
        client.change("move", track=2, frame=3, box=[5, 5, 25, 25])
        client.change("remove", tracks=[2])
        assert [t["id"] for t in client.get("/api/state")["tracks"]] == [1]


@pytest.mark.parametrize("behind", [False, True])
def test_with_never_show_the_number_of_what_was_drawn_is_no_leave_for_what_gets_it_next(
    behind: bool, out: Path
) -> None:
    tattoo = Track(2, "region", 0, (Box(9, 9, 60, 60),) * FRAMES, origin="person", decided_by="Bea", reason="tattoo")
    rewrite(out, lambda plan: replace(plan, tracks=(*plan.tracks, tattoo)))
    with serving(out, never_show=True) as client:
        client.enter()
        client.change("draw", label="region", first=2, last=5, box=[0, 0, 20, 20], name="clock")
        if behind:  # another program puts something else under the number
            rewrite(out, lambda plan: replace(plan, tracks=(*plan.tracks[:2], replace(tattoo, id=3))))
            client.change("cover", 409, tracks=[1])
        else:
            client.change("remove", tracks=[3])
            client.change("split", track=2, frame=9)
        client.change("remove", 400, tracks=[3])
        client.change("show", 400, tracks=[3], reason="x")
        client.change("move", 400, track=3, frame=9, box=[0, 0, 1, 1])
    assert len(plan_in(out).tracks) == 3


def test_looking_under_a_cover_is_written_to_the_log(client: Client, out: Path) -> None:
    status, headers, data = client.send("POST", "/api/uncover", b'{"frame": 4, "track": 1}')
    assert (status, headers["content-type"], data[:2]) == (200, "image/jpeg", b"\xff\xd8")
    (entry,) = log_of(out, "look under a cover")
    assert (entry["by"], entry["frame"], entry["track"], entry["in_colour"]) == ("Ana", 4, 1, False)
    assert client.send("POST", "/api/uncover", b'{"frame": 4, "track": 9}')[0] == 400


def test_only_frames_that_were_sent_count_as_seen_and_that_is_kept(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        assert client.post("seen", frames=[0, 1, 2])["seen"] == 0
        for n in (0, 1, 7):
            picture(client, n)
        assert client.post("seen", frames=[0, 1, 2, 7, -4, 999])["seen"] == 3
        assert client.post("seen", frames=[0, 1, 2, 7])["seen"] == 3
        unseen = [client.post("unseen", after=n)["frame"] for n in (-5, 1, 6, 7, 22, 23, 999)]
        assert unseen == [2, 2, 8, 8, 23, 2, 2]  # after the last one the first again
    with serving(out) as client:
        client.enter()
        assert client.get("/api/state")["seen"] == 3
        for n in set(range(FRAMES)) - {0, 1, 7, 23}:
            picture(client, n)
        client.post("seen", frames=list(range(FRAMES)))
        assert [client.post("unseen", after=n)["frame"] for n in (3, 23)] == [23, 23]
        client.change("cut", first=4, last=15)
        assert client.wait()["error"] is None
        assert client.post("unseen", after=6)["frame"] is None
        assert client.get("/api/state")["seen"] == 12


def test_a_doubt_that_is_accepted_leaves_the_queue_and_stays_in_the_edits(out: Path) -> None:
    rewrite(out, lambda plan: replace(plan, doubts=(Doubt(3, 5, 4, plan.tracks[0].boxes[4], "seen once", 0.6),)))
    with serving(out) as client:
        client.enter()
        (doubt,) = client.get("/api/state")["doubts"]
        assert doubt["track"] == 1
        for wrong in (1, -1):
            client.change("settle", 400, doubts=[0, wrong])
        client.change("settle", 400, doubts=[])
        assert client.change("settle", doubts=[0])["doubts"] == []
    assert plan_in(out).doubts == ()
    assert "accepted the doubt about frames 3 to 5" in plan_in(out).edits[0].what


def test_what_is_in_doubt_is_covered_and_followed(out: Path, clip: MadeClip) -> None:
    def leak(plan: Plan) -> Plan:
        x, y, w, h = clip.faces[12]
        return replace(plan, tracks=(), doubts=(Doubt(12, 12, 12, Box(x, y, x + w, y + h), "seen once", 0.9),))

    rewrite(out, leak)
    with serving(out) as client:
        client.enter()
        x0, y0, x1, y1 = client.get("/api/state")["doubts"][0]["box"]
        box = [x0 - 12, y0 - 12, x1 + 12, y1 + 12]
        client.change("follow", frame=12, box=box, label="head", name="in doubt", doubt=0, track=None)
        assert client.wait()["error"] is None
    plan = plan_in(out)
    assert plan.doubts == ()
    (track,) = plan.tracks
    assert (track.first, track.last, track.origin, track.decided_by) == (0, FRAMES - 1, "person", "Ana")
    for n, (x, y, w, h) in enumerate(clip.faces):
        assert track.boxes[n].contains(Box(x, y, x + w, y + h)), n


def test_the_excerpt_is_cut_and_taken_back(client: Client, out: Path, redact: Redact) -> None:
    client.change("cut", 400, first=9, last=4)
    client.change("cut", first=4, last=15)
    assert client.wait()["error"] is None
    state = client.get("/api/state")
    assert (state["first"], state["frames"]) == (4, 12)
    assert [client.send("GET", f"/frame/{n}")[0] for n in (3, 4, 15, 16)] == [404, 200, 200, 404]  # not covered there
    client.change("signoff", who="Ana")
    assert client.wait()["error"] is None
    with FrameReader(out / "release" / "excerpt-0001.mp4") as copy:
        assert sum(1 for _ in copy) == 12
    assert client.change("undo")["frames"] == FRAMES


def test_a_camera_and_a_mark_are_kept_for_other_clips(
    client: Client, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_CAMERAS", str(tmp_path / "cameras"))
    monkeypatch.setenv("REDACT_MARKS", str(tmp_path / "marks"))
    client.change("draw", label="region", first=0, last=3, box=[4, 4, 60, 20], name="clock")
    assert client.post("camera", name="yard", tracks=[2])["regions"] == 1
    assert client.post("camera", name="yard", tracks=[2])["regions"] == 2
    assert "clock" in (tmp_path / "cameras" / "yard.json").read_text()
    client.post("mark", 400, name="../x", frame=0, box=[10, 10, 150, 150])
    assert client.post("mark", name="badge", frame=2, box=[10, 10, 200, 200])["details"] > 0
    assert [path.name for path in (tmp_path / "marks").iterdir()] == ["badge.1.png"]


def test_signing_off_renders_checks_and_says_in_the_statement_how_much_was_seen(client: Client, out: Path) -> None:
    for n in range(13):
        picture(client, n)
    client.post("seen", frames=list(range(13)))
    client.change("signoff", 400, who="  ")
    client.change("signoff", who="Bea")
    job = client.wait()
    assert job["error"] is None
    assert Path(job["result"]["copy"]).name == "excerpt-0001.mp4"
    statement = json.loads((out / "release" / "excerpt-0001.statement.json").read_text())
    assert statement == job["result"]["statement"]
    assert statement["reviewed_by_a_person"] == "yes, 54 % of the frames were looked at"
    assert "reviewed by a person" not in statement["not_checked"]
    assert "Bea" not in json.dumps(statement)
    (entry,) = log_of(out, "sign off")
    assert (entry["by"], entry["frames_seen"]) == ("Bea", 13)
    review = plan_in(out).review
    assert review is not None
    assert (review.who, review.frames_seen, plan_in(out).settings.overwrite) == ("Bea", 13, False)
    client.change("signoff", who="Bea")
    assert "exists already" in client.wait()["error"]["error"]
    client.change("signoff", who="Bea", overwrite=True)
    assert client.wait()["error"] is None
    client.change("widen", tracks=[1], share=0.1)
    assert plan_in(out).review is None


def test_a_clip_in_which_nobody_is_covered_is_released_only_by_a_word(out: Path, see: Callable[[Any], None]) -> None:
    see(BlindDetector())
    rewrite(out, lambda plan: replace(plan, tracks=()))
    with serving(out) as client:
        client.enter()
        client.change("signoff", who="Ana")
        assert "was found" in client.wait()["error"]["error"]
        assert list((out / "release").iterdir()) == []
        client.change("signoff", who="Ana", allow_empty=True)
        assert client.wait()["error"] is None


def test_while_a_copy_is_made_the_plan_stays_as_it_is(client: Client, out: Path) -> None:
    revision = client.get("/api/state")["revision"]
    client.post("signoff", revision=revision, who="Ana")
    answers = [client.send("POST", "/api/widen", json.dumps(
        {"revision": r, "tracks": [1], "share": 0.1}).encode())[0] for r in (revision, revision + 1)]  # fmt: skip
    assert 200 not in answers
    assert client.wait()["error"] is None
    assert plan_in(out).edits == ()
