"""kill -9 under load: at any moment, whichever process it hits, no answered call is lost and nothing is delivered twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from benchmarks.servers import serving

from tests.fault.judge import World
from tests.fault.load import Load

VICTIMS = ("supervisor", "web", "work", "all")
QUICK = ("--flush-interval", "1s", "--digest-interval", "3s")


@pytest.mark.timeout(900)
def test_25_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", rounds=25, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("seed", range(40))
def test_1000_kills(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty servers, so that one's state does not grow without end."""
    answered, records = kill_rounds(tmp_path / "data", rounds=25, seed=100 + seed)
    with capsys.disabled():
        print(f"\nseed {100 + seed}: 25 kills, {answered} answered calls, all in journal and history; {records} records delivered once")


def kill_rounds(folder: Path, rounds: int, seed: int) -> tuple[int, int]:
    """How many calls were answered, and how many records the log files were held against."""
    chance, answered = random.Random(seed), 0
    victims = [VICTIMS[n % len(VICTIMS)] for n in range(rounds)]
    chance.shuffle(victims)
    with serving(folder, *QUICK) as server:
        world = World(server)
        world.prepare()
        for number, victim in enumerate(victims):
            load = Load(server.url, server.credentials, f"k{seed}-{number}", "load-bucket", world.datastore)
            load.start()
            time.sleep(chance.uniform(0.05, 0.5))
            server.kill(victim)
            if victim != "work":
                server.wait()
                told = load.stop()
                server.start()
            else:
                time.sleep(0.2)
                told = load.stop()
            assert told
            answered += sum(one.answered for one in told)
            world.judge(told)
        records = world.check_log_files()
        assert server.stop() == 0
    return answered, records
