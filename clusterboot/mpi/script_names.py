"""The names and paths that stand in scripts for the nodes, checked before they get there."""

from __future__ import annotations

import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9._:-]+")


def new_run_id() -> str:
    """Make a name for one run: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def is_token(text: str) -> bool:
    """Tell whether :func:`token` lets a name through."""
    return bool(_TOKEN.fullmatch(text)) and not text.startswith("-") and text not in (".", "..")


def token(text: str, what: str) -> str:
    """Refuse a name that could be read as anything but a name by a shell, a path or ssh.

    Parameters: the name; what it is, for the message.
    Returns: the name. Errors: ``ValueError`` for a name outside ``[A-Za-z0-9._:-]``, one that
    begins with ``-``, and the folders ``.`` and ``..``.
    """
    if not is_token(text):
        raise ValueError(f"{text!r} is not usable as the name of {what}")
    return text


def cluster_folder(cluster: str) -> str:
    """Give the folder on a node that is clusterboot's, seen from the home directory."""
    return f".ssh/clusterboot/{token(cluster, 'a cluster')}"


def run_folder(cluster: str, run_id: str) -> str:
    """Give the folder on the launching node that one run has while it lives.

    Seen from the home directory, where the launcher is started.
    """
    return f"{cluster_folder(cluster)}/runs/{token(run_id, 'a run')}"


def ends_file(cluster: str, run_id: str) -> str:
    """Give the file in which a node keeps which ranks of a run did not end well, without the node's name."""
    return f"{cluster_folder(cluster)}/ends.{token(run_id, 'a run')}"


def bench_folder(cluster: str, digest: str) -> str:
    """Give the folder that has the benchmark built from the sources of this digest."""
    return f"{cluster_folder(cluster)}/bench/{token(digest, 'a build')}"
