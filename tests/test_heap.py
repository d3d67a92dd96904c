"""Memory that pictures leave is kept for the next ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
{before}
import numpy as np

def work():
    pictures = [np.ones((480, 854, 3), np.uint8) for _ in range(8)]
    del pictures

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 8 * 480 * 854 * 3 // 4096  # of one round


def faults(before: str) -> int:
    """Return how many pages the system gave anew in twenty rounds of making pictures and letting go of them."""
    done = subprocess.run([sys.executable, "-c", FAULTS.format(before=before)], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries stay as they are")
def test_pictures_are_made_where_others_have_been() -> None:
    assert faults("import redact.media") < PAGES / 10 < faults("")
