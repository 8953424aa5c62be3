"""Nothing that a node says steers a terminal, and nothing that it means is lost."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterboot.document import render
from clusterboot.printable import one_line, printable

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "\x1b[2J\x1b[Hred",
    "title, bell": "\x1b]0;owned\x07red",
    "title, string terminator": "\x1b]0;owned\x1b\\red",
    "title, C1": "\x9d0;owned\x9cred",
    "hyperlink": "\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07red",
    "device control": "\x1bP$q\x1b\\red",
    "C1 sequence": "\x9b31mred",
    "C1 device control": "\x90x\x9cred",
    "charset": "\x1b(0red",
    "reset": "\x1bcred",
    "keypad": "\x1b=red",
    "8-bit next line": "\x85red",
    "carriage return": "ba\rred".replace("ba", ""),
    "backspace": "\x08red",
    "delete": "\x7fred",
    "nul": "r\0ed",
    "bidi override": "\u202ered\u202c",
    "bidi isolate": "\u2066red\u2069",
    "marks of direction": "\u200ered\u200f\u061c",
    "zero width space": "r\u200bed",
    "byte order mark": "\ufeffred",
    "soft hyphen": "r\xaded",
    "invisible operators": "r\u2061\u2062\u2063\u2064ed",
    "tags": "red" + "".join(chr(0xE0000 + ord(c)) for c in "hidden"),
    "interlinear": "\ufff9red\ufffb",
    "line separator": "\u2028red\u2029",
    "lone surrogate": "\ud800red\udfff",
    "private use": "\ue000red\U000f0000",
    "unassigned": "red\U000e1000\uffff",
    "half an escape at the end": "red\x1b",
    "half a sequence at the end": "red\x1b[",
    "lonely joiners": "\u200dred\u200c\u200c"[:4],
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_steers_is_taken_out_and_the_word_stays(text: str) -> None:
    assert printable(text).rstrip("[") == "red"


KEPT = [
    "plain ASCII ~!@#",
    "tab\tand\nline",
    "Grüße, naïve façade",
    "e\u0301 combining, Tiếng Việt",
    "Ελληνικά Русский",
    "עברית العربية",
    "मानक हिन्दी क्\u200dष",
    "می\u200cخواهم",  # noqa: RUF001
    "ภาษาไทย ที่",
    "日本語 中文 한국어",
    "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 👍🏽",
    "✓ … → ±",
    "\ufffd",
]


@pytest.mark.parametrize("text", KEPT)
def test_text_of_every_script_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert printable(text.encode()) == text


def test_a_pile_of_marks_is_cut_down() -> None:
    assert len(printable("a" + "\u0301" * 1000 + "b")) == 10


def test_a_string_without_an_end_hides_its_own_line_alone() -> None:
    assert printable("\x1b]0;never ends\nFAIL: the next line") == "\nFAIL: the next line"


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert printable(b"a\xff\xfeb") == "a\ufffd\ufffdb"


STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
pieces = st.lists(
    st.sampled_from([*HOSTILE.values(), "\x1b", "[", "]", "\x9b", "\\", "m", "\x07"]), max_size=8
)


@given(st.one_of(anything, pieces.map("".join)))
@example("\x1b\x1b[[31m31m")
@example("\x1b[\x1b[31m31m")
@example("\x1b\x9b")
def test_nothing_that_steers_is_left_in_anything(text: str) -> None:
    clean = printable(text)

    assert not STEERING.search(clean)
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn") or char in "\n\t" for char in clean)
    assert printable(clean) == clean
    clean.encode()


@given(st.binary(max_size=80))
def test_any_bytes_become_safe_text(data: bytes) -> None:
    assert not STEERING.search(printable(data))


@given(anything)
def test_one_line_is_one_short_line(text: str) -> None:
    line = one_line(text, 20)

    assert len(line) <= 20
    assert "\n" not in line
    assert "\t" not in line


def test_one_line_keeps_the_end_of_megabytes() -> None:
    assert one_line("x" * 5_000_000 + " the cause").endswith("x the cause")
    assert one_line(b"\x1b]0;x\x07" * 1_000_000 + b" the cause").endswith("the cause")


@given(anything)
def test_json_is_as_clean(text: str) -> None:
    rendered = render({"text": text, text: [text]})

    assert not STEERING.search(rendered.replace("\n", ""))
    json.loads(rendered)
