"""The log and the folders under faults: torn lines, full disks, odd names, and handing over."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import pytest

from redact import custody, disk, handover
from redact.custody import Workspace, releasing
from redact.custody.log import BLOCK_BYTES
from redact.errors import OutputError, PlanError
from redact.media import FrameReader, hash_file
from redact.plan import Settings
from redact.records import to_plain
from tests.conftest import MadeClip, Result
from tests.fakes import FakeDetector
from tests.trees import faces_of, write_small

Redact = Callable[..., Result]


def test_a_torn_line_is_taken_out_and_the_chain_stays_whole(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    with space.log.open("ab") as file:
        file.write(b'{"number": 2, "ti')
    assert custody.read_log(space).faults == ()
    custody.record(space, "two", {})
    report = custody.read_log(space)
    assert [entry["operation"] for entry in report.entries] == ["one", "two"]
    assert report.faults == ()


@pytest.mark.parametrize("surplus", range(-2, 3))
def test_only_the_end_of_the_log_is_read_however_long_its_last_line_is(surplus: int, tmp_path: Path) -> None:
    """Lines end before, at and after the edges of the blocks that are read; a torn one follows a long one."""
    space = custody.open_workspace(tmp_path / "out")
    for number, blocks in enumerate((1, 2, 5, 0, 3), start=1):
        custody.record(space, "long", {"text": "x" * max(0, blocks * BLOCK_BYTES + surplus)})
        with space.log.open("ab") as file:
            file.write(b"y" * max(0, BLOCK_BYTES * number - surplus))
        assert custody.log_length(space) == number
    custody.record(space, "last", {})
    report = custody.read_log(space)
    assert [entry["number"] for entry in report.entries] == [1, 2, 3, 4, 5, 6]
    assert report.faults == ()


def test_a_log_that_holds_a_torn_line_alone_begins_anew(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    space.log.write_bytes(b"x" * (BLOCK_BYTES + 1))
    assert custody.log_length(space) == 0
    custody.record(space, "one", {})
    assert [entry["number"] for entry in custody.read_log(space).entries] == [1]
    assert custody.read_log(space).faults == ()


@pytest.mark.parametrize(
    "line", [b"", b"\0\0", b"[1]", b'{"operation": "two"}', b'{"number": 2}', b'{"operation": "two", "number": true}',
             b'{"operation": "two", "number": 0}', b'{"operation": "two", "number": "2"}'],
)  # fmt: skip
def test_nothing_is_added_behind_a_line_that_does_not_say_its_number(line: bytes, tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    before = space.log.read_bytes() + line + b"\n" + b"torn"
    space.log.write_bytes(before)
    for use in (lambda: custody.record(space, "three", {}), lambda: custody.log_length(space)):
        with pytest.raises(PlanError, match="last line of the log"):
            use()
    assert space.log.read_bytes() == before


@pytest.mark.parametrize("lines", [0, 1, 2])
@pytest.mark.parametrize("changed", [False, True])
def test_nothing_is_added_where_the_last_lines_were_removed_or_changed(
    lines: int, changed: bool, tmp_path: Path
) -> None:
    space = custody.open_workspace(tmp_path / "out")
    for name in ("one", "two", "three"):
        custody.record(space, name, {})
    kept = space.log.read_bytes().splitlines(keepends=True)[: lines + changed]
    if changed:
        kept[-1] = json.dumps({**json.loads(kept[-1]), "operation": "other"}).encode() + b"\n"
    space.log.write_bytes(b"".join(kept))
    with pytest.raises(PlanError, match="last line of the log"):
        custody.record(space, "four", {})
    assert space.log.read_bytes() == b"".join(kept)


@pytest.mark.parametrize("name", ["custody.jsonl", "custody.head"])
def test_a_log_that_cannot_be_read_is_not_said_to_be_missing(name: str, tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    (space.private / name).unlink()
    (space.private / name).mkdir()
    with pytest.raises(OutputError, match="cannot be read: Is a directory"):
        custody.read_log(space)


def test_a_line_follows_where_a_crash_left_the_hash_of_the_line_before(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    head = space.private / "custody.head"
    for name in ("one", "two", "three"):
        custody.record(space, name, {})
        if name == "one":
            left = head.read_bytes()
        elif name == "two":
            head.write_bytes(left)
    assert custody.read_log(space).faults == ()


@pytest.mark.parametrize("broken", ["os.write", "os.fsync", "disk.write_whole", "disk.sync_folder"])
def test_a_line_that_cannot_be_written_is_not_half_there(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = custody.open_workspace(tmp_path / "out")
    for name in ("one", "two"):
        custody.record(space, name, {})
    before = space.log.read_bytes()

    def fail(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    def write_some(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:9])

    real = os.write
    if broken == "os.write":
        monkeypatch.setattr(os, "write", write_some)
    elif broken == "os.fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif broken == "disk.sync_folder":  # the new hash is in its place by then
        monkeypatch.setattr(disk, "sync_folder", fail)
    else:
        monkeypatch.setattr(custody.folders, "write_whole", fail)
    for _ in range(2):
        with pytest.raises(OutputError, match="disk is full"):
            custody.record(space, "three", {})
    monkeypatch.undo()
    assert space.log.read_bytes() == before
    custody.record(space, "three", {})
    assert custody.read_log(space).faults == ()


def test_a_new_log_begins_with_a_hash_that_cannot_be_left_out(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    (space.private / "custody.head").unlink()
    assert custody.read_log(space).faults == ("the end of the log was changed or removed",)


def test_what_an_earlier_crash_left_is_not_written_into(tmp_path: Path) -> None:
    path, left = tmp_path / "plan", tmp_path / ".plan.redact.new"
    left.write_bytes(b"for everybody")
    left.chmod(0o644)
    with left.open("rb") as held:
        disk.write_whole(path, b"secret")
        assert held.read() == b"for everybody"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not left.exists()


def test_a_file_of_the_user_beside_one_that_is_written_stays(tmp_path: Path) -> None:
    mine = tmp_path / "plan.new"
    mine.write_bytes(b"mine")
    disk.write_whole(tmp_path / "plan", b"secret")
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == [
        ("plan", b"secret"),
        ("plan.new", b"mine"),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        *({"name": True}, {"name": "a\0b.mp4"}, {"number": "4"}, {"copy_sha256": None}, {"length": "1/0"}, None, []),
        *({"statement": "{}"}, {"statement": "["}, {"statement": '"all"'}, {"joined": None}, {"operation": []}),
    ],
)
def test_a_damaged_line_about_a_copy_is_no_copy_that_was_released(damage: Any, tmp_path: Path) -> None:
    space, settings = custody.open_workspace(tmp_path / "out"), Settings()
    copy = space.release / "excerpt-0001.mp4"
    copy.write_bytes(b"copy")
    entry = {
        "number": 1, "operation": "release", "name": copy.name, **custody.identity("12ab", settings),
        "settings": to_plain(settings), "length": "1/5", "copy_sha256": hash_file(copy),
        "statement": '{"statement": "Covered."}',
    }  # fmt: skip
    space.log.write_text(json.dumps(entry) + "\n")
    assert custody.find_released(space, "12ab", settings, 0) == custody.Released(copy, Fraction(1, 5))
    space.log.write_text(json.dumps({**entry, **damage} if isinstance(damage, dict) else ["12ab", damage]) + "\n")
    assert custody.find_released(space, "12ab", settings, 0) is None


def test_a_clock_that_was_set_back_does_not_break_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Yesterday(custody.log.datetime):  # type: ignore[misc]
        @classmethod
        def now(cls, zone: Any = None) -> Any:
            return cls(2001, 1, 1, tzinfo=zone)

    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "one", {})
    monkeypatch.setattr(custody.log, "datetime", Yesterday)
    custody.record(space, "two", {})
    report = custody.read_log(space)
    assert report.faults == ()
    assert report.entries[1]["time"] < report.entries[0]["time"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_small(tmp_path_factory.mktemp("small") / "clip.mp4").read_bytes()


@pytest.fixture
def odd(request: pytest.FixtureRequest, small: bytes, tmp_path: Path, see: Callable[[Any], None]) -> Path:
    """A clip with a name of bytes, in a folder of its own."""
    see(FakeDetector(faces_of()))
    path = tmp_path / "clips" / os.fsdecode(request.param)
    path.parent.mkdir()
    path.write_bytes(small)
    return path


ODD_NAMES = [
    b"-rf.mp4",
    b"a\nb.mp4",
    b"\x1b[2J\x1b]0;x\x07.mp4",
    b"\xff\xfe.mp4",
    b"..mp4",
    b"\xc2\x9b2J.mp4",
    b"x" * 250 + b".mp4",
]


@pytest.mark.parametrize("odd", ODD_NAMES, indirect=True)
def test_names_cannot_write_elsewhere_or_act_on_a_terminal(odd: Path, redact: Redact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = set(tmp_path.rglob("*"))
    results = [redact("run", odd.parent, "-o", out), redact("status", out), redact("log", out)]
    results += [redact("run", odd, "-o", out), redact("status", out, "--json"), redact("log", out, "--json")]
    assert [result.code for result in results] == [0, 0, 0, 6, 0, 0]
    assert all(path.is_relative_to(out) for path in set(tmp_path.rglob("*")) - before)
    assert len(list((out / "release").iterdir())) == 2
    for result in results:
        assert (result.out + result.err).replace("\n", "").isprintable()
    assert len(results[1].out.splitlines()) == 5
    plan = next((out / "private").glob("*.plan.json"))
    assert json.loads(plan.read_text())["source"]["path"] == str(odd)
    assert redact("render", plan, "-o", tmp_path / "again").code == 0
    (tmp_path / "added.csv").write_text("1,1,5,5,9,9,1\n")
    assert redact("import", plan, tmp_path / "added.csv", "--by", "Ana", "--label", "face").code == 0
    assert redact("report", out).code == 0


@pytest.mark.parametrize("odd", [b"\x1b[2J.mp4", b"\xff.mp4", b"x" * 250 + b".mp4"], indirect=True)
def test_names_that_are_kept_cannot_act_on_a_terminal_either(odd: Path, redact: Redact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = redact("run", odd, "-o", out, "--keep-names", "--json")
    assert (result.code, (result.out + result.err).replace("\n", "").isprintable()) == (0, True)
    assert {path.name for path in (out / "release").glob("*.mp4")} == {custody.portable_name(odd.stem) + ".mp4"}
    assert redact("run", odd, "-o", out, "--keep-names").err.replace("\n", "").isprintable()


@pytest.mark.usefixtures("fake")
def test_what_was_released_is_handed_over_and_nothing_else(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "stick" / "for the press"
    assert redact("release", out, "--to", target).code == 6
    assert redact("run", clip.path, "-o", out).code == 0
    for _ in range(2):
        result = redact("release", out, "--to", target)
        assert result.code == 0
        assert sorted(result.out.splitlines()) == sorted(str(path) for path in target.iterdir())
        for path in (out / "release").iterdir():
            assert (target / path.name).read_bytes() == path.read_bytes()
    assert len(list(target.iterdir())) == 2
    entry = custody.read_log(custody.locate_workspace(out)).entries[-1]
    assert (entry["operation"], len(entry["files"])) == ("hand over", 2)
    assert redact("release", out, "--to", out / "release" / "x").code == 6


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("change", "code"),
    [("changed copy", 7), ("changed statement", 7), ("a stranger", 7), ("a link", 7), ("no statement", 7), ("log", 4),
     ("full target", 6)],
)  # fmt: skip
def test_what_is_not_as_it_was_released_is_not_handed_over(
    change: str, code: int, redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    assert redact("run", clip.path, "-o", out).code == 0
    copy = out / "release" / "excerpt-0001.mp4"
    statement = copy.with_name("excerpt-0001.statement.json")
    if change == "changed copy":
        copy.write_bytes(copy.read_bytes()[:-1] + b"\1")
    elif change == "changed statement":
        statement.write_text(statement.read_text().replace("removed", "kept"))
    elif change == "a stranger":
        (out / "release" / "clip.mp4").write_bytes(clip.path.read_bytes())
    elif change == "a link":
        copy.rename(tmp_path / "copy.mp4")
        copy.symlink_to(tmp_path / "copy.mp4")
    elif change == "no statement":
        statement.unlink()
    elif change == "log":
        log = out / "private" / "custody.jsonl"
        log.write_bytes(log.read_bytes().replace(b"blur", b"blot"))
    else:
        target.mkdir()
        (target / "mine.txt").write_text("other things")
    result = redact("release", out, "--to", target)
    assert result.code == code, result
    assert [path.name for path in target.glob("*")] == (["mine.txt"] if change == "full target" else [])


@pytest.mark.usefixtures("fake")
def test_photographs_and_the_public_page_are_handed_over_as_well(
    redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    with FrameReader(clip.path) as reader:
        cv2.imwrite(str(clip.path.with_name("photo.png")), next(iter(reader)).picture)
    out, target = tmp_path / "out", tmp_path / "target"
    assert redact("run", clip.path.parent, "-o", out).code == 0
    for _ in range(2):
        assert redact("report", out).code == 0
        assert redact("release", out, "--to", target).code == 0
    assert {path.suffix for path in target.iterdir()} == {".mp4", ".png", ".json", ".html"}
    page = out / "release" / "report.html"
    page.write_text(page.read_text() + " ")
    changed = redact("release", out, "--to", tmp_path / "other")
    assert (changed.code, "redact report OUT" in changed.err) == (7, True)


def publish(space: Workspace, content: bytes, name: str = "excerpt-0001", statement: str = "faces are covered") -> Path:
    """Release a file that holds these bytes."""
    partial, sha256 = space.private / "x.partial.mp4", hashlib.sha256(content).hexdigest()
    partial.write_bytes(content)
    return custody.publish(space, partial, sha256, lambda: name, {"source_sha256": sha256}, {"statement": statement})


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_handing_over_replaces_nothing_but_what_the_same_output_released_before(tmp_path: Path) -> None:
    one, other = (custody.open_workspace(tmp_path / name) for name in ("one", "other"))
    publish(one, b"of one")
    publish(other, b"of another")
    target, own, draft = (tmp_path / name for name in ("target", "own", "draft"))
    handover.hand_over(one, target)
    publish(one, b"of one, made anew", statement="made anew")
    handover.hand_over(one, target)
    assert contents(target) == contents(one.release)
    for folder, name in ((own, "excerpt-0001.mp4"), (draft, "excerpt-0001.mp4.new")):
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
    for space, folder in ((other, target), (one, own), (one, draft)):
        before = contents(folder)
        with pytest.raises(OutputError, match="not released here"):
            handover.hand_over(space, folder)
        assert contents(folder) == before


def test_an_output_without_a_copy_is_not_said_to_be_handed_over(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    custody.record(space, "hold back", {})
    custody.write_public(space, space.release / "report.html", b"a page about no copies")
    with pytest.raises(OutputError, match="no copy"):
        handover.hand_over(space, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_nothing_is_handed_over_while_a_run_is_at_work(tmp_path: Path) -> None:
    space = custody.open_workspace(tmp_path / "out")
    publish(space, b"a copy")
    with custody.hold(space), pytest.raises(OutputError, match="Another run is at work"):
        handover.hand_over(space, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert len(handover.hand_over(space, tmp_path / "target")) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("old", [None, b"the old copy"])
@pytest.mark.parametrize("logged", [True, False])
def test_a_release_that_is_broken_off_leaves_what_was_there_before(
    error: BaseException, old: bytes | None, logged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, real, write = custody.open_workspace(tmp_path / "out"), os.replace, releasing.record
    custody.record(space, "analyse", {})
    if old:
        publish(space, old, statement="the old one")
    before, known = contents(space.release), custody.released(custody.read_log(space).entries)

    def stop(source: Path, target: Path) -> None:
        if Path(target).suffix == ".mp4":
            raise error
        real(source, target)

    def record(space: Workspace, operation: str, details: Any) -> None:
        if operation == "not release" and not logged:
            raise OutputError("The disk is full.")
        write(space, operation, details)

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", stop)
        broken.setattr(releasing, "record", record)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            publish(space, b"the new copy", statement="the new one")
    assert contents(space.release) == before
    assert not list(space.private.glob("*.statement.json*"))
    if logged:
        assert custody.released(custody.read_log(space).entries) == known
    assert publish(space, b"the new copy", statement="the new one").read_bytes() == b"the new copy"


@pytest.mark.usefixtures("fake")
def test_one_copy_of_a_name_is_handed_over_without_its_neighbours(
    redact: Redact, clip: MadeClip, tmp_path: Path
) -> None:
    copy = tmp_path / "films" / "copy.mp4"
    copy.parent.mkdir()
    (copy.parent / "other.mp4").write_bytes(b"private")
    assert redact("analyse", clip.path, "-o", copy).code == 0
    never = redact("release", copy, "--to", tmp_path / "target")
    assert (never.code, "not say that copy.mp4 was released" in never.err) == (7, True)
    assert redact("run", clip.path, "-o", copy).code == 0
    assert redact("release", copy, "--to", tmp_path / "target").code == 0
    assert sorted(p.name for p in (tmp_path / "target").iterdir()) == ["copy.mp4", "copy.statement.json"]
    assert redact("release", copy, "--to", copy.parent / "for-press").code == 0
    for folder in (copy.parent, copy.parent / "copy.private" / "x"):
        assert redact("release", copy, "--to", folder).code == 6


@pytest.mark.usefixtures("fake")
def test_verify_without_a_plan_checks_what_is_in_any_file(redact: Redact, clip: MadeClip, tmp_path: Path) -> None:
    assert redact("run", clip.path, "-o", tmp_path / "out").code == 0
    clean = redact("verify", tmp_path / "out" / "release" / "excerpt-0001.mp4")
    assert clean.code == 0
    assert "NOT CHECKED  covered as the plan says" in clean.out
    found = redact("verify", clip.path, "--json")
    assert found.code == 7
    assert "user data" in json.loads(found.out)["checks"][0]["figure"]
    assert redact("verify", tmp_path / "none.mp4").code == 3
    assert redact("verify", clip.path, "--clip", clip.path).code == 2
