"""Runs the command line: python -m redact."""

from redact.cli import start

start()
