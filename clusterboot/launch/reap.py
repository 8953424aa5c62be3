"""Ending what is left of a run on any node, and finding runs whose supervisor died."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterboot.connect.script import Section, SectionOutput
from clusterboot.launch.names import cluster_folder, token
from clusterboot.launch.supervise import shell_text

_RUN_ID = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Reaped:
    """Process ids of a run on one node: those that were killed and those that would not go."""

    killed: tuple[int, ...] = ()
    left: tuple[int, ...] = ()


def reap_section(run_id: str) -> Section:
    """Describe how a node ends every process of this user that belongs to one run.

    Processes are known by the run's mark in their environment or on their command line,
    never by name, and are killed outright: what is left of a run holds GPUs and ports.

    Parameters: the run's name. Returns: a section for :func:`parse_reaped`.
    Errors: ``ValueError`` for a name that is not one.
    """
    body = [
        shell_text("sweep.sh"),
        f"sweep {token(run_id, 'a run')}",
        'echo "killed$killed"',
        'echo "left$left"',
    ]
    return Section("reap", "\n".join(body))


def parse_reaped(output: SectionOutput) -> Reaped:
    """Read what :func:`reap_section` did on a node."""
    found: dict[str, tuple[int, ...]] = {}
    for line in output.text.splitlines():
        word, *numbers = line.split() or [""]
        if word in ("killed", "left") and all(number.isdecimal() for number in numbers):
            found[word] = tuple(map(int, numbers))
    return Reaped(found.get("killed", ()), found.get("left", ()))


def orphans_section(cluster: str) -> Section:
    """Describe how a node lists recorded runs that nothing watches any more.

    A run's folder outlives the run only where its supervisor was killed or the node lost
    power. Such a folder is taken away here, after its run's name has been told, so that the
    caller can reap that run on all nodes. Where nodes share a home, each looks at its own only.

    Parameters: the cluster's name. Returns: a section for :func:`parse_orphans`.
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
    return Section("orphans", body)


def parse_orphans(output: SectionOutput) -> tuple[str, ...]:
    """Read the names of the runs that :func:`orphans_section` found."""
    lines = (line.split(" ") for line in output.text.splitlines())
    return tuple(
        line[1] for line in lines if len(line) == 2 and line[0] == "orphan" and _RUN_ID.fullmatch(line[1])
    )
