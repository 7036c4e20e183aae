"""Speed and size of Comprehend Medical's engine, on texts the process has not seen before.

    python -m benchmarks.nlp_speed [WORKERS]

Notes are put together from words of the package's own dictionaries and from sentence frames with numbers drawn by chance, so no two
are alike and nothing is remembered but words. Prints characters per second against AWS's default account quota (40,000 characters/s),
a note over HTTP, cold start, and resident memory of a worker. On a machine that others use, the figures by CPU time tell.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import servers
from opentrail.services.comprehendmedical.engine import detect, library
from opentrail.services.comprehendmedical.engine.library import Library

QUOTA = 40_000
FRAMES = (
    "{n} is a {a}-year-old {g} with a history of {d} and {d} who presents with {s} for {k} days.",
    "She denies {s}, {s} or {s}, but reports worsening {s} since last week.",
    "Medications: {m} {q} mg PO daily, {m} {q} mg tablet twice a day, {m} as needed for {s}.",
    "On exam BP {q}/{k} mmHg, heart rate {k} bpm, temperature 98.{k} F; {b} tender, no {s}.",
    "{t} showed a {k} mm lesion in the left {b} consistent with {d}; {t} was {k}.{a} mg/dL.",
    "He underwent {p} at {c} Medical Center on {k}/{k}/20{a} by Dr. {l}.",
    "Family history: mother had {d}, father with {d} at age {a}.",
    "Plan: schedule {p}, continue {m}, return if {s} develops. MRN: {q}{a}{k}{q}.",
)


def note(chance: random.Random, words: dict[str, list[str]], size: int = 2000) -> str:
    """A made-up note of about `size` characters."""
    text = ""
    while len(text) < size:
        frame = chance.choice(FRAMES)
        for hole, kind in (("n", "F"), ("l", "L"), ("c", "Y"), ("d", "D"), ("s", "S"), ("m", "R"), ("b", "A"), ("t", "T"), ("p", "P")):
            while "{" + hole + "}" in frame:
                frame = frame.replace("{" + hole + "}", chance.choice(words[kind]), 1)
        for hole, most in (("a", 90), ("k", 99), ("q", 400)):
            frame = frame.replace("{" + hole + "}", str(chance.randint(10, most)))
        text += frame.replace("{g}", chance.choice(("man", "woman"))) + chance.choice((" ", "\n"))
    return text


def words_by_kind(loaded: Library) -> dict[str, list[str]]:
    """The dictionary's phrases by kind."""
    found: dict[str, list[str]] = {}
    for phrase, kinds in loaded.gazetteer.kinds.items():
        for kind in kinds:
            found.setdefault(kind, []).append(phrase.title() if kind in "FLY" else phrase)
    return found


def work(seed: int, name: str, seconds: float) -> tuple[int, float, float, float, list[float]]:
    """Detect in fresh notes for a while: characters, seconds, CPU seconds, megabytes, the time of each note."""
    loaded = library.load()
    chance = random.Random(seed)
    words = words_by_kind(loaded)
    run = detect.detect_entities if name == "entities" else detect.detect_phi
    notes = [note(chance, words) for _ in range(40)]
    for one in notes[:8]:
        run(one, loaded)
    done, times, spent = 0, [], 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        fresh = note(chance, words)
        start, used = time.perf_counter(), time.process_time()
        run(fresh, loaded)
        times.append(time.perf_counter() - start)
        spent += time.process_time() - used
        done += len(fresh)
    return done, sum(times), spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, times


def cold_start() -> tuple[float, float]:
    """Wall and CPU seconds from starting Python to first answers of DetectEntitiesV2, InferICD10CM and InferRxNorm."""
    code = (
        "from opentrail.services.comprehendmedical import computing;"
        "computing.entities('Fever.'); computing.icd10cm('Fever.', None); computing.rxnorm('Aspirin.', None)"
    )
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of_tree(root: int) -> float:
    """CPU seconds so far of a process and those that it started (Linux)."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        stats[int(path.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    tree = {root}
    while more := {pid for pid, (parent, _) in stats.items() if parent in tree} - tree:
        tree |= more
    return sum(stats[pid][1] for pid in tree if pid in stats) / os.sysconf("SC_CLK_TCK")


def over_http(asked: int = 60) -> tuple[float, float]:
    """Milliseconds of DetectEntitiesV2 on a fresh 2 KB note over HTTP, one after the other: the median, and the server's CPU time."""
    chance, words = random.Random(99), words_by_kind(library.load())
    notes = [note(chance, words) for _ in range(asked + 10)]
    with servers.opentrail() as server:
        client = server.client("comprehendmedical")
        for one in notes[:10]:
            client.detect_entities_v2(Text=one)
        before, times = cpu_of_tree(server.pid), []
        for one in notes[10:]:
            began = time.perf_counter()
            client.detect_entities_v2(Text=one)
            times.append(time.perf_counter() - began)
        used = cpu_of_tree(server.pid) - before
    return 1000 * sorted(times)[len(times) // 2], 1000 * used / asked


def main() -> None:
    """Print all figures."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    wall, cpu = cold_start()
    print(f"cold start with all code systems: {wall:.2f} s, {cpu:.2f} s of CPU (limit 3), ratio {cpu / 3:.2f}", flush=True)
    median, each = over_http()
    print(f"2 KB note over HTTP: p50 {median:.1f} ms, {each:.1f} ms of the server's CPU (limit 60), ratio {each / 60:.2f}", flush=True)
    for name in ("entities", "phi"):
        with ProcessPoolExecutor(workers) as pool:
            done = list(pool.map(work, range(workers), [name] * workers, [10.0] * workers))
        rate = sum(count / seconds for count, seconds, _, _, _ in done)
        idle = sum(count / spent for count, _, spent, _, _ in done)
        times = sorted(one for _, _, _, _, listed in done for one in listed)
        megabytes = max(size for _, _, _, size, _ in done)
        print(
            f"{name}: {rate:,.0f} characters/s with {workers} workers, {rate / QUOTA:.2f} x AWS's default quota; by CPU time (as on idle"
            f" cores) {idle:,.0f}, {idle / QUOTA:.2f} x;"
            f" 2 KB note p50 {1000 * times[len(times) // 2]:.1f} ms, p99 {1000 * times[int(len(times) * 0.99)]:.1f} ms;"
            f" {megabytes:.0f} MB a worker (limit 400)",
            flush=True,
        )


if __name__ == "__main__":
    main()
