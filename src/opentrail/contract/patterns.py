r"""Java's regular expressions of the models, for Python's `re`.

The models mean `String.matches`: the whole text, ASCII classes, and a dot that stops at every line end. `$` in Python
would let a final newline through, so every pattern is wrapped in `\A(?:...)\Z`.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\[pP]\{\w+\}|\\.|\[|\]|\.", re.DOTALL)

_DOT = r"[^\n\r\u0085\u2028\u2029]"

_SPACES = r"\u0020\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"

# Python's Unicode \w is letters, numbers and the underscore; every class of the models that names one names all three.
_PROPERTIES = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": _SPACES, r"\p{ASCII}": r"\x00-\x7F", r"\p{M}": r"\s", r"\P{M}": r"\S"}

_EQUAL = {
    # The model's own text tries every way to cut the string in three: cubic in its length.
    r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$": r"\x20*[\x21-\x7E][\x20-\x7E]*",
    # UTF-16 surrogate pairs, which Python has not.
    r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*": r"[\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF\t]*",
}


def translate(pattern: str) -> str:
    """The Python text that matches exactly what the model's pattern means. Raises re.error when there is none."""
    text = _EQUAL.get(pattern, pattern)
    dot = _DOT
    if text.startswith("(?s)"):
        text, dot = text[4:], r"[\s\S]"
    properties = r"\p{" in text or r"\P{" in text
    inside = False

    def token(match: re.Match[str]) -> str:
        nonlocal inside
        found = match.group()
        if found == "[":
            was, inside = inside, True
            return r"\[" if was else found
        if found == "]":
            inside = False
        elif found == "." and not inside:
            return dot
        elif found[:2] in (r"\p", r"\P"):
            expanded = _PROPERTIES.get(found)
            if expanded is None:
                raise re.error(f"no translation for {found}")
            return expanded if inside else f"[{expanded}]"
        elif properties and found in (r"\d", r"\w", r"\s"):
            return {r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]", r"\s": r"[ \t\n\x0B\f\r]"}[found]
        return found

    body = _TOKEN.sub(token, text)
    return rf"\A(?:{body})\Z" if properties else rf"(?a)\A(?:{body})\Z"
