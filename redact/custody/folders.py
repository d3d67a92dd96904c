"""Where the files of a run go, and that one run at a time is at work there."""

from __future__ import annotations

import fcntl
import os
import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redact.disk import PRIVATE, make_private, unwritable, write_whole
from redact.errors import OutputError

COPY_SUFFIXES = (".mp4", ".png")
LONGEST_STEM = 120  # bytes of a clip's name in the names of its files: most disks allow 255
UNPORTABLE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]')  # the last are bytes that are no UTF-8
DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE)  # of Windows
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


def is_private(folder: Path) -> bool:
    """Return whether a folder is the private one of an output: it is named like one, and holds a log."""
    named = folder.name == "private" or folder.suffix == ".private"
    return named and os.path.exists(Workspace(folder, folder).log)  # one that may not be looked into is none


def is_release(folder: Path) -> bool:
    """Return whether a folder is the one in which the copies of an output appear, beside its private one."""
    return folder.name == "release" and is_private(folder.with_name("private"))


def check_apart(path: Path) -> None:
    """Refuse a file that would lie among checked copies, for it is none.

    Raises:
        OutputError: it would.
    """
    if any(is_release(folder) for folder in (path.parent.resolve() / path.name).parents):
        raise OutputError(f"{path.parent} is for checked copies alone.", "Choose another folder.")


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


class WatchedFile:
    """A private file of which it is known whether somebody else has changed it since it was read or written here.

    Args:
        path: the file; there may be none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = self._read()

    def is_changed(self) -> bool:
        """Return whether it was changed or removed by somebody else."""
        return self._read() != self._data

    def write(self, data: bytes) -> None:
        """Write it, whatever is there; see `write_private`."""
        write_private(self.path, data)
        self._data = data

    def _read(self) -> bytes:
        """Return what is on disk; nothing where that cannot be read, which is never what was written."""
        try:
            return self.path.read_bytes()
        except OSError:
            return b""


def suffix_of(still: bool) -> str:
    """Return the suffix of the copy of a clip, or of a still picture."""
    return COPY_SUFFIXES[still]


def copy_path(space: Workspace, name: str, suffix: str) -> Path:
    """Return where a copy of this name is released."""
    return space.copy or space.release / (name + suffix)


def portable_name(stem: str) -> str:
    """Return the name nearest to this one that a file can have on Linux, macOS and Windows: copies are carried on."""
    name = UNPORTABLE.sub("_", unicodedata.normalize("NFC", stem))
    name = name.encode()[:LONGEST_STEM].decode("utf-8", "ignore").rstrip(" .")
    return name if name and not DEVICES.fullmatch(name) else f"_{name}"
