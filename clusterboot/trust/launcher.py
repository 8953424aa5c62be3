"""A head that launches: a key of its own to the nodes, made there, and nothing else of it touched.

Its ssh is told the configuration in the cluster's own folder there, so that the user's stays as it
is; and no node can log in to it. It has such a key in every mode: a certificate, or the key that all
nodes share, would make it one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .homes import tagged_lines
from .homes.known import KEY_FILE, OWN_DIR, Edit, Member, NodeFile, Survey
from .homes.nodeconfig import render_config, render_known_hosts
from .plan import distinct_names
from .survey import changeable, usable


def config_path(cluster: str) -> str:
    """Give the configuration that ssh on the head is told, seen from its home."""
    return f"{OWN_DIR.format(name=cluster)}/config"


def launcher_edits(
    cluster: str, members: Sequence[Member], survey: Survey, *, cheap_exchange: bool, host: str
) -> tuple[Edit, ...]:
    """Plan the head's own files: whom it logs in to, and their host keys.

    Errors: :class:`PartialError` where one of them cannot be written.
    """
    members = distinct_names(members)
    name = survey.key.file if survey.key else KEY_FILE
    config = render_config(cluster, members, cheap_exchange=cheap_exchange, identity=name)
    edits = (
        tagged_lines.edit_own(usable(survey.own_known_hosts, host), render_known_hosts(members)),
        tagged_lines.edit_own(usable(survey.own_config, host), config),
    )
    return tuple(changeable(edit, host) for edit in edits if edit is not None)


def admission(
    cluster: str, head: Member, file: NodeFile, *, lacks_restrict: bool, host: str
) -> tuple[Edit, ...]:
    """Plan the line that lets the head in to a node, from its addresses only.

    Parameters: the head; the node's ``authorized_keys``; whether its sshd knows no ``restrict``.
    Errors: :class:`PartialError` where the file cannot be changed.
    """
    restrict = tagged_lines.RESTRICT_IN_FULL if lacks_restrict else tagged_lines.RESTRICT
    line = tagged_lines.authorized_line(cluster, [replace(head, key_owner=tagged_lines.LAUNCHER)], restrict)
    edit = tagged_lines.edit_launcher(usable(file, host), cluster, line)
    return (changeable(edit, host),) if edit else ()
