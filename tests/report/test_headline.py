"""The one line that says what a command came to."""

from __future__ import annotations

import pytest

from clusterboot.errors import ExitCode
from clusterboot.headline import Ending, headline

SILENT = "the launching node heard nothing of this machine for 5 s, and ended it"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("it was interrupted", "inconclusive: interrupted"),
        (SILENT, f"inconclusive: interrupted; {SILENT}"),
    ],
)
def test_what_ended_a_run_is_said_unless_its_reader_did(reason: str, text: str) -> None:
    ending = Ending("inconclusive", reason, cut_short="interrupted")

    assert headline((), ExitCode.INTERRUPTED, ending).text == text
