"""Many clips: what is found in a tree, what a queue remembers, and going on after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from redact import batch, crew, custody, trees
from redact.batch import Done, Failure, Result
from redact.errors import OutputError
from redact.pipeline import Outcome
from redact.plan import Settings
from redact.queue import Queue
from tests.conftest import Result as Ran
from tests.fakes import BlindDetector, CrashingDetector, FakeDetector
from tests.trees import faces_of, load_dying, load_fake, load_slow, write_small

Redact = Callable[..., Ran]


@pytest.fixture(scope="module")
def made_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips, one of them without a suffix and one of no use, and what is no clip."""
    tree = tmp_path_factory.mktemp("archive")
    write_small(tree / "north" / "cell.mp4")
    write_small(tree / "south" / "cell.mp4", 40)
    write_small(tree / "south" / "0001.mkv", 80).rename(tree / "south" / "0001")
    (tree / "broken.mp4").write_bytes(b"not a film" * 50)
    (tree / "notes.txt").write_text("what was said")
    (tree / "._cell.mp4").write_bytes(b"\0\5\x16\7")
    (tree / "out of here.mp4").symlink_to("/etc/passwd")
    return tree


@pytest.fixture
def tree(made_tree: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_tree, tmp_path / "archive", symlinks=True))


@pytest.fixture
def sees(see: Callable[[Any], None]) -> None:
    see(FakeDetector(faces_of()))


def run_all(tree: Path, out: Path, jobs: int = 1, load: Any = load_fake, **options: Any) -> list[Result]:
    space = custody.open_workspace(out)
    found = trees.find_clips([tree], space)
    return list(batch.run_clips(found, space, Settings(**options), load, lambda *_: lambda *_: None, jobs))


@pytest.mark.parametrize(("asked", "jobs"), [((), 3), (("--jobs", 2), 2)])
def test_several_clips_are_done_beside_each_other_unless_told_otherwise(
    asked: Sequence[Any], jobs: int, tree: Path, tmp_path: Path, redact: Redact, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def run_clips(*arguments: Any) -> Iterator[Result]:
        given.append(arguments[5])
        yield from ()

    monkeypatch.setattr(batch, "run_clips", run_clips)
    monkeypatch.setattr(crew, "processes_for", lambda clips: clips - 1)
    assert redact("run", tree, "-o", tmp_path / "out", *asked).code == 0
    assert given == [jobs]


def copies(out: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (out / "release").glob("*.mp4"))


@pytest.mark.usefixtures("sees")
def test_a_tree_is_done_and_what_is_no_clip_is_said(redact: Redact, tree: Path, tmp_path: Path) -> None:
    out = tree / "south" / "out"
    result = redact("run", tree, "-o", out)
    assert result.code == 3
    assert "broken.mp4 cannot be read" in result.err
    skipped = [line for line in result.err.splitlines() if line.startswith("redact: skipped")]
    assert [line.split("/")[-1].split(":")[0] for line in skipped] == ["._cell.mp4", "notes.txt", "out of here.mp4"]
    assert len(result.out.splitlines()) == len(copies(out)) == 3
    again = redact("run", tree, "-o", out)
    assert (again.code, again.out) == (3, result.out)
    assert len(copies(out)) == 3
    assert not custody.read_log(custody.locate_workspace(out)).faults
    for path in (out / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.usefixtures("sees")
def test_a_folder_without_clips_ends_with_3(redact: Redact, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").write_text("what was said")
    result = redact("run", tmp_path / "papers", "-o", tmp_path / "out")
    assert result.code == 3
    assert "no clip" in result.err
    os.mkfifo(tmp_path / "pipe.mp4")
    assert redact("run", tmp_path / "pipe.mp4", "-o", tmp_path / "out").code == 3


@pytest.mark.usefixtures("sees")
def test_no_output_is_taken_for_clips_neither_the_own_one_nor_another(
    redact: Redact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    names = ("a.mp4", "release/b.mp4", "private/c.mp4")
    kept = [write_small(data / name, 40 * n) for n, name in enumerate(names)]
    monkeypatch.chdir(data)
    for _ in range(2):
        assert redact("run", data, "-o", "../data/out").code == 0
        assert len(copies(data / "out")) == len(kept)
    assert redact("run", kept[0], "-o", data / "copy.mp4").code == 0
    assert redact("sheet", data / "out" / "private" / "a.plan.json", "--tracks", "--uncovered").code == 0
    (data / "copy.private" / "a.remaining.png").write_bytes(b"what a copy showed")
    found = trees.find_clips([data], custody.locate_workspace(tmp_path / "elsewhere"))
    assert set(found.clips) == {*kept, data / "copy.mp4"}
    outputs = {data / name for name in ("copy.private", "out/private", "out/release")}
    assert {path for path, why in found.skipped.items() if why == "the folder of another output"} == outputs


def test_a_run_goes_on_where_it_was_interrupted(
    redact: Redact, tree: Path, tmp_path: Path, see: Callable[[Any], None]
) -> None:
    out = tmp_path / "out"

    class Interrupting(FakeDetector):
        def detect(self, picture: Any, frame: int, looks: Any) -> Any:
            if len(list((out / "release").glob("*.mp4"))) == 1 and frame == 3:
                raise KeyboardInterrupt
            return super().detect(picture, frame, looks)

    see(Interrupting(faces_of()))
    assert redact("run", tree, "-o", out).code == 130
    first = copies(out)
    assert len(first) == 1
    status = json.loads(redact("status", out, "--json").out)
    assert (status["at_work"], status["clips"]["done"], status["clips"]["waiting"]) == (False, 1, 1)
    assert "goes on where it stopped" in redact("status", out).out
    see(FakeDetector(faces_of()))
    assert redact("run", tree, "-o", out).code == 3
    run_all(tree, tmp_path / "undisturbed")
    assert copies(out) == copies(tmp_path / "undisturbed")
    assert first[0] in copies(out)
    operations = [e["operation"] for e in custody.read_log(custody.locate_workspace(out)).entries]
    assert operations.count("release") == 3


def test_several_processes_give_the_same_copies_and_names_are_not_given_twice(tree: Path, tmp_path: Path) -> None:
    one, two = run_all(tree, tmp_path / "one"), run_all(tree, tmp_path / "two", jobs=2)
    assert sorted(type(r).__name__ for r in one) == sorted(type(r).__name__ for r in two)
    assert copies(tmp_path / "one") == copies(tmp_path / "two")
    assert len({r.copy for r in two if isinstance(r, Outcome)}) == 3
    assert {p.name for p in (tmp_path / "two" / "private").glob("cell*.plan.json")} != {"cell.plan.json"}
    assert [type(r) for r in run_all(tree, tmp_path / "two", jobs=2)].count(Done) == 3


def test_a_clip_that_ends_its_process_is_set_aside_and_the_others_are_done(tree: Path, tmp_path: Path) -> None:
    dark = write_small(tree / "dark.mp4", 250)
    results = run_all(tree, tmp_path / "out", jobs=2, load=load_dying)
    failed = {r.clip.name: r.error for r in results if isinstance(r, Failure)}
    assert set(failed) == {"broken.mp4", dark.name}
    assert failed[dark.name].exit_code == 3
    assert "SIGKILL" in str(failed[dark.name])
    assert len(copies(tmp_path / "out")) == 3


@pytest.mark.usefixtures("sees")
def test_a_second_run_on_the_same_folder_says_so(redact: Redact, tree: Path, tmp_path: Path) -> None:
    out, clip = tmp_path / "out", tree / "north" / "cell.mp4"
    space = custody.open_workspace(out)
    with custody.hold(space):
        for command in (["run", clip], ["analyse", clip]):
            result = redact(*command, "-o", out)
            assert result.code == 6
            assert "Another run is at work" in result.err
        assert custody.is_held(space)
    assert not custody.is_held(space)
    assert redact("run", clip, "-o", out).code == 0


def test_status_shows_how_far_a_run_is_while_it_goes_on(redact: Redact, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert redact("status", out).code == 6
    seen: list[dict[str, Any]] = []
    space = custody.open_workspace(out)

    def progress(clip: Path, name: str) -> Callable[[int, int | None], None]:
        def step(done: int, total: int | None) -> None:
            if name == "render" and done == 5:
                seen.append(json.loads(redact("status", out, "--json").out))

        return step

    found = trees.find_clips([tree], space)
    assert len(list(batch.run_clips(found, space, Settings(), load_fake, progress))) == 4
    assert [s["at_work"] for s in seen] == [True] * 3
    assert [s["clips"]["done"] for s in seen] == [0, 1, 2]
    assert [s["clips"]["running"] for s in seen] == [1] * 3
    assert (seen[0]["time_left_s"], seen[0]["clips"]["failed"], seen[0]["clips"]["skipped"]) == (None, 1, 3)
    assert seen[1]["time_left_s"] is not None
    running = next(row for row in seen[1]["rows"] if row["state"] == "running")
    assert list(running["passes"]) == ["look", "follow", "render"]
    assert running["passes"]["look"] == {"done": 6, "total": 6}
    status = redact("status", out)
    assert "broken.mp4 cannot be read" in status.out
    assert float(batch.report(space).length) == pytest.approx(3 * 5 / 25)


@pytest.mark.usefixtures("sees")
def test_a_clip_that_changed_or_whose_copy_is_gone_is_done_again(redact: Redact, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()
    assert redact("run", tree, "-o", out).code == 0
    write_small(tree / "north" / "cell.mp4", 120)
    (out / "release" / "excerpt-0002.mp4").unlink()
    rows = json.loads(redact("run", tree, "-o", out, "--json").out)
    assert [row.get("done_before", False) for row in rows] == [True, False, False]
    assert len(copies(out)) == 4
    assert redact("run", tree, "-o", out, "--effect", "solid").code == 6
    assert redact("run", tree, "-o", out, "--effect", "solid", "--overwrite").code == 0


@pytest.mark.usefixtures("sees")
def test_a_folder_that_is_done_stays_done_whatever_the_next_command_is_allowed(
    redact: Redact, tree: Path, tmp_path: Path, see: Callable[[Any], None]
) -> None:
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()
    assert redact("run", tree, "-o", out, "--overwrite").code == 0
    before = copies(out)
    see(CrashingDetector(0, RuntimeError("looked again")))
    for allowed in ((), ("--allow-empty",), ()):
        rows = json.loads(redact("run", tree, "-o", out, *allowed, "--json").out)
        assert [row.get("done_before", False) for row in rows] == [True] * 3
    assert copies(out) == before
    write_small(tree / "empty.mp4", 120)
    see(BlindDetector())
    assert redact("run", tree, "-o", out).code == 8
    assert redact("run", tree, "-o", out, "--allow-empty").code == 0
    assert redact("run", tree, "-o", out).code == 0


@pytest.mark.usefixtures("sees")
def test_overwrite_makes_all_copies_anew_also_where_a_run_without_it_was_interrupted(
    redact: Redact, tree: Path, tmp_path: Path, see: Callable[[Any], None]
) -> None:
    out = tmp_path / "out"
    (tree / "broken.mp4").unlink()

    class Interrupting(FakeDetector):
        def detect(self, picture: Any, frame: int, looks: Any) -> Any:
            if len(list((out / "release").glob("*.mp4"))) == 1:
                raise KeyboardInterrupt
            return super().detect(picture, frame, looks)

    see(Interrupting(faces_of()))
    assert redact("run", tree, "-o", out).code == 130
    see(FakeDetector(faces_of()))
    rows = json.loads(redact("run", tree, "-o", out, "--overwrite", "--json").out)
    assert [row.get("done_before", False) for row in rows] == [False] * 3


@pytest.mark.usefixtures("sees")
def test_the_same_content_under_another_name_is_not_done_twice(redact: Redact, tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / "north" / "cell.mp4", tree / "north" / "same.mp4")
    rows = json.loads(redact("run", tree / "north", "-o", tmp_path / "out", "--json").out)
    assert [row.get("done_before", False) for row in rows] == [False, True]
    assert rows[0]["copy"] == rows[1]["copy"]


def test_the_same_content_under_two_names_is_done_once_also_with_several_jobs(tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / "north" / "cell.mp4", tree / "north" / "same.mp4")
    for jobs in (1, 2):
        first, second = run_all(tree / "north", tmp_path / str(jobs), jobs, load_slow)
        assert [type(first), type(second)] == [Outcome, Done]
        assert isinstance(first, Outcome)
        assert isinstance(second, Done)
        assert first.copy == second.copy


def test_a_clip_whose_copy_was_changed_or_replaced_is_not_said_to_be_done(tree: Path, tmp_path: Path) -> None:
    shutil.rmtree(tree / "south")
    (tree / "broken.mp4").unlink()
    (made,) = run_all(tree, tmp_path / "out")
    assert isinstance(made, Outcome)
    shutil.copy(made.copy, tmp_path / "kept.mp4")
    shutil.copy(tree / "north" / "cell.mp4", made.copy)
    (failure,) = run_all(tree, tmp_path / "out")
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, OutputError)
    assert "not the file that was released" in str(failure.error)
    shutil.copy(tmp_path / "kept.mp4", made.copy)
    assert [type(r) for r in run_all(tree, tmp_path / "out")] == [Done]
    made.copy.unlink()
    assert [type(r) for r in run_all(tree, tmp_path / "out")] == [Outcome]


def test_a_linked_folder_of_clips_is_said_to_be_left_alone(tmp_path: Path) -> None:
    clip, other = tmp_path / "data" / "a.mp4", tmp_path / "elsewhere" / "b.mp4"
    for path in (clip, other):
        path.parent.mkdir()
        path.write_bytes(b"a clip")
    (clip.parent / "linked").symlink_to(other.parent)
    found = trees.find_clips([clip.parent], custody.locate_workspace(tmp_path / "out"))
    assert found.clips == (clip,)
    assert found.skipped == {clip.parent / "linked": "a link or no file"}


@pytest.mark.usefixtures("sees")
def test_a_damaged_queue_is_an_error_with_advice_and_nothing_else_is_lost(
    redact: Redact, tree: Path, tmp_path: Path
) -> None:
    out, queue = tmp_path / "out", tmp_path / "out" / "private" / batch.QUEUE
    redact("run", tree, "-o", out)
    before = copies(out)
    queue.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    for command in (["run", tree, "-o", out], ["status", out]):
        result = redact(*command)
        assert result.code == 6
        assert "remove it" in result.err
    queue.unlink()
    assert redact("run", tree, "-o", out).code == 3
    assert copies(out) == before


def test_a_clip_that_keeps_ending_the_program_lets_the_others_go_first(tmp_path: Path) -> None:
    clips = [write_small(tmp_path / f"{name}.mp4") for name in "ab"]
    for attempt in range(1, 5):
        with Queue(tmp_path / "queue") as queue:
            queue.enter(clips, "settings", {}, again=False)
            job = queue.take(0)
            assert job is not None
            assert (job.clip.stem, job.attempts) == (("a", attempt) if attempt < 4 else ("b", 1))
