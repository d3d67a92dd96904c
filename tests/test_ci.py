"""CI does not pass over the tests of the review page where there is no browser, nor over newer libraries."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
TOOLS = ("bash", "dirname", "env", "mktemp", "tail", "timeout")


def run_ci(folder: Path, stubs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run CI with nothing but these commands and a `make` that says what it was asked for."""
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    for name, does in (stubs | {"make": "echo made $REDACT_NEED_BROWSER $*"}).items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{does}\n")
        (folder / name).chmod(0o700)
    command = ["bash", str(SCRIPT)]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("user", "installs", "there", "tests"),
    [(0, "exit 100", False, False), (0, "exit 0", False, False), (1000, "exit 0", False, False),
     (0, "exit 100", True, True)],
)  # fmt: skip
def test_ci_fails_before_the_tests_where_no_browser_can_be_installed(
    user: int, installs: str, there: bool, tests: bool, tmp_path: Path
) -> None:
    stubs = {"id": f"echo {user}", "apt-get": f"echo no network; {installs}"} | (
        {"chromium": "exit 1"} if there else {}
    )
    done = run_ci(tmp_path, stubs)
    assert (done.returncode == 0, "made 1" in done.stdout) == (tests, tests), done
    assert ("could not be installed" in done.stderr) is not tests
    assert ("no network" in done.stderr) == (user == 0 and not there)


@pytest.mark.parametrize(("answer", "newer"), [("exit 0", True), ("exit 1", False)])
def test_ci_tests_with_newer_libraries_where_a_newer_python_is(answer: str, newer: bool, tmp_path: Path) -> None:
    done = run_ci(tmp_path, {"chromium": "exit 1", "python3.13": answer})
    assert done.returncode == 0
    assert ("newest PYTHON=python3.13 TESTS=tests/test_media.py " in done.stdout) is newer
    assert ("were not tested" in done.stderr) is not newer
