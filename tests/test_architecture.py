"""Who may import whom, who may speak, and what the documents say of the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import redact
from redact import errors

ROOT = Path(__file__).parent.parent
LAYERS = {
    0: ("errors", "geometry", "crew", "disk", "executors", "jail"),
    1: ("plan", "graphs", "records", "sightings", "regions", "boxes", "residue", "exchange", "captions", "cluster"),
    2: (
        "media",
        "seeking",
        "weights",
        "quantising",
        "translating",
        "backends",
        "detectors",
        "scenes",
        "resizing",
        "tracking",
        "flow",
        "following",
        "stillness",
        "looking",
        "second_look",
        "doubts",
        "effects",
        "people",
        "marks",
        "cameras",
        "edits",
        "keyframes",
        "films",
        "clothes",
        "likeness",
        "dlib_networks",
        "surveys",
    ),
    3: (
        *("analysis", "rendering", "verification", "custody", "sheets", "queue", "doctor"),
        *("excerpts", "drawing", "frames"),
    ),
    4: ("pipeline", "segments", "trees", "batch", "handover", "reports", "bundles", "reel"),
    5: ("review", "api", "cli", "__init__", "__main__"),
}
LAYER = {room: layer for layer, rooms in LAYERS.items() for room in rooms}
WITHIN = {
    ("records", "plan"), ("sightings", "plan"), ("sightings", "records"), ("detectors", "weights"),
    ("detectors", "quantising"), ("detectors", "backends"), ("detectors", "marks"), ("regions", "plan"),
    ("translating", "quantising"), ("weights", "translating"), ("dlib_networks", "quantising"),
    ("weights", "dlib_networks"), ("detectors", "likeness"),
    ("regions", "sightings"), ("seeking", "media"), ("looking", "detectors"), ("looking", "scenes"),
    ("looking", "stillness"), ("looking", "tracking"), ("following", "detectors"), ("following", "flow"),
    ("following", "tracking"), ("following", "resizing"), ("flow", "resizing"), ("scenes", "resizing"),
    ("stillness", "resizing"), ("detectors", "resizing"),
    ("second_look", "detectors"), ("second_look", "scenes"), ("doubts", "tracking"), ("second_look", "tracking"),
    ("exchange", "plan"), ("batch", "pipeline"), ("batch", "trees"), ("cli", "__init__"), ("cli", "review"),
    ("__init__", "api"), ("__main__", "cli"), ("disk", "errors"), ("residue", "boxes"), ("films", "media"),
    ("reel", "handover"), ("edits", "keyframes"),
    ("surveys", "media"), ("surveys", "scenes"), ("surveys", "seeking"), ("pipeline", "segments"),
    ("executors", "crew"),
}  # fmt: skip
OUTSIDE = {
    0: set(),
    1: {"distributed"},
    2: {"numpy", "cv2", "scipy", "av", "PIL", "pillow_heif", "onnxruntime", "platformdirs", "moviepy"},
    3: {"numpy", "cv2", "packaging"},
    4: {"numpy"},
    5: {"click", "tqdm", "starlette", "uvicorn"},
}
NETWORK = {"urllib", "http", "socket", "ssl", "requests", "ftplib", "smtplib", "asyncio"}


def rooms() -> dict[str, list[tuple[Path, ast.Module]]]:
    found: dict[str, list[tuple[Path, ast.Module]]] = {}
    for path in sorted((ROOT / "redact").rglob("*.py")):
        parts = path.relative_to(ROOT / "redact").parts
        room = parts[0].removesuffix(".py")
        found.setdefault(room, []).append((path, ast.parse(path.read_text())))
    return found


def imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "redact":
            names += [f"redact.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def test_every_room_has_a_layer() -> None:
    assert set(rooms()) == set(LAYER)


def test_no_room_imports_from_a_layer_that_it_may_not() -> None:
    wrong = []
    for room, files in rooms().items():
        for path, tree in files:
            for name in imports(tree):
                head, *rest = name.split(".")
                if head == "redact":
                    other = rest[0] if rest and rest[0] in LAYER else "__init__"
                    fine = other == room or LAYER[other] < LAYER[room] or (room, other) in WITHIN
                else:
                    fine = head in sys.stdlib_module_names or head in OUTSIDE[LAYER[room]]
                if not fine:
                    wrong.append(f"{path.name} imports {name}")
    assert wrong == []


def test_only_the_command_line_prints_and_av_moviepy_distributed_and_servers_have_a_room_each() -> None:
    wrong = []
    for room, files in rooms().items():
        for path, tree in files:
            names = {name.split(".")[0] for name in imports(tree)}
            calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            spoken = (names & {"click", "tqdm"}) | (calls & {"print", "sys.exit", "exit"})
            if room != "cli" and spoken:
                wrong.append(f"{path.name}: {spoken}")
            if room != "review" and names & {"starlette", "uvicorn"}:
                wrong.append(f"{path.name}: a server")
            if room != "media" and "av" in names:
                wrong.append(f"{path.name}: av")
            for library, home in (("moviepy", "films"), ("distributed", "cluster")):
                if room != home and library in names:
                    wrong.append(f"{path.name}: {library}")
    assert wrong == []


def test_nothing_that_can_use_the_network_is_imported_but_inside_a_function_of_weights() -> None:
    for room, files in rooms().items():
        for path, tree in files:
            top = {name.split(".")[0] for node in tree.body for name in imports(node)
                   if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
            assert not top & NETWORK, path
            if room != "weights":
                assert not {name.split(".")[0] for name in imports(tree)} & NETWORK, path


def test_the_public_names_are_there() -> None:
    assert sorted(redact.__all__) == redact.__all__
    assert all(hasattr(redact, name) for name in redact.__all__)
    assert set(redact.__all__) < set(dir(redact))
    with pytest.raises(AttributeError, match="no attribute 'redacted'"):
        redact.redacted  # noqa: B018


def test_importing_redact_loads_none_of_the_heavy_libraries() -> None:
    program = "import sys, redact; print(*sorted({'av', 'cv2', 'numpy', 'onnxruntime', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.strip() == b""


def test_each_error_has_a_code_of_its_own_and_the_readme_lists_them() -> None:
    classes = errors.RedactError.__subclasses__()
    codes = {cls.__name__: cls.exit_code for cls in classes}
    assert len(set(codes.values())) == len(codes)
    rows = re.findall(r"^\| (\d+) \| `?(\w+)`? \|", (ROOT / "README.md").read_text(), re.M)
    table = {name: int(code) for code, name in rows if name in codes}
    assert table == codes
