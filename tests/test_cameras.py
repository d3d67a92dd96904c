"""A profile covers the same places in all clips of a camera, or is refused aloud."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact import cameras
from redact.errors import OutputError, UsageError
from redact.geometry import Box
from redact.plan import Keyframe, Region
from redact.regions import check_inside, parse_region

CLOCK = Region("clock", (Keyframe(None, Box(40, 20, 240, 52)),))
CELL = Region("number of the cell", (Keyframe(None, Box(600, 400, 700, 500)),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "cameras"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_profile_survives_being_saved_and_loaded(folder: Path) -> None:
    cameras.save("corridor-3", 640, 480, (CLOCK, CELL), folder)
    profile = cameras.load("corridor-3", folder)
    assert profile == cameras.Profile("corridor-3", 640, 480, (CLOCK, CELL))
    assert cameras.regions_for(profile) == tuple(replace(r, size=(640, 480)) for r in (CLOCK, CELL))


def test_regions_of_the_command_line_can_be_saved(folder: Path) -> None:
    region = parse_region("1,2,3,4")
    cameras.save("коридор_3", 640, 480, (region,), folder)
    assert cameras.load("коридор_3", folder).regions == (region,)


@pytest.mark.parametrize("size", [(480, 640), (1280, 960), (640, 481)])
def test_a_profile_of_another_picture_size_is_an_error_that_says_both(size: tuple[int, int]) -> None:
    profile = cameras.Profile("corridor-3", 640, 480, (CLOCK,))
    check_inside(cameras.regions_for(profile), 640, 480)
    with pytest.raises(UsageError, match=rf"640x480.*{size[0]}x{size[1]}") as caught:
        check_inside(cameras.regions_for(profile), *size)
    assert "save one for this size" in caught.value.advice


def test_only_the_owner_can_read_a_profile(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    path = cameras.save("corridor-3", 640, 480, (CLOCK,), folder)
    assert (mode(folder), mode(path)) == (0o700, 0o600)


def test_profiles_are_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("REDACT_CAMERAS", str(folder))
    cameras.save("yard", 640, 480, (CLOCK,))
    assert (cameras.folder(), cameras.names(), os.listdir(folder)) == (folder, ["yard"], ["yard.json"])
    assert cameras.load("yard").regions == (CLOCK,)
    cameras.remove("yard")
    assert cameras.names() == []


def test_by_default_they_are_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDACT_CAMERAS", raising=False)
    assert cameras.folder().parts[-2:] == ("redact", "cameras")


def test_a_profile_is_replaced_only_when_asked(folder: Path) -> None:
    cameras.save("yard", 640, 480, (CLOCK,), folder)
    with pytest.raises(OutputError, match="already"):
        cameras.save("yard", 800, 600, (CLOCK,), folder)
    assert cameras.load("yard", folder).width == 640
    cameras.save("yard", 800, 600, (CLOCK,), folder, overwrite=True)
    assert cameras.load("yard", folder).width == 800


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_profile_is_there_as_a_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, folder: Path, fails: str) -> None:
    path = cameras.save("yard", 640, 480, (CLOCK,), folder)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cameras.os, fails, full)
    with pytest.raises(OutputError, match="No space left"):
        cameras.save("yard", 800, 600, (CLOCK,), folder, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(folder) == ["yard.json"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        cameras.save("yard", 640, 480, (CLOCK,), tmp_path / "file" / "cameras")
    with pytest.raises(UsageError, match="cannot be read"):
        cameras.names(tmp_path / "file")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a.b", "a b", "-a", "a\n", "a\0", "a" * 51])
def test_a_name_that_could_lead_elsewhere_is_refused(folder: Path, name: str) -> None:
    for use in (
        lambda: cameras.save(name, 640, 480, (CLOCK,), folder),
        lambda: cameras.load(name, folder),
        lambda: cameras.remove(name, folder),
    ):
        with pytest.raises(UsageError, match="cannot be the name"):
            use()
    assert not folder.exists()


def test_a_name_that_is_not_known_is_an_error_that_says_which_are(folder: Path) -> None:
    with pytest.raises(UsageError, match="no camera profile called 'yard'") as caught:
        cameras.load("yard", folder)
    assert "None has been saved yet" in caught.value.advice
    cameras.save("roof", 640, 480, (CLOCK,), folder)
    for use in (cameras.load, cameras.remove):
        with pytest.raises(UsageError, match="no camera profile called 'yard'") as caught:
            use("yard", folder)
        assert "roof" in caught.value.advice


@pytest.mark.parametrize(
    "region",
    [replace(CLOCK, from_time=Fraction(0)), replace(CLOCK, to_time=Fraction(9)), replace(CLOCK, follow=True),
     replace(CLOCK, keys=(Keyframe(Fraction(1), Box(1, 2, 3, 4)),))],
)  # fmt: skip
def test_a_region_of_one_clips_time_is_no_part_of_a_profile(folder: Path, region: Region) -> None:
    with pytest.raises(UsageError, match="says nothing about another"):
        cameras.save("yard", 640, 480, (region,), folder)


def test_a_profile_that_would_cover_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no region"):
        cameras.save("yard", 640, 480, (), folder)
    with pytest.raises(UsageError, match="outside the picture, which is 320x240"):
        cameras.save("yard", 320, 240, (CELL,), folder)
    with pytest.raises(UsageError, match="0x480"):
        cameras.save("yard", 0, 480, (CLOCK,), folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"colour": 1}, "nothing else"), ({"width": None}, "whole numbers"), ({"width": 640.5}, "whole numbers"),
     ({"width": True}, "whole numbers"), ({"width": -640}, "cannot be -640x480"), ({"width": 10**30}, "cannot be"),
     ({"region": {}}, "nothing else"), ({"region": []}, "no region"), ({"region": [{"name": "a"}]}, "'box' is missing"),
     ({"region": [{"name": "a", "box": [1, 2, 3, 4], "x": 1}]}, "unknown key 'x'"),
     ({"region": [{"name": "a", "box": [1, 2, 3, 4], "from": 1}]}, "says nothing about another"),
     ({"width": 30}, "outside the picture")],
)  # fmt: skip
def test_a_profile_changed_by_hand_is_an_error_that_names_the_file(
    folder: Path, change: dict[str, Any], says: str
) -> None:
    path = cameras.save("yard", 640, 480, (CLOCK,), folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match=says) as caught:
        cameras.load("yard", folder)
    assert "yard.json" in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 9))
def test_any_bytes_are_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, gone: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "noise"
    path = cameras.save("yard", 640, 480, (CLOCK,), folder, overwrite=True)
    whole = path.read_bytes()
    for content in (noise, whole[:at] + noise + whole[at + gone :]):
        path.write_bytes(content)
        with contextlib.suppress(UsageError):
            cameras.load("yard", folder)


def test_files_that_are_no_profiles_have_no_name(folder: Path) -> None:
    cameras.save("yard", 640, 480, (CLOCK,), folder)
    for other in ("notes.txt", ".yard.json.x1", "-a.json", "a b.json"):
        (folder / other).touch()
    assert cameras.names(folder) == ["yard"]
