"""How a note is read, in the work role: its texts by Comprehend Medical, what was found written back, all by HealthLake's own calls.

    a version of a DocumentReference -> DetectEntitiesV2, InferICD10CM, InferRxNorm of each text
      -> bundles: resources made of entities, those of an earlier version that are no more, then Linkage and document (If-Match)

The document is changed only while it is the version that was read: a newer one has a job of its own. What is made has ids that follow
from the document's, so that reading again changes what is there instead of adding to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.healthlake import fhir_store, notes, store
from opentrail.services.healthlake.engine import exact, nlp
from opentrail.services.healthlake.notes import Asked
from opentrail.store.sql import Snapshot, Tx
from opentrail.work.jobs import MOST_CRASHES, Run

log = logging.getLogger("opentrail.healthlake")

Json = dict[str, Any]

AT_ONCE = 90
"""Entries of one bundle; a transaction has 100 at most, and the last one carries the Linkage and the document, too."""

FOUND = "The integrated medical NLP operation was successful."
NO_SUBJECT = "The integrated medical NLP operation was successful; no resources were made, because the document has no subject."
FAULT = "An internal error ended the integrated medical NLP operation. Update the document to have it read again."
TOO_MUCH = (
    "Resource led to too many nested objects after NLP operation processed the document."
    " {count} nested objects exceeds the limit of {most}."
)
REFUSED = "What the integrated medical NLP operation found could not be added to the document."


class Plain(Protocol):
    """Makes a FHIR call: the HTTP status and the body of the answer. Raises Unavailable."""

    def __call__(
        self, principal: Principal, region: str, service: str, method: str, path: str, body: bytes = b"", content_type: str = "", /
    ) -> tuple[int, bytes]: ...


class Found:
    """A note as it lies in the store, with what was made of its earlier version."""

    def __init__(self, datastore: store.Datastore, document: Json, linkage: Json | None, held: dict[str, Json]) -> None:
        self.datastore, self.document, self.linkage, self.held = datastore, document, linkage, held


class NoteReading:
    """Reads notes (work.jobs.Kind)."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain

    def work(self, run: Run) -> Iterator[None]:
        """See work.jobs.Kind."""
        asked = msgspec.json.decode(run.job.checkpoint, type=Asked)
        with run.read() as view:
            found = _found(view, asked)
        if found is not None:
            yield from self._read(run, asked, found)
        with run.write() as tx:
            run.end(tx)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """See work.jobs.Kind. What can be said in the document was said by the work itself."""
        log.error("a note was not read: %s", reason.code)

    def stopped(self, tx: Tx, run: Run) -> None:
        """See work.jobs.Kind. Nobody stops the reading of a note."""

    def _read(self, run: Run, asked: Asked, found: Found) -> Iterator[None]:
        key, document = f"{asked.datastore}/{asked.id}", found.document
        read: list[nlp.Answers] = []
        try:
            if run.job.crashes >= MOST_CRASHES - 1:
                raise _Failed(nlp.INTERNAL_ERROR, FAULT)
            for place in nlp.texts(document):
                read.append(_answers(run, asked, nlp.text_at(document, place)))
                yield
            linked = nlp.generated(document, key, read)
            made = nlp.decorated(document, nlp.SUCCESS, FOUND if document.get("subject") else NO_SUBJECT, read, linked)
            if (count := nlp.objects(made)) > nlp.MOST_OBJECTS:
                raise _Failed(nlp.VALIDATION_ERROR, TOO_MUCH.format(count=count, most=nlp.MOST_OBJECTS))
            if self._write(asked, found, made, linked):
                return
            raise _Failed(nlp.VALIDATION_ERROR, REFUSED)
        except nlp.Unreadable as why:
            failure = _Failed(nlp.VALIDATION_ERROR, str(why))
        except _Failed as why:
            failure = why
        if not self._write(asked, found, nlp.decorated(document, failure.status, failure.message), []):
            log.error("what became of a note could not be written into it")

    def _write(self, asked: Asked, found: Found, document: Json, linked: list[Json]) -> bool:
        """Writes everything, the document last. False when the store refuses it; a document that has changed meanwhile counts as done."""
        linkage, resources = linked[:1], linked[1:]
        kept = {_name(one) for one in linked}
        entries = [_put(one) for one in resources if not exact.same(_bare(found.held.get(_name(one))), one)]
        entries += [_delete(name) for name in found.held if name not in kept]
        entries += [_put(one) for one in linkage if not exact.same(_bare(found.linkage), one)]
        if found.linkage is not None and not linkage:
            entries.append(_delete(_name(found.linkage)))
        entries.append({**_put(document), "request": {**_put(document)["request"], "ifMatch": f'W/"{asked.version}"'}})
        for first in range(0, len(entries), AT_ONCE):
            status = self._send(asked, entries[first : first + AT_ONCE])
            if status >= 400:
                return status == 412
        return True

    def _send(self, asked: Asked, entries: list[Json]) -> int:
        """The status of one transaction. Raises Unavailable."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        path, body = f"/datastore/{asked.datastore}/r4/", msgspec.json.encode(bundle)
        status, _ = self._plain(_principal(asked), asked.region, "healthlake", "POST", path, body, "application/fhir+json")
        if status >= 500 or status == 429:
            raise Unavailable("What was found in a note cannot be written now.")
        return status


class _Failed(Exception):
    """The note was not read; the document is to say so."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(status)
        self.status, self.message = status, message


def _principal(asked: Asked) -> Principal:
    return service_principal(notes.PRINCIPAL, asked.account, notes.source(asked.region, asked.account, asked.datastore))


def _answers(run: Run, asked: Asked, text: str) -> nlp.Answers:
    """What Comprehend Medical says of a text."""

    def say(operation: str) -> Json:
        return dict(run.calls.make(_principal(asked), asked.region, "comprehendmedical", operation, {"Text": text}))

    try:
        return nlp.Answers(say("DetectEntitiesV2"), say("InferICD10CM"), say("InferRxNorm"))
    except Unavailable:
        raise
    except ServiceError as error:
        if error.status >= 500:
            raise
        raise _Failed(nlp.INTERNAL_ERROR, f"The text could not be read: {error.code}.") from error


def _found(view: Snapshot, asked: Asked) -> Found | None:
    """The note; None when it is another version by now, or gone, or its data store reads no notes any more."""
    datastore = store.datastore(view, asked.datastore)
    if datastore is None or datastore.status != "ACTIVE" or not notes.enabled(datastore):
        return None
    now = fhir_store.current(view, datastore.key, notes.TYPE, asked.id)
    if now is None or now.body is None or now.version != asked.version:
        return None
    linkage = _held(view, datastore, f"Linkage/{nlp.linkage_id(f'{asked.datastore}/{asked.id}')}")
    names = [item["resource"]["reference"] for item in linkage["item"] if item["type"] == "alternate"] if linkage else []
    held = {name: body for name in names if (body := _held(view, datastore, name)) is not None}
    return Found(datastore, exact.decode(now.body), linkage, held)


def _held(view: Snapshot, datastore: store.Datastore, name: str) -> Json | None:
    type, _, id = name.partition("/")
    now = fhir_store.current(view, datastore.key, type, id)
    return None if now is None or now.body is None else exact.decode(now.body)


def _name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _bare(resource: Json | None) -> Json | None:
    """The resource without what the server writes into meta."""
    if resource is None:
        return None
    return {**resource, "meta": {key: value for key, value in resource["meta"].items() if key not in ("versionId", "lastUpdated")}}


def _put(resource: Json) -> Json:
    return {"request": {"method": "PUT", "url": _name(resource)}, "resource": resource}


def _delete(name: str) -> Json:
    return {"request": {"method": "DELETE", "url": name}}
