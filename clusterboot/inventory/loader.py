"""A cluster file becomes a ``Cluster``, or one error that has every problem of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .cluster import Cluster
from .clusterboot_block import make_options, settle_references
from .env import read_env
from .gateways import Routes, make_hosts
from .locations import Operator, named_config
from .logins import Reading
from .model import OptionsBlock
from .name_rules import check_cluster_name
from .problems import Problems, RuleError
from .selection import select
from .ssh_config import SshConfig
from .validate import validate
from .yamlfile import read


def load(
    path: Path,
    *,
    hosts: str | None = None,
    exclude: str | None = None,
    ssh_config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Cluster:
    """Read and check a cluster file.

    Parameters: the file; the folded sets given with ``--hosts`` and ``--exclude``; the
    ssh_config to read in place of ``~/.ssh/config`` and ``/etc/ssh/ssh_config``, as with
    ``ssh -F``; the operator's environment.
    Returns: the cluster with the hosts chosen, in the file's order.
    Errors: :class:`~clusterboot.inventory.problems.ConfigError` with every problem of the
    file and of the ssh_config lines it depends on; ``UsageError`` for a choice of hosts
    that are not in it.
    """
    problems = Problems(path)
    warnings: list[str] = []
    document = read(path, problems)
    operator = Operator.here(environ)
    env = read_env(document.node(("env",)), environ, problems)
    checked = validate(document, problems, warnings)
    if checked is None:
        problems.raise_if_any()
        raise AssertionError("a file that cannot be used has a problem")
    fleet = checked.fleet
    config = SshConfig(operator, ssh_config or named_config(environ), problems, warnings)
    context = Reading(document, path.parent, operator, config, problems, warnings)
    routes = Routes(context, fleet.ssh_config)
    all_hosts = make_hosts(context, fleet.ssh_config, routes)
    options = make_options(context, fleet.clusterboot or OptionsBlock())
    if checked.whole:
        options = settle_references(context, options, all_hosts, routes.named)
    name = fleet.name or _name_from(path, document.node(("name",)) is None, problems)
    problems.raise_if_any()
    return Cluster(
        name,
        path,
        select(all_hosts, wanted=hosts, unwanted=exclude),
        network=fleet.ssh_config.network,
        env=env,
        options=options,
        warnings=tuple(warnings),
        all_names=tuple(host.name for host in all_hosts),
    )


def _name_from(path: Path, missing: bool, problems: Problems) -> str:
    """Name a fleet that has no name, as dstack allows, after its file."""
    stem = path.name.partition(".")[0]
    try:
        return check_cluster_name(stem)
    except RuleError as error:
        if missing:
            cause = f"'name' is missing, and the file's name gives none: {error.cause}"
            problems.add(1, cause, "add 'name: my-fleet'")
        return stem
