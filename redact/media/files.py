"""Files of pictures and sound: opening them, what they hold, and what goes wrong with them."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
from av.format import Flags as FormatFlags
from av.stream import Disposition

from redact.errors import InputError, UsageError

HASH_BLOCK = 1 << 20


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_file(path) as file:
            while block := file.read(HASH_BLOCK):
                digest.update(block)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


@dataclass(frozen=True)
class Contents:
    """What a file holds besides pictures, as its container says.

    Attributes:
        streams: the kind and codec of each stream, as "video h264".
        pixel_format: of the first picture stream.
        tags: every metadata entry that is not forced by the format, as "key=value".
        chapters: number of chapters.
    """

    streams: tuple[str, ...]
    pixel_format: str
    tags: tuple[str, ...]
    chapters: int


NEUTRAL_TAGS = {
    "major_brand": {"isom"},
    "minor_version": {"512"},
    "compatible_brands": {"isomiso2avc1mp41"},
    "language": {"und"},
    "handler_name": {"VideoHandler", "SoundHandler"},
    "vendor_id": {"[0][0][0][0]"},
}


def read_contents(path: Path, handed: int | None = None) -> Contents:
    """Return what a file holds: streams, tags and chapters.

    Args:
        path: the file.
        handed: its descriptor, in a process that may not open it itself.

    Raises:
        InputError: it cannot be opened.
    """
    with open_container(path, handed) as container:
        streams = [f"{s.type} {s.codec_context.name if s.codec_context else '?'}" for s in container.streams]
        tags = [t for holder in (container, *container.streams) for t in holder.metadata.items()]
        loose = tuple(_readable(f"{k}={v}") for k, v in tags if v not in NEUTRAL_TAGS.get(k, ()))
        video = container.streams.video
        pixel_format = str(video[0].codec_context.pix_fmt) if video else "none"
        return Contents(tuple(streams), pixel_format, loose, len(container.chapters()))


def _readable(tag: str) -> str:
    """Return a tag with what is not UTF-8 in it as escapes."""
    return tag.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# What may be in a file, by the names of libavformat: containers and streams of pictures and sound. Those that name
# other files or addresses (playlists, concat, image sequences, sdp) are not among them.
FORMATS = (
    "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,vvc,m4v,h261,h263,vc1,obu,ivf,mjpeg,flv,live_flv,asf,ogg,gif,apng,"
    "mxf,gxf,dv,rm,wtv,nut,dhav,yuv4mpegpipe,jpeg_pipe,wav,w64,mp3,aac,flac,ac3,eac3,aiff,caf,amr"
)
IO_BLOCK = 1 << 18
# Tags in any encoding, byte for byte. From version 19 on PyAV knows no other way.
AS_BYTES: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}


def open_file(path: Path, handed: int | None = None) -> BinaryIO:
    """Return a file opened for reading only.

    Args:
        path: the file.
        handed: its descriptor, in a process that may not open it itself.

    Raises:
        InputError: it cannot be read, or is no file.
    """
    if handed is not None:
        file: BinaryIO = os.fdopen(os.dup(handed), "rb", buffering=0)
        file.seek(0)
        return file
    if path.is_dir():
        raise InputError(f"{path.name} is a folder, not a clip.", "Name the clips in it.")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path.name} is not a file, but a device or a pipe.", "Copy what it gives to a file.")
        return path.open("rb", buffering=0)
    except OSError as error:
        raise unreadable(path, error) from error


@contextmanager
def open_container(path: Path, handed: int | None = None) -> Iterator[Any]:
    """Open a container for reading, as `open_file`. Nothing but this file is opened, whatever it names.

    Raises:
        InputError: it cannot be read.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_file(path, handed))
            # Without its name: that may have another meaning to libavformat, and only its content counts.
            container = av.open(
                _Nameless(file),
                options={"format_whitelist": FORMATS},
                **AS_BYTES,
                buffer_size=IO_BLOCK,
                io_open=_refuse,
            )
        except (av.error.FFmpegError, OSError) as error:
            raise unreadable(path, error) from error
        stack.enter_context(container)
        yield container


class _Nameless:
    """A file of which only the bytes can be seen."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Refuse what a file asks for besides itself."""
    raise PermissionError(errno.EACCES, "a clip that names other files")


def picture_stream(path: Path, container: Any, number: int) -> Any:
    """Return a stream of pictures by its number from 1; cover pictures do not count.

    Raises:
        InputError: there is none, or it cannot be decoded.
        UsageError: there are some, but none of this number.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        advice = "If it is a sound file, there is nothing to cover in it."
        raise InputError(f"{path.name} holds no moving picture.", advice)
    if number > len(streams):
        raise UsageError(f"{path.name} has {len(streams)} streams of pictures; --stream {number} is none of them.")
    if streams[number - 1].codec_context is None:
        raise InputError(f"The pictures of {path.name} are in a form that cannot be decoded here.")
    return streams[number - 1]


def start_time(container: Any, unit: Fraction) -> Fraction:
    """Return the time stamp at which the clip begins, in whole units of the pictures' time stamps.

    That is zero, except where the format lets clocks begin anywhere (MPEG) or the file begins before zero.
    """
    kinds = [s for s in container.streams if s.type in ("video", "audio")]
    starts = [s.start_time * Fraction(s.time_base) for s in kinds if s.start_time is not None and s.time_base]
    first = min(starts, default=Fraction(0)) // unit * unit
    free_clock = container.format.flags & FormatFlags.ts_discont.value
    return first if free_clock or first < 0 else Fraction(0)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"There is no file {path}.", "Check the name; put names with spaces in quotes.")
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read.", "Check the permissions of the file.")
    if path.exists() and path.stat().st_size == 0:
        return InputError(f"{path.name} is empty (0 bytes).", "Copy it again from where it came from.")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path.name} cannot be read as a video: {reason}.")
