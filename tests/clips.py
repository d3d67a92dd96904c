"""Clips made for tests and for `make run`: the public-domain portrait of skimage.data.astronaut() on the move.

    python -m tests.clips sample.mp4

writes the sample clip.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from redact.plan import Detection

Picture = NDArray[np.uint8]

PORTRAIT = np.s_[0:300, 100:350]  # head and shoulders in the astronaut picture
FACE = 72, 60, 96, 128  # x, y, width, height of the face in the portrait


def textured_background(width: int, height: int, seed: int = 1) -> Picture:
    """Return a background of soft colour patches, the same for the same seed."""
    noise = np.random.default_rng(seed).integers(60, 190, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def portrait(size: float = 1.0) -> Picture:
    """Return the portrait, BGR, scaled."""
    picture = np.ascontiguousarray(data.astronaut()[PORTRAIT][..., ::-1])
    return np.asarray(cv2.resize(picture, None, fx=size, fy=size, interpolation=cv2.INTER_AREA), np.uint8)


def moving_portrait(
    frames: int = 30, width: int = 480, height: int = 360, size: float = 0.5, hidden: Sequence[int] = ()
) -> Iterator[tuple[Picture, tuple[int, int, int, int] | None]]:
    """Yield pictures of the portrait crossing the background, and where the face is in each (x, y, width, height).

    Args:
        frames: how many.
        width: of the picture.
        height: of the picture.
        size: scale of the portrait.
        hidden: frames in which the portrait is not there; the face is None then.
    """
    background, face = textured_background(width, height), portrait(size)
    tall, wide = face.shape[:2]
    for n in range(frames):
        picture = background.copy()
        x = round((width - wide) * (0.1 + 0.8 * n / max(1, frames - 1)))
        y = round((height - tall) * (0.5 + 0.3 * np.sin(n / 9)))
        if n in hidden:
            yield picture, None
            continue
        picture[y : y + tall, x : x + wide] = face
        left, top, w, h = (round(v * size) for v in FACE)
        yield picture, (x + left, y + top, w, h)


def ink_covered(seen: Iterable[Detection], ink: NDArray[np.bool_]) -> float:
    """Return the share of the ink that lies in a detection."""
    mask = np.zeros_like(ink)
    for detection in seen:
        if box := detection.box.clip(ink.shape[1], ink.shape[0]):
            mask[box.y0 : box.y1, box.x0 : box.x1] = True
    return float(mask[ink].mean())


def write_clip(
    path: Path,
    pictures: Sequence[Picture] | Iterator[Picture],
    times: Sequence[int] | None = None,
    rate: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: bool = False,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write pictures (BGR) as a clip.

    Args:
        path: its suffix chooses the container.
        pictures: the frames.
        times: presentation times in units of 1/1000 s; None for one every 1/rate s.
        rate: frames a second.
        codec: the encoder.
        pix_fmt: its pixel format.
        sound: whether a tone of 440 Hz goes with it.
        options: for the encoder.
        metadata: tags of the container.
        container_options: for the container.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        unit = Fraction(1, rate) if times is None else Fraction(1, 1000)
        stream.codec_context.time_base = stream.time_base = unit
        voice: Any = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        count = 0
        for n, picture in enumerate(pictures):
            if n == 0:
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pix_fmt
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts, frame.time_base = (n if times is None else times[n]), unit
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
        if voice is not None:
            samples = np.sin(np.arange(count * 48000 // rate) * 440 * 2 * np.pi / 48000).astype(np.float32)[None] * 0.3
            tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(voice.encode(tone))
            container.mux(voice.encode(None))
    return path


def write_sample(path: Path) -> Path:
    """Write the sample clip: 4 s of the portrait crossing a textured background."""
    return write_clip(path, (picture for picture, _ in moving_portrait(100, 640, 480, 0.7)))


if __name__ == "__main__":
    print(write_sample(Path(sys.argv[1])))
