"""The smaller benchmarks: odd files, growth and memory."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from bench import growth, memory, odd_files
from redact.media import FrameReader, FrameWriter
from tests.clips import write_clip
from tests.labelled import read_grey
from tests.trees import write_small


def test_odd_files_are_told_by_frames_times_size_and_what_is_left_in_the_copy(tmp_path: Path) -> None:
    clip, copy = write_small(tmp_path / "clip.mp4"), tmp_path / "copy.mp4"
    source = odd_files.shown(clip)
    with FrameReader(clip) as reader, FrameWriter(copy, reader, 17) as writer:
        for frame in reader:
            writer.write(frame.picture, frame.time)
    assert odd_files.describe(source, 0, copy) == ["0", "6", "equal", "as shown", "nothing"]
    pictures = [np.full((136, 160, 3), 9, np.uint8)] * 4
    worse = write_clip(tmp_path / "worse.mp4", pictures, [0, 40, 120, 160], sound=True, metadata={"title": "x"})
    told = ["0", "4", "up to 0.04 s off", "160x136", "1 sounds, encoder, title"]
    assert odd_files.describe(source, 0, worse) == told
    assert odd_files.describe(source, 3, None) == ["3", "no copy", "-", "-", "-"]
    clip.write_bytes(b"nothing")
    assert odd_files.shown(clip) is None


def test_the_exponent_of_growth_is_the_slope_of_the_logarithms_and_its_plot_is_a_picture() -> None:
    assert growth.exponent([0, 1, 2, 8], [1, 3, 12, 192]) == pytest.approx(2)
    assert growth.exponent([1, 60], [5, 300]) == pytest.approx(1)
    root = ElementTree.fromstring(growth.draw({"size": [(1, 3), (4, 12)], "faces": [(0, 1), (1, 1), (200, 9)]}))
    first, second = (line.attrib["points"].split() for line in root if line.tag.endswith("polyline"))
    assert (len(first), len(second)) == (2, 2)


def test_the_clips_of_growth_hold_as_many_faces_as_they_say_each_in_its_own_part(tmp_path: Path) -> None:
    plain = read_grey(growth.make_clip(tmp_path / "plain.mp4", growth.Clip(0, (320, 180), 3, 0)))
    faces = read_grey(growth.make_clip(tmp_path / "faces.mp4", growth.Clip(5, (320, 180), 3, 5)))
    assert (len(plain), plain[0].shape) == (3, (180, 320))
    apart = cv2.absdiff(plain[0], faces[0]) > 12
    parts = [apart[90 * row :, 106 * column :][35:55, 43:63].mean() for row in (0, 1) for column in (0, 1, 2)]
    assert [bool(part > 0.5) for part in parts] == [True] * 5 + [False]
    assert growth.clips_of("length", 7)[0].frames == 60 * growth.LONG_RATE


def test_the_memory_of_all_processes_counts() -> None:
    one = [sys.executable, "-c", "import time; held = bytes(range(256)) * (40 << 12); time.sleep(1.5)"]
    both = f"import subprocess; held = bytes(range(256)) * (40 << 12); subprocess.run({one!r}, check=True)"
    assert memory.peak_mb(one) > 40
    assert memory.peak_mb([sys.executable, "-c", both]) > 80
