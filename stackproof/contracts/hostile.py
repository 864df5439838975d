"""Texts that broke real adapters, by a readable name: test data for any field that takes text.

Each one is a string that somebody, somewhere, typed or pasted. Escapes are written out where a character cannot be seen.
"""

from __future__ import annotations

UNENCODABLE = frozenset({"lone high surrogate", "lone low surrogate"})
"""Names of texts that have no UTF-8 form. A backend may reject them by a typed error."""
WITH_NUL = frozenset({"NUL", "NUL first", "only NUL"})
"""Names of texts with U+0000. A backend may reject them by a typed error."""


def has_utf8(text: str) -> bool:
    """Whether a text has a UTF-8 form: lone surrogates have none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


HOSTILE_TEXTS: dict[str, str] = {
    # the query language of PostgreSQL
    "tsquery operators": "gold & card | !silver",
    "tsquery phrase": "gold <-> card <2> silver",
    "tsquery prefix": "gold:* card:AB",
    "tsquery unbalanced": "gold & (card",
    "tsquery lone operators": "& | ! <-> :*",
    "tsquery quote, colon, star": "'\":*",
    "websearch": '"gold card" -silver or platinum',
    "mail address in brackets": "John <j@x>",
    "backslash at the end": "gold\\",
    "backslash before quote": "gold\\' card",
    "two quotes": "gold '' card",
    "one quote": "O'Brien",
    "dollar quotes": "$$gold$$ $1 card",
    # the query language of Lucene and what is built on it
    "lucene field": "title:gold AND tenant:other",
    "lucene unbalanced": "testing(*",
    "lucene range": "[gold TO silver} {a TO *",
    "lucene boost and fuzzy": "gold^4 card~0.8 +must -not",
    "lucene reserved": '+ - = && || > < ! ( ) { } [ ] ^ " ~ * ? : \\ /',
    "lucene regular expression": "/gold.*/ card",
    "lucene everything": "*:*",
    "leading wildcard": "*old ?ard",
    "trailing wildcard": "gol* car?",
    "JSON": '{"query": {"match_all": {}}}',
    # SQL, LIKE, shell, format strings, templates
    "SQL": "gold'; DROP TABLE documents; --",
    "SQL comment": "gold /* card */ -- silver",
    "SQL always true": "x' OR '1'='1",
    "LIKE wildcards": "%gold_card%",
    "percent formats": "100% gold %s %(card)s %%",
    "brace formats": "{} {0} {gold!r} {{card}}",
    "shell": "$(gold) `card` ; rm | cat > x",
    "markup": "<script>alert('gold')</script> &amp; card",
    "path": "../../gold/../card/%2e%2e",
    "address": "https://gold.example:8080/card?q=1&r=2#s",
    # numbers and words that a parser takes for something else
    "exponent": "1e5 1E-5 0x1F 1_000",
    "leading zeros": "007 00 0",
    "decimal numbers": "3.14 -2.50 1,000.00 .5",
    "version and host": "v1.2.3-rc.1 host.example.com 10.0.0.1",
    "letters and digits": "abc123 123abc 4x4 b2b",
    "hyphens": "state-of-the-art --gold- -card",
    "underscore": "offer_id __init__ _",
    "reserved words": "AND OR NOT NEAR TO null true",
    # quotes and what only looks like them
    "curly quotes": "\u2018gold\u2019 \u201ccard\u201d",
    "modifier apostrophes": "o\u02bbzbek o\u02bcclock",
    "full width apostrophe": "rock\uff07n\uff07roll",
    "primes and accents": "5\u2032 6\u2033 rock\u00b4n`roll",
    # all scripts
    "combining marks": "cafe\u0301 re\u0301sume\u0301 n\u0303andu\u0301",
    "many marks": "z\u0300\u0301\u0302\u0303\u0304\u0316\u0317\u0318\u0319algo",
    "mark first": "\u0301gold \u0308 card",
    "Turkish": "İstanbul ISPARTA ığdır",
    "German": "Straße GROẞ Überweisung",
    "Greek": "ΟΔΥΣΣΕΥΣ Ὀδυσσεύς",
    "Cyrillic": "Кредитная карта Йод",
    "Hebrew": "כַּרְטִיס אַשְׁרַאי",
    "Arabic": "بِطاقة اِئتمان ١٢٣",
    "Persian with joiners": "می\u200cخواهم کارت",
    "Hindi": "क्रेडिट कार्ड",
    "Tamil": "கடன் அட்டை",
    "Thai": "บัตรเครดิต",
    "Chinese": "信用卡优惠",
    "Japanese": "クレジットカードのご案内 ｶｰﾄﾞ",
    "Korean": "신용카드 \u1109\u1175\u11ab용",
    "outside the basic plane": "𠮷野家 𝔊𝔬𝔩𝔡 𐐀𐐨",
    "full width and ligatures": "ＧＯＬＤ ﬁnance ㌖",
    "emoji": "gold 💳 👩\u200d👩\u200d👧 🇩🇪 ❤\ufe0f",
    # characters without a look
    "NUL": "gold\0card",
    "NUL first": "\0gold",
    "only NUL": "\0",
    "control characters": "gold\x01\x07\x08\x0b\x0c\x1b[31mcard\x7f\x85",
    "line ends": "gold\r\ncard\nsilver\u2028platinum\u2029",
    "white space": "gold\u00a0card\u3000silver\t\u2003platinum",
    "soft hyphen and zero width": "go\u00adld ca\u200brd sil\u2060ver",
    "byte order mark": "\ufeffgold card",
    "direction marks": "\u202egold\u202c \u2066card\u2069",
    "variation selectors": "葛\U000e0100飾区 gold\ufe0f",
    "not a character": "gold\ufffe\uffff\U0010ffff card",
    "replacement character": "gold\ufffdcard",
    "private use": "gold\ue000card",
    "lone high surrogate": "gold \ud83d card",
    "lone low surrogate": "\udc80gold",
    # sizes
    "empty": "",
    "only spaces": "   \t ",
    "only punctuation": "... --- !!! ???",
    "long word": "x" * 5000,
    "many words": " ".join(f"w{n}" for n in range(2000)),
    "deep brackets": "(" * 1000 + "gold" + ")" * 1000,
    "many operators": "gold " + "& | ! " * 500,
}
