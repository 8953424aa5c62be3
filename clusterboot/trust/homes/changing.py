"""Who changes a cluster, told on its nodes: two operators on two machines see each other there."""

from __future__ import annotations

import re
import shlex

from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.printable import one_line

from . import install
from .known import LONGEST_CHANGE_S, Holder

# Without a process where nobody is at it, as mostly.
_LOOK = """f="$HOME/"OWN/changing
[ -f "$f" ] && [ ! -L "$f" ] || exit 0
echo "changing seen $(($(date +%s) - $(stat -c %Y "$f"))) $(head -c 400 "$f" | head -n 1)"
exit 0"""
_HELD = re.compile(r"(?m)^changing (?:seen|held) (-?\d{1,12}) (\S+) (\S+) (\S+) (\S+)$")
# Nodes that share a home are measured by themselves.
_MEASURING = '"measuring.$(uname -n | tr -cd A-Za-z0-9.-)"'
# After a day a claim for a measurement that somebody else left behind counts no more.
_LONGEST_RUN_S = 24 * 3600
#: The longest that taking or releasing takes, in seconds: single writes are waited for.
TIMEOUT_S = install.TIMEOUT_S


def claim(cluster: str, operator: str, command: str, who: str) -> Question[Holder | None]:
    """Claim a node for a command, where the cluster's own folder is there; who else holds it answers.

    Parameters: ``operator`` is the operator's lasting name: a claim that it left behind is its own
    still. ``command`` and ``who`` are words for others to read.
    """
    words = (operator, str(LONGEST_CHANGE_S), _word(command), _word(who))
    # Where no claim can be written nothing else can: that is no failure here.
    return Question.of_one(_section("keys.claim", cluster, "cb_claim", words), holder, "facts", TIMEOUT_S)


def release(cluster: str, operator: str) -> Question[None]:
    """Take a claim back, where it is this operator's."""
    section = _section("keys.release", cluster, "cb_release", (operator,))
    return Question.of_one(section, lambda _: None, "keys", TIMEOUT_S)


def measure(cluster: str, operator: str, command: str, who: str) -> Question[Holder | None]:
    """Claim a node for a measurement, as :func:`claim` does for a change; the two do not meet."""
    words = (operator, str(_LONGEST_RUN_S), _word(command), _word(who))
    section = _section("run.claim", cluster, "cb_claim", words, _MEASURING)
    return Question.of_one(section, holder, "launch", TIMEOUT_S)


def end_measurement(cluster: str, operator: str) -> Question[None]:
    """Take the claim for a measurement back, where it is this operator's."""
    section = _section("run.release", cluster, "cb_release", (operator,), _MEASURING)
    return Question.of_one(section, lambda _: None, "launch", TIMEOUT_S)


def look_section(cluster: str) -> Section:
    """Write the script that tells who changes the cluster, and changes nothing itself."""
    own = cluster_folder(cluster)
    return Section("keys.changing", _LOOK.replace("OWN", own))


def holder(said: SectionOutput) -> Holder | None:
    """Read who changes the cluster, as :func:`look_section` and a claim say it; ``None`` for nobody."""
    held = _HELD.search(said.text)
    if held is None:
        return None
    words = (one_line(held[3])[:40], one_line(held[4])[:80], one_line(held[5])[:60])
    return Holder(*words, max(0, int(held[1])), held[2])


def _section(
    name: str, cluster: str, function: str, words: tuple[str, ...], file: str = "changing"
) -> Section:
    own = f'"$HOME/"{cluster_folder(cluster)}'
    call = f"{function} {own} {file} {' '.join(map(shlex.quote, words))}"
    return Section(name, "\n".join((install.functions("install.sh"), install.functions("changing.sh"), call)))


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9@._-]", "_", text)[:80] or "?"
