"""Where files go is worked out alike on Linux, macOS and Windows."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from redact.custody import copy_path, locate_workspace, private_path
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
