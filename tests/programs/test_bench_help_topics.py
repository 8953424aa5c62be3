"""All that Open MPI, PRRTE and PMIx print between two rules: what ends a run is its cause, with its host."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from clusterboot.programs.messages.frames import RULE
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.verdict.verdict import judge

TOPICS = [
    line.split("; ", 3)
    for line in (Path(__file__).parent / "help_topics.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
# Where Debian and Ubuntu keep the help files of what they install.
INSTALLED = sorted(Path("/usr/share").glob("*/help-*.txt"))
FILLS = {"s": "thing", "d": "3", "u": "3", "x": "3", "X": "3", "i": "3", "p": "0x3", "c": "x", "f": "3.0"}


def framed(said: str, tag: str = "") -> str:
    return "".join(f"{tag}{line}\n" for line in (RULE, *said.split("\n"), RULE))


def found(log: str) -> list[tuple[str, str | None]]:
    return [(each.kind, each.host) for each in judge(parse_log(log)).overall.problems]


def right(kind: str, host: str) -> list[tuple[str, str | None]]:
    return [] if kind == "-" else [(kind, None if host == "-" else host)]


@pytest.mark.parametrize(
    ("width", "tag"), [(None, ""), (32, ""), (50, "[1,0]<stderr>:"), (70, "[prterun-n1-7@1,3]<stderr>: ")]
)
def test_every_topic_that_ends_a_run_is_its_cause(width: int | None, tag: str) -> None:
    wrong = []
    for topic, kind, host, words in TOPICS:
        parts = words.split("|")
        if width:
            parts = [line for part in parts for line in textwrap.wrap(part, width, break_long_words=False)]
        answer = found(framed("\n".join(parts), tag))
        if answer != right(kind, host):
            wrong.append((topic, answer))
    assert wrong == []
    assert len(TOPICS) > 800


def texts(path: Path) -> dict[str, str]:
    """Give the topics of one help file, with something in the place of each conversion."""
    parts = re.split(
        r"^\[([^\]]+)\]$", path.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE
    )
    said = {
        topic: re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE).strip()
        for topic, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    return {
        topic: re.sub(r"%[-+ 0#]*\d*(?:\.\d+)?(?:hh?|ll?|z)?([sdiuxXpcf])", lambda each: FILLS[each[1]], text)
        for topic, text in said.items()
    }


def test_the_whole_texts_that_are_installed_say_the_same() -> None:
    listed = {topic: kind for topic, kind, _, _ in TOPICS}
    wrong, seen = [], 0
    for path in INSTALLED:
        name = re.sub("orte|prte", "rte", path.stem.removeprefix("help-"))
        for topic, text in texts(path).items():
            kind = listed.get(f"{name}:{topic}")
            if kind is not None:
                seen += 1
                answer = [each for each, _ in found(framed(re.sub("^thing", "mpirun", text)))]
                if answer != ([] if kind == "-" else [kind]):
                    wrong.append((path.name, topic, answer))
    assert wrong == []
    assert seen > 100
