"""Pixels between a decoder, which gives them in its own form, and an encoder, which takes 8-bit 4:2:0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import av
import cv2
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import ColorRange, Interpolation

from redact.media.frames import UNSPECIFIED, Colour, Picture

HDR_TRANSFERS = (16, 18)  # PQ and HLG, ITU-T H.273
BT601, BT709, BT2020 = 6, 1, 9
# High dynamic range becomes standard by the perceptual intent of libswscale: the tone curve of ITU-R BT.2390, applied
# in a space of even hues (IPT), from the brightness that the clip declares, or else that its transfer allows.
TO_SDR = (
    "flags=area+accurate_rnd:intent=perceptual:"
    "out_color_matrix=bt709:out_transfer=bt709:out_primaries=bt709:out_range=tv"
)


@dataclass(frozen=True)
class Turn:
    """How a decoded picture is brought upright: mirrored left to right, then turned by quarters counter-clockwise."""

    quarters: int = 0
    mirrored: bool = False


def as_encoded(picture: Picture) -> Picture:
    """Return a picture as `FrameWriter` gives it to the encoder: of even size, with one colour per 2x2 block."""
    return np.asarray(cv2.cvtColor(to_420(picture), cv2.COLOR_YUV2BGR_I420), np.uint8)


def to_420(picture: Picture) -> Picture:
    """Return a picture as planar 4:2:0, of even size: the last row or column of an odd one is repeated."""
    tall, wide = picture.shape[0] % 2, picture.shape[1] % 2
    even = cv2.copyMakeBorder(picture, 0, tall, 0, wide, cv2.BORDER_REPLICATE) if tall or wide else picture
    return np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)


def upright(plain: Picture, turn: Turn) -> Picture:
    """Return a picture as a viewer sees it, BGR.

    Args:
        plain: what `Levelling.plain` returned.
        turn: how it is brought upright.
    """
    picture = cv2.cvtColor(plain, cv2.COLOR_YUV2BGR_I420) if plain.ndim == 2 else plain
    picture = picture[:, ::-1] if turn.mirrored else picture
    return np.ascontiguousarray(np.rot90(picture, turn.quarters), np.uint8)


def turn_of(frame: Any) -> Turn:
    """Return how a decoded frame is brought upright, as its display matrix says."""
    angle = frame.rotation or 0
    # `frame.side_data` and the frame would hold each other, and the memory of all frames until a collection.
    beside = SideDataContainer(frame)  # type: ignore[call-arg]  # which the types of PyAV do not know
    if not angle and not len(beside):
        return Turn()
    try:
        data = beside.get("DISPLAYMATRIX")
    except ValueError:  # there is side data that PyAV does not know
        data = None
    if data is not None:
        a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).astype(float)
        if a * d - b * c < 0:
            return Turn(round(np.degrees(np.arctan2(b, -a)) / 90) % 4, mirrored=True)
    return Turn(round(angle / 90) % 4)


class Levelling:
    """Brings decoded frames to the form in which pictures travel.

    Args:
        width: of the pictures, in square pixels, before they are turned upright.
        height: likewise.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._even = width % 2 == 0 and height % 2 == 0
        self._form = "yuv420p" if self._even else "bgr24"
        self._to_sdr: tuple[object, Graph] | None = None

    def plain(self, frame: Any) -> Picture:
        """Return a frame as 8-bit planar 4:2:0, (height * 3 / 2, width); one of odd size as BGR.

        What is transparent lies on black, and high dynamic range becomes standard.
        """
        if frame.color_trc in HDR_TRANSFERS:
            return np.asarray(self._standard(frame).to_ndarray(), np.uint8)
        frame = _on_black(frame) if _is_transparent(frame) else frame
        limited = frame.color_range in (ColorRange.UNSPECIFIED, ColorRange.MPEG)
        is_plain = frame.format.name == self._form and (frame.width, frame.height) == self._size
        if not (is_plain and limited and self._even):
            frame = frame.reformat(
                *self._size,
                format=self._form,
                dst_color_range=ColorRange.MPEG if self._even else None,
                interpolation=Interpolation.AREA,
            )
        return np.asarray(frame.to_ndarray(), np.uint8)

    def _standard(self, frame: Any) -> Any:
        """Return a frame of high dynamic range as one of standard range, BT.709."""
        frame.colorspace = frame.colorspace if frame.colorspace != UNSPECIFIED else BT2020
        frame.color_primaries = frame.color_primaries if frame.color_primaries != UNSPECIFIED else BT2020
        if self._to_sdr is None or self._to_sdr[0] != form_of(frame):  # making the table of colours takes seconds
            scale = ("scale", "{}:{}:".format(*self._size) + TO_SDR)
            self._to_sdr = form_of(frame), link(frame, scale, ("format", self._form))
        self._to_sdr[1].push(frame)
        return self._to_sdr[1].pull()


def colour_of(context: Any, even: bool) -> Colour:
    """Return the colour description of what `Levelling` makes of a stream's frames.

    What passes through RGB (stored as such, transparent, or of odd size) is BT.601 on its way to 4:2:0.
    """
    if context.color_trc in HDR_TRANSFERS:
        return Colour(BT709, BT709, BT709)
    if context.format is not None and (context.format.is_rgb or _is_transparent(context)):
        return Colour(matrix=BT601)
    values = (context.colorspace, context.color_primaries, context.color_trc)
    colour = Colour(*(int(v) if v else UNSPECIFIED for v in values))
    return colour if even or colour.matrix == UNSPECIFIED else replace(colour, matrix=BT601)


def form_of(frame: Any) -> dict[str, str]:
    """Return what a chain of filters has to know of the frames that it gets."""
    return {
        "video_size": f"{frame.width}x{frame.height}",
        "pix_fmt": frame.format.name,
        "time_base": str(frame.time_base or "1/1000"),
        "colorspace": str(int(frame.colorspace)),
        "range": str(int(frame.color_range)),
    }


def link(frame: Any, *filters: tuple[str, str]) -> Graph:
    """Return filters one after the other, for frames like this one."""
    graph = Graph()
    source = graph.add("buffer", ":".join(f"{name}={value}" for name, value in form_of(frame).items()))
    graph.link_nodes(source, *(graph.add(*named) for named in filters), graph.add("buffersink")).configure()
    return graph


def _is_transparent(holder: Any) -> bool:
    """Return whether frames may be transparent."""
    form = holder.format
    return bool(form.has_palette or any(part.is_alpha for part in form.components))


def _on_black(frame: Any) -> Any:
    """Return a frame without transparency: what is transparent lies on black."""
    pixels = frame.reformat(format="bgra").to_ndarray()
    opaque = cv2.multiply(pixels[..., :3], cv2.merge([pixels[..., 3]] * 3), scale=1 / 255)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(opaque), format="bgr24")
