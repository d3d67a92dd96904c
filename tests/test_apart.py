"""Decoding in a process of its own: what it may not do, and what becomes of a clip that ends it or takes it over."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from redact.batch import Failure, run_clips
from redact.cli.results import complain
from redact.custody import open_workspace
from redact.errors import InputError
from redact.media import FrameReader, SoundReader, apart, child
from redact.media.listening import Samples
from redact.plan import Settings
from redact.trees import find_clips
from tests.conftest import Result
from tests.trees import FRAMES, load_fake, write_small

Conquer = Callable[..., None]
PICTURES, SOUND = ("_Pictures", "_chunks"), ("_Sound", "_packets")
INSTEAD = """
from redact.media import child
def taken(self):
    if "bad" in self.path.name:
        {}
    return honest(self)
honest, child.{}.{} = child.{}.{}, taken
child.main()
"""


@pytest.fixture
def conquer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conquer]:
    """Return a function that lets clips whose name holds "bad" run code in the process that decodes them."""

    def start(code: str, where: Sequence[str] = PICTURES) -> None:
        monkeypatch.setattr(apart, "START", f"exec({INSTEAD.format(code, *where, *where)!r})")
        apart._helper.cache_clear()

    yield start
    apart._helper.cache_clear()


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_small(tmp_path / "in" / "bad.mp4", sound=True)


def read(path: Path) -> int:
    with FrameReader(path) as reader:
        return len(list(reader))


def listen(path: Path) -> Samples:
    with SoundReader(path) as reader:
        return np.hstack([chunk.samples for chunk in reader])


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "import os; os._exit(0)",
        "bytearray(8 << 30)",
        "while True: pass",
        "import os; os.write(self._replies, b'no words\\n')",
        "import os; os.write(self._replies, b'[' * 100000 + b'\\n')",
        "import os; os.write(self._replies, b'x' * (3 << 20))",
        "import os; os.write(self._replies, b'[]\\n')",
        "raise RuntimeError",
    ],
    ids=["dies", "leaves", "eats memory", "hangs", "babbles", "nests", "floods", "lists", "raises"],
)
def test_a_clip_that_conquers_its_decoder_is_an_error_and_takes_no_other(
    conquer: Conquer, bad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(apart, "QUIET_S", 3)
    conquer(code)
    write_small(bad.with_name("good.mp4"), 120)
    space = open_workspace(tmp_path / "out")
    found = find_clips([bad.parent], space)
    results = list(run_clips(found, space, Settings(), load_fake, lambda *_: lambda *_: None))
    failed = [result for result in results if isinstance(result, Failure)]
    assert [(failure.clip.name, failure.error.exit_code) for failure in failed] == [("bad.mp4", 3)]
    assert "decoder" in str(failed[0].error)
    assert len(list((tmp_path / "out" / "release").glob("*.mp4"))) == 1


def test_a_fault_in_the_decoder_is_told_as_what_it_is(conquer: Conquer, bad: Path) -> None:
    conquer("raise TypeError('open() got an unexpected keyword')")
    with pytest.raises(InputError, match=r"failed at bad.mp4: TypeError: open\(\) got an unexpected") as error:
        read(bad)
    assert "redact doctor" in error.value.advice


@pytest.mark.parametrize(
    "frame",
    [
        "[0, 0, 0, 0, [180, 160], [0, False], False]",
        "[2, 0, 0, 1, [180, 160], [0, False], False]",
        "[0, 0, 0, 1, [180, 161], [0, False], False]",
        "[0, 0, 0, 1, [30000, 30000, 3], [0, False], False]",
        "[0, 0, 0, 1, [0, 160], [0, False], False]",
        "[0, 0, 0.5, 1, [180, 160], [0, False], False]",
        "[0, 0, 0, 1, [180, 160], [5, False], False]",
        "[0, 0, 0, 1, [180, 160]]",
        "[0, 1 << 300, 0, 1, [180, 160], [0, False], False]",
        "[0, 0, 1 << 300, 1, [180, 160], [0, False], False]",
        "None",
    ],
)
def test_a_frame_that_makes_no_sense_is_not_taken(conquer: Conquer, bad: Path, frame: str) -> None:
    conquer(f"child.write(self._replies, dict(run=1, lost=[], frame={frame}))")
    with pytest.raises(InputError, match="ended the decoder"):
        read(bad)


@pytest.mark.parametrize("lost", ["[[['1e30000000'], [1]]]", "[[[0, 1], [1.5, 1]]]", "[[[0, 1], [1 << 300, 1]]]"])
def test_a_lost_stretch_that_makes_no_sense_is_refused_at_once(conquer: Conquer, bad: Path, lost: str) -> None:
    conquer(f"child.write(self._replies, dict(run=1, lost={lost}))")
    with pytest.raises(InputError, match="ended the decoder"):
        read(bad)


@pytest.mark.parametrize(
    "header",
    [
        "[['1e30000000'], [25, 1], [1, 1, 1], 0, False, None, None]",
        "[[1, 25], [0, 1], [1, 1, 1], 0, False, None, None]",
        "[[1, 25], [25, 1], [1, 1, 1], 0, False, None, ['1e30000000', 1]]",
        "[[1, 25], [25, 1], [1, 1], 0, False, None, None]",
        "[[1, 25], [25, 1], [1, 1, 1], 0, False, 0.5, None]",
        "[]",
    ],
)
def test_a_header_that_makes_no_sense_is_refused_at_once(conquer: Conquer, bad: Path, header: str) -> None:
    conquer(f"return {header}", ("_Pictures", "told"))
    with pytest.raises(InputError, match="ended the decoder"):
        read(bad)


@pytest.mark.parametrize(
    "frame",
    [
        "[0, [[None, -1]]]",
        "[0, [[None, 1 << 40]]]",
        "[0, [[None, 4.0]]]",
        "[0, [[[1, 0], 4]]]",
        "[0, [[['1e30000000', 1], 4]]]",
        "[0, [4]]",
        "[2, [[None, 4]]]",
        "[0.0, [[None, 4]]]",
        "None",
    ],
)
def test_sound_that_makes_no_sense_is_not_taken(conquer: Conquer, bad: Path, frame: str) -> None:
    conquer(f"child.write(self._replies, dict(run=1, lost=[], frame={frame}))", SOUND)
    with pytest.raises(InputError, match="ended the decoder"):
        listen(bad)


def test_a_clip_that_conquers_the_decoder_of_its_sound_is_an_error(conquer: Conquer, bad: Path, tmp_path: Path) -> None:
    conquer("import os; os.abort()", SOUND)
    space, settings = open_workspace(tmp_path / "out"), Settings(audio="keep")
    results = run_clips(find_clips([bad], space), space, settings, load_fake, lambda *_: lambda *_: None)
    assert [result.error.exit_code for result in results if isinstance(result, Failure)] == [3]
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_a_run_decodes_nothing_in_its_own_process(
    redact: Callable[..., Result], bad: Path, see: Callable[[object], None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def only_write(file: object, mode: str = "r", **how: object) -> object:
        assert mode == "w"
        return write(file, mode, **how)

    see(load_fake()[0])
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.full((120, 160, 3), 90, np.uint8))
    write: Callable[..., object] = av.open
    monkeypatch.setattr(av, "open", only_write)
    monkeypatch.delattr(Image, "open")
    for clip, options in ((bad, ("--audio", "keep")), (bad, ("--audio", bad)), (photo, ())):
        result = redact("run", clip, "-o", tmp_path / "out", "--overwrite", *options)
        assert result.code == 0, result


def test_what_a_decoder_says_cannot_act_on_a_terminal(
    conquer: Conquer, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conquer(
        "child.write(self._replies, dict(run=1, lost=[], error='InputError', message='\\x1b[2J' * 999, advice='-'))"
    )
    with pytest.raises(InputError) as told:
        read(bad)
    complain(told.value)
    assert "\x1b" not in capsys.readouterr().err
    assert len(str(told.value)) == apart.LONGEST_TEXT


def test_sound_without_bounds_comes_out_within_them(bad: Path, tmp_path: Path) -> None:
    wild = np.array([0.5, np.nan, np.inf, -np.inf, 1e38, 0.25] * 800, "<f4")
    size, rate = wild.nbytes, 48000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 3, 1, rate, rate * 4, 4, 32, b"data", size
    )
    path = tmp_path / "wild.wav"
    path.write_bytes(head + wild.tobytes())
    samples = listen(path)
    assert samples.shape == (1, 4800)
    assert samples[0, :6].tolist() == [0.5, 0, apart.LOUDEST, -apart.LOUDEST, apart.LOUDEST, 0.25]


TRIES = """
import errno, os, socket, threading
def tries():
    done = []
    for attempt in (
        lambda: open("/etc/passwd"), lambda: open({written!r}, "w"), lambda: os.unlink({kept!r}),
        lambda: os.chmod({kept!r}, 0), lambda: os.mkdir({written!r}), lambda: os.truncate({kept!r}, 0),
        lambda: socket.socket(), lambda: socket.socketpair(), os.fork, lambda: os.execv("/bin/true", ["true"]),
        lambda: os.kill(os.getppid(), 0), lambda: os.memfd_create("x"), lambda: os.pidfd_open(1),
        lambda: os.open("/proc/self/mem", os.O_RDWR),
    ):
        try:
            attempt()
            done.append("done")
        except OSError as error:
            done.append(errno.errorcode[error.errno])
    thread = threading.Thread(target=done.append, args=("thread",))
    thread.start()
    thread.join()
    return " ".join(done)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system calls are filtered on x86-64 only")
@pytest.mark.parametrize(("where", "use"), [(PICTURES, "read"), (SOUND, "listen")])
def test_a_decoder_can_open_no_file_and_no_connection_and_start_no_program(
    where: Sequence[str], use: str, conquer: Conquer, bad: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    tries = TRIES.format(written=str(tmp_path / "written"), kept=str(kept))
    conquer(f"exec({tries!r}, globals()); child.write(self._replies, dict(error='InputError', message=tries()))", where)
    with pytest.raises(InputError) as told:
        {"read": read, "listen": listen}[use](bad)
    assert str(told.value) == "EPERM " * 14 + "thread"
    assert kept.read_text() == "kept"
    assert not (tmp_path / "written").exists()


def test_a_decoder_works_where_the_system_grants_less_memory_than_it_may_take() -> None:
    code = """
import resource
from redact import jail
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 2 << 30))
jail.bound()
print(*(resource.getrlimit(kind) for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == f"({2 << 30}, {2 << 30}) (32, 32)"


def test_a_decoder_holds_nothing_but_the_clip_its_pipes_and_its_memory(conquer: Conquer, bad: Path) -> None:
    look = (
        "import os\nfound = []\nfor n in range(32):\n    try: found.append(os.fstat(n) and n)\n    except OSError: pass"
    )
    conquer(f"exec({look!r}, globals()); child.write(self._replies, dict(error='InputError', message=len(found)))")
    with pytest.raises(InputError) as told:
        read(bad)
    assert str(told.value) == str(
        3 + 4 + 1
    )  # the standard ones lead nowhere; a copy of the memory's is kept by its map


def test_neither_ctrl_c_nor_a_kill_leaves_a_decoder(bad: Path) -> None:
    program = f"""
import pathlib, sys
from redact.media import FrameReader, apart
apart.START = {f"exec({INSTEAD.format('while True: pass', *PICTURES, *PICTURES)!r})"!r}
with FrameReader(pathlib.Path({str(bad)!r})) as reader:
    helper = apart._helper(__import__("os").getpid())._process.pid
    decoder = open(f"/proc/{{helper}}/task/{{helper}}/children").read().split()[0]
    print(helper, decoder, flush=True)
    list(reader)
"""
    for how in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where these tests run
        ) as process:  # fmt: skip
            assert process.stdout is not None
            others = [int(number) for number in process.stdout.readline().split()]
            assert len(others) == 2
            process.send_signal(how)
            process.wait(20)
        until = time.monotonic() + 10
        while any(is_there(number) for number in others):
            assert time.monotonic() < until
            time.sleep(0.05)


def is_there(number: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except OSError:
        return False


def test_a_helper_that_has_died_is_started_again(bad: Path) -> None:
    assert read(bad) == FRAMES
    helper = apart._helper(os.getpid())._process
    helper.kill()
    helper.wait()
    assert read(bad) == FRAMES


def test_a_decoder_whose_start_was_interrupted_takes_nothing_of_the_next(
    bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: child.Lines) -> child.Words:
        raise KeyboardInterrupt

    read(bad)  # so that what starts decoders is there
    with monkeypatch.context() as patched:
        patched.setattr(child.Lines, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            listen(bad)
    assert read(bad) == FRAMES


def test_an_answer_that_nobody_waited_for_is_passed_over(bad: Path) -> None:
    helper = apart._helper(os.getpid())
    nowhere = {"kind": "pictures", "path": "", "number": 1, "orders": 0, "replies": 1, "clip": 2, "memory": 3}
    child.write(helper._out, {"order": "of a copy of this process that was killed", "process": 0, **nowhere})
    assert read(bad) == FRAMES
    assert apart._helper(os.getpid()) is helper
