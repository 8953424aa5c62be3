"""The messages of OpenSSH's control socket, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterboot.ssh import mux


def test_what_is_sent_is_what_the_protocol_has() -> None:
    assert mux.hello() == bytes.fromhex("00000008 00000001 00000004")
    assert mux.alive_check(7) == bytes.fromhex("00000008 10000004 00000007")
    assert mux.new_stdio_forward(1, "gpu1", 22) == (
        bytes.fromhex("00000018 10000008 00000001 00000000 00000004") + b"gpu1" + bytes.fromhex("00000016")
    )


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=200)), max_size=5), st.integers(0, 1200)
)
def test_messages_come_apart_wherever_they_were_cut(messages: list[tuple[int, bytes]], cut: int) -> None:
    wire = b"".join(struct.pack(">II", 4 + len(body), number) + body for number, body in messages)
    found, rest = [], wire[:cut]
    for data in (b"", wire[cut:]):
        rest += data
        while (taken := mux.split(rest)) is not None:
            message, rest = taken
            found.append((message.number, message.body))

    assert found == messages
    assert rest == b""


@given(st.binary(max_size=100))
def test_junk_is_refused_or_waited_for_and_nothing_else(data: bytes) -> None:
    try:
        taken = mux.split(data)
    except mux.NotMuxError:
        return
    assert taken is None or len(taken[1]) < len(data)


@pytest.mark.parametrize("length", [0, 3, 1 << 20])
def test_a_length_that_is_none_is_refused(length: int) -> None:
    with pytest.raises(mux.NotMuxError):
        mux.split(struct.pack(">I", length) + b"\0" * 8)


@given(st.binary(max_size=60))
def test_the_words_of_a_refusal_are_read_from_any_bytes(body: bytes) -> None:
    assert isinstance(mux.reason(body), str)
