"""What the tests of covering share: reading plans and copies, and what holds for each refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from redact.geometry import Box, covered_share
from redact.media import FrameReader
from redact.plan import Plan, Track
from redact.records import load_plan
from tests.clips import Picture
from tests.conftest import Result

Redact = Callable[..., Result]
CORNER = "8,220,60,16"  # x, y, width, height: no face is there


def plan_of(out: Path, clip: Path) -> Plan:
    return load_plan((out / "private" / f"{clip.stem}.plan.json").read_text())


def assert_covered(tracks: Sequence[Track], where: Mapping[int, Box], share: float = 1.0) -> None:
    """Assert that some track covers a thing in each frame in which it is there."""
    for n, there in where.items():
        boxes = [t.boxes[n - t.first] for t in tracks if t.first <= n <= t.last]
        assert max((covered_share(there, box) for box in boxes), default=0) >= share, n


def pictures(path: Path) -> list[Picture]:
    with FrameReader(path) as reader:
        return [frame.picture for frame in reader]


def refused(result: Result, code: int, tmp_path: Path) -> None:
    """Assert that a command failed with a message and advice, and that nothing was released."""
    assert result.code == code, result
    message, advice = result.err.rstrip("\n").split("\n")[-2:]
    assert message.startswith("redact: ")
    assert len(advice.strip()) > 10
    assert "Traceback" not in result.err
    assert not list(tmp_path.rglob("excerpt-*"))
