"""Narratives: well-formed XHTML that is safe to be put into a page (txt-1) and says something (txt-2).

Source: https://hl7.org/fhir/R4/narrative.html#xhtml. Pages take a narrative as HTML, which reads some well-formed XML in another way:
what could then become an element (comments with brackets, CDATA, processing instructions, names of characters) is judged as HTML
would read it.
"""

from __future__ import annotations

import re
from html.entities import html5
from xml.parsers import expat

_NAMES = """a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd dfn dir div dl dt em font
    h1 h2 h3 h4 h5 h6 hr i img kbd li map menu ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u
    ul var"""
ELEMENTS = frozenset(_NAMES.split())
"""Chapters 7 to 11 (but 9.4) and 15 of HTML 4.0, links and images."""

XHTML = "http://www.w3.org/1999/xhtml"
_ADDRESSES = frozenset({"href", "src", "cite", "longdesc", "background", "xlink:href"})
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "fax", "sms", "ftp", "urn"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_NO_SPACE = dict.fromkeys(range(33))
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_OF_XML = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})


class _Refused(Exception):
    """Ends the reading."""


def is_narrative(div: object) -> bool:
    """Whether a text is a narrative's div that may be stored and shown. Other values are the schema's business."""
    if not isinstance(div, str):
        return True
    reader = _Reader()
    try:
        reader.parser.Parse(_ENTITY.sub(_character, div) if "&" in div else div, True)
    except (_Refused, expat.ExpatError, UnicodeEncodeError):
        return False
    return reader.says


def _character(match: re.Match[str]) -> str:
    """An entity that XML does not know as the characters that HTML has for it."""
    known = html5.get(match[1]) if match[1] not in _OF_XML else None
    return "".join(f"&#{ord(one)};" for one in known) if known else match[0]


class _Reader:
    """Reads one div. `says` when it has text or an image."""

    def __init__(self) -> None:
        self.says = False
        self._inside = False
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartCdataSectionHandler = self._refuse
        parser.ProcessingInstructionHandler = self._refuse
        parser.XmlDeclHandler = self._refuse

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if name not in ELEMENTS or (name != "div" and not self._inside):
            raise _Refused
        self._inside = True
        self.says = self.says or name == "img"
        for key, value in attributes.items():
            if not _harmless(key.lower(), value):
                raise _Refused

    def _text(self, text: str) -> None:
        self.says = self.says or not text.isspace()

    def _comment(self, text: str) -> None:
        if "<" in text or ">" in text:
            raise _Refused

    def _refuse(self, *_: object) -> None:
        raise _Refused


def _harmless(key: str, value: str) -> bool:
    if key == "xmlns":
        return value == XHTML
    if key in _ADDRESSES:
        bare = value.translate(_NO_SPACE).lower()
        scheme = _SCHEME.match(bare)
        return scheme is None or scheme[1] in _SCHEMES or (key == "src" and bare.startswith("data:image/"))
    if key == "style":
        bare = value.translate(_NO_SPACE).lower()
        return not any(one in bare for one in ("expression(", "javascript:", "behavior:", "-moz-binding", "@import", "\\"))
    return not key.startswith("on")
