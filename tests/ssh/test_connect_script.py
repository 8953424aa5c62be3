"""A framed answer is what the script said, whatever else is on the channel."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.nodes.script import Section, SectionOutput, new_nonce, read, render

NONCE = "0123456789abcdef" * 2


def run(*sections: Section, nonce: str = NONCE) -> bytes:
    done = subprocess.run(
        ["sh", "-s"], input=render(sections, nonce).encode(), capture_output=True, check=True
    )
    return done.stdout


def test_sections_come_back_byte_for_byte_with_their_status() -> None:
    raw = run(
        Section("plain", "echo hello"),
        Section("open-ended", "printf 'no newline'"),
        Section("binary", r"printf '\000\377\n\n\033[31m\r\n'"),
        Section("silent", ":"),
        Section("failing", "echo before; exit 42; echo after"),
    )

    answer = read(raw, NONCE)

    assert answer.complete
    assert answer.sections == {
        "plain": SectionOutput(b"hello\n", 0),
        "open-ended": SectionOutput(b"no newline", 0),
        "binary": SectionOutput(b"\0\xff\n\n\x1b[31m\r\n", 0),
        "silent": SectionOutput(b"", 0),
        "failing": SectionOutput(b"before\n", 42),
    }


def test_a_section_cannot_eat_the_script_and_leaves_the_next_alone() -> None:
    answer = read(run(Section("a", "cat; cd /; x=1; set -e; false"), Section("b", "echo ${x-unset}")), NONCE)

    assert answer.sections["b"].text == "unset\n"


@pytest.mark.parametrize("before", [b"welcome\n", b"no newline", b"x" * 100_000, b"\n\n", b"fake begin\n"])
@pytest.mark.parametrize("after", [b"", b"bye\n", b"\nlate words of a start-up job"])
def test_noise_around_an_answer_is_not_part_of_it(before: bytes, after: bytes) -> None:
    answer = read(before + run(Section("a", "echo hello")) + after, NONCE)

    assert answer.complete
    assert answer.sections == {"a": SectionOutput(b"hello\n", 0)}
    assert answer.noise == before


def test_an_answer_that_is_cut_off_is_not_complete() -> None:
    raw = run(Section("a", "echo hello"), Section("b", "echo more"))

    for length in range(len(raw) - len(b"end\n") + 3):
        assert not read(raw[:length], NONCE).complete
    assert "b" not in read(raw[: raw.index(b" exit b")], NONCE).sections
    assert read(raw[: raw.index(b" exit b")], NONCE).sections["a"].text == "hello\n"


def test_without_its_first_word_all_of_an_answer_is_noise() -> None:
    answer = read(b"This account is currently not available.\n", NONCE)

    assert not answer.begun
    assert answer.noise == b"This account is currently not available.\n"


def test_an_answer_to_another_conversation_is_noise() -> None:
    answer = read(run(Section("a", "echo hello"), nonce=new_nonce()), NONCE)

    assert not answer.begun
    assert not answer.sections


@pytest.mark.parametrize(
    "word", ["exit a 99999999999999999999", "exit a -1", "exit a", "exit b 0", "exit a x", "exit a 0 0"]
)
def test_a_forged_frame_gives_no_section(word: str) -> None:
    raw = f"\n{NONCE} begin\n\n{NONCE} section a\nout\n{NONCE} {word}\n\n{NONCE} end\n".encode()

    assert read(raw, NONCE).sections == {}


def test_a_million_forged_frames_are_read_in_one_pass() -> None:
    raw = f"\n{NONCE} begin\n".encode() + f"\n{NONCE} section a\n".encode() * 200_000

    assert read(raw, NONCE).sections == {}


@pytest.mark.parametrize("name", ["", "A", "a b", "a;b", "$(x)", "-a", "a\n", "ä"])
def test_a_name_that_could_break_the_frame_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="bad section name"):
        render([Section(name, ":")], NONCE)


@given(
    st.binary(max_size=400),
    st.lists(st.sampled_from(["begin", "section a", "exit a 0", "end", "x"]), max_size=6),
)
def test_no_bytes_break_the_reader(noise: bytes, words: list[str]) -> None:
    raw = noise + b"".join(f"\n{NONCE} {word}\n".encode() + noise for word in words)

    answer = read(raw, NONCE)

    assert set(answer.sections) <= {"a"}
    assert answer.begun or not answer.sections


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_output_comes_back_between_any_noise(noise: bytes, output: bytes) -> None:
    frame = [f"\n{NONCE} begin\n\n{NONCE} section a\n".encode(), output]
    frame += [f"\n{NONCE} exit a 7\n\n{NONCE} end\n".encode()]

    answer = read(noise + b"".join(frame), NONCE)

    assert answer.sections == {"a": SectionOutput(output, 7)}
    assert answer.noise == noise
