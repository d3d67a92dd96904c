"""Still pictures: whether a file is one, what it shows, and the file that a copy of it becomes."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from redact.errors import DependencyError, InputError, RedactError
from redact.media.files import open_file, unreadable
from redact.media.frames import Picture

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")
LARGEST = 200_000_000  # pixels: the largest sensor of a telephone; 600 MB as BGR


def is_still(path: Path, handed: int | None = None) -> bool:
    """Return whether a file is a still picture, by its first bytes; JPEGs one after the other are a film.

    Raises:
        InputError: it cannot be read.
    """
    with open_file(path, handed) as file:
        head = file.read(1 << 16)
        if head[4:8] == b"ftyp":
            return head[8:12] in (*HEIC_BRANDS, b"avif")
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return b"acTL" not in head
        if head.startswith(b"\xff\xd8\xff"):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                # A photograph can hold a second picture, for depth or in small: nobody is shown that one.
                return b"MPF\0" in head or b"Exif\0" in head or data.find(b"\xff\xd9\xff\xd8") < 0
        return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def read_still(path: Path, handed: int | None = None) -> Picture:
    """Return what a still picture shows: upright, BGR, what is transparent on black, and nothing else that it holds.

    Raises:
        InputError: it is damaged, moves, or has more pixels than can be worked on.
        DependencyError: the package that decodes its form is missing.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    Image.init()
    with open_file(path, handed) as file:
        try:
            with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
                _check(path, image)
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
        except UnidentifiedImageError as error:
            file.seek(8)
            if file.read(4) in HEIC_BRANDS:
                raise DependencyError(
                    f"{path.name} is a HEIC picture, and the package that decodes these is missing.",
                    "Install it: pip install 'redact[heic]'.",
                ) from error
            raise unreadable(path, error) from error
        except RedactError:
            raise
        except Exception as error:  # the decoders raise whatever their readers of bytes do
            raise InputError(f"{path.name} is damaged: not the whole of it can be decoded ({error}).") from error
    opaque = cv2.multiply(pixels[..., :3], cv2.merge([pixels[..., 3]] * 3), scale=1 / 255)
    return np.asarray(cv2.cvtColor(opaque, cv2.COLOR_RGB2BGR), np.uint8)


def _check(path: Path, image: Any) -> None:
    """Refuse a picture that would be shown wrongly, or is too large."""
    if image.width * image.height > LARGEST:
        raise InputError(f"{path.name} has {image.width}x{image.height} pixels, more than can be worked on.")
    if image.format == "WEBP" and image.is_animated:
        raise InputError(f"{path.name} is a moving WEBP, which is not supported.", "Convert it to MP4 first.")
    if image.mode[0] in "IF":
        raise InputError(f"{path.name} has more than 8 bits of grey, which is not supported.", "Convert it to 8 bits.")


def encode_still(picture: Picture) -> bytes:
    """Return a picture as PNG: the same bytes for the same picture, and nothing beside it."""
    _, data = cv2.imencode(".png", picture)
    return data.tobytes()
