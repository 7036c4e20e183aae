"""Mutations of valid requests, drawn from a seed: bodies, forms, queries, paths, headers, methods."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from tests.fault.live import Sent

Mutation = Callable[[Sent, random.Random], Sent]

ODD_TEXTS = (
    "", " ", "\x00", "a\nb", "\u2028", "é漢🙂", "x" * 5000, "../../etc/passwd", "%00", "%ff%fe", "${jndi:ldap://a}", "' OR 1=1 --", "null",
    "-1", "0", "1e400", "NaN", "99999999999999999999999", "true", "arn:aws:iam::123456789012:role/", "arn:", ":" * 300, "*", "a" * 65,
    "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+99:99", "٣", "</Name><Name>", "]]>", "&amp;&lt;&#0;", "{}{0.__class__}", "%s%n",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    *ODD_TEXTS, None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308, [], {}, [None], [[]], [{}], {"": ""},
    {"a": {"b": []}}, ["a"] * 300, list(range(100)), {str(n): n for n in range(100)},
)  # fmt: skip
RAW_JSON = (
    b"NaN", b"Infinity", b"-", b"01", b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"1" * 5000, b"1e99999", b"\x00", b'"a',
    b"[" * 200, b"[" * 70 + b"]" * 70, b'{"a":' * 66 + b"1" + b"}" * 66, b"[" * 30 + b"]" * 30, b"// c", b"'a'", b"\xef\xbb\xbf{}", b"{,}", b"nul",
)  # fmt: skip
RAW_XML = (
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', b"<a>" * 40 + b"</a>" * 40, b"<a><b></a>",
    b"<?xml version='1.0' encoding='utf-16'?><a/>", b"<?xml version='1.0' encoding='nonsense'?><a/>", b"<a xmlns:b='c'><b:d/></a>", b"<",
    b"\xff\xfe<\x00a\x00/\x00>\x00", b"<a>\x00</a>", b"<a>&#0;</a>", b"<a>&undefined;</a>", b"<Delete><Object/></Delete>", b"<a/><b/>", b"plain",
    b"<Tagging><TagSet><Tag><Key/></Tag></TagSet></Tagging>", b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", b"{}",
    b"<Delete><Object><Key>a</Key><Key><b/></Key></Object></Delete>", b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
)  # fmt: skip
RAW_FORM = (
    b"Action", b"Action=", b"&&&", b"=", b"Action=%ff", b"\xff\xfe", b"a.b.c.d=1&a.b=2", b"a" + b".a" * 70 + b"=1", b"Tags.member.x=1",
    b"Tags.member.1=1", b"Tags.member.1.Key=k&Tags.member.1=2", b"Tags.member.99999999999.Key=k", b"Tags.entry.1.key=k", b"%", b"%00=%00",
)  # fmt: skip
HEADERS = (
    ("content-type", (*ODD_TEXTS, "application/json", "text/xml; charset=utf-16", "application/x-amz-json-9.9", "multipart/form-data")),
    ("x-amz-target", ("", ".", "CloudTrail_20131101.", ".CreateTrail", "a" * 3000, "CloudTrail_20131101.Nope", "é")),
    ("content-md5", ("", "a", "AAAAAAAAAAAAAAAAAAAAAA==", "é")), ("content-encoding", ("gzip", "aws-chunked", "br,gzip")),
    ("range", ("bytes=", "bytes=5-1", "bytes=-0", "bytes=0-99999999999999999999", "bytes=a-b", "lines=1-2", "bytes=0-1,2-3")),
    ("if-match", ("", "*", 'W/"99999999999999999999"', 'W/"a"', '"', "é")), ("if-none-match", ("", "*", "a", 'W/"1"')),
    ("if-modified-since", ("yesterday", "Thu, 99 Foo 2026 25:61:61 GMT", "0", "Thu, 01 Jan 99999 00:00:00 GMT")),
    ("if-unmodified-since", ("yesterday", "Mon, 01 Jan 0001 00:00:00 +9999")), ("if-none-exist", ("a=b",)), ("prefer", ("a=b;c",)),
    ("x-amz-copy-source", ("", "/", "box", "box/%ff", "/box/key?versionId=", "a/b/c", "box/key?versionId=null", "%zz", "é/é", "x" * 3000)),
    ("x-amz-copy-source-range", ("bytes=0-", "bytes=9-1", "a")), ("x-amz-decoded-content-length", ("", "-1", "a", "9" * 30)),
    ("x-amz-acl", ("", "nope", "public-read")), ("x-amz-meta-a", ("", "é", "a" * 3000)), ("x-amz-tagging", ("a", "&&", "a=%ff")),
    ("x-amz-storage-class", ("NOPE",)), ("x-amz-server-side-encryption", ("nope",)), ("x-amz-checksum-crc32", ("", "a", "AAAAAA==")),
    ("x-amz-sdk-checksum-algorithm", ("NOPE", "CRC32")), ("x-amz-trailer", ("a", "x-amz-checksum-crc32")), ("x-amz-expected-bucket-owner", ("1",)),
    ("x-amz-security-token", ("a", "a" * 4000, "é")), ("user-agent", ("", "a" * 5000, "é", "\t")), ("expect", ("200-ok",)), ("accept", ("é",)),
    ("x-forwarded-for", ("1.2.3.4", "a,b")), ("x-amz-date", ("", "20260101T000000Z")), ("x-amz-fhir-idempotency-key", ("k",)),
    ("x-amzn-healthlake-fhir-validation-level", ("nope",)), ("host", ("", "a", "s3.amazonaws.com", "iam.é", ":" * 50)),
)  # fmt: skip
QUERIES = (
    "%ff", "%", "=", "&", "a=b", "a=%00", "max-keys=a", "max-keys=-1", "max-keys=99999999999", "list-type=3", "list-type=2", "continuation-token=a",
    "uploads", "uploadId=%ff", "uploadId=x", "partNumber=0&uploadId=x", "partNumber=a", "acl", "policy", "tagging", "versions", "encoding-type=nope",
    "delimiter=%00", "marker=%ff", "prefix=" + "a" * 2000, "response-expires=a", "versionId=x", "Action=Nope", "_count=a", "a=1&" * 600, "x-id=Nope",
    "X-Amz-Signature=0", "X-Amz-Algorithm=a&X-Amz-Credential=b", "X-Amz-Credential=a/b/c/s3/aws4_request", "select&select-type=2",
)  # fmt: skip
PATHS = (
    "%ff", "%00", "//", "/..", "/../../x", "%2e%2e%2f", "/a/b/c", "%", "%zz", "/" + "x" * 2000, ";a=b", "/$everything", "/_history/a",
    "/_history/99999999999999999999", "/%20", "*", "/_search", "/Patient/" + "a" * 65, "%0d%0a", "{Bucket}", "/Nope", "/Patient/%00", "/Patient/%ff",
)  # fmt: skip


def bytes_of_body(sent: Sent, chance: random.Random) -> Sent:
    """Cuts, flips, inserts or repeats bytes."""
    body = bytearray(sent.body or b"x")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(5):
            case 0:
                del body[at:]
            case 1 if at < len(body):
                body[at] = chance.randrange(256)
            case 2:
                body[at:at] = chance.choice((b"\x00", b"\xff", b'"', b"{", b"<", b"%", b"&", b"\\", chance.randbytes(5)))
            case 3:
                del body[at : at + chance.randint(1, 9)]
            case _:
                body[at:at] = body[:at]
    return replace(sent, body=bytes(body))


def whole_body(sent: Sent, chance: random.Random) -> Sent:
    """Another body altogether."""
    return replace(sent, body=chance.choice((*RAW_JSON, *RAW_XML, *RAW_FORM, b"", b" ", b"x" * 100_000)))


def values_of_json(sent: Sent, chance: random.Random) -> Sent:
    """Members replaced, removed, added or doubled; values that JSON does not have put in as they are."""
    try:
        value = msgspec.json.decode(sent.body)
    except msgspec.DecodeError:
        return bytes_of_body(sent, chance)
    if not isinstance(value, dict):
        return whole_body(sent, chance)
    raw = chance.random() < 0.25
    new: Any = msgspec.Raw(chance.choice(RAW_JSON)) if raw else chance.choice(ODD_VALUES)
    node: Any = value
    while isinstance(node, dict) and node and chance.random() < 0.6:
        name = chance.choice(list(node))
        inner = node[name]
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if not isinstance(inner, dict) or chance.random() < 0.4:
            break
        node = inner
    if node and chance.random() < 0.8:
        name = chance.choice(list(node))
        if chance.random() < 0.1:
            del node[name]
        elif isinstance(node[name], list) and chance.random() < 0.4:
            node[name].append(new)
        else:
            node[name] = new
    else:
        node[chance.choice(ODD_TEXTS)] = new
    return replace(sent, body=msgspec.json.encode(value))


def fields_of_form(sent: Sent, chance: random.Random) -> Sent:
    """A form's fields replaced, removed, renamed or added."""
    fields = sent.body.split(b"&")
    at = chance.randrange(len(fields))
    name, _, value = fields[at].partition(b"=")
    odd = _quoted(chance.choice(ODD_TEXTS))
    match chance.randrange(4):
        case 0:
            fields[at] = name + b"=" + odd
        case 1:
            fields[at] = name + chance.choice((b".1", b".member.1", b".", b"..")) + b"=" + value
        case 2:
            del fields[at]
        case _:
            fields.append(chance.choice(RAW_FORM))
    return replace(sent, body=b"&".join(fields))


def _quoted(text: str) -> bytes:
    return "".join(f"%{octet:02X}" for octet in text.encode()).encode()


def query(sent: Sent, chance: random.Random) -> Sent:
    """Another query, or a part more or less."""
    parts = sent.query.split("&") if sent.query else []
    if parts and chance.random() < 0.5:
        at = chance.randrange(len(parts))
        parts[at] = "" if chance.random() < 0.3 else parts[at].partition("=")[0] + "=" + _quoted(chance.choice(ODD_TEXTS)).decode()
    else:
        parts.append(chance.choice(QUERIES))
    return replace(sent, query="&".join(parts).encode("latin-1").decode("latin-1"))


def path(sent: Sent, chance: random.Random) -> Sent:
    """A longer, shorter or odder path."""
    odd = chance.choice(PATHS)
    segments = sent.path.split("/")
    match chance.randrange(3):
        case 0:
            return replace(sent, path=sent.path + odd)
        case 1:
            segments[chance.randrange(1, len(segments))] = odd.lstrip("/")
            return replace(sent, path="/".join(segments))
        case _:
            return replace(sent, path="/" + odd.lstrip("/"))


def header(sent: Sent, chance: random.Random) -> Sent:
    """A header with an odd value, twice, or missing."""
    name, values = chance.choice(HEADERS)
    value = _line(chance.choice(values))
    kept = sent.headers if chance.random() < 0.3 else tuple(line for line in sent.headers if line[0] != name)
    return replace(sent, headers=kept if chance.random() < 0.1 else (*kept, (name, value)))


def _line(text: str) -> str:
    """What HTTP lets through in a header: no control characters; other letters as their UTF-8 octets."""
    return "".join(c for c in text if c >= " " and c != "\x7f").encode().decode("latin-1")


def method(sent: Sent, chance: random.Random) -> Sent:
    """Another method."""
    return replace(sent, method=chance.choice(("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "NOPE")))


BODY: tuple[Mutation, ...] = (bytes_of_body, whole_body)
REST: tuple[Mutation, ...] = (query, path, header, header, method)


def mutate(sent: Sent, chance: random.Random) -> tuple[Sent, bool]:
    """A mutated request, and whether only its body differs."""
    kind = dict(sent.headers).get("content-type", "")
    body: tuple[Mutation, ...] = BODY
    if "json" in kind:
        body = (*BODY, *[values_of_json] * 6)
    elif "form" in kind:
        body = (*BODY, *[fields_of_form] * 6)
    if chance.random() < (0.6 if sent.body else 0.15):
        return chance.choice(body)(sent, chance), True
    return chance.choice(REST)(sent, chance), False
