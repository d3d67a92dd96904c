"""What this machine offers, looked at where trouble comes from: each finding with what to do about it.

Libraries, and rooms that need them, are loaded here one by one and by name, so that one that is broken becomes a
finding and not a crash.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from redact import backends, crew
from redact.errors import DependencyError, RedactError

LEAST_PYTHON = (3, 11)
LEAST_DISK_BYTES = 10 * 10**9  # a few clips with their copies
LEAST_MEMORY_BYTES = 2 * 10**9  # bench/memory.py: a run takes 0.64 GB
LIBRARIES = {
    "av": "av",
    "opencv-contrib-python": "cv2",
    "pillow": "PIL",
}  # modules that are not called like their package
ROOMS = ("redact.weights", "redact.media", "redact.marks", "redact.cameras")  # those that are looked into here
CODECS = {"libx264": "writes the copies", "aac": "writes their sound"}
REINSTALL = "python -m pip install --force-reinstall"
GREY, GREY_OFF = 128, 3  # levels of a picture that is written and read again, and how far it may be off
GOOD, LOOK, BAD = "good", "look", "bad"
CONNECT = """
import socket, sys
from redact import jail
jail.cut_off_network()
try:
    socket.socket()
except PermissionError:
    sys.exit(0)
sys.exit(1)
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: `GOOD`, `LOOK` where something may go wrong, `BAD` where redact will not work.
        said: what was found.
        advice: what to do; empty where nothing has to be done.
    """

    name: str
    state: str
    said: str
    advice: str = ""


def examine(output: Path) -> list[Finding]:
    """Return what was found on this machine; nothing is changed on it.

    Args:
        output: a folder in which copies are to be made; it need not exist.
    """
    return [
        *_system(),
        *_python(),
        *_packages(),
        *_opencv(),
        *_backends(),
        *_codecs(),
        *_decoding(),
        _network(),
        *_weights(),
        *_room(output),
        *_private_folders(),
    ]


def _system() -> Iterator[Finding]:
    """Look at the system: locks, and the process in which pictures are decoded, are those of Linux."""
    fine = platform.system() == "Linux"
    advice = "Run redact in Linux: on Windows in WSL, on macOS in a container or a virtual machine."
    yield Finding("system", GOOD if fine else BAD, platform.system(), "" if fine else advice)


def _python() -> Iterator[Finding]:
    """Look at Python itself."""
    running = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= LEAST_PYTHON
    least = ".".join(map(str, LEAST_PYTHON))
    yield Finding("Python", GOOD if fine else BAD, f"{running}, {sys.executable}", "" if fine else f"Use {least}.")
    alone = sys.prefix != sys.base_prefix
    yield Finding(
        "environment",
        GOOD if alone else LOOK,
        "one of its own" if alone else "shared with other programs, which may replace what redact needs",
        "" if alone else "Install redact into a virtual environment: python3 -m venv FOLDER.",
    )


def _packages() -> Iterator[Finding]:
    """Look at redact and everything that it needs: the version, and whether it can be loaded."""
    yield _redact()
    packaging, fault = _load("packaging.requirements")
    if fault:
        yield Finding("packaging", BAD, f"it cannot be loaded: {fault}", f"Run: {REINSTALL} packaging")
        return
    for line in requires("redact") or ():
        requirement = packaging.Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, again = requirement.name, f"Run: {REINSTALL} '{requirement}'"
        try:
            held = version(name)
        except PackageNotFoundError:
            yield Finding(name, BAD, "not installed", again)
            continue
        if not requirement.specifier.contains(held, prereleases=True):
            yield Finding(name, BAD, f"{held}, but redact needs {requirement.specifier}", again)
            continue
        _, fault = _load(LIBRARIES.get(name, name.replace("-", "_")))
        if fault:
            system = "Install the system's packages libgl1 and libglib2.0-0."
            yield Finding(name, BAD, f"{held} cannot be loaded: {fault}", system if ".so." in fault else again)
        else:
            yield Finding(name, GOOD, held)


def _redact() -> Finding:
    """Look at whether the rooms can be loaded that are looked into here."""
    faults = [fault for room in ROOMS if (fault := _load(room)[1])]
    if not faults:
        return Finding("redact", GOOD, version("redact"))
    advice = f"Mend the packages that are named below; where none is, run: {REINSTALL} redact"
    return Finding("redact", BAD, f"{version('redact')} cannot be loaded: {faults[0]}", advice)


def _opencv() -> Iterator[Finding]:
    """Look at which OpenCV is really loaded: its packages overwrite each other's files."""
    packages = sorted(set(packages_distributions().get("cv2", ())))
    cv2, fault = _load("cv2")
    if fault:
        return  # said already
    said = f"{cv2.__version__} from {Path(cv2.__file__).parent}"
    if len(packages) > 1:
        everything = " ".join(packages)
        yield Finding(
            "cv2",
            BAD,
            f"{said}, but several packages fight over it: {', '.join(packages)}",
            f"Run: python -m pip uninstall -y {everything} && python -m pip install opencv-contrib-python",
        )
    elif packages and not version(packages[0]).startswith(cv2.__version__):
        yield Finding(
            "cv2",
            BAD,
            f"{said}, which is not that of {packages[0]} {version(packages[0])}",
            f"Another cv2 comes first on Python's path. Remove {Path(cv2.__file__).parent}, or use a new environment.",
        )
    else:
        yield Finding("cv2", GOOD, said)


def _backends() -> Iterator[Finding]:
    """Look at what can run the models."""
    runtime, fault = _load("onnxruntime")
    if not fault:
        yield _backend(runtime.get_available_providers())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", GOOD, f"{cores}")


def _backend(offered: Collection[str]) -> Finding:
    """Look at what runs the models, and at what else could."""
    try:
        name, _ = backends.choose(offered)
    except RedactError as error:
        return Finding("backend", BAD, str(error), error.advice)
    others = {other: provider in offered for other, (provider, _) in backends.PROVIDERS.items() if other != name}
    there = [f"{other} is there and not used: set {backends.VARIABLE}={other}" for other in others if others[other]]
    missing = ", ".join(other for other in others if not others[other])
    said = "; ".join(
        [f"{name} runs the models", *there, *([f"not in this ONNX Runtime: {missing}"] if missing else [])]
    )
    return Finding("backend", GOOD, said)


def _codecs() -> Iterator[Finding]:
    """Look at the encoders."""
    av, fault = _load("av")
    for codec, use in () if fault else CODECS.items():
        fine = codec in av.codecs_available
        yield Finding(
            f"encoder {codec}",
            GOOD if fine else BAD,
            f"there; it {use}" if fine else f"missing; it {use}",
            "" if fine else f"Install av from a wheel: {REINSTALL} --only-binary av av",
        )


def _decoding() -> Iterator[Finding]:
    """Look at how far the process that decodes is kept from everything else: one is started, and asked."""
    media, fault = _load("redact.media")
    if fault:
        return  # said already
    name, machine = "decoding apart", platform.machine()
    try:
        locked, done = media.ask_rights()
    except RedactError as error:
        yield Finding(name, BAD, str(error), error.advice)
        return
    if locked and done:
        advice = "Report this; until then, open clips that may be hostile only on a machine that holds nothing else."
        yield Finding(name, BAD, f"system calls are filtered, and yet it can {', '.join(done)}", advice)
    elif done:
        said = f"in a process of its own, but system calls are not filtered on {machine}: it can {', '.join(done)}"
        yield Finding(name, LOOK, said, "Open clips that may be hostile on a machine with Linux on x86-64.")
    else:
        yield Finding(name, GOOD, "system calls are filtered: it can open no file and no connection")
    yield _clip(media)


def _network() -> Finding:
    """Look at whether the system refuses connections to commands that need none: a process tries to open one."""
    if subprocess.run([sys.executable, "-c", CONNECT], check=False, capture_output=True).returncode == 0:
        return Finding("network", GOOD, "the system refuses it to every command that needs none, and to its libraries")
    said = f"on {platform.machine()} the system cannot refuse it to libraries; those known to send something are told"
    advice = "Where that is not enough, run redact on Linux on x86-64, or without a network."
    return Finding("network", LOOK, f"{said} not to", advice)


def _clip(media: Any) -> Finding:
    """Write a clip of one grey picture and read it again: what every run needs of PyAV, whichever version there is."""
    like = SimpleNamespace(rate=Fraction(25), time_base=Fraction(1, 25), colour=media.Colour())
    try:
        grey = importlib.import_module("numpy").full((64, 64, 3), GREY, "uint8")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made.mp4"
            with media.FrameWriter(path, like, 17) as writer:
                writer.write(grey, Fraction(0))
            with media.FrameReader(path) as reader:
                pictures = [frame.picture for frame in reader]
    except Exception as error:  # a library that has changed may raise anything
        said = f"it cannot be written and read again: {type(error).__name__}: {error}"
        return Finding("made clip", BAD, said, f"Run: {REINSTALL} redact, and report this.")
    same = len(pictures) == 1 and abs(float(pictures[0].mean()) - GREY) < GREY_OFF
    said = "written and read again" if same else "not the same when it is read again"
    advice = f"Install av from a wheel: {REINSTALL} --only-binary av av"
    return Finding("made clip", GOOD if same else BAD, said, "" if same else advice)


def _weights() -> Iterator[Finding]:
    """Look at the weights: whether they are there, and are what their cards say."""
    weights, fault = _load("redact.weights")
    if fault:
        return  # said already
    where = weights.folder()
    yield Finding("weights folder", GOOD, str(where))
    for card in weights.cards().values():
        name, advice = f"weights {card.id}", f"Run: redact models fetch {card.id}"
        try:
            weights.load(card.id)
        except DependencyError as error:
            if (where / card.run_file).exists():
                yield Finding(name, BAD, str(error), error.advice)
            elif card.required:
                yield Finding(name, BAD, "missing, and redact does not work without", advice)
            elif card.usual:
                yield Finding(name, LOOK, "missing: more is covered for nothing without it", advice)
            else:
                yield Finding(name, GOOD, f"not installed, optional ({card.licence})")
        else:
            yield Finding(name, GOOD, "installed, its sha256 holds")


def _room(output: Path) -> Iterator[Finding]:
    """Look at disk and memory."""
    for name, path in (("disk", output), ("disk for temporary files", Path(tempfile.gettempdir()))):
        there = _existing(path)
        free = shutil.disk_usage(there).free
        said = f"{free / 1e9:.1f} GB free at {there}"
        if not os.access(there, os.W_OK):
            yield Finding(name, BAD, f"{there} cannot be written", "Choose another folder, or change its permissions.")
        elif free < LEAST_DISK_BYTES:
            yield Finding(
                name, LOOK, said, "Make room: a copy can be larger than its clip, and is made beside the old."
            )
        else:
            yield Finding(name, GOOD, said)
    try:
        memory = crew.memory_bytes()
    except (AttributeError, ValueError, OSError):  # Windows
        yield Finding("memory", GOOD, "cannot be told on this system; 2 GB are enough")
        return
    fine = memory >= LEAST_MEMORY_BYTES
    yield Finding("memory", GOOD if fine else LOOK, f"{memory / 1e9:.1f} GB", "" if fine else "Close other programs.")


def _private_folders() -> Iterator[Finding]:
    """Look at whether others can read what redact keeps of the clips."""
    for name, of in (("marks", "library"), ("cameras", "folder")):
        room, fault = _load(f"redact.{name}")
        if fault:
            continue  # said already
        folder = getattr(room, of)()
        if not folder.exists():
            yield Finding(f"folder of {name}", GOOD, f"{folder}, not made yet")
        elif os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            yield Finding(
                f"folder of {name}", LOOK, f"others on this machine can read {folder}", f"Run: chmod 700 '{folder}'"
            )
        else:
            yield Finding(f"folder of {name}", GOOD, f"{folder}, read by you alone")


def _load(module: str) -> tuple[Any, str]:
    """Return a module, or None and why it cannot be loaded."""
    try:
        return importlib.import_module(module), ""
    except Exception as error:  # a broken library may raise anything while it is loaded
        return None, f"{type(error).__name__}: {error}"


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    whole = path.absolute()
    return next(folder for folder in (whole, *whole.parents) if folder.exists())
