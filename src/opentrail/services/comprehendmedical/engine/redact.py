"""Put something else in the place of protected information: its type in brackets, or a made-up stand-in that stays the same.

Stand-ins (`Surrogates`) follow from a key and the words alone, so that the same name becomes the same stand-in in every text; without
the key nobody can tell which. They keep the form of what they stand for: dates stay dates (all moved by the same number of days), numbers
keep their digits' places, words become words of invented syllables.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path

Piece = tuple[int, int, str]
"""Protected text: begin, end, type."""
StandIn = Callable[[str, str], str]
"""What stands for (words, type)."""
WORDS = Path(__file__).parent / "data" / "surrogates.json"
"""Syllables, jobs and months for stand-ins, and the words of addresses that say what kind of place it is."""
OLDEST = 89
"""Ages above this are told as this: the HIPAA Safe Harbor rule."""
LEAST_DAYS, MOST_DAYS = 31, 366
"""Days that dates are moved by: at least a month, so that a month alone moves too."""
NUMERIC = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})$")
WORDED = re.compile(
    r"(?P<a>\d{1,2})?(?:st|nd|rd|th)?\s*(?P<month>[A-Za-z]{3,9})\.?\s*(?P<b>\d{1,2})?(?:st|nd|rd|th)?,?\s*(?P<year>\d{4})?$"
)
WORD = re.compile(r"[^\W\d_][\w'’]*")


def tag(words: str, kind: str) -> str:
    """The type in brackets."""
    return f"[{kind}]"


def replaced(source: str, found: Iterable[Piece], stand_in: StandIn) -> str:
    """`source` with the given pieces (in order, apart from each other) replaced."""
    out, at = [], 0
    for begin, end, kind in found:
        out += [source[at:begin], stand_in(source[begin:end], kind)]
        at = end
    return "".join([*out, source[at:]])


class Surrogates:
    """Stand-ins under one key."""

    def __init__(self, key: bytes) -> None:
        lists: dict[str, list[str]] = json.loads(WORDS.read_text(encoding="utf-8"))
        self._onsets, self._nuclei, self._codas = lists["onsets"], lists["nuclei"], lists["codas"]
        self._kept, self._jobs, self._months = frozenset(lists["kept"]), lists["jobs"], lists["months"]
        self._key = key
        self._shift = timedelta(days=LEAST_DAYS + int.from_bytes(self._stream("days", "")[:4]) % (MOST_DAYS - LEAST_DAYS))

    def __call__(self, words: str, kind: str) -> str:
        """What stands for these words of this type."""
        if kind == "AGE":
            return "[AGE]" if not words.isdecimal() else words if int(words) <= OLDEST else str(OLDEST + 1)
        if kind == "DATE":
            return self._date(words)
        if kind == "EMAIL":
            return f"{self._token('email', words).lower()}@example.com"
        if kind == "URL":
            return f"https://example.com/{self._token('url', words).lower()}"
        if kind == "PROFESSION":
            return self._jobs[self._stream("job", words.lower())[0] % len(self._jobs)]
        if kind in ("NAME", "ADDRESS"):
            return self._scrambled(WORD.sub(self._word, words), kind, letters=False)
        return self._scrambled(words, kind, letters=True)

    def _stream(self, kind: str, words: str) -> bytes:
        """Bytes that follow from the key and the words, whatever their case and blanks."""
        return hmac.new(self._key, f"{kind}\0{' '.join(words.lower().split())}".encode(), hashlib.sha256).digest()

    def _token(self, kind: str, words: str) -> str:
        """An invented word: two or three syllables."""
        stream = self._stream(kind, words)
        parts = []
        for at in range(0, 6 + 3 * (stream[31] % 2), 3):
            parts += [self._onsets[stream[at] % len(self._onsets)], self._nuclei[stream[at + 1] % len(self._nuclei)]]
        return "".join(parts) + self._codas[stream[9] % len(self._codas)]

    def _word(self, match: re.Match[str]) -> str:
        """A name's or an address's word: kept when it is the kind of a place, an initial as an initial, else an invented one."""
        word = match.group()
        if word.lower() in self._kept:
            return word
        if len(word) == 1 or (len(word) == 2 and word.isupper()):
            return "".join(chr(65 + byte % 26) for byte in self._stream("initial", word)[: len(word)])
        token = self._token("word", word.removesuffix("'s").removesuffix("’s"))
        token = token.upper() if word.isupper() else token.title() if word[0].isupper() else token
        return token + word[-2:] if word.endswith(("'s", "’s")) else token

    def _scrambled(self, words: str, kind: str, letters: bool) -> str:
        """The same form with other digits and, if wished, other letters."""
        seed, out = self._stream(kind, words), []
        for number, letter in enumerate(words):
            byte = hashlib.sha256(seed + number.to_bytes(4)).digest()[0]
            if letter.isdigit():
                out.append(str(byte % 10))
            elif letters and letter.isalpha():
                out.append(chr((65 if letter.isupper() else 97) + byte % 26))
            else:
                out.append(letter)
        return "".join(out)

    def _date(self, words: str) -> str:
        """The date moved by the key's days, in the form in which it was written; what is no whole date becomes its type."""
        return self._numeric(words) or self._worded(words) or "[DATE]"

    def _numeric(self, words: str) -> str:
        match = NUMERIC.match(words)
        if not match:
            return ""
        first, mark, second, third = match.groups()
        if len(first) == 4:
            year, month, day = first, second, third
        elif int(first) > 12:
            day, month, year = first, second, third
        else:
            month, day, year = first, second, third
        moved = self._moved(int(year) + (0 if len(year) == 4 else 2000 if int(year) < 50 else 1900), int(month), int(day))
        if moved is None:
            return ""
        told = {
            "y": str(moved.year)[-len(year) :] if len(year) in (2, 4) else "",
            "m": f"{moved.month:0{len(month)}}",
            "d": f"{moved.day:0{len(day)}}",
        }
        order = "ymd" if len(first) == 4 else "dmy" if int(first) > 12 else "mdy"
        return mark.join(told[part] for part in order) if told["y"] else ""

    def _worded(self, words: str) -> str:
        match = WORDED.match(words)
        names = [name for name in self._months if match and name.startswith(match["month"].lower())]
        if not match or len(names) != 1:
            return ""
        day = match["a"] or match["b"]
        moved = self._moved(int(match["year"] or 2001), self._months.index(names[0]) + 1, int(day or 15))
        if moved is None:
            return ""
        month = self._months[moved.month - 1].title()
        year = str(moved.year) if match["year"] else ""
        if match["a"]:
            return " ".join(part for part in (str(moved.day), month, year) if part)
        return f"{month} {moved.day}{', ' + year if year else ''}" if day else f"{month} {year}".strip()

    def _moved(self, year: int, month: int, day: int) -> date | None:
        try:
            return date(year, month, day) + self._shift
        except (ValueError, OverflowError):
            return None
