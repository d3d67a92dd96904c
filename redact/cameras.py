"""Camera profiles: regions that stand in the picture of one camera, kept under a name and covered in all its clips.

A profile is a JSON file that only its owner may read: where a camera shows its clock or a cell number says which it is.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from redact.disk import make_private, write_whole
from redact.errors import OutputError, UsageError
from redact.plan import Region
from redact.regions import check_inside, from_plain, load_table, to_plain

LARGEST_SIDE = 100_000  # pixels
_NAME = re.compile(r"\w[\w-]{0,49}")
_HOW = "Correct that file, or save the profile again."


@dataclass(frozen=True, slots=True)
class Profile:
    """What always stands in the picture of one camera.

    Attributes:
        name: of the camera: letters, digits, "-" and "_".
        width: columns of the upright picture that the regions were drawn in.
        height: rows of that picture.
        regions: each with one box and without times.
    """

    name: str
    width: int
    height: int
    regions: tuple[Region, ...]

    def __post_init__(self) -> None:
        """Check the invariants."""
        _check_name(self.name)
        if not (0 < self.width <= LARGEST_SIDE and 0 < self.height <= LARGEST_SIDE):
            raise UsageError(f"A camera's picture cannot be {self.width}x{self.height}.", _HOW)
        if not self.regions:
            raise UsageError(f"The camera profile {self.name!r} has no region: it would cover nothing.", _HOW)
        for region in self.regions:
            if region.follow or (region.from_time, region.to_time, region.keys[0].time) != (None, None, None):
                raise UsageError(
                    f"The region {region.name!r} has times or is followed. A camera profile is for all clips of a"
                    " camera, and a time of one clip says nothing about another.",
                    "Give the region one box and no times, or use it with --region for one clip.",
                )
        check_inside(self.regions, self.width, self.height)


def folder() -> Path:
    """Return the folder of the profiles: `$REDACT_CAMERAS`, or one in the user's data folder. It need not exist."""
    chosen = os.environ.get("REDACT_CAMERAS")
    return Path(chosen) if chosen else platformdirs.user_data_path("redact") / "cameras"


def save(
    name: str,
    width: int,
    height: int,
    regions: tuple[Region, ...],
    folder: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Keep regions as the profile of a camera, whole or not at all, and return its file.

    Args:
        name: of the camera.
        width: columns of the upright picture that the regions were drawn in.
        height: rows of that picture.
        regions: each with one box and without times.
        folder: of the profiles; `folder()` by default.
        overwrite: a profile of this name may be replaced.

    Raises:
        UsageError: the name or a region is not fit for a profile.
        OutputError: there is a profile of this name already, or it cannot be written.
    """
    profile = Profile(name, width, height, regions)
    path = _file(name, folder)
    content = {"width": width, "height": height, "region": [to_plain(region) for region in profile.regions]}
    try:
        make_private(path.parent)
        if path.exists() and not overwrite:
            raise OutputError(f"There is a camera profile {name!r} already.", "Use --overwrite to replace it.")
        write_whole(path, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise OutputError(
            f"The camera profile {name!r} cannot be written to {path.parent}: {error.strerror}.",
            "Make room and check the permissions of that folder, or name another one in REDACT_CAMERAS.",
        ) from error
    return path


def load(name: str, folder: Path | None = None) -> Profile:
    """Return the profile of a camera.

    Raises:
        UsageError: there is none of this name, or its file is damaged.
    """
    path = _existing(name, folder)
    table = load_table(path)
    if table.keys() != {"width", "height", "region"} or not isinstance(table["region"], list):
        message = f"{path} is no camera profile: 'width', 'height' and a list 'region' are expected, and nothing else."
        raise UsageError(message, _HOW)
    if not all(type(table[side]) is int for side in ("width", "height")):
        raise UsageError(f"In {path}: the width and height are whole numbers of pixels.", _HOW)
    regions = tuple(from_plain(item, f"{path}, region {n}") for n, item in enumerate(table["region"], start=1))
    try:
        return Profile(name, table["width"], table["height"], regions)
    except UsageError as error:
        raise UsageError(f"In {path}: {error}", _HOW) from error


def names(folder: Path | None = None) -> list[str]:
    """Return the names of all profiles, in their order.

    Raises:
        UsageError: the folder cannot be read.
    """
    where = _or_default(folder)
    try:
        files = list(where.iterdir()) if where.exists() else []
    except OSError as error:
        raise UsageError(
            f"The camera profiles in {where} cannot be read: {error.strerror}.",
            "Check the permissions of that folder, or name another one in REDACT_CAMERAS.",
        ) from error
    return sorted(file.stem for file in files if file.suffix == ".json" and _NAME.fullmatch(file.stem))


def remove(name: str, folder: Path | None = None) -> None:
    """Remove the profile of a camera.

    Raises:
        UsageError: there is none of this name.
        OutputError: it cannot be removed.
    """
    path = _existing(name, folder)
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(
            f"{path} cannot be removed: {error.strerror}.", "Check the permissions of its folder."
        ) from error


def regions_for(profile: Profile) -> tuple[Region, ...]:
    """Return the regions of a profile for a clip of its camera: in pictures of another size they are refused."""
    return tuple(replace(region, size=(profile.width, profile.height)) for region in profile.regions)


def _check_name(name: str) -> None:
    """Refuse what is no name of a camera: it becomes part of the name of a file."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:60]!r} cannot be the name of a camera.",
            "Use letters, digits, - and _, at most 50 of them and not - as the first.",
        )


def _file(name: str, folder: Path | None) -> Path:
    """Return where the profile of a camera is kept."""
    _check_name(name)
    return _or_default(folder) / f"{name}.json"


def _existing(name: str, folder: Path | None) -> Path:
    """Return the file of a profile that there is."""
    path = _file(name, folder)
    known = names(folder)
    if name not in known:
        there = f"Choose from: {', '.join(known)}." if known else f"None has been saved yet in {path.parent}."
        raise UsageError(f"There is no camera profile called {name!r}.", there)
    return path


def _or_default(chosen: Path | None) -> Path:
    return folder() if chosen is None else chosen
