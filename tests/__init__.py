"""Tests, and the clips that they make."""
