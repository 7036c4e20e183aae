"""`opentrail vocab` and `opentrail redact` with a live server: loading without a restart, redaction that is recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from benchmarks.servers import PROGRAM, program
from botocore.exceptions import ClientError

from tests.unit.services.comprehendmedical.releases import rf2, rrf_file
from tests.wire.covers import covers
from tests.wire.story import Live, Story

NOTE = "Mr. Robert Miller, 54, called (415) 555-0134 on 03/14/2024.\r\nMr. Miller has asthma. 😀\n"


def redact(live: Live, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs the command with bytes as its input."""
    place = ["--data-dir", live.server.settings.data_dir, "--listen", live.server.settings.listen]
    return subprocess.run([*PROGRAM, "redact", *arguments, *place], input=given, capture_output=True, timeout=120, check=False)


@covers("comprehendmedical", "InferSNOMEDCT")
def test_snomed_is_refused_until_it_is_loaded_and_then_served_without_a_restart(story: Story, tmp_path: Path) -> None:
    where = ["--data-dir", story.live.server.settings.data_dir]
    with pytest.raises(ClientError, match="opentrail vocab load snomed FILE"):
        story.client("comprehendmedical").infer_snomedct(Text="He has chest pain.")
    assert "snomed: nothing" in program("vocab", "status", *where).stdout
    done = program("vocab", "load", "snomed", str(rf2(tmp_path / "release.zip")), *where)
    assert (done.returncode, done.stdout) == (0, "snomed: 11 codes, version 2025-03-01\n")
    answer = story.call("comprehendmedical", "InferSNOMEDCT", {"Text": "Canaryberg has chest pain."}, request=None)
    assert answer["Entities"][0]["SNOMEDCTConcepts"][0]["Code"] == "1009"
    assert answer["SNOMEDCTDetails"] == {"Edition": "US", "Language": "en", "VersionDate": "2025-03-01"}
    assert answer["Characters"] == {"OriginalTextCharacters": 26}
    (Path(story.live.server.settings.data_dir) / "vocabularies/snomed.npz").unlink()


def test_a_newer_rxnorm_is_seen_by_the_next_text(story: Story, tmp_path: Path) -> None:
    where = ["--data-dir", story.live.server.settings.data_dir]
    ask = story.client("comprehendmedical").infer_rx_norm
    assert ask(Text="He takes aspirin.")["Entities"][0]["RxNormConcepts"][0]["Code"] == "1191"
    release = rrf_file(tmp_path / "RXNCONSO.RRF", 1200)
    release.write_text(release.read_text().replace("|adrug77|", "|aspirin|"))
    assert program("vocab", "load", "rxnorm", str(release), "--version", "test", *where).returncode == 0
    assert ask(Text="He takes aspirin.")["Entities"][0]["RxNormConcepts"][0]["Code"] == "77"
    assert "rxnorm: loaded, 1200 codes, version test" in program("vocab", "status", *where).stdout
    (tmp_path / "bad.zip").write_bytes(b"Miller")
    refused = program("vocab", "load", "rxnorm", str(tmp_path / "bad.zip"), *where)
    assert (refused.returncode, "fewer than" in refused.stderr, "Miller" in refused.stderr) == (1, True, False)
    (Path(story.live.server.settings.data_dir) / "vocabularies/rxnorm.npz").unlink()
    assert ask(Text="He takes aspirin.")["Entities"][0]["RxNormConcepts"][0]["Code"] == "1191"


def test_standard_input_is_redacted_and_the_calls_are_recorded(live: Live) -> None:
    done = redact(live, given=NOTE.encode())
    assert done.stdout.decode() == "Mr. [NAME], [AGE], called [PHONE_OR_FAX] on [DATE].\r\nMr. [NAME] has asthma. 😀\n"
    last = live.naming("DetectPHI")[-1]
    assert (last["eventName"], last["requestParameters"], last["responseElements"]) == ("DetectPHI", None, None)
    assert "Miller" not in json.dumps(last)


def test_files_are_redacted_beside_or_in_place_and_never_overwritten_unasked(live: Live, tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text(NOTE, newline="")
    second.write_text("Ms. Miller is well.\n" * 1500)
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    done = redact(live, str(first), str(second), "--output-dir", str(tmp_path / "out"), "--surrogates", "--key-file", str(key))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    told = [(tmp_path / "out" / name).read_text() for name in ("a.txt", "b.txt")]
    assert "Miller" not in "".join(told)
    name = told[1].split()[1]
    assert told[1] == f"Ms. {name} is well.\n" * 1500
    assert f"{name} has asthma" in told[0]
    again = redact(live, str(first), "--output-dir", str(tmp_path / "out"))
    assert (again.returncode, b"--force" in again.stderr) == (2, True)
    assert redact(live, str(first), "-o", str(first), "--force").returncode == 2
    assert first.read_bytes() == NOTE.encode()
    assert redact(live, str(first), "--in-place").returncode == 0
    assert "[NAME]" in first.read_text()


@pytest.mark.parametrize(
    ("arguments", "given", "status", "says"),
    [
        (["none.txt"], b"", 1, "No such file"),
        ([], b"Mr. Miller \xff", 1, "is not utf-8 text"),
        (["--encoding", "klingon"], b"x", 2, "--encoding"),
        (["--in-place"], b"x", 2, "need files"),
        (["--key-file", "k"], b"x", 2, "--surrogates"),
        (["--surrogates", "--key-file", "none"], b"x", 2, "--key-file"),
        (["a", "b", "-o", "c"], b"", 2, "--output-dir"),
        (["--in-place", "-o", "c", "a"], b"", 2, "one of"),
    ],
)
def test_what_cannot_be_redacted_is_said(live: Live, arguments: list[str], given: bytes, status: int, says: str) -> None:
    done = redact(live, *arguments, given=given)
    assert (done.returncode, done.stdout) == (status, b"")
    assert says in done.stderr.decode()
    assert "Miller" not in done.stderr.decode()
