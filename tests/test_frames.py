"""A frame that is asked for by its number is that frame of the clip and of the copy, covered as the copy is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from redact.drawing import follow_box
from redact.effects import Coverer
from redact.errors import PlanError, UsageError
from redact.excerpts import cut_source, find_timeline
from redact.frames import CoveredFrames
from redact.geometry import Box, covered_share
from redact.media import FrameReader, hash_file
from redact.plan import Plan, Settings, Source, Track
from redact.rendering import render
from redact.seeking import FrameSeeker
from redact.sightings import Timeline
from tests.clips import moving_portrait, textured_background, write_clip

Picture = NDArray[np.uint8]
LATE = [n * 40 + (700 if n else 640) for n in range(60)]
UNEVEN = [n * 40 + (n % 7) * 5 + (400 if n > 30 else 0) for n in range(60)]


def numbered(count: int, width: int = 160, height: int = 96) -> Iterator[Picture]:
    """Yield pictures that carry their number as eight black or white blocks."""
    for n in range(count):
        picture = textured_background(width, height, seed=3)
        for bit in range(8):
            picture[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 235 if n >> bit & 1 else 20
        yield picture


def number_of(picture: Picture) -> int:
    """Return the number that a picture carries."""
    height, width = picture.shape[:2]
    middle = picture[height // 8 : height // 4].mean(axis=(0, 2))
    return sum((middle[(2 * bit + 1) * width // 16] > 128) << bit for bit in range(8))


def decode(data: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def plan_for(clip: Path, tracks: tuple[Track, ...] = (), settings: Settings | None = None) -> tuple[Plan, Timeline]:
    """Return a plan of a whole clip, and its time line."""
    with FrameReader(clip) as reader:
        frames = list(reader)
        unit = reader.time_base
    times = tuple(frame.time for frame in frames)
    height, width = frames[0].picture.shape[:2]
    source = Source(str(clip), hash_file(clip), width, height, 0, len(times), unit, times[0], times[-1], "", 0)
    plan = Plan(source, settings or Settings(), {}, tracks)
    source, _ = cut_source(plan, clip, Timeline(0, times, ()), 0, len(times) - 1, lambda *_: None)
    return Plan(source, plan.settings, {}, tracks), Timeline(0, times, ())


@pytest.mark.parametrize(
    ("name", "times", "codec", "options"),
    [
        ("even.mp4", None, "libx264", {"g": "12", "bf": "3"}),
        ("uneven.mp4", UNEVEN, "libx264", {"g": "250", "bf": "2"}),
        ("late.mp4", LATE, "libx264", {"g": "20", "bf": "3"}),
        ("open.mkv", None, "libx264", {"g": "15", "bf": "3", "x264-params": "open-gop=1"}),
        ("refresh.mp4", None, "libx264", {"g": "15", "x264-params": "intra-refresh=1"}),
        ("stream.ts", None, "libx264", {"g": "15", "bf": "2"}),
        ("raw.264", None, "libx264", {"g": "15"}),
        ("dvr.avi", None, "mjpeg", {}),
    ],
)
def test_any_frame_is_found_by_its_number_exactly_as_when_read_in_order(
    name: str, times: list[int] | None, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = write_clip(tmp_path / name, numbered(60), times, codec=codec, pix_fmt=pix_fmt, options=options)
    with FrameReader(clip) as reader:
        whole = list(reader)
    order = random.Random(4).sample(range(60), 30)
    with FrameSeeker(clip, 0, [frame.time for frame in whole]) as seeker:
        for n in [*order, *(m - k for m in order[:3] for k in range(min(m, 3)))]:
            found = seeker.read(n)
            assert (found.index, found.time, number_of(found.picture)) == (n, whole[n].time, n)
            assert np.array_equal(found.picture, whole[n].picture)
        with pytest.raises(IndexError):
            seeker.read(60)


def test_a_frame_of_an_excerpt_is_found_too(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", numbered(60), options={"g": "12"})
    with FrameSeeker(clip, 20, [Fraction(n, 25) for n in range(20, 50)]) as seeker:
        for n in (45, 20, 33, 49):
            assert number_of(seeker.read(n).picture) == n
        with pytest.raises(IndexError):
            seeker.read(19)


@pytest.mark.parametrize("times", [None, UNEVEN, LATE])
def test_the_frame_that_is_shown_is_the_frame_of_the_copy(times: list[int] | None, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", numbered(60), times, options={"g": "25", "bf": "2"})
    track = Track(1, "head", 10, (Box(20, 50, 90, 96),) * 40)
    plan, timeline = plan_for(clip, (track,))
    render(plan, clip, tmp_path / "copy.mp4", lambda *_: None)
    with FrameReader(tmp_path / "copy.mp4") as reader:
        copy = {frame.index: frame.picture for frame in reader}
    with CoveredFrames(clip, plan, timeline) as frames:
        for n in (0, 9, 10, 33, 34, 49, 50, 59):
            shown = decode(frames.show(plan, n))
            assert number_of(shown) == number_of(copy[n]) == n
            assert np.abs(shown.astype(int) - copy[n]).mean() < 6
            covered = np.abs(shown[60:90, 30:80].astype(int) - copy[n][60:90, 30:80]).mean()
            assert covered < 6, n
        assert decode(frames.show(plan, 3, 80)).shape == (48, 80, 3)


def test_a_changed_plan_is_shown_at_once_and_another_clip_never(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", numbered(8))
    plan, timeline = plan_for(clip)
    covered = Plan(plan.source, Settings(effect="solid"), {}, (Track(1, "region", 0, (Box(0, 0, 160, 96),) * 8),))
    with CoveredFrames(clip, plan, timeline) as frames:
        assert decode(frames.show(plan, 5)).max() > 200
        assert decode(frames.show(covered, 5)).max() < 8
    other = write_clip(tmp_path / "d.mp4", numbered(9))
    with pytest.raises(PlanError, match="another clip"):
        CoveredFrames(other, plan, timeline)


def test_looking_under_one_cover_shows_that_alone_in_grey_and_dark(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", (picture for picture, _ in moving_portrait(5, 320, 240, 0.6)))
    one, two = Box(20, 40, 120, 200), Box(90, 40, 200, 200)
    tracks = (Track(1, "region", 0, (one,) * 5), Track(2, "region", 0, (two,) * 5))
    plan, timeline = plan_for(clip, tracks)
    with CoveredFrames(clip, plan, timeline) as frames:
        data, box = frames.uncover(plan, 2, 1)
        seen, whole = decode(data), frames.read(2).picture
        assert box == one
        assert seen.shape == (160, 100, 3)
        own = seen[:, :68].astype(int)
        assert np.ptp(own, axis=2).max() < 12
        grey = cv2.cvtColor(whole, cv2.COLOR_BGR2GRAY)[40:200, 20:88].astype(float)
        assert np.abs(own[..., 0] - 0.6 * grey).mean() < 4
        shared = Coverer(Plan(plan.source, plan.settings, {}, (tracks[1],))).cover(whole, 2)[0][44:196, 94:118]
        assert np.abs(seen[4:156, 74:98, 0] - 0.6 * cv2.cvtColor(shared, cv2.COLOR_BGR2GRAY)).mean() < 4
        colour, _ = frames.uncover(plan, 2, 1, grey=False)
        assert np.abs(decode(colour)[:, :68].astype(int) - whole[40:200, 20:88]).mean() < 6
        with pytest.raises(UsageError):
            frames.uncover(plan, 2, 7)


def test_a_drawn_box_is_followed_both_ways_by_the_picture(tmp_path: Path) -> None:
    pictures = list(moving_portrait(60, 320, 240, 0.4))
    clip = write_clip(tmp_path / "c.mp4", (picture for picture, _ in pictures))
    plan, timeline = plan_for(clip)
    x, y, w, h = pictures[30][1] or (0, 0, 0, 0)
    steps: list[int] = []
    with CoveredFrames(clip, plan, timeline) as frames:
        first, boxes = follow_box(
            Box(x, y, x + w, y + h), 30, timeline, frames.between, lambda done, total: steps.append(done)
        )
    assert steps[-1] >= 60
    for n, (_, face) in enumerate(pictures):
        x, y, w, h = face or (0, 0, 0, 0)
        assert first <= n < first + len(boxes)
        assert covered_share(Box(x, y, x + w, y + h), boxes[n - first]) > 0.85, n


def test_the_time_line_is_made_from_the_clip_where_it_was_not_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", numbered(20), UNEVEN[:20])
    plan, timeline = plan_for(clip)
    assert find_timeline(plan, tmp_path / "c.plan.json", clip, lambda *_: None).times == timeline.times


def test_a_shorter_excerpt_is_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", numbered(30), LATE[:30])
    plan, timeline = plan_for(clip)
    source, settings = cut_source(plan, clip, timeline, 10, 19, lambda *_: None)
    with FrameReader(clip, settings.from_time, settings.to_time) as reader:
        assert [number_of(frame.picture) for frame in reader] == list(range(10, 20))
    render(Plan(source, settings, {}, ()), clip, tmp_path / "copy.mp4", lambda *_: None)
    assert cut_source(plan, clip, timeline, 0, 29, lambda *_: None) == (plan.source, plan.settings)
