"""Which clips lie in the folders that were named, and why what else lies there is left alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redact.custody import Workspace, is_private, is_release
from redact.errors import InputError

SUFFIXES = re.compile(  # of clips, in small letters
    r"\.(3gp|3g2|asf|avi|dav|divx|dv|f4v|flv|gif|h?264|h?265|hevc|m[124]v|m2?ts|mjpe?g|mkv|mov|mp4|mp[eg]|mpeg|mxf|og[mv]"
    r"|qt|rm|rmvb|ts|vob|webm|wmv|jpe?g|png|webp|avif|hei[cf])"
)
SOUND_SUFFIXES = re.compile(r"\.(m4a|m4b|oga|ogg|opus|wav|wma)")  # of files that may begin as clips do
# What clips of the usual kinds begin with, for files with other names: the place of some bytes, and the bytes.
SIGNATURES = (
    *((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "), (0, b"FLV\1"), (0, b"OggS")),
    *((0, b"\0\0\1\xba"), (0, b"\0\0\1\xb3"), (0, b"\0\0\0\1\x67"), (0, b"\x30\x26\xb2\x75"), (0, b"GIF8")),
)


@dataclass(frozen=True)
class Tree:
    """The clips that were found.

    Attributes:
        clips: the files, each once, in the order in which they are done.
        skipped: what else was found in folders, and why it is left alone.
        named: a single clip was named, which is done whatever was done before.
    """

    clips: tuple[Path, ...]
    skipped: Mapping[Path, str]
    named: bool


def find_clips(named: Sequence[Path], space: Workspace) -> Tree:
    """Return the clips that were named, and those in the folders that were named.

    In a folder, clips are known by their suffix or by how they begin. Links are not followed: they may lead out of it.
    The folders of other outputs are left out: they hold copies, and pictures of what is under covers.

    Args:
        named: files and folders.
        space: the folders of the output, which are left out where they lie inside.

    Raises:
        InputError: a folder cannot be read, or holds no clip.
    """
    clips: list[Path] = []
    skipped: dict[Path, str] = {}
    own = {Path(os.path.abspath(folder)) for folder in (space.private, space.release)}
    for path in (Path(os.path.abspath(path)) for path in named):
        if not os.path.isdir(path):  # one that may not be looked into is a clip that cannot be read
            clips.append(path)
            continue
        before = len(clips)
        for file in _walk(path, own):
            if reason := _is_no_clip(file):
                skipped[file] = reason
            else:
                clips.append(file)
        if len(clips) == before:
            raise InputError(f"There is no clip in the folder {path}.", "Name a folder that holds clips, or a clip.")
    single = len(named) == 1 and not named[0].is_dir()
    return Tree(tuple(dict.fromkeys(clips)), skipped, single)


def _walk(folder: Path, without: set[Path]) -> Iterator[Path]:
    """Yield every file under a folder, in the order of their names; of outputs and linked folders, the folder alone.

    Args:
        folder: to go through.
        without: folders that are passed over.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"The folder {error.filename} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error

    for where, folders, files in os.walk(folder, onerror=refuse):
        inside = [path for name in sorted(folders) if (path := Path(where, name)) not in without]
        left = [path for path in inside if os.path.islink(path) or is_private(path) or is_release(path)]
        folders[:] = [path.name for path in inside if path not in left]
        yield from left
        yield from (Path(where, name) for name in sorted(files))


def _is_no_clip(file: Path) -> str:
    """Return why a file in a folder, or the folder of an output, is no clip; nothing where it may be one."""
    try:
        mode = file.lstat().st_mode
        if stat.S_ISDIR(mode):
            return "the folder of another output"
        if not stat.S_ISREG(mode):
            return "a link or no file"
        if file.name.startswith("._"):
            return "what a Mac keeps beside a file"
        if SUFFIXES.fullmatch(file.suffix.lower()):
            return ""
        with file.open("rb") as opened:
            head = opened.read(16)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    known = not SOUND_SUFFIXES.fullmatch(file.suffix.lower()) and any(head[at:].startswith(b) for at, b in SIGNATURES)
    return "" if known else "no video by its name and beginning"
