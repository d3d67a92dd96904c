"""What the documents say of the program is what the program says of itself, and what they tell to type works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest

from redact import bundles, doctor, weights
from redact.cli import cli, reference
from tests.clips import moving_portrait, write_clip
from tests.conftest import Result
from tests.fakes import FakeDetector

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "models" / "README.md", ROOT / "redact" / "guide.txt"]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
CLIPS = ("clip.mp4", "clips/gate.mp4")


def in_blocks(text: str) -> list[str]:
    """Return the lines of a document's blocks of commands, indented or fenced without a language."""
    fenced = [block for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if not language]
    indented = re.findall(r"^    (\S.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    lines = [*indented, *(line for block in fenced for line in block.splitlines())]
    return [line.split(" #")[0].strip() for line in lines if line.split(" ")[0] in ("redact", ".venv/bin/redact")]


def in_sentences(text: str) -> list[str]:
    """Return the commands that stand in the sentences and tables of a document."""
    return [found.replace("\\|", "|") for found in re.findall(r"`(redact [^`\n]+)`", text)]


def in_shell(text: str) -> list[str]:
    """Return the commands in blocks of the shell, which hold more than what can be run here: other machines, say."""
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    return re.findall(r"(?:^|&& )(redact [^&#\n]+)", blocks, re.M)


def find(words: list[str]) -> click.Command:
    """Return the command that words begin with."""
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        assert word in command.commands, " ".join(words)
        command = command.commands[word]
    return command


@pytest.mark.parametrize("name", NAMES)
def test_what_a_document_lists_comes_from_the_program(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert text == reference.fill(text), "run `make tables`"


def test_the_tables_and_the_man_page_hold_every_command_and_option() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert reference.command_table() in text
    assert reference.option_table() in text
    assert (ROOT / reference.MAN_PAGE).read_text("utf-8") == reference.man_page(), "run `make tables`"
    for entry in reference.entries():
        assert entry.promise, entry.name
        assert all(p.help for p in entry.command.params if isinstance(p, click.Option)), entry.name


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_man_page_has_no_mistakes() -> None:
    command = ["groff", "-man", "-Tascii", "-ww", "-z", str(ROOT / reference.MAN_PAGE)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_command_in_a_sentence_or_script_is_one_of_the_program(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for line in [*in_sentences(text), *in_shell(text)]:
        words = line.split()[1:]
        if not words[0].isupper() and not words[0].startswith("-"):
            known = {option for parameter in find(words).params for option in parameter.opts} | {"--help"}
            used = {word.rstrip(".,") for word in words if re.match(r"--?[a-z]", word)}
            assert used <= known, line
    for target in re.findall(r"`make (\w+)|^ {4}make (\w+)", text, re.M):
        assert re.search(rf"^{''.join(target)}:", (ROOT / "Makefile").read_text(), re.M), target
    for script, module, rest in re.findall(r"python (?:(\w+/\w+\.py)|-m (bench\.\w+))([^`\n]*)", text):
        program = (ROOT / (script or f"{module.replace('.', '/')}.py")).read_text("utf-8")
        assert all(f'"{option}"' in program for option in re.findall(r" (--[\w-]+)", rest)), rest


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, see: Callable[[object], None]) -> None:
    """A folder as the documents suppose it: a slow clip of 15 s with a mark in it, and a folder of clips."""
    monkeypatch.chdir(tmp_path)
    for variable in ("MARKS", "CAMERAS"):
        monkeypatch.setenv(f"REDACT_{variable}", str(tmp_path / variable.lower()))
    pictures, faces = zip(*moving_portrait(15, 480, 360, 0.4), strict=True)
    noise = np.random.default_rng(5).integers(0, 256, (35, 30, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    for picture in pictures:
        picture[220:360, 310:430] = noise
    for name in CLIPS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_clip(tmp_path / name, iter(pictures), [n * 1000 for n in range(15)])
    see(FakeDetector(faces))
    monkeypatch.setattr(weights, "fetch", lambda *_, **__: [])
    monkeypatch.setattr(doctor, "examine", lambda _: [])
    monkeypatch.setattr(bundles, "make", lambda folder, *_: folder)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("name", NAMES)
def test_every_block_of_commands_runs_from_top_to_bottom(name: str, redact: Callable[..., Result]) -> None:
    for line in in_blocks((ROOT / name).read_text("utf-8")):
        words = [
            str(p) for word in shlex.split(line)[1:] for p in (sorted(Path().glob(word)) if "*" in word else [word])
        ]
        result = redact(*words)
        assert result.code == 0, (line, result)


def test_the_guide_is_printed(redact: Callable[..., Result]) -> None:
    result = redact("guide")
    assert (result.code, result.out) == (0, (ROOT / "redact" / "guide.txt").read_text("utf-8"))
