"""Narratives: what a page may show, and every way to smuggle in a script that is known to us."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.validation.narrative import ELEMENTS, is_narrative

NS = 'xmlns="http://www.w3.org/1999/xhtml"'
GOOD = [
    f"<div {NS}>Text</div>",
    f"\n <div {NS}><p style='color: red' class='x'>5 &lt; 6 &amp; <b>7</b>&nbsp;&copy;<br/></p><!-- said --></div>\n",
    f"<div {NS}><table border='1'><tr><td colspan='2'>a</td></tr></table></div>",
    "<div>without a namespace</div>",
    f"<div {NS}><a href='https://example.org/?a=1&amp;b=2#c'>x</a><a href='#local'>y</a><a name='z' href='Patient/1'>z</a></div>",
    f"<div {NS}><img src='data:image/png;base64,AA' alt='x'/></div>",
    f"<div {NS}><a href='mailto:a@example.org'>m</a> <a href='./a:b'>relative</a></div>",
    f"<div {NS} xml:lang='en' lang='en'>\U0001f600</div>",
]
BAD = {
    "nothing": "",
    "text alone": "Text",
    "not well-formed": f"<div {NS}><p>open</div>",
    "broken off": f"<div {NS}>Text",
    "two of them": f"<div {NS}>a</div><div {NS}>b</div>",
    "another element outside": f"<p {NS}>Text</p>",
    "empty": f"<div {NS}> \n&nbsp;<p> </p></div>",
    "another namespace": "<div xmlns='http://www.w3.org/2000/svg'>a</div>",
    "script": f"<div {NS}><script>x</script>a</div>",
    "SCRIPT": f"<div {NS}><SCRIPT>x</SCRIPT>a</div>",
    "svg": f"<div {NS}><svg onload='alert(1)'/>a</div>",
    "style element": f"<div {NS}><style>p {{}}</style>a</div>",
    "form": f"<div {NS}><form action='x'>a</form></div>",
    "prefixed script": f"<div {NS} xmlns:h='http://www.w3.org/1999/xhtml'><h:script>x</h:script>a</div>",
    "onclick": f"<div {NS} onclick='alert(1)'>a</div>",
    "OnError": f"<div {NS}><img src='x' OnError='alert(1)'/></div>",
    "javascript": f"<div {NS}><a href='javascript:alert(1)'>a</a></div>",
    "javascript in disguise": f"<div {NS}><a href=' JaVa&#9;Script:alert(1)'>a</a></div>",
    "javascript by entity": f"<div {NS}><a href='javascript&colon;alert(1)'>a</a></div>",
    "javascript by number": f"<div {NS}><a href='&#x6A;avascript:alert(1)'>a</a></div>",
    "data of a page": f"<div {NS}><a href='data:text/html,x'>a</a></div>",
    "image as link": f"<div {NS}><a href='data:image/svg+xml,x'>a</a></div>",
    "expression": f"<div {NS} style='width: expression (alert(1))'>a</div>",
    "escapes in style": f"<div {NS} style='width: e\\78pression(alert(1))'>a</div>",
    "comment that HTML ends early": f"<div {NS}><!--><img src='x' onerror='alert(1)'/>-->a</div>",
    "CDATA": f"<div {NS}><![CDATA[><img src='x' onerror='alert(1)'/>]]>a</div>",
    "instruction": f"<div {NS}><?x ><img src='x' onerror='alert(1)'/>?>a</div>",
    "declaration": f"<?xml version='1.0'?><div {NS}>a</div>",
    "document type": f"<!DOCTYPE div [<!ENTITY a 'b'>]><div {NS}>&a;</div>",
    "bomb": "<!DOCTYPE d [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><div>&b;</div>",
    "unknown entity": f"<div {NS}>&nosuchthing;</div>",
    "control character": f"<div {NS}>\x01a</div>",
    "lone surrogate": f"<div {NS}>\ud800</div>",
}


@pytest.mark.parametrize("div", GOOD)
def test_what_may_be_stored(div: str) -> None:
    assert is_narrative(div)


@pytest.mark.parametrize("what", BAD)
def test_what_may_not(what: str) -> None:
    assert not is_narrative(BAD[what])


class Page(HTMLParser):
    """What HTML finds in a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


PIECES = [
    "<", ">", "/", "'", '"', "=", "&", ";", "!", "--", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<p>", "</p>", "<img ", "src=", "'x'",
    "onerror=", "'alert(1)'", "/>", "<a ", "href=", "'javascript:a'", "&colon;", "&lt;", "&#60;", "&#x3c;script&#62;", "script", " ", "\t", "a",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_html_finds_nothing_active_in_what_may_be_stored(pieces: list[str]) -> None:
    div = f"<div {NS}>{''.join(pieces)}x</div>"
    if is_narrative(div):
        for tag, attributes in Page(div).tags:
            assert tag in ELEMENTS
            for key, value in attributes.items():
                assert not key.startswith("on")
                assert "javascript:" not in (value or "").lower()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: not text.isspace()))
def test_every_escaped_text_may_be_stored(text: str) -> None:
    refused = any(ord(one) in (0xFFFE, 0xFFFF) for one in text)
    assert is_narrative(f"<div {NS}>{html.escape(text)}</div>") is not refused
