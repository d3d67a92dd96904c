"""What a project has around its code: completion, the same version everywhere, licences of all that it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import redact
from bench import licences
from redact import weights
from tests.conftest import Result

ROOT = Path(__file__).parent.parent


def complete(words: str) -> list[str]:
    """Return what is offered at the end of a line."""
    count = len(words.split(" ")) - 1
    environment = os.environ | {"_REDACT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    ended = subprocess.run([sys.executable, "-c", "from redact.cli import main; main()"], env=environment,
                           capture_output=True, text=True, check=True)  # fmt: skip
    return [line.split(",")[1] for line in ended.stdout.splitlines()]


def test_commands_options_and_choices_are_completed() -> None:
    assert complete("redact an") == ["analyse"]
    assert "--effect" in complete("redact run --ef")
    assert complete("redact run --effect s") == ["solid"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_completion_prints_is_a_script_of_that_shell(shell: str, redact: Callable[..., Result]) -> None:
    result = redact("completion", shell)
    assert result.code == 0
    assert f"{shell}_complete" in result.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.out, text=True, check=True)


def test_the_module_is_run_like_the_command() -> None:
    ended = subprocess.run([sys.executable, "-m", "redact", "--version"], capture_output=True, text=True, check=True)
    assert redact.__version__ in ended.stdout


def test_the_version_stands_in_one_place_and_the_citation_follows() -> None:
    assert "version = attr: redact.__version__" in (ROOT / "setup.cfg").read_text()
    citation = dict(re.findall(r"^([\w-]+): (\S.*)$", (ROOT / "CITATION.cff").read_text(), re.M))
    assert citation["version"] == redact.__version__
    assert (citation["cff-version"], citation["license"], citation["title"]) == ("1.2.0", "Apache-2.0", "redact")
    assert citation["type"] in ("software", "dataset")
    assert citation["message"]
    names = re.findall(r"^([\w-]+):", (ROOT / "CITATION.cff").read_text(), re.M)
    assert set(names) - set(citation) == {"authors", "keywords"}, "the others hold one line"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_the_sample_clip_brings_no_packages_of_the_tests_and_no_older_pillow() -> None:
    told = subprocess.run(["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "tests.clips" in told
    assert "[test]" not in told, "that extra brings the Pillow of moviepy, which would decode a reporter's photographs"


def test_the_released_sources_hold_every_file_of_the_repository(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a repository")
    files = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    for name in files:  # in a copy: building leaves files behind
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    build = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, check=True)
    (made,) = (tmp_path / "dist").iterdir()
    with tarfile.open(made) as archive:
        held = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert files <= held, sorted(files - held)


def test_every_package_and_all_weights_stand_in_the_list_of_licences() -> None:
    text = licences.DOCUMENT.read_text("utf-8")
    listed = dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+?) \|", text, re.M))
    needed = {canonicalize_name(name) for name in licences.packages()}
    assert {"av", "numpy", "protobuf"} <= needed, "those that others need are among them"
    assert {"starlette", "uvicorn", "anyio"} <= needed, "a bundle takes along those of the review page"
    needed.add("typing-extensions")  # not from Python 3.13 on
    assert needed | set(weights.cards()) == set(listed) - {"package", "weights"}, "run `make tables`"
    assert all(listed[card.id] == card.licence for card in weights.cards().values())
    assert all(re.fullmatch(r"[\w.+-]+( (AND|OR) [\w.+-]+)*", licence) for licence in listed.values())
