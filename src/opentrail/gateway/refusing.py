"""What a client is told whose request ends before it is known which protocol it speaks: an error in JSON, with its name in a header."""

from __future__ import annotations

import http

_TEXTS = {
    400: ("BadRequest", "The request is not HTTP/1.1, or its method is unknown."),
    408: ("RequestTimeout", "The headers of the request did not come in time."),
    431: ("RequestHeaderFieldsTooLarge", "The request line and its headers are too long."),
    503: ("ServiceUnavailable", "The server has as many connections as it takes, or is stopping."),
}


def refusal(status: int, headers: str, id: str) -> bytes:
    """The whole answer, after which the connection ends. `headers` are the lines that every answer carries, `id` the request's."""
    code, text = _TEXTS[status]
    body = f'{{"__type":"{code}","message":"{text}"}}'
    named = f"x-amzn-requestid: {id}\r\nx-amzn-errortype: {code}\r\n"
    own = f"{named}content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n{headers}{own}{body}".encode()
