"""The licences of all packages that redact and its review page need, and of all weights, as SPDX expressions.

    python bench/licences.py

writes them into docs/licences.md, from what the installed packages and the model cards say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from redact import bundles, weights

DOCUMENT = Path(__file__).parent.parent / "docs" / "licences.md"
# Packages that give no SPDX expression say one of these in its place.
OLD_NAMES = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
}


def packages(name: str = "redact", seen: set[str] | None = None) -> Iterator[str]:
    """Yield the names of all packages that one needs, also by way of others; of extras for that of a bundle only."""
    known = {name} if seen is None else seen
    extra = bundles.EXTRA if seen is None else ""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        other = canonicalize_name(requirement.name)
        if other not in known and (requirement.marker is None or requirement.marker.evaluate({"extra": extra})):
            known.add(other)
            yield other
            yield from packages(other, known)


def licence_of(name: str) -> str:
    """Return the SPDX expression of an installed package's licence.

    Raises:
        ValueError: it gives none, and nothing that is known to mean one.
    """
    metadata = distribution(name).metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    said = [line.rsplit(" :: ", 1)[-1] for line in metadata.get_all("Classifier") or () if line.startswith("License")]
    for words in (*said, metadata.get("License")):
        if words in OLD_NAMES:
            return OLD_NAMES[words]
    raise ValueError(f"{name} gives no licence that is known; look at it, and add what it says to OLD_NAMES")


def tables() -> dict[str, str]:
    """Return the tables of the document by the names of their markers."""
    rows = {
        "packages": [f"| {name} | {licence_of(name)} |" for name in sorted(packages())],
        "weights": [
            f"| {card.id} | {card.licence} | {'required' if card.required else 'usual' if card.usual else 'optional'} |"
            for card in weights.cards().values()
        ],
    }
    heads = {"packages": "| package | licence |\n|---|---|", "weights": "| weights | licence | |\n|---|---|---|"}
    return {name: "\n".join([heads[name], *rows[name]]) + "\n" for name in rows}


def fill(text: str) -> str:
    """Return the document with its tables made anew."""
    made = tables()
    return re.sub(
        r"(<!-- (\w+), made by bench/licences.py -->\n).*?(<!-- end -->)",
        lambda found: found[1] + made[found[2]] + found[3],
        text,
        flags=re.S,
    )


if __name__ == "__main__":
    DOCUMENT.write_text(fill(DOCUMENT.read_text("utf-8")), "utf-8")
