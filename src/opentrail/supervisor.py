"""`opentrail serve`: prepares the data folder, starts the roles as processes, watches them, stops them cleanly.

The roles end when this process does, however it ends: each holds the reading end of a pipe whose writing end lives here.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import msgspec

from opentrail.kernel.memory import ALLOCATOR
from opentrail.kernel.settings import Settings
from opentrail.kernel.stopping import Stopping

log = logging.getLogger("opentrail.serve")

READY_WITHIN = 30.0
STOP_WITHIN = 40.0
_LOOK_EVERY, _RESTART_AFTER = 0.5, 1.0


class StartFailed(Exception):
    """The server did not come up; the message says why."""


class Role:
    """One child process."""

    def __init__(self, name: str, settings: Settings, pipe: int, lock: int) -> None:
        self.name = name
        own = {"OPENTRAIL_ROLE_SETTINGS": msgspec.json.encode(settings).decode(), "OPENTRAIL_ROLE_PIPE": str(pipe)}
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "opentrail.roles", name],
            env={**ALLOCATOR, **os.environ, **own},
            pass_fds=(pipe, lock),
            stdin=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """Asks the process to end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Waits for the end, which comes by force when it does not come in time."""
        try:
            return self.process.wait(timeout=STOP_WITHIN)
        except subprocess.TimeoutExpired:
            log.error("%s did not stop in %d s and is killed", self.name, STOP_WITHIN)
            self.process.kill()
            return self.process.wait()


def run(settings: Settings, roles: tuple[str, ...], on_ready: Callable[[], None], lock: int) -> int:
    """Starts the roles, calls `on_ready` when the web role answers, and waits. Returns the exit status. `lock` is the open
    file that holds the data folder's lock, which the roles keep as long as they live.

    SIGTERM and SIGINT stop everything: 0. A `web` role that ends by itself ends the rest: 1. Another role is started again.
    """
    stopping = Stopping()
    reading, writing = os.pipe()
    running = {name: Role(name, settings, reading, lock) for name in roles}
    try:
        if "web" in running:
            _await_ready(settings, running["web"], stopping)
        if not stopping.wait():
            on_ready()
        while not stopping.wait(_LOOK_EVERY):
            for name, role in list(running.items()):
                status = role.process.poll()
                if status is None:
                    continue
                log.error("%s ended with status %d", name, status)
                if name == "web":
                    return 1
                if not stopping.wait(_RESTART_AFTER):
                    running[name] = Role(name, settings, reading, lock)
        return 0
    finally:
        for role in running.values():
            role.stop()
        for role in running.values():
            role.wait()
        os.close(writing)
        os.close(reading)


def _await_ready(settings: Settings, web: Role, stopping: Stopping) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and not stopping.wait(0.02):
        if web.process.poll() is not None:
            raise StartFailed("the web process ended while starting; its log says why")
        if answers(settings):
            return
    if not stopping.wait():
        raise StartFailed(f"the web process did not answer within {READY_WITHIN:.0f} s")


def answers(settings: Settings) -> bool:
    """Whether something serves health on the listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not listened on
    if settings.tls_certificate:
        try:
            socket.create_connection((host, settings.port), timeout=1).close()
        except OSError:
            return False
        return True
    address = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{address}:{settings.port}/_opentrail/health", timeout=1) as answer:
            return "status" in json.load(answer)
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
