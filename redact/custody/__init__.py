"""The record: release and private folders, the private hash-chained log, and the public statement."""

from __future__ import annotations

from redact.custody.folders import (
    COPY_SUFFIXES,
    WatchedFile,
    Workspace,
    check_apart,
    copy_path,
    hold,
    is_held,
    is_private,
    is_release,
    locate_workspace,
    open_workspace,
    portable_name,
    private_path,
    suffix_of,
    write_private,
)
from redact.custody.log import LogReport, log_length, read_log, record, released, require_whole
from redact.custody.releasing import (
    STATEMENT_SUFFIX,
    Released,
    find_released,
    identity,
    next_name,
    publish,
    release,
    release_name,
    write_public,
)
from redact.custody.statement import describe_checks, make_statement

__all__ = [
    "COPY_SUFFIXES",
    "STATEMENT_SUFFIX",
    "LogReport",
    "Released",
    "WatchedFile",
    "Workspace",
    "check_apart",
    "copy_path",
    "describe_checks",
    "find_released",
    "hold",
    "identity",
    "is_held",
    "is_private",
    "is_release",
    "locate_workspace",
    "log_length",
    "make_statement",
    "next_name",
    "open_workspace",
    "portable_name",
    "private_path",
    "publish",
    "read_log",
    "record",
    "release",
    "release_name",
    "released",
    "require_whole",
    "suffix_of",
    "write_private",
    "write_public",
]
