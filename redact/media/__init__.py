"""Reading and writing video, pictures and sound. The only room that imports av.

A frame is known by its index (0-based, in display order) and its presentation time: an exact fraction of a second
from the beginning of the clip, which is where a player starts to count. The picture is upright (rotation applied)
with square pixels: BGR, uint8, (height, width, 3). What a file says of itself is called `untrusted_...` until decoding
has confirmed it. A still picture is a clip of one frame.

Pictures travel as 8-bit 4:2:0, the form in which the copy is encoded. Turning 4:2:0 into BGR and back loses nothing
(cv2 keeps one colour per 2x2 block), so pixels that are not covered reach the encoder as the decoder gave them.
"""

from __future__ import annotations

import logging

import av
import cv2

from redact.media.apart import ask_rights, list_contents, prepare
from redact.media.files import Contents, hash_file
from redact.media.frames import Colour, Digest, Frame, Picture
from redact.media.heap import keep_freed
from redact.media.hearing import SoundComparison, compare_sounds
from redact.media.pixels import as_encoded
from redact.media.reading import FrameReader, frame_at, holds_only_its_picture, open_clip, open_excerpt
from redact.media.sound import TAIL_S, Chunk, SoundReader, open_sound
from redact.media.stills import is_still
from redact.media.writing import FrameWriter, open_writer

__all__ = [
    "TAIL_S",
    "Chunk",
    "Colour",
    "Contents",
    "Digest",
    "Frame",
    "FrameReader",
    "FrameWriter",
    "Picture",
    "SoundComparison",
    "SoundReader",
    "as_encoded",
    "ask_rights",
    "compare_sounds",
    "frame_at",
    "hash_file",
    "holds_only_its_picture",
    "is_still",
    "list_contents",
    "open_clip",
    "open_excerpt",
    "open_sound",
    "open_writer",
    "prepare",
]

keep_freed()
cv2.setNumThreads(1)  # pictures are worked on beside each other: its own threads share out less work than that costs
av.logging.set_level(None)
logging.getLogger("libav").setLevel(logging.CRITICAL)
