"""Worker processes: results in order, errors as they are, stopped and killed ones named; nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.work.executor import ProcessExecutor, WorkerDied


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(2)
    yield made
    made.stop()


def double(number: int) -> int:
    return 2 * number


def refuse(text: str) -> None:
    raise ServiceError("InvalidInputException", "Line {line} is {text}.", line=3, text=Content(text))


def die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def linger(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def unsendable(number: int) -> object:
    return lambda: number


def who(number: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_parts_which_are_drawn_as_needed(executor: ProcessExecutor) -> None:
    drawn: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(50):
            drawn.append(number)
            yield number

    results = executor.map(double, parts())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(drawn) < 8
    assert list(results) == [2 * number for number in range(3, 50)]


def test_what_a_function_raises_is_raised_whole_here(executor: ProcessExecutor) -> None:
    with pytest.raises(ServiceError) as raised:
        executor.start(refuse, "Smith").result(30)
    assert raised.value.for_caller() == "Line 3 is Smith."
    assert "Smith" not in raised.value.for_record()
    with pytest.raises(TypeError):
        executor.start(double, None).result(30)  # type: ignore[arg-type]


def test_a_killed_worker_is_named_and_replaced(executor: ProcessExecutor) -> None:
    with pytest.raises(WorkerDied):
        list(executor.map(die, [0, 1, 2, 3]))
    assert list(executor.map(double, [1, 2, 3])) == [2, 4, 6]


def test_what_is_stopped_ends_at_once_and_the_next_goes_on(executor: ProcessExecutor) -> None:
    running = executor.start(linger, 600.0)
    time.sleep(0.5)
    running.stop()
    with pytest.raises(WorkerDied):
        running.result(30)
    assert executor.start(double, 4).result(30) == 8


def test_what_waits_for_a_worker_can_be_stopped_too() -> None:
    executor = ProcessExecutor(1)
    first, second = executor.start(linger, 600.0), executor.start(linger, 600.0)
    second.stop()
    first.stop()
    for one in (first, second):
        with pytest.raises(WorkerDied):
            one.result(30)
    executor.stop()


def test_a_result_that_cannot_be_sent_is_an_error_of_that_part_alone(executor: ProcessExecutor) -> None:
    with pytest.raises(WorkerDied, match="unsendable"):
        executor.start(unsendable, 1).result(30)
    assert executor.start(double, 4).result(30) == 8


def test_closing_a_map_stops_what_it_started(executor: ProcessExecutor) -> None:
    results = executor.map(linger, [0.0, 600.0, 600.0])
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert executor.start(double, 4).result(30) == 8


def test_stopping_the_executor_ends_its_processes() -> None:
    executor = ProcessExecutor(1)
    pid = executor.start(who, 0).result(30)
    executor.stop()
    for _ in range(200):
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")


def test_a_call_that_waits_gets_its_answer_or_is_told(executor: ProcessExecutor) -> None:
    assert executor.run(divmod, 7, 3) == (2, 1)
    with pytest.raises(Unavailable):
        executor.run(die, 2)
