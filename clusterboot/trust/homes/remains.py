"""What is left of clusterboot on a node, for a teardown to take back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from clusterboot.nodes.script import Section, SectionOutput

from .. import survey
from .known import OWN_DIR, NodeFile

# In the order of their change: what can lock somebody out goes last.
_FILES = ("config", "authorized_keys")
_CREATED = '[ ! -f "$d/created" ] || head -c 65536 "$d/created" 2>/dev/null'


@dataclass(frozen=True)
class Remains:
    """The user's files as they are, which of them clusterboot made, and its own folder if it is there.

    ``installed`` is true where a bootstrap came so far that the user's files may have lines of its.
    ``left_behind`` is as in :class:`clusterboot.trust.Survey`.
    """

    files: tuple[NodeFile, ...]
    created: tuple[str, ...]
    own_dir: str | None
    installed: bool = False
    left_behind: bool = False


def sections(cluster: str) -> tuple[Section, ...]:
    """Give the script that looks for what a teardown of ``cluster`` has to take back."""
    own = shlex.quote(OWN_DIR.format(name=cluster))
    state = '[ -e "$d" ] || exit 0\n[ -e "$d/config" ] && echo installed || echo present'
    remains = f'd="$HOME/"{own}\n{state}\n{_CREATED}\nexit 0'
    left = Section("keys.left", survey.SHOW_LEFT)
    files = (survey.file_section(name, cluster) for name in _FILES)
    return (Section("keys.remains", remains), left, *files)


def parse(outputs: Mapping[str, SectionOutput], cluster: str) -> Remains:
    """Read what :func:`sections` said."""
    state, *created = outputs["keys.remains"].text.splitlines() or [""]
    return Remains(
        files=tuple(survey.parse_file(outputs, name, cluster) for name in _FILES),
        created=tuple(created),
        own_dir=OWN_DIR.format(name=cluster) if state else None,
        installed=state == "installed",
        left_behind="left" in outputs["keys.left"].text,
    )
