"""The definition of a word: examples of every script and trick, and laws that hold for any text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stackproof.interfaces.words import MAX_MARKS, MAX_WORD_CHARACTERS, words_of

EXAMPLES = {
    "plain": ("Gold Card", ["gold", "card"]),
    "digits": ("1e5 007 3.14 abc123", ["1e5", "007", "3", "14", "abc123"]),
    "underscore separates": ("offer_id", ["offer", "id"]),
    "operators separate": ("auth|admin & !root <-> (a:*)", ["auth", "admin", "root", "a"]),
    "hosts and mail": ("jo@mail.example.com/x", ["jo", "mail", "example", "com", "x"]),
    "NUL and lone surrogate": ("a\0b\ud800c\udfffd", ["a", "b", "c", "d"]),
    "composed": ("caf\u00e9", ["caf\u00e9"]),
    "decomposed": ("cafe\u0301", ["caf\u00e9"]),
    "sharp s": ("STRASSE Straße STRAẞE", ["strasse"] * 3),
    "final sigma": ("ΟΔΟΣ οδος οδοσ", ["οδοσ"] * 3),
    "Turkish dotted I": ("İ", ["i\u0307"]),
    "full width": ("ＧＯＬＤ１", ["gold1"]),
    "ligature": ("ﬁnance", ["finance"]),
    "fraction and power": ("½ x²", ["1", "2", "x2"]),
    "Arabic with marks": ("مُحَمَّد", ["مُحَمَّد"]),
    "Hebrew with points": ("שָׁלוֹם", ["שָׁלוֹם"]),
    "Devanagari": ("क्रेडिट कार्ड", ["क्रेडिट", "कार्ड"]),
    "Tamil": ("கடன் அட்டை", ["கடன்", "அட்டை"]),
    "Thai is one word between spaces": ("บัตรเครดิต ทอง", ["บัตรเครดิต", "ทอง"]),
    "Hangul, composed or not": ("신용 \u1109\u1175\u11ab", ["신용", "신"]),
    "ideographs": ("信用卡", ["信", "用", "卡"]),
    "hiragana alone, katakana joined": ("りんごカード", ["り", "ん", "ご", "カード"]),
    "half width katakana": ("ｶｰﾄﾞ", ["カード"]),
    "ideograph with a variant selector": ("葛\U000e0100", ["葛"]),
    "outside the basic plane": ("𝔊𝔬𝔩𝔡 𠮷", ["gold", "𠮷"]),
    "quote look-alikes": ("oʻz oʼz o’z o'z o＇z", ["o", "z"] * 5),
    "spacing accent": ("rock´n`roll", ["rock", "n", "roll"]),
    "mark without a letter": ("\u0301 \u0301a", ["a"]),
    "soft hyphen and joiners": ("Kre\u00addit می\u200cخواهم \ufeffa\u2060b", ["kredit", "میخواهم", "ab"]),
    "zero width space separates": ("a\u200bb", ["a", "b"]),
    "bidi controls": ("\u202eabc\u202c", ["abc"]),
    "emoji": ("go 💳 ❤️ 1️⃣", ["go", "1"]),
    "no word": (" -- ''\\ :* ", []),
    "empty": ("", []),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    text, words = EXAMPLES[name]
    assert words_of(text) == words


def test_a_long_word_is_cut_alike_everywhere() -> None:
    assert words_of("x" * 300 + " y") == ["x" * MAX_WORD_CHARACTERS, "y"]
    assert words_of("é" * 300) == ["é" * MAX_WORD_CHARACTERS]


def test_surplus_marks_do_not_count() -> None:
    assert words_of("a" + "\u0316" * 500 + "b") == ["a" + "\u0316" * MAX_MARKS + "b"]


def test_the_largest_hostile_texts_take_a_fraction_of_a_second() -> None:
    """Unlimited, the first of these takes seconds: marks are put into order by insertion."""
    texts = ["a" + "\u0301\u0316" * 60_000, "\u0301\u200d\u0316\u200d" * 30_000, "ﷺ" * 80_000, "é" * 120_000]
    begun = time.process_time()
    for text in texts:
        words_of(text)
    assert time.process_time() - begun < 2.0


any_text = st.text(st.characters(codec=None, exclude_categories=()))


@given(any_text)
@example("\u0344" * 31)
@example("a" + "\u0344" * 40 + "b")
@example("\u0345\u0301α")
@settings(max_examples=400, deadline=None)
def test_every_word_is_its_own_only_word(text: str) -> None:
    for word in words_of(text):
        assert word
        assert words_of(word) == [word]


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_canonically_equal_texts_have_the_same_words(text: str) -> None:
    assert (
        words_of(unicodedata.normalize("NFD", text)) == words_of(unicodedata.normalize("NFC", text)) == words_of(text)
    )


@given(any_text, any_text)
@settings(max_examples=200, deadline=None)
def test_a_space_always_separates(one: str, other: str) -> None:
    assert words_of(f"{one} {other}") == words_of(one) + words_of(other)


@given(st.text(st.characters(max_codepoint=127)))
@settings(deadline=None)
def test_the_short_way_for_ascii_gives_the_same(text: str) -> None:
    assert words_of(text + " é")[:-1] == words_of(text)
