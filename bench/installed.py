"""Install a wheel into an empty environment, and do the main job there: the sample clip, from analysis to release.

    python -m bench.installed WHEEL [ENVIRONMENT]

Then make a bundle there, and do what its INSTALL.txt tells to type. It needs the weights and, for pip and the bundle,
the network or a folder of wheels. The environment is kept where one is named.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from redact import bundles
from tests.clips import write_sample


def main(wheel: Path, environment: Path) -> None:
    """Raise if anything fails."""
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name.split("-")[0] for name in top} == {"redact"}, f"the wheel installs more than redact: {top}"
    venv.create(environment, with_pip=True, clear=True)
    environment = environment.resolve()
    python = environment / "bin" / "python"
    command = environment / "bin" / "redact"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def install(*what: str) -> None:
        # In the folder of the project pip would take the sources for what is installed already.
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *what], cwd=environment, env=clean, check=True)

    install(str(wheel.resolve()))
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)  # outside the project: nothing may be taken from its sources
        clip = write_sample(where / "sample.mp4")
        for arguments in (["doctor"], ["guide"], ["run", str(clip), "-o", "out"], ["report", "out"], ["log", "out"]):
            print(f"redact {' '.join(arguments)}", flush=True)
            subprocess.run([command, *arguments], cwd=where, env=clean, check=True, stdout=subprocess.DEVNULL)
        install_bundle(command, wheel.resolve(), where, clean)
        made = sorted(path.name for path in (where / "out" / "release").iterdir())
    assert made == ["excerpt-0001.mp4", "excerpt-0001.statement.json", "report.html"], made
    # For the list of packages: those of a bundle, and by name, for the environment keeps where a wheel lay.
    install(f"{wheel.resolve()}[{bundles.EXTRA}]")
    install("--no-index", "--no-deps", "--force-reinstall", "--find-links", str(wheel.resolve().parent), "redact")
    pages = environment / "share" / "man" / "man1" / "redact.1"
    assert pages.exists(), pages
    print(f"{wheel.name} does its job in an empty environment")


def install_bundle(command: Path, wheel: Path, where: Path, clean: dict[str, str]) -> None:
    """Make a bundle and type what its note says, in a home of its own. Raise if anything fails."""
    print("redact bundle carry", flush=True)
    subprocess.run(
        [command, "bundle", "carry", "--wheel", wheel], cwd=where, env=clean, check=True, stdout=subprocess.DEVNULL
    )
    note = (where / "carry" / "INSTALL.txt").read_text("utf-8")
    lines = "\n".join(line.strip() for line in note.splitlines() if line.startswith("    "))
    # Where packages may be got from elsewhere, what the bundle lacks would not be seen.
    elsewhere = ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "REDACT_WEIGHTS", "XDG_DATA_HOME")
    home = {name: value for name, value in clean.items() if name not in elsewhere}
    home |= {"HOME": str(where / "home"), "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    (where / "home").mkdir()
    use = "python -c 'import redact.review.server'\nredact run ../sample.mp4 -o ../carried"
    subprocess.run(
        ["bash", "-euc", f"{lines}\n{use}"], cwd=where / "carry", env=home, check=True, stdout=subprocess.DEVNULL
    )
    copies = [(where / out / "release" / "excerpt-0001.mp4").read_bytes() for out in ("out", "carried")]
    assert copies[0] == copies[1], "the same version made another copy"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else f"{scratch}/environment"))
