"""One folder with everything that a machine without a network needs: wheels, weights, and how to install them.

It holds for machines of the same kind: system, processor and Python version of the one that makes it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from redact import weights
from redact.disk import unwritable
from redact.errors import DependencyError, InputError, OutputError, UsageError
from redact.media import hash_file

PIP_TIMEOUT_S = 1800
SUMS = "SHA256SUMS"
EXTRA = "review"  # without its packages there is no review page, and the other machine cannot get them
SOURCES = ("redact", "models", "docs", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
NOTE = Template("""redact for a machine without a network
======================================

This folder is for $system with Python $python. Carry it over as it is.

In a terminal in this folder (on Windows: in that of WSL, with a folder made for Linux):

    sha256sum -c $sums
    python3 -m venv ~/redact
    ~/redact/bin/python -m pip install --no-index --find-links wheels "redact[$extra]"
    ~/redact/bin/redact models fetch$ids --from weights
    ~/redact/bin/redact doctor

The first line (on macOS: shasum -a 256 -c $sums) says OK for each file that arrived as it was sent. The last line says
what is still missing. So that you can type redact alone, run this once in each new terminal:

    source ~/redact/bin/activate

On a server without a screen OpenCV also needs the system's packages libgl1 and libglib2.0-0.

As a container: the file Containerfile says how.
""")


def make(folder: Path, wheel: Path | None, ids: Sequence[str], progress: Callable[[str], None]) -> Path:
    """Make the folder, whole or not at all, and return it.

    Args:
        folder: where; it may not exist yet.
        wheel: of redact; None to build it from the sources that this program runs from.
        ids: of weights besides those that are required or usual.
        progress: called with what is being done.

    Raises:
        UsageError: there are no sources to build from, or no such weights.
        InputError: there is no such wheel.
        DependencyError: something cannot be got.
        OutputError: the folder exists already, or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder} exists already.", "Choose a folder that does not exist yet.")
    known = weights.cards()
    if unknown := [name for name in ids if name not in known]:
        raise UsageError(f"There is no model called {unknown[0]!r}.", f"Choose from: {', '.join(known)}.")
    chosen = [card for card in known.values() if card.required or card.usual or card.id in ids]
    if wheel is not None and not wheel.is_file():
        raise InputError(f"There is no wheel {wheel}.", "Check the name.")
    with tempfile.TemporaryDirectory() as scratch:
        made = wheel or _copy_sources(_sources(), Path(scratch))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".bundle-", dir=folder.parent))
            try:
                _fill(draft, made, chosen, progress)
                draft.chmod(0o755)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise unwritable(folder, error) from error
    return folder


def _fill(draft: Path, made: Path, chosen: Sequence[weights.Card], progress: Callable[[str], None]) -> None:
    """Put everything into an empty folder."""
    wheels = draft / "wheels"
    progress("redact")
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(made))
    own = sorted(wheels.glob("redact-*.whl"))
    if len(own) != 1:
        raise UsageError(f"{made} is no wheel of redact.", "Give one with --wheel.")
    progress("the packages that it needs")
    _pip("download", "--only-binary=:all:", "--dest", str(wheels), f"{own[0]}[{EXTRA}]")
    (draft / "weights").mkdir()
    for card in chosen:
        progress(f"the weights {card.id}")
        (draft / "weights" / card.file).write_bytes(weights.obtain(card, None))
    optional = (
        "".join(f" {card.id}" for card in chosen) if any(not (card.required or card.usual) for card in chosen) else ""
    )
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    kind = f"{platform.system()} on {platform.machine()}"
    note = NOTE.substitute(system=kind, python=python, sums=SUMS, extra=EXTRA, ids=optional)
    (draft / "INSTALL.txt").write_text(note, "utf-8")
    (draft / "Containerfile").write_bytes((files("redact") / "Containerfile").read_bytes())
    inside = sorted(path for path in draft.rglob("*") if path.is_file())
    sums = [f"{hash_file(path)}  {path.relative_to(draft).as_posix()}\n" for path in inside]
    (draft / SUMS).write_text("".join(sums), "utf-8")


def _sources() -> Path:
    """Return the folder of the project, where the program runs from one.

    No package index is asked for redact: there, that name may belong to somebody else.
    """
    root = Path(__file__).parent.parent
    if (root / "setup.cfg").exists() and (root / "pyproject.toml").exists():
        return root
    raise UsageError(
        "redact was installed from a wheel, and cannot make another one of itself.",
        "Give that wheel with --wheel redact-VERSION-py3-none-any.whl.",
    )


def _copy_sources(root: Path, clean: Path) -> Path:
    """Return a folder with what the wheel is built from: building leaves files behind, and takes in old ones.

    Raises:
        InputError: they cannot be copied.
    """
    try:
        for name in SOURCES:
            if (root / name).is_dir():
                shutil.copytree(root / name, clean / name)
            else:
                shutil.copy(root / name, clean / name)
    except OSError as error:  # that of a folder has a list of files, each with its reason
        reason = error.args[0][0][-1] if isinstance(error, shutil.Error) else error
        raise InputError(
            f"The sources of redact in {root} cannot be copied: {reason}.",
            "Check their permissions, and that there is room for temporary files.",
        ) from error
    return clean


def _pip(*arguments: str) -> None:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    try:
        ended = subprocess.run(
            command, check=False, timeout=PIP_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(f"pip did not finish: {error}.", "Try again with a network.") from error
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise DependencyError(f"pip could not {arguments[0]} what is needed: {said[-1]}.", "Try again with a network.")
