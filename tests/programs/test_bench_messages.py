"""Single messages of failure as they come: a new one is a line in messages.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterboot.programs.messages.nccl_warnings import remedy_for
from clusterboot.programs.messages.pattern import WORD
from clusterboot.programs.messages.texts import PATTERNS
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.verdict.verdict import judge

# Verdict; kind and host of each problem; the message, with a bar for a line break.
MESSAGES = [
    line.split("; ", 2) for line in (Path(__file__).parent / "messages.txt").read_text().splitlines() if line
]
RULE = "-" * 74


@pytest.mark.parametrize(("verdict", "problems", "message"), MESSAGES, ids=lambda part: part[:40])
def test_a_message_names_its_kind_and_host(verdict: str, problems: str, message: str) -> None:
    judged = judge(parse_log(message.replace("|", "\n") + "\n")).overall
    assert judged.verdict == verdict
    assert ", ".join(f"{each.kind} {each.host or '-'}" for each in judged.problems) == problems


@pytest.mark.parametrize("going_on", ["Your job will continue.", "This is only a warning."])
def test_a_framed_message_of_a_run_that_goes_on_is_no_problem(going_on: str) -> None:
    text = f"{RULE}\nPRTE tried to bind a new process, but something went wrong.\n{going_on}\n{RULE}\n"
    assert judge(parse_log(text)).overall.problems == ()


def test_each_pattern_is_looked_for_by_a_word_of_its_own() -> None:
    assert all(WORD.fullmatch(pattern.hint) and pattern.remedy for pattern in PATTERNS)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("NET/IB : Got completion from peer 10.1.0.4<1> with status=12", "network adapters"),
        ("socketStartConnect: Connect to 10.1.0.4<38522> failed : No route to host", "reach each other"),
        ("Bootstrap : no socket interface found", "NCCL_SOCKET_IFNAME"),
        ("Error while creating shared memory segment /dev/shm/nccl-1 (size 9637888)", "shared memory"),
        ("Failed to open libnvidia-ml.so.1", "driver"),
        ("Failed to find ROCm runtime library in (null) (RCCL_ROCR_PATH=(null))", "driver"),
        ("Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1000", "CUDA_VISIBLE_DEVICES"),
        ("Cuda failure 'out of memory'", "nvidia-smi"),
        ("Call to ibv_reg_mr failed with error Cannot allocate memory", "memlock"),
        ("NCCL version mismatch with remote peer 10.1.0.4<1> (local: 1, remote 2)", "one NCCL library"),
        ("MNNVL (cliqueSize 8) is available but not working on this system.", "IMEX"),
        ("something that no one has seen before", "NCCL_DEBUG"),
    ],
)
def test_a_warnings_remedy_fits_its_cause(words: str, about: str) -> None:
    assert about in remedy_for(words)
