"""Cleaning a model drops what its runtime complains of, and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.errors import DependencyError
from redact.graphs import clean_graph
from tests.tiny import TINY, field, session, tiny_model, value_info, varint


def test_cleaning_drops_declared_weights_and_lets_any_size_in() -> None:
    before, after = session(TINY), session(clean_graph(TINY))
    assert [given.name for given in after.get_inputs()] == ["x"]
    batch, channels, rows, columns = after.get_inputs()[0].shape
    assert channels == 3
    assert len({batch, rows, columns}) == 3
    picture = np.random.default_rng(0).random((10, 3, 32, 32), np.float32)
    np.testing.assert_array_equal(before.run(None, {"x": picture})[0], after.run(None, {"x": picture})[0])
    other = np.ones((1, 3, 64, 96), np.float32)
    np.testing.assert_array_equal(after.run(None, {"x": other})[0], other * 9)


def test_cleaning_changes_nothing_else() -> None:
    assert clean_graph(TINY) == tiny_model(
        field(11, value_info(b"x", b"x_batch", 3, b"x_rows", b"x_columns")),
        field(12, value_info(b"y", b"y_batch", 3, b"y_rows", b"y_columns")),
    )


def test_cleaning_leaves_values_that_are_no_pictures_alone() -> None:
    row = field(12, value_info(b"scores", 1, 6000))
    model = field(7, row)
    assert clean_graph(model) == model


def test_cleaning_twice_is_cleaning_once() -> None:
    cleaned = clean_graph(TINY)
    assert clean_graph(cleaned) == cleaned


def test_cleaning_a_file_without_a_graph_or_with_two_is_refused() -> None:
    for model in (b"", field(1, 4), TINY + field(7, b""), varint(7 << 3) + b"\x01"):
        with pytest.raises(DependencyError):
            clean_graph(model)


@pytest.mark.parametrize("length", [1, 3, 40, len(TINY) - 1])
def test_cleaning_a_model_that_breaks_off_is_refused(length: int) -> None:
    with pytest.raises(DependencyError):
        clean_graph(TINY[:length])


@given(st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_no_bytes_crash_the_cleaning(untrusted: bytes) -> None:
    for model in (untrusted, field(7, untrusted), field(7, field(11, untrusted))):
        try:
            cleaned = clean_graph(model)
        except DependencyError:
            continue
        assert clean_graph(cleaned) == cleaned


@given(st.integers(0, len(TINY) - 1), st.integers(0, 255), st.integers(0, len(TINY)))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_model_crashes_the_cleaning(at: int, value: int, length: int) -> None:
    for model in (TINY[:at] + bytes([value]) + TINY[at + 1 :], TINY[:length]):
        try:
            cleaned = clean_graph(model)
        except DependencyError:
            continue
        assert clean_graph(cleaned) == cleaned
