"""SubRip files: what is read from them, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from redact.captions import Caption, read_captions
from redact.errors import InputError

USUAL = (
    "1\n00:00:01,500 --> 00:00:03,000\n<i>We were</i>\n{\\an8}eleven\n\n2\n00:00:03,000 --> 01:00:04,040\nin a cell.\n"
)


@pytest.mark.parametrize("text", [USUAL, "\ufeff" + USUAL.replace("\n", "\r\n"), USUAL.replace(",", ".") + "\n\n"])
def test_captions_are_read_with_exact_times_and_without_markup(tmp_path: Path, text: str) -> None:
    (tmp_path / "words.srt").write_bytes(text.encode())
    assert read_captions(tmp_path / "words.srt") == (
        Caption(Fraction(3, 2), Fraction(3), "We were\neleven"),
        Caption(Fraction(3), 3604 + Fraction(1, 25), "in a cell."),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no captions"),
        ("1\n00:00:03,000 --> 00:00:03,000\nnever\n", "not the beginning and end"),
        ("1\n00:00:3 --> 00:00:04,000\nwhen\n", "not the beginning and end"),
        ("1\nwords without times\n", "not the beginning and end"),
        ("1\n00:00:01,000 --> 00:00:02,000\n", "holds no text"),
        ("1\n00:00:01,000 --> 00:00:02,000\n\x1b[31mred\n", "holds no text"),
        (USUAL + "\n3\n00:00:02,000 --> 00:00:05,000\nback\n", "before the last one ends"),
    ],
)
def test_what_is_no_captions_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "words.srt").write_text(text)
    with pytest.raises(InputError, match=said):
        read_captions(tmp_path / "words.srt")


def test_captions_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "words.srt").write_bytes(USUAL.replace("eleven", "onze à").encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        read_captions(tmp_path / "words.srt")
