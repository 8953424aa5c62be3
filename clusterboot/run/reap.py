"""Ending what is left of a run on any node, and finding runs whose supervisor died."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.mpi.script_names import cluster_folder, ends_file, is_token, token
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput

from .supervise import shell_text

# A node that has not answered by then is left on record for the next run.
_ANSWER_S = 15.0
_END = re.compile(r"ended (\d{1,9}) (\d{1,3})")
# So many lines are more ranks than a node has.
_MOST_ENDS = 4096


@dataclass(frozen=True)
class BadEnd:
    """A rank's program that did not end well, as its own node saw it.

    ``exit_code`` is in the shell's convention, above 128 for a signal.
    """

    rank: int
    exit_code: int

    @property
    def signal(self) -> int | None:
        """The number of the signal that ended it, where the exit code says one."""
        return self.exit_code - 128 if 128 < self.exit_code < 160 else None


@dataclass(frozen=True)
class Reaped:
    """Process ids of a run on one node: those that were killed and those that would not go.

    ``bad_ends`` are those of its ranks that had ended before, and not well.
    """

    killed: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    bad_ends: tuple[BadEnd, ...] = ()


def reaping(cluster: str, run_id: str) -> Question[Reaped]:
    """Have a node end every process of this user that belongs to one run.

    Processes are known by the run's mark in their environment or on their command line,
    never by name, and are killed outright: what is left of a run holds GPUs and ports.

    Parameters: the cluster's name and the run's.
    Errors: ``ValueError`` for a name that is not one.
    """
    body = [
        shell_text("sweep.sh"),
        f'ends="$HOME/{ends_file(cluster, run_id)}.$(uname -n | tr -cd A-Za-z0-9.-)"',
        # Before anything is killed: that is no end of a rank's own.
        f'[ ! -f "$ends" ] || [ -L "$ends" ] || head -n {_MOST_ENDS} "$ends" | sed "s/^/ended /"',
        'rm -f "$ends"',
        f"sweep {token(run_id, 'a run')}",
        'rm -f "$ends"',
        'echo "killed$killed"',
        'echo "left$left"',
    ]
    return Question.of_one(Section("reap", "\n".join(body)), parse_reaped, "launch", _ANSWER_S)


def parse_reaped(output: SectionOutput) -> Reaped:
    """Read what :func:`reaping` did on a node."""
    found: dict[str, tuple[int, ...]] = {}
    lines = output.text.splitlines()
    ends = tuple(BadEnd(int(m[1]), int(m[2])) for line in lines if (m := _END.fullmatch(line)))
    for line in lines:
        word, *numbers = line.split() or [""]
        if word in ("killed", "left") and all(number.isdecimal() for number in numbers):
            found[word] = tuple(map(int, numbers))
    return Reaped(found.get("killed", ()), found.get("left", ()), ends[:_MOST_ENDS])


def orphans(cluster: str) -> Question[tuple[str, ...]]:
    """Have a node name recorded runs that nothing watches any more.

    A run's folder outlives the run only where its supervisor was killed or the node lost
    power. Such a folder is taken away here, after its run's name has been told, so that the
    caller can reap that run on all nodes. Where nodes share a home, each looks at its own only.

    Parameters: the cluster's name.
    Errors: ``ValueError`` for a name that is not one.
    """
    body = f"""\
cd || exit 1
here=$(uname -n)
boot=$(cat /proc/sys/kernel/random/boot_id)
for run in {cluster_folder(cluster)}/runs/* {cluster_folder(cluster)}/runs/.new.*; do
	[ -d "$run" ] || continue
	name=${{run##*/}} pid= born= host= booted= now=
	read -r pid born host booted <"$run/supervisor"
	# One that is only being made has none yet, another machine's is not for this one to judge.
	[ -n "$booted" ] || [ "$name" = "${{name#.new.}}" ] || continue
	[ "${{host:-$here}}" = "$here" ] || continue
	[ "${{booted:-$boot}}" = "$boot" ] && [ -n "$born" ] && read -r now <"/proc/$pid/stat"
	set -- ${{now##*) }}
	[ $# -ge 20 ] && shift 19 && [ "$1" = "$born" ] && continue
	echo "orphan ${{name#.new.}}"
	rm -rf "$run"
done 2>/dev/null
exit 0"""
    return Question.of_one(Section("orphans", body), parse_orphans, "launch")


def parse_orphans(output: SectionOutput) -> tuple[str, ...]:
    """Read the names of the runs that :func:`orphans` found."""
    lines = (line.split(" ") for line in output.text.splitlines())
    return tuple(line[1] for line in lines if len(line) == 2 and line[0] == "orphan" and is_token(line[1]))
