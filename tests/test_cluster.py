"""Passes that other processes carry out: of this machine, or of a real scheduler, one of which dies in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from redact import analysis, batch, cluster, custody, surveys, trees
from redact.errors import DependencyError
from redact.plan import Settings
from tests.conftest import Result
from tests.trees import LONG, load_fake, load_other, load_witness, write_small

ROOT = Path(__file__).parent.parent
SEGMENT = 10
START_S = 60  # on a busy machine


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'redact[cluster]'")
    known = tmp_path / "scheduler.json"
    started = [start(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(known))]
    try:
        deadline = time.monotonic() + START_S
        while not known.exists() or not known.read_text():
            assert time.monotonic() < deadline, (tmp_path / "scheduler.log").read_text()
            time.sleep(0.1)
        address = str(json.loads(known.read_text())["address"])
        how = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--memory-limit", "0")
        started += [start(tmp_path, "worker", address, *how, "--local-directory", str(tmp_path)) for _ in range(2)]
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


def run_all(tree: Path, out: Path, load: batch.Load, **how: object) -> list[batch.Result]:
    space = custody.open_workspace(out)
    found = trees.find_clips([tree], space)
    return list(batch.run_clips(found, space, Settings(), load, lambda *_: lambda *_: None, **how))  # type: ignore[arg-type]


def made(out: Path) -> dict[str, bytes]:
    """Return what was kept of each clip, by its name, and the copies."""
    files = [path for name in ("*.plan.json", "*.detections.jsonl.gz") for path in (out / "private").glob(name)]
    copies = sorted(path.read_bytes() for path in (out / "release").glob("*.mp4"))
    return {path.name: path.read_bytes() for path in files} | {f"copy {n}": data for n, data in enumerate(copies)}


@pytest.mark.parametrize("where", ["jobs", "cluster"])
def test_plans_and_copies_are_the_same_and_a_process_that_dies_costs_one_segment(
    where: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"jobs": 2} if where == "jobs" else {"cluster": request.getfixturevalue("scheduler")}
    monkeypatch.setattr(surveys, "SEGMENT", SEGMENT)
    tree = tmp_path / "archive"
    write_small(tree / "long.mp4", frames=LONG)
    write_small(tree / "short.mp4", 40)
    (tree / "broken.mp4").write_bytes(b"not a film" * 50)
    notes = tmp_path / "notes"
    notes.mkdir()
    apart = run_all(tree, tmp_path / "apart", partial(load_witness, notes, deadly=25), **how)
    assert (notes / "died").exists()
    assert sorted(type(result).__name__ for result in apart) == ["Failure", "Outcome", "Outcome"]
    looks = [tuple(line.split()) for line in (notes / "looks").read_text().splitlines()]
    assert len({process for *_, process in looks}) > 1
    times = Counter((picture, frame, look) for picture, frame, look, _ in looks)
    again = {int(frame) for (_, frame, _), count in times.items() if count > 1}
    assert {25} <= again <= set(range(20, 30)), "only the segment that was lost is looked at again"
    local = tmp_path / "local"
    run_all(tree, local, partial(load_witness, notes))
    assert made(tmp_path / "apart") == made(local)
    assert len(made(local)) == 6
    assert not [path for path in (tmp_path / "apart" / "private").iterdir() if "partial" in path.name]


def test_what_keeps_a_cluster_from_being_used_is_told_with_what_to_do(
    redact: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_small(tmp_path / "clip.mp4")

    def refuse(*arguments: str) -> Result:
        result = redact("run", clip, "-o", tmp_path / "out", *arguments)
        assert not result.out
        return result

    assert refuse("--cluster", "host:8786").code == 2
    assert refuse("--cluster", "tcp://127.0.0.1:9", "--jobs", "2").code == 2
    monkeypatch.setitem(sys.modules, "distributed", None)
    missing = refuse("--cluster", "tcp://127.0.0.1:9")
    assert missing.code == 5
    assert "pip install 'redact[cluster]'" in missing.err
    monkeypatch.undo()
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'redact[cluster]'")
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    silent = refuse("--cluster", "tcp://127.0.0.1:9")
    assert silent.code == 5
    assert "No scheduler answers at tcp://127.0.0.1:9" in silent.err


def test_a_worker_with_other_versions_or_models_does_not_look_and_ends_the_run(tmp_path: Path) -> None:
    models = analysis.models_of(load_fake())
    assert batch._load_alike(load_fake, analysis.versions(), models)
    for other in (("redact 9", models), (analysis.versions(), {"fake": "1" * 64})):
        with pytest.raises(DependencyError, match="other versions or models"):
            batch._load_alike(load_fake, *other)
    for shade in (0, 40):
        write_small(tmp_path / "archive" / f"{shade}.mp4", shade)
    load = partial(batch._load_alike, partial(load_other, tmp_path), analysis.versions(), models)
    with pytest.raises(DependencyError, match="other versions or models"):
        run_all(tmp_path / "archive", tmp_path / "out", load, jobs=2)
    assert not [row for row in batch.report(custody.locate_workspace(tmp_path / "out")).rows if row.state == "failed"]
