"""The record: release and private folders, the private hash-chained log, and the public statement.

The log says what was done, with which settings and model hashes, what was checked and what was not, and who
decided what. Each line holds the hash of the line before; a file beside it holds the hash of the last line, so that
lines missing at the end are found as well. The statement that goes with a copy holds no name, path, hash, date or
place of the source.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from redact.disk import PRIVATE, make_private, sync_folder, unwritable, write_whole
from redact.errors import OutputError
from redact.media import hash_file
from redact.plan import UNHEARD, Plan, Settings, Verdict
from redact.records import to_bytes, to_plain

FIRST_HASH = "0" * 64
STATEMENT_SUFFIX = ".statement.json"
COPY_SUFFIXES = (".mp4", ".png")
READABLE = 0o644  # what is released is for everybody
LONGEST_STEM = 120  # bytes of a clip's name in the names of its private files: most disks allow 255
LOCK_TRIES, LOCK_PAUSE_S = 10, 0.05  # `redact status` holds the lock for a moment


@dataclass(frozen=True)
class Workspace:
    """Where the files of a run go.

    Attributes:
        private: plans, detections, partial copies and the log; mode 0700.
        release: where checked copies appear; nothing else is ever in it.
        copy: the full name of the copy, where the user gave one.
    """

    private: Path
    release: Path
    copy: Path | None = None

    @property
    def log(self) -> Path:
        """The private log."""
        return self.private / "custody.jsonl"


def locate_workspace(output: Path) -> Workspace:
    """Return the folders for an output: a folder, or the name of one copy (.mp4, .png), beside NAME.private/."""
    if output.suffix.lower() in COPY_SUFFIXES and not output.is_dir():
        return Workspace(output.with_suffix(".private"), output.parent, output)
    return Workspace(output / "private", output / "release")


def open_workspace(output: Path) -> Workspace:
    """Return the folders for an output, made where they are missing.

    Raises:
        OutputError: a folder cannot be made.
    """
    space = locate_workspace(output)
    try:
        make_private(space.private)
        space.release.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(output, error) from error
    return space


@contextmanager
def hold(space: Workspace) -> Iterator[int]:
    """Keep other runs out of the folders of an output while the block runs.

    Yields:
        The descriptor of the lock: processes that inherit it keep the lock too.

    Raises:
        OutputError: another run is at work there.
    """
    with _lock_file(space) as descriptor:
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOCK_PAUSE_S)
            except OSError as error:
                raise unwritable(space.private, error) from error
        else:
            raise OutputError(
                f"Another run is at work in {space.private.parent}; two would get in each other's way.",
                "Wait until it is done (`redact status OUT` says how far it is), or choose another output with -o.",
            )
        yield descriptor


def is_held(space: Workspace) -> bool:
    """Return whether a run is at work in the folders of an output."""
    with _lock_file(space) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def _lock_file(space: Workspace) -> Iterator[int]:
    """Open the file that is locked; closing it unlocks it."""
    try:
        descriptor = os.open(space.private / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        raise unwritable(space.private, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def private_path(space: Workspace, clip: Path, source_sha256: str, suffix: str) -> Path:
    """Return where a private file of a clip is kept: under the clip's name, with its hash where another clip has it.

    Raises:
        OutputError: the plans there cannot be read.
    """
    short = os.fsdecode(os.fsencode(clip.stem)[:LONGEST_STEM])
    plan = space.private / f"{short}.plan.json"
    try:
        taken = short != clip.stem or (plan.exists() and source_sha256.encode() not in plan.read_bytes())
    except OSError as error:
        raise unwritable(plan, error) from error
    name = f"{short}-{source_sha256[:8]}" if taken else short
    return space.private / (name + suffix)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise unwritable(path, error) from error


def write_public(space: Workspace, path: Path, data: bytes) -> None:
    """Write a page that goes with the copies, whole or not at all. The log is written first.

    Raises:
        OutputError: it cannot be written.
    """
    draft = space.private / f"{path.name}.draft"
    write_private(draft, data)
    record(space, "report", {"name": path.name, "sha256": hashlib.sha256(data).hexdigest()})
    try:
        draft.chmod(READABLE)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def record(space: Workspace, operation: str, details: Mapping[str, Any]) -> None:
    """Add a line to the log.

    Args:
        space: whose log.
        operation: what was done, as "render".
        details: what is to be known about it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with open(os.open(space.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number, last, size = _measure_log(file)
            file.truncate(size)
            if not number:
                write_private(_head(space), FIRST_HASH.encode())
            entry: dict[str, Any] = {
                "number": number + 1,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "operation": operation,
                **details,
                "previous": _hash(last) if number else FIRST_HASH,
            }
            line = to_bytes(json.dumps(entry, ensure_ascii=False))
            try:
                if os.write(file.fileno(), line + b"\n") <= len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
                write_private(_head(space), _hash(line).encode())
            except (OSError, OutputError):
                os.ftruncate(file.fileno(), size)  # a line that is not whole would break the chain for good
                raise
    except OSError as error:
        raise unwritable(space.log, error) from error


def _measure_log(file: BinaryIO) -> tuple[int, bytes, int]:
    """Return the number of whole lines, the last one, and their size: a crash may leave a piece of one behind them."""
    number, last, size = 0, b"", 0
    for line in file:
        if line.endswith(b"\n"):
            number, last, size = number + 1, line.rstrip(b"\n"), size + len(line)
    return number, last, size


@dataclass(frozen=True)
class LogReport:
    """What reading the log has shown.

    Attributes:
        entries: the lines that can be read, in order.
        faults: what is wrong with the chain, in words; empty if it is whole.
    """

    entries: tuple[Mapping[str, Any], ...]
    faults: tuple[str, ...]


def read_log(space: Workspace) -> LogReport:
    """Read the log and check its chain: every line's number, the hash of the line before, and the last line's hash.

    Raises:
        OutputError: there is no log, or it cannot be read.
    """
    try:
        *lines, _torn = space.log.read_bytes().split(b"\n")  # a crash may leave a piece of a line at the end
        head = _head(space).read_bytes().decode("ascii", "replace") if _head(space).exists() else ""
    except OSError as error:
        raise OutputError(f"There is no log in {space.private}.", "Name the folder given to -o.") from error
    entries: list[Mapping[str, Any]] = []
    faults: list[str] = []
    before = previous = FIRST_HASH
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            sound = isinstance(entry, dict)
        except (ValueError, RecursionError):
            sound = False
        if not sound:
            faults.append(f"line {number} cannot be read")
        else:
            entries.append(entry)
            if entry.get("number") != number:
                faults.append(f"line {number} says that it is line {entry.get('number')}: a line is missing or added")
            if entry.get("previous") != previous:
                faults.append(f"line {number} does not follow from the line before, which was changed or removed")
        before, previous = previous, _hash(line)
    # A crash between writing a line and its hash leaves the head one line behind: that is no fault.
    if head not in (previous, before) and (lines or head):
        faults.append("the end of the log was changed or removed")
    return LogReport(tuple(entries), tuple(faults))


def suffix_of(still: bool) -> str:
    """Return the suffix of the copy of a clip, or of a still picture."""
    return COPY_SUFFIXES[still]


def release_name(space: Workspace, clip: Path, source_sha256: str, settings: Settings, suffix: str) -> str:
    """Return the name of a copy in the release folder, without its suffix.

    Neutral names are counted up; an excerpt that was released before keeps its name, so that it can be replaced.

    Raises:
        OutputError: the copy exists already and may not be overwritten, is the clip itself, or has another suffix.
    """
    if space.copy is not None:
        if space.copy.suffix.lower() != suffix:
            raise OutputError(f"The copy of {clip.name} is a {suffix} file, not {space.copy.name}.")
        name = space.copy.stem
    elif settings.keep_names:
        name = clip.stem
    else:
        name = _known_name(space, identity(source_sha256, settings)) or next_name(space)
    target = copy_path(space, name, suffix)
    if target.exists() and target.samefile(clip):
        raise OutputError(f"The copy would replace the clip itself: {target}.", "Choose another output with -o.")
    if target.exists() and not settings.overwrite:
        raise OutputError(f"{target} exists already.", "Use --overwrite to replace it, or choose another output.")
    return name


def copy_path(space: Workspace, name: str, suffix: str) -> Path:
    """Return where a copy of this name is released."""
    return space.copy or space.release / (name + suffix)


def release(space: Workspace, partial: Path, plan: Plan, verdict: Verdict, clip: Path) -> Path:
    """Move a checked copy of a clip to the release folder, with its statement. The log is written first.

    Returns:
        Where the copy is.

    Raises:
        OutputError: it cannot be moved.
    """
    details = {
        "clip": clip.name,
        **identity(plan.source.sha256, plan.settings),
        "settings": to_plain(plan.settings),
        "length": to_plain(plan.source.ends - plan.source.begins),
    }

    def name() -> str:
        return release_name(space, clip, plan.source.sha256, plan.settings, partial.suffix)

    return publish(space, partial, name, details, make_statement(plan, verdict))


def publish(
    space: Workspace,
    partial: Path,
    choose_name: Callable[[], str],
    details: Mapping[str, Any],
    statement: Mapping[str, Any],
) -> Path:
    """Move a checked file to the release folder, with its statement. The log is written first.

    Files get their names here, one at a time, so that two that are finished together get different ones.

    Args:
        space: where it is released.
        partial: the file in the private folder.
        choose_name: returns its name in the release folder, without suffix.
        details: what the log says of it besides its name, its hash and its statement.
        statement: what is published with it.

    Returns:
        Where the file is.

    Raises:
        OutputError: it cannot be moved.
    """
    text = json.dumps(statement, indent=1, ensure_ascii=False) + "\n"
    try:
        with partial.open("rb") as file, _one_at_a_time(space):
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            name = choose_name()
            target = copy_path(space, name, partial.suffix)
            record(space, "release", {"name": target.name, **details, "copy_sha256": sha256, "statement": text})
            draft = space.private / f"{name}{STATEMENT_SUFFIX}"
            write_private(draft, to_bytes(text))
            draft.chmod(READABLE)
            partial.chmod(READABLE)
            draft.replace(target.with_name(name + STATEMENT_SUFFIX))
            os.replace(partial, target)
            sync_folder(target.parent)
    except OSError as error:
        raise unwritable(space.copy or space.release, error) from error
    return target


@contextmanager
def _one_at_a_time(space: Workspace) -> Iterator[None]:
    """Let the processes of a run release one after the other."""
    descriptor = os.open(space.private, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Released:
    """A copy that was released: where it is, and the seconds from its first frame to its last."""

    copy: Path
    length: Fraction


def find_released(space: Workspace, source_sha256: str, settings: Settings, after: int) -> Released | None:
    """Return the copy of this excerpt that was released with these settings and is there as it was, or None.

    Args:
        space: where it was released.
        source_sha256: of the clip.
        settings: that it was made with.
        after: number of the line of the log after which that has to be.
    """
    wanted = {**identity(source_sha256, settings), "settings": to_plain(settings)}
    for entry in _releases(space, source_sha256):
        if entry["number"] > after and wanted.items() <= entry.items():
            name = Path(entry["name"])
            copy = copy_path(space, name.stem, name.suffix)
            if copy.exists() and hash_file(copy) == entry["copy_sha256"]:
                with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
                    return Released(copy, Fraction(entry["length"]))
    return None


def log_length(space: Workspace) -> int:
    """Return how many lines the log has."""
    if not space.log.exists():
        return 0
    with space.log.open("rb") as file:
        return _measure_log(file)[0]


def _releases(space: Workspace, source_sha256: str) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the log about copies of a clip that were released; those that cannot be read are left out."""
    if not space.log.exists():
        return
    with space.log.open("rb") as file:
        for line in file:
            if source_sha256.encode() in line:
                with suppress(ValueError, RecursionError):
                    entry = json.loads(line)
                    if _tells_of_a_copy(entry):
                        yield entry


def _tells_of_a_copy(entry: Any) -> bool:
    """Return whether a line of the log, which may be damaged, is about a copy that was released."""
    if not isinstance(entry, dict) or entry.get("operation") != "release":
        return False
    number, texts = entry.get("number"), [entry.get(key) for key in ("name", "copy_sha256")]
    return isinstance(number, int) and all(isinstance(text, str) and "\0" not in text for text in texts)


def identity(source_sha256: str, settings: Settings) -> dict[str, Any]:
    """Return what tells one excerpt of one clip from all others."""
    return {
        "source_sha256": source_sha256,
        "from": to_plain(settings.from_time),
        "to": to_plain(settings.to_time),
        "stream": settings.stream,
    }


def make_statement(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """Return the public statement on a copy. It claims no more than what was done and checked."""
    settings: Settings = plan.settings
    rate = plan.source.frames / max(float(plan.source.ends - plan.source.begins), 1e-9)
    seconds = round(plan.covered_frames() / rate, 1) if plan.source.frames > 1 else 0.0
    return {
        "statement": f"Parts of this {'picture' if plan.source.still else 'video'} were covered before publication.",
        "covered": dict(Counter(t.label for t in plan.tracks if t.action == "cover")),
        "left_visible_by_decision": dict(Counter(t.label for t in plan.tracks if t.action == "show")),
        "seconds_with_something_covered": seconds,
        "how": {
            "blur": "filled smoothly from the pixels around the region; nothing of what was there is left",
            "solid": "filled with black",
            "mosaic": "filled with blocks made from the pixels around the region; nothing of what was there is left",
        }[settings.effect],
        "damaged_frames_covered_whole": plan.source.damaged,
        "stretches_that_could_not_be_decoded": len(plan.source.lost),
        "sound": _sound(settings, any(c.name == UNHEARD for c in verdict.checks)),
        **describe_checks(verdict),
        "reviewed_by_a_person": _describe_review(plan),
    }


def describe_checks(verdict: Verdict) -> dict[str, Any]:
    """Return what a statement says of the checks."""
    return {
        "checked": {c.name: "held" if c.passed else "failed" for c in verdict.checks if c.passed is not None},
        "not_checked": [c.name for c in verdict.checks if c.passed is None],
    }


def _sound(settings: Settings, heard: bool) -> str:
    """Return what became of the sound."""
    if not heard:
        return "removed" if settings.audio == "none" else "there was none"
    kept = "the recorded sound, encoded again" if settings.audio == "keep" else "another sound in place of the recorded"
    return f"{kept}; parts of it were taken out" if settings.mute else kept


def _describe_review(plan: Plan) -> str:
    """Return in words how much of an excerpt a person has looked at; the share is rounded down."""
    if plan.review is None:
        return "no"
    share = plan.review.frames_seen * 100 // plan.source.frames
    left = f"; {plan.review.doubts_left} doubtful stretches left undecided" if plan.review.doubts_left else ""
    return f"yes, {share} % of the frames were looked at{left}"


def _known_name(space: Workspace, excerpt: Mapping[str, Any]) -> str | None:
    """Return the neutral name under which this very excerpt was released before."""
    entries = _releases(space, excerpt["source_sha256"])
    names = [Path(entry["name"]).stem for entry in entries if excerpt.items() <= entry.items()]
    neutral = [name for name in names if re.fullmatch(r"excerpt-\d+", name)]
    return neutral[-1] if neutral else None


def next_name(space: Workspace, kind: str = "excerpt") -> str:
    """Return the first neutral name after those in use."""
    used = [int(m[1]) for p in space.release.iterdir() if (m := re.match(rf"{kind}-(\d+)\.", p.name))]
    return f"{kind}-{max(used, default=0) + 1:04d}"


def _head(space: Workspace) -> Path:
    """Return the file that holds the hash of the log's last line."""
    return space.private / "custody.head"


def _hash(line: bytes) -> str:
    """Return the hash of a line."""
    return hashlib.sha256(line).hexdigest()
