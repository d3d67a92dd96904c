"""Reports on what an output folder holds: one page for the editor, and one that may go with the copies.

The private page is made from the log and the plans. The public one is made from nothing but the statements that were
released with the copies, and the copies' own names: what is private cannot get into it. Both are single HTML files
without scripts, and fetch nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from redact import custody
from redact.custody import LogReport, Workspace
from redact.errors import PlanError
from redact.plan import Plan, Track, Verdict
from redact.records import load_plan

WIDTH, LANE = 900, 14  # pixels: a time line, and one of its lanes
STYLE = """
:root { color-scheme: light dark }
:root { --ink: #1c1c1c; --faint: #6b6b6b; --line: #d5d5d5; --cover: #3465a4; --doubt: #c4591b }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --faint: #a0a0a0; --line: #444 } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem }
h2 { font-size: 1.15rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem } th { text-align: left; font-weight: 600 }
th, td { padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
.faint { color: var(--faint) } .alarm { color: var(--doubt); font-weight: 600 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: var(--ink) }
"""


@dataclass(frozen=True)
class Work:
    """What became of one excerpt.

    Attributes:
        file: name of its plan, or of the copy where there is no plan.
        plan: None where there is none, or it cannot be read.
        checks: of its last copy, as the log has them.
        copy: name of the released copy; "" where there is none.
        held_back: why it was not released, where the log says so.
        doubtful: the copy was made from another plan than this, so far as its statement tells.
        joined: the names of the copies of which it is a film.
    """

    file: str
    plan: Plan | None
    checks: tuple[Mapping[str, Any], ...] = ()
    copy: str = ""
    held_back: str = ""
    doubtful: bool = False
    joined: tuple[str, ...] = ()


def collect(space: Workspace, log: LogReport) -> list[Work]:
    """Return what became of every plan in a private folder, in the order of their names, and of copies without one."""
    found, released = [], custody.released(log.entries)
    for path in sorted(space.private.glob("*.plan.json")):
        try:
            plan = load_plan(path.read_text("utf-8"))
        except (PlanError, OSError, ValueError):
            found.append(Work(path.name, None))
            continue
        excerpt = custody.identity(plan.source.sha256, plan.settings)
        last = {e["operation"]: e for e in log.entries if excerpt.items() <= e.items()}
        verified, held = (last.get(name, {}) for name in ("verify", "hold back"))
        copies: list[Mapping[str, Any]] = [e for e in released.values() if excerpt.items() <= e.items()]
        copy = max(copies, key=lambda e: e["number"], default={})
        found.append(
            Work(
                path.name,
                plan,
                tuple(verified.get("checks", ())),
                copy.get("name", ""),
                "" if copy else str(held.get("reason", "")),
                bool(copy) and not _agrees(json.loads(copy["statement"]), plan),
            )
        )
    named = {work.copy for work in found}
    loose = {name: e for name, e in released.items() if name not in named}
    return [*found, *(Work(name, None, copy=name, joined=tuple(e.get("joined", ()))) for name, e in loose.items())]


def _agrees(statement: Mapping[str, Any], plan: Plan) -> bool:
    """Return whether what a statement says was covered is what a plan covers."""
    now = custody.make_statement(plan, Verdict())
    names = ("covered", "left_visible_by_decision", "seconds_with_something_covered")
    return all(statement.get(name) == now.get(name) for name in names)


def private_report(works: Sequence[Work], log: LogReport) -> str:
    """Return the page for the editor: what was covered when, the checks, the doubts, and what was not checked."""
    chain = "; ".join(log.faults)
    parts = [
        "<p class='alarm'>Private: this page names clips and says where people are in them. Do not publish it.</p>"
    ]
    parts += [f"<p class='alarm'>The log is not as it was written: {escape(chain)}.</p>"] if chain else []
    parts += [f"<p class='faint'>{len(log.entries)} lines in the log{'' if chain else ', the chain is whole'}.</p>"]
    parts += [_table(("clip", "copy", "covered", "in doubt"), [_summary(work) for work in works])]
    parts += [_section(work) for work in works]
    return _page("What was covered", parts)


def public_report(entries: Iterable[Mapping[str, Any]], folder: Path) -> str:
    """Return the page that may go with the copies, from the statements that a log's entries of releases hold.

    Args:
        entries: of the log.
        folder: where the copies are; those that are not there any more are left out.
    """
    statements = {name: json.loads(e["statement"]) for name, e in custody.released(entries).items()}
    parts = []
    for name, said in sorted(statements.items()):
        if (folder / name).exists():
            rows = [(key.replace("_", " "), _in_words(value)) for key, value in said.items() if key != "statement"]
            parts += [f"<h2>{escape(name)}</h2>", f"<p>{escape(said['statement'])}</p>", _table((), rows)]
    return _page("What was done to these videos", parts or ["<p>Nothing was released.</p>"])


def _in_words(value: Any) -> str:
    """Return a value of a statement as a person reads it."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_in_words(inner)}" for key, inner in value.items()) or "nothing"
    return "; ".join(map(_in_words, value)) or "nothing" if isinstance(value, list) else str(value)


def _summary(work: Work) -> tuple[str, ...]:
    """Return a clip's row of the table at the top."""
    if work.plan is None:
        said = _without_plan(work)
        return work.file, work.copy, said[:1].lower() + said[1:], ""
    plan = work.plan
    return (
        _clip(plan),
        work.copy or f"not released{': ' * bool(work.held_back)}{work.held_back}",
        f"{plan.covered_frames()} of {plan.source.frames} frames",
        str(len(plan.doubts)),
    )


def _without_plan(work: Work) -> str:
    """Return what is to be known where there is no plan."""
    return f"A film of {', '.join(work.joined)}" if work.joined else "The plan is not in this folder or cannot be read"


def _section(work: Work) -> str:
    """Return what is to be known about one clip."""
    if work.plan is None:
        kind = "" if work.joined else " class='alarm'"
        return f"<h2>{escape(work.file)}</h2><p{kind}>{escape(_without_plan(work))}.</p>"
    plan = work.plan
    tracks = [(str(t.id), t.label, _stretch(plan, t.first, t.last), _decision(t)) for t in plan.tracks]
    doubts = [(f"{d.risk:.2f}", _stretch(plan, d.first, d.last), d.reason) for d in plan.doubts]
    made = [c for c in work.checks if c.get("passed") is not None]
    checks = [("held" if c.get("passed") else "FAILED", c["name"], c["figure"]) for c in made]
    skipped = [(c["name"], c["figure"]) for c in work.checks if c.get("passed") is None]
    edits = [(edit.when, edit.who, edit.what) for edit in plan.edits]
    parts = [f"<h2>{escape(_clip(plan))}</h2>"]
    parts += ["<p class='alarm'>The copy was made from another plan than this one.</p>"] if work.doubtful else []
    parts += [_timeline(plan)]
    for title, header, rows, empty in (
        ("Checks", ("", "check", "figure"), checks, "Nothing was checked yet."),
        ("Not checked", ("check", ""), skipped, "" if made else "Everything."),
        ("In doubt", ("risk", "when", "why"), doubts, "Nothing. That does not mean that nobody was missed."),
        ("Covered", ("track", "label", "when", ""), tracks, "Nothing."),
        ("Changed by hand", ("when", "who", "what"), edits, ""),
    ):
        if rows or empty:
            parts += [f"<h3>{title}</h3>", _table(header, rows) if rows else f"<p class='faint'>{empty}</p>"]
    return "\n".join(parts)


def file_name(path: str) -> str:
    """Return the last part of a path, whichever system it is from: plans and logs are read on other machines too."""
    return (PurePosixPath if path.startswith("/") else PureWindowsPath)(path).name


def _clip(plan: Plan) -> str:
    """Return the name of a plan's clip, and its excerpt."""
    name = file_name(plan.source.path)
    begin, end = plan.settings.from_time, plan.settings.to_time
    if begin is None and end is None:
        return name
    return f"{name} from {_clock(begin or Fraction(0))} to {'its end' if end is None else _clock(end)}"


def _decision(track: Track) -> str:
    """Return why a track is there, and who left it visible where somebody did."""
    shown = f"LEFT VISIBLE by {track.decided_by}" if track.action == "show" else ""
    added = "found in the copy" if track.origin == "verification" else ""
    return "; ".join(part for part in (shown, added, track.reason) if part)


def _stretch(plan: Plan, first: int, last: int) -> str:
    """Return a stretch of frames in words: the frames exactly, the times by the mean frame rate."""
    return f"frames {first} to {last}, about {_clock(_time(plan, first))} to {_clock(_time(plan, last))}"


def _time(plan: Plan, frame: int) -> Fraction:
    """Return about when a frame is shown; exact where the frame rate is constant."""
    source = plan.source
    return source.begins + (source.ends - source.begins) * (frame - source.first) / max(source.frames - 1, 1)


def _clock(time: Fraction) -> str:
    """Return a time as minutes:seconds."""
    tenths = int(time * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"


def _timeline(plan: Plan) -> str:
    """Return a drawing of when what is covered: a lane for each label, one for what is visible, one for the doubts."""
    lanes: dict[str, list[tuple[int, int]]] = {}
    for track in plan.tracks:
        name = track.label if track.action == "cover" else "left visible"
        lanes.setdefault(name, []).append((track.first, track.last))
    if plan.doubts:
        lanes["in doubt"] = [(doubt.first, doubt.last) for doubt in plan.doubts]
    scale = (WIDTH - 100) / plan.source.frames
    drawn = []
    for n, (name, stretches) in enumerate(lanes.items()):
        colour = "var(--cover)" if name not in ("left visible", "in doubt") else "var(--doubt)"
        drawn.append(f"<text x='0' y='{n * LANE + 11}'>{escape(name)}</text>")
        for first, last in stretches:
            x, wide = 100 + (first - plan.source.first) * scale, max((last + 1 - first) * scale, 1)
            drawn.append(
                f"<rect x='{x:.1f}' y='{n * LANE + 2}' width='{wide:.1f}' height='{LANE - 4}' fill='{colour}'"
                f" fill-opacity='.7'><title>{escape(_stretch(plan, first, last))}</title></rect>"
            )
    ends = f"{_clock(plan.source.begins)} to {_clock(plan.source.ends)}, {plan.source.frames} frames"
    height = len(lanes) * LANE + 18
    drawn.append(f"<text x='100' y='{height - 4}'>{ends}</text>")
    return f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='time line'>{''.join(drawn)}</svg>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every text in it is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
