"""The bench of what labels cost runs each set in turn and compares it with faces alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import labels
from redact import weights

COSTS = {"head": 10.0, "head,text": 12.0, "head,code": 11.0, "head,text,code": 13.0, "people": 20.0}


@pytest.mark.parametrize("persons", [True, False])
def test_each_set_is_run_in_turn_and_compared_with_faces_alone(
    persons: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def measure(clip: Path, cover: str) -> float:
        asked.append((clip.stem, cover))
        return COSTS[cover] * (2 if clip.stem == "b" else 1)

    monkeypatch.setattr(labels, "measure", measure)
    monkeypatch.setattr(weights, "is_installed", lambda card: persons)
    assert labels.main(["a.mp4", "b.mp4", "--runs", "2"]) == 0
    sets = [cover for cover in COSTS if persons or cover != "people"]
    assert asked == [(clip, cover) for clip in "ab" for _ in range(2) for cover in sets]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert rows[-1] == ["TOTAL", *(f"{3 * COSTS[cover]:.1f} ({COSTS[cover] / 10:.2f})" for cover in sets)]
    assert [row[0] for row in rows[2:]] == ["a", "b", "TOTAL"]
