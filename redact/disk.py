"""Writing files so that they are there whole or not at all, and folders that only their owner may read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from redact.errors import OutputError

PRIVATE = 0o600  # mode of a file that only its owner may read


def write_whole(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file; it is there whole, also after a crash, or as it was before.

    Args:
        path: the file; it is replaced if there is one.
        data: what it holds.
        mode: who may read it.

    Raises:
        OSError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.redact.new")  # nobody else's; the same each time, so that it is found again
    try:
        fresh.unlink(missing_ok=True)  # of an earlier crash; whoever made it may have let others read it
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter, or make it so.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def unwritable(path: Path, error: Exception) -> OutputError:
    """Return the error for a file or folder that cannot be written; those of av have a number and a reason as well."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"The disk is full; {path.name} was not written.", "Make room, then run the command again.")
    return OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.")
