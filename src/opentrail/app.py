"""The composition root: settings -> databases, lane, services, followers -> the running roles. Read this first.

web    HTTP -> gateway -> recording(steps) -> lane -> journal
work   journal -> followers: Event history; log files and digests of trails
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opentrail import upkeep
from opentrail.calls.operation import Service
from opentrail.calls.tools import Calls, Tools
from opentrail.gateway.inner import InnerCalls
from opentrail.gateway.listening import Server, new_event_loop
from opentrail.gateway.resolve import Routes
from opentrail.gateway.spool import Spool
from opentrail.gateway.state import Gateway
from opentrail.identity.sessions import issue_service
from opentrail.journal.append import Appender
from opentrail.kernel import memory, telemetry
from opentrail.kernel.ambient import SystemClock, SystemIds
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer, load_master_key
from opentrail.kernel.settings import Settings
from opentrail.kernel.stopping import Stopping
from opentrail.kernel.trust import own_issuer
from opentrail.services.cloudtrail import service as cloudtrail
from opentrail.services.cloudtrail.delivery import plan as delivery_plan
from opentrail.services.cloudtrail.delivery import put as delivery_put
from opentrail.services.cloudtrail.delivery import store as delivery_store
from opentrail.services.cloudtrail.digests import plan as digests_plan
from opentrail.services.cloudtrail.digests.put import Digests
from opentrail.services.cloudtrail.digests.signer import signer
from opentrail.services.cloudtrail.history import store as history
from opentrail.services.comprehendmedical import service as comprehendmedical
from opentrail.services.comprehendmedical.batch import Batch
from opentrail.services.comprehendmedical.kinds import KINDS as BATCH_KINDS
from opentrail.services.healthlake import data_queue, kept_files, notes
from opentrail.services.healthlake import jobs as healthlake_jobs
from opentrail.services.healthlake import service as healthlake
from opentrail.services.healthlake.bulk import QUEUES
from opentrail.services.healthlake.exporting import Export
from opentrail.services.healthlake.importing import Import
from opentrail.services.healthlake.job_records import telling
from opentrail.services.healthlake.job_store import EXPORT, IMPORT
from opentrail.services.healthlake.note_reading import NoteReading
from opentrail.services.iam import service as iam
from opentrail.services.personalize import jobs as personalize_jobs
from opentrail.services.personalize import service as personalize
from opentrail.services.s3 import bucket_policies
from opentrail.services.s3 import service as s3
from opentrail.services.sns import service as sns
from opentrail.services.sts import service as sts
from opentrail.store.database import Database
from opentrail.store.databases import open_database
from opentrail.store.folder import Space
from opentrail.store.lane import Lane
from opentrail.store.turns import Turns, TurnServer
from opentrail.work.executor import ProcessExecutor
from opentrail.work.follower import Following
from opentrail.work.jobs import Jobs, Kind
from opentrail.work.progress import progress
from opentrail.work.remote_calls import Credentials, RemoteCalls
from opentrail.work.runner import Runner, Worker

log = logging.getLogger("opentrail.app")

SERVICES: tuple[Service, ...] = (
    *cloudtrail.SERVICES,
    healthlake.SERVICE,
    comprehendmedical.SERVICE,
    personalize.SERVICE,
    personalize.RUNTIME,
    personalize.EVENTS,
    iam.SERVICE,
    sts.SERVICE,
    s3.service(bucket_policies.check_document),
    sns.SERVICE,
)


def offered(settings: Settings) -> tuple[Service, ...]:
    """The services as these settings want them."""
    if not settings.fhir_data_events:
        return SERVICES
    return tuple(healthlake.with_data_events(one) if one is healthlake.SERVICE else one for one in SERVICES)


FOLLOWERS = (history.NAME, delivery_plan.NAME)

_PATIENCE = 30.0
_WAITING_FOR_ENGINES = 32
"""Calls that wait for an engine at once; more wait in line."""
_SERVICE_CREDENTIALS = 3600.0


class Parts:
    """What both roles are made of. `web` writes the main database, `work` the followers'."""

    def __init__(self, settings: Settings, web: bool) -> None:
        self.settings = settings
        self.clock, self.ids = SystemClock(), SystemIds()
        self.sealer = Sealer(load_master_key(settings.master_key))
        self.main = open_database(settings, "main", writable=web)
        self.history = open_database(settings, "history", writable=not web)
        self.delivery = open_database(settings, "delivery", writable=not web)
        self.engines = ProcessExecutor(settings.engine_workers, behind=not web)

    @property
    def blobs(self) -> Path:
        return self.settings.folder / "objects"

    @property
    def turns_file(self) -> Path:
        """The socket over which the work role asks for the write turn on SQLite."""
        return self.settings.folder / "turns.sock"

    @property
    def installation(self) -> str:
        """What sets this installation's file names apart from another's."""
        return self.sealer.derive("installation").hex()

    def close(self) -> None:
        for database in (self.main, self.history, self.delivery):
            database.close()


def serve_web(settings: Settings) -> int:
    """The web role: serves until SIGTERM, then lets every call end and the lane write what waits."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_serve_web(settings))


async def _serve_web(settings: Settings) -> int:
    parts = Parts(settings, web=True)
    gateway = make_gateway(parts)
    server = Server(
        gateway,
        Path(settings.tls_certificate) if settings.tls_certificate else None,
        Path(settings.tls_key) if settings.tls_key else None,
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gateway.loop.add_signal_handler(number, stopping.set)
    memory.settle()
    await server.start(settings.host, settings.port)
    keeping = asyncio.create_task(upkeep.run(gateway, lambda: prunable(parts)))
    turns = TurnServer(gateway.lane, parts.turns_file)
    await turns.start()
    await stopping.wait()
    keeping.cancel()
    await turns.stop()
    await server.stop(_PATIENCE)
    await asyncio.to_thread(gateway.lane.stop)
    gateway.spool.close()
    gateway.pool.shutdown(wait=False)
    gateway.inner_pool.shutdown(wait=False)
    gateway.engine_pool.shutdown(wait=False, cancel_futures=True)
    parts.engines.stop()
    parts.close()
    return 0


def make_tools(parts: Parts, calls: Calls) -> Tools:
    """What operations and jobs may use."""
    return Tools(
        clock=parts.clock,
        ids=parts.ids,
        sealer=parts.sealer,
        settings=parts.settings,
        calls=calls,
        read=parts.main.read,
        history=parts.history.read,
        delivery=parts.delivery.read,
        blobs=parts.blobs,
        engines=parts.engines,
    )


def make_gateway(parts: Parts) -> Gateway:
    """The gateway of a web process, with its lane running. Belongs on the event loop."""
    settings, loop = parts.settings, asyncio.get_running_loop()
    services = offered(settings)
    calls = InnerCalls()

    gateway = Gateway(
        services={service.name: service for service in services},
        routes=Routes(services, fhir=next(service.name for service in services if service.fhir)),
        tools=make_tools(parts, calls),
        database=parts.main,
        spool=Spool(parts.blobs / "spool", parts.ids),
        lane=Lane(parts.main.writer(), Appender().append, telemetry.count_batch),
        space=Space(settings.folder, settings.min_free_mb),
        lags=lambda: lags(parts),
        troubles=lambda: troubles(parts),
        pool=ThreadPoolExecutor(settings.readers, "reader"),
        inner_pool=ThreadPoolExecutor(settings.readers, "inner"),
        engine_pool=ThreadPoolExecutor(_WAITING_FOR_ENGINES, "engine"),
        loop=loop,
        thread=threading.get_ident(),
    )
    calls.gateway = gateway
    return gateway


def lags(parts: Parts) -> dict[str, int]:
    """How many records each follower has yet to take."""
    found = {}
    for name, own in zip(FOLLOWERS, (parts.history, parts.delivery), strict=True):
        with own.read() as theirs, parts.main.read() as main:
            found[name] = progress(main, name, theirs).lag
    return found


def troubles(parts: Parts) -> list[str]:
    """What makes health red beside the lane and the disk: trails whose delivery stopped because the journal changed under it."""
    with parts.delivery.read() as snapshot:
        return [f"{kind} delivery of {trail} stopped: {why}" for trail, kind, why in delivery_store.stopped(snapshot)]


def prunable(parts: Parts) -> int:
    """The position up to which nobody needs the journal: every follower has taken it, no planned file is still to be built."""
    positions = []
    for name, own in zip(FOLLOWERS, (parts.history, parts.delivery), strict=True):
        with own.read() as theirs, parts.main.read() as main:
            positions.append(progress(main, name, theirs).position)
            needed = delivery_store.oldest_needed(theirs) if own is parts.delivery else None
            positions += [] if needed is None else [needed - 1]
    return min(positions)


def serve_work(settings: Settings) -> int:
    """The work role: runs the followers until SIGTERM. A task that cannot go on in this process ends it with status 1: the
    supervisor starts another, which reads the databases anew."""
    parts = Parts(settings, web=False)
    runner = Runner(workers(parts))
    memory.settle()
    stopping = Stopping()
    runner.start()
    ended = False
    while not ended and not stopping.wait(1.0):
        ended = any(health.ended for health in runner.health())
    clean = runner.stop() and not ended
    parts.engines.stop()
    parts.close()
    return 0 if clean else 1


def workers(parts: Parts) -> list[Worker]:
    """Every follower and task, with the database that it owns."""
    from opentrail.services.cloudtrail.history import index, merging  # with NumPy: 12 MB that the web role does not need

    settings, clock = parts.settings, parts.clock
    holder = "work" if not settings.database else parts.ids.uuid()
    calls = RemoteCalls(settings.url, service_credentials(parts), clock, own_issuer(settings))
    chance = random.SystemRandom().random
    turns = Turns(open_database(settings, "main", writable=True), None if settings.database else parts.turns_file)

    tell = telling(make_tools(parts, calls))

    def worker(task: object, database: Database) -> Worker:
        return Worker(task, database, holder, clock, chance)  # type: ignore[arg-type]

    def doing(service: str, kinds: Mapping[str, Kind]) -> Jobs:
        return Jobs(service, kinds, parts.main.read, turns.write, calls, parts.engines, clock, settings.folder / "jobs")

    return [
        worker(Following(index.follower(), parts.main), parts.history),
        worker(merging.Merging(clock, settings.journal_days), parts.history),
        worker(
            Following(delivery_plan.follower(parts.main, parts.installation, clock, settings.flush_interval), parts.main), parts.delivery
        ),
        worker(delivery_put.Putting(delivery_put.LogFiles(parts.main), calls, clock, chance, settings.flush_interval), parts.delivery),
        worker(digests_plan.Planning(signer(parts.main, parts.delivery, parts.sealer), clock, settings.digest_interval), parts.delivery),
        worker(delivery_put.Putting(Digests(), calls, clock, chance, settings.digest_interval), parts.delivery),
        worker(doing(QUEUES[IMPORT], {IMPORT: Import(tell, settings.folder)}), parts.history),
        worker(doing(QUEUES[EXPORT], {EXPORT: Export(tell, settings.folder)}), parts.history),
        worker(kept_files.Sweep(parts.main.read, clock, settings.folder), parts.history),
        worker(doing(data_queue.QUEUE, healthlake_jobs.kinds(calls.plain)), parts.history),
        worker(doing(personalize_jobs.SERVICE, personalize_jobs.kinds(settings.folder)), parts.history),
        worker(personalize_jobs.Upkeep(parts.main.read, turns.write, clock, settings.folder), parts.history),
        worker(doing(notes.QUEUE, {notes.KIND: NoteReading(calls.plain)}), parts.history),
        worker(doing(comprehendmedical.SERVICE.name, dict.fromkeys(BATCH_KINDS, Batch(settings.folder))), parts.history),
    ]


def service_credentials(parts: Parts) -> Callable[[Principal], Credentials]:
    """Internal sessions of service principals, renewed before they end."""
    held: dict[tuple[str, str, str], tuple[float, Credentials]] = {}

    def credentials(principal: Principal) -> Credentials:
        key, now = (principal.service, principal.account, principal.source_arn), parts.clock.now()
        until, found = held.get(key, (0.0, None))
        if found is None or until < now + _SERVICE_CREDENTIALS / 2:
            issued = issue_service(parts.sealer, parts.ids, *key, now=now, life=_SERVICE_CREDENTIALS)
            found = Credentials(issued.access_key, issued.secret, issued.token)
            held[key] = (issued.expires, found)
        return found

    return credentials
