"""Where files go is worked out alike on Linux, macOS and Windows."""

from __future__ import annotations

import ntpath
import subprocess
import sys
import unicodedata
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redact.custody import copy_path, locate_workspace, portable_name, private_path
from redact.errors import UsageError
from redact.plan import Settings
from redact.reports import file_name


class Posix(PurePosixPath):
    """A path of Linux or macOS at which there is nothing."""

    def exists(self) -> bool:
        """Return that there is nothing."""
        return False

    is_dir = exists


class Windows(PureWindowsPath):
    """A path of Windows at which there is nothing."""

    exists = Posix.exists
    is_dir = Posix.exists


FLAVOURS = [(Posix, "/home/a b/"), (Windows, "D:\\a b\\"), (Windows, "\\\\server\\share\\a b\\")]


@pytest.mark.parametrize(("flavour", "home"), FLAVOURS)
def test_a_folder_gets_a_private_and_a_release_folder(flavour: Any, home: str) -> None:
    space = locate_workspace(flavour(home + "out.v2"))
    assert (space.private, space.release) == (flavour(home + "out.v2/private"), flavour(home + "out.v2/release"))
    assert copy_path(space, "excerpt-0001", ".mp4") == flavour(home + "out.v2/release/excerpt-0001.mp4")
    assert space.log.parent == space.private


@pytest.mark.parametrize(("flavour", "home"), FLAVOURS)
@pytest.mark.parametrize("name", ["copy.mp4", "a.b.MP4", "ünï.Mp4"])
def test_the_private_files_of_one_copy_lie_beside_it(flavour: Any, home: str, name: str) -> None:
    space = locate_workspace(flavour(home + name))
    assert space.copy == flavour(home + name) == copy_path(space, "anything", ".mp4")
    assert space.release == flavour(home)
    assert space.private == flavour(home + name[:-4] + ".private")


@pytest.mark.parametrize(("flavour", "home"), FLAVOURS)
def test_private_files_are_named_like_their_clip_wherever_it_is(flavour: Any, home: str) -> None:
    space = locate_workspace(flavour(home + "out"))
    plan = private_path(space, flavour(home + "cell 7.2024.mkv"), "0" * 64, ".plan.json")
    assert plan == flavour(home + "out/private/cell 7.2024.plan.json")


@pytest.mark.parametrize(("flavour", "home"), FLAVOURS)
def test_the_name_of_a_clip_is_told_from_a_path_of_another_system(flavour: type[PurePath], home: str) -> None:
    assert file_name(str(flavour(home + "cell 7.mp4"))) == "cell 7.mp4"


def is_reserved(name: str) -> bool:
    """Return whether a file of this name means something else in Windows."""
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


@given(
    st.text(min_size=1, max_size=300) | st.sampled_from(["CON", "nul.", "COM1 .x", "lpt9", "aux", "a. ", "..", "C:"])
)
@example("café")
@example("cafe\u0301")
@example("é" * 100)
def test_a_name_that_is_kept_can_be_carried_to_any_system(stem: str) -> None:
    name = portable_name(stem)
    windows, posix = PureWindowsPath(name + ".mp4"), PurePosixPath(name + ".mp4")
    assert not is_reserved(name + ".mp4")
    assert windows.parts == posix.parts == (name + ".mp4",)
    assert not set('<>:"|?*') & set(name)
    assert not name.endswith((" ", "."))
    assert len(name.encode()) <= 121
    assert unicodedata.normalize("NFC", name) == name
    assert portable_name(name) == name


def test_names_that_any_system_can_hold_are_kept_as_they_are() -> None:
    for name in ("cell 7.2024", "console", "com10", "ünï (2)", "-rf", "شهادة"):
        assert portable_name(name) == name


@pytest.mark.parametrize(("flavour", "home"), FLAVOURS)
def test_a_plan_may_name_a_sound_on_another_system_but_not_one_that_depends_on_the_folder(
    flavour: type[PurePath], home: str
) -> None:
    assert Settings(audio=str(flavour(home + "voice.wav"))).audio.endswith("voice.wav")
    with pytest.raises(UsageError, match="--audio"):
        Settings(audio=str(flavour("a b") / "voice.wav"))


def test_where_redact_cannot_work_it_says_so_and_what_to_do() -> None:
    program = """
import os, platform, sys
sys.modules.update(fcntl=None, resource=None, pwd=None)
del os.fork, os.memfd_create, os.sched_getaffinity, os.O_DIRECTORY
platform.system = lambda: "Windows"
from redact.cli import start
start()
"""
    for command, said in (("doctor", "on Windows in WSL"), ("run a.mp4 -o out", "`redact doctor`"), ("guide", "")):
        ended = subprocess.run([sys.executable, "-c", program, *command.split()], capture_output=True, text=True)
        assert ended.returncode == (5 if said else 0)
        assert said in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
