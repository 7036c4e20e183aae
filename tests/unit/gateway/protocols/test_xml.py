"""XML within limits: no DTD, no entity, bounded depth and size."""

from __future__ import annotations

import pytest

from opentrail.gateway.protocols import xml
from opentrail.kernel.errors import ServiceError


def refused(body: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        xml.parse(body, "MalformedXML")
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<", b"<a>", b"<a></b>", b"plain", b"<a/><b/>", b"\xff", b"<a>\x00</a>", b"<a>&b;</a>",
        b"<!DOCTYPE a><a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b'<!DOCTYPE a SYSTEM "http://127.0.0.1/"><a/>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><a/>', b"<?xml version='1.0' encoding='nonsense'?><a/>",
        b"<a>" * (xml.DEPTH + 1) + b"</a>" * (xml.DEPTH + 1), b"<a>" + b"<b/>" * xml.ELEMENTS + b"</a>",
    ],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_refused_with_one_text_that_quotes_nothing(body: bytes) -> None:
    error = refused(body)
    assert (error.code, error.status, error.arguments) == ("MalformedXML", 400, {})


def test_as_deep_and_as_large_as_the_limits() -> None:
    assert xml.parse(b"<a>" * xml.DEPTH + b"</a>" * xml.DEPTH, "X").tag == "a"
    assert len(xml.parse(b"<a>" + b"<b/>" * (xml.ELEMENTS - 1) + b"</a>", "X")) == xml.ELEMENTS - 1
