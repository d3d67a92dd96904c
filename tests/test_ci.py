"""CI does not pass over the tests of the review page where there is no browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
TOOLS = ("bash", "dirname", "env", "mktemp", "tail", "timeout")


@pytest.mark.parametrize(
    ("user", "installs", "there", "tests"),
    [(0, "exit 100", False, False), (0, "exit 0", False, False), (1000, "exit 0", False, False),
     (0, "exit 100", True, True)],
)  # fmt: skip
def test_ci_fails_before_the_tests_where_no_browser_can_be_installed(
    user: int, installs: str, there: bool, tests: bool, tmp_path: Path
) -> None:
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    stubs = {"id": f"echo {user}", "apt-get": f"echo no network; {installs}", "make": "echo made $REDACT_NEED_BROWSER"}
    for name, does in (stubs | ({"chromium": "exit 1"} if there else {})).items():
        (tmp_path / name).write_text(f"#!{shutil.which('bash')}\n{does}\n")
        (tmp_path / name).chmod(0o700)
    command = ["bash", str(SCRIPT)]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0, "made 1" in done.stdout) == (tests, tests), done
    assert ("could not be installed" in done.stderr) is not tests
    assert ("no network" in done.stderr) == (user == 0 and not there)
