"""Secrets go, everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.scrub import REMOVED, Scrubber, scrub

FIXTURES = Path(__file__).parent / "fixtures"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----"
BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQAAACDhpn+Ub=="


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("export AWS_SECRET_ACCESS_KEY=abc/def+ghi", "abc/def+ghi"),
        ("+ mpirun -x HF_TOKEN=hf_abcdefghijklmnopqrst -x NCCL_DEBUG=INFO ./all_reduce_perf", "hf_abc"),
        ('"WANDB_API_KEY": "deadbeef"', "deadbeef"),
        ("PGPASSWORD='two words' psql", "two words"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("proxy=https://user:pa55@host/x", "pa55"),
        ("git clone https://ghp_aaaaaaaaaaaaaaaaaaaaaaaa@github.com/x", "ghp_"),
        ("found AKIAABCDEFGHIJKLMNOP in it", "AKIA"),
        ("password: hunter2", "hunter2"),
        ("DB_PWD=hunter2", "hunter2"),
        ("PW=hunter2 make", "hunter2"),
        ("export JWT=abc.def", "abc.def"),
        ("WIFI_PSK=abcd1234", "abcd1234"),
        ("A=1\0API_TOKEN=hunter2\0B=2", "hunter2"),
        (KEY.format(BODY), "b3BlbnNz"),
        (KEY.format(BODY).replace("\n", "\\n"), "b3BlbnNz"),
        (KEY.format(BODY)[:90], "b3BlbnNz"),
    ],
)
def test_a_secret_is_gone_and_its_name_stays(text: str, secret: str) -> None:
    clean = scrub(text)
    assert secret not in clean
    assert REMOVED in clean
    assert clean.count("\n") == text.count("\n")
    assert scrub(text.encode()) == clean.encode()


@pytest.mark.parametrize(
    "text",
    [
        "TOKENIZERS_PARALLELISM=false",
        "PWD=/root\0OLDPWD=/tmp",
        "HWPW=1 TOPWD=2",
        "SSH_AUTH_SOCK=/tmp/ssh-x/agent",
        "MY_SECRET_FILE=/run/secrets/x",
        "gpu001: Permission denied (publickey,password).",
        "NCCL_IB_HCA=mlx5_0 KEYBOARD=us MONKEY=1",
        "user@host's password: ",
        "gpu001:1:1 [0] NCCL INFO NET/IB : key 0x3 pass 1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.txt")), ids=lambda path: path.stem)
def test_no_log_loses_a_row_or_a_problem(path: Path) -> None:
    data = path.read_bytes()
    assert parse_log(scrub(data)) == parse_log(data)


def test_rows_that_stand_within_a_key_stay() -> None:
    row = "           8             2     float     sum      -1    25.00    0.00    0.00      0"
    text = KEY.format(f"{BODY}\n{row}\n{BODY}")
    assert row in scrub(text).split("\n")
    assert "b3Blbn" not in scrub(text)


@given(st.binary(max_size=300))
@settings(max_examples=share(100), deadline=None)
def test_any_bytes_come_back_with_as_many_lines(data: bytes) -> None:
    assert scrub(data).count(b"\n") == data.count(b"\n")


def test_many_unfinished_keys_cost_no_more_than_their_length() -> None:
    assert scrub("-----BEGIN RSA PRIVATE KEY-----\n" * 3000).count("BEGIN") == 3000


ENV = {
    "API_TOKEN": "canary-5eC2e7",
    "LICENSE": "A1b2C3d4E5f6G7h8I9",
    "DB_PWD": "root",
    "NCCL_IB_HCA": "mlx5_0,mlx5_1,mlx5_2",
    "NCCL_DEBUG": "INFO",
    "USE_AUTH": "true",
    "PIN_CODE": "1024",
}


def test_values_of_the_environment_go_wherever_they_stand() -> None:
    clean = Scrubber.of(ENV)(b"argv canary-5eC2e7\0X=A1b2C3d4E5f6G7h8I9\0 user root, chroot\n")

    assert clean == f"argv {REMOVED}\0X={REMOVED}\0 user {REMOVED}, chroot\n".encode()


def test_what_configures_a_library_and_what_is_common_stays() -> None:
    text = "mlx5_0,mlx5_1,mlx5_2 INFO true 1024 float"
    assert Scrubber.of(ENV)(text) == text


def test_a_document_keeps_its_names_and_its_figures() -> None:
    document = {"root": -1, "text": "as root: canary-5eC2e7", "of": ["root", 1024]}

    assert Scrubber.of(ENV).in_document(document) == {
        "root": -1,
        "text": f"as {REMOVED}: {REMOVED}",
        "of": [REMOVED, 1024],
    }
