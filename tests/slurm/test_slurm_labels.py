"""The output of a step with labels, taken apart by tasks."""

from __future__ import annotations

from clusterboot.nodes.collector import Collector
from clusterboot.slurm.labels import LabelledOutput, exit_codes


def taken_apart(text: bytes, tasks: int, chunk: int) -> tuple[list[bytes], tuple[str, ...]]:
    collectors = [Collector() for _ in range(tasks)]
    output = LabelledOutput(collectors)
    for at in range(0, len(text), chunk):
        output(text[at : at + chunk])
    return [bytes(collector.data) for collector in collectors], output.words


def test_lines_of_tasks_are_kept_apart_whatever_is_in_them() -> None:
    text = b" 0: 1: not a label\n 1: a\0b\r\nsrun: error: n3: task 2: Exited with exit code 1\n 0: \n"
    for chunk in (1, 7, 1000):
        assert taken_apart(text, 2, chunk) == (
            [b"1: not a label\n\n", b"a\0b\r\n"],
            ("srun: error: n3: task 2: Exited with exit code 1",),
        )


def test_a_long_line_is_put_together_again() -> None:
    """slurmstepd sends it in pieces of 1024 bytes, and srun ends each with a line break."""
    pieces = b"0: " + b"x" * 1024 + b"\n" + b"1: y\n" + b"0: " + b"x" * 1024 + b"\n0: x\n"
    assert taken_apart(pieces, 2, 100)[0] == [b"x" * 2049 + b"\n", b"y\n"]


def test_a_task_without_end_is_cut_off_and_the_others_are_not() -> None:
    output = LabelledOutput([Collector(), kept := Collector()])
    line = b"0: " + b"x" * 1000 + b"\n"
    for _ in range(17):
        output(line * 1024)
    output(b"1: done\n")
    assert output.overflowed == {0}
    assert kept.data == b"done\n"


def test_exit_codes_of_tasks_are_read() -> None:
    assert exit_codes(
        [
            "srun: error: n1: task 0: Exited with exit code 3",
            "srun: error: n[2-4]: tasks 1-2,4: Exited with exit code 99",
            "srun: error: n[2-4]: tasks x: Exited",
        ]
    ) == {0: 3, 1: 99, 2: 99, 4: 99}
