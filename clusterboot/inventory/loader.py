"""A cluster file becomes a ``Cluster``, or one error that has every problem of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .cluster import Cluster
from .clusterboot_block import make_options, settle_references
from .env import read_env
from .gateways import Routes, make_hosts
from .locations import Operator
from .logins import Reading
from .model import FleetFile, OptionsBlock
from .name_rules import check_cluster_name
from .openssh.ssh_config import SshConfig
from .problems import Problems, RuleError
from .selection import select
from .slurm_options import make_slurm, settle_slurm, slurm_hosts
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
    file = checked.file
    config = SshConfig(operator, ssh_config, problems, warnings)
    context = Reading(document, path.parent, operator, config, problems, warnings)
    options = make_options(context, file.clusterboot or OptionsBlock())
    if isinstance(file, FleetFile):
        slurm, network = None, file.ssh_config.network
        routes = Routes(context, file.ssh_config)
        all_hosts = make_hosts(context, file.ssh_config, routes)
        if checked.whole:
            options = settle_references(context, options, all_hosts, routes.named)
    else:
        slurm, network = make_slurm(context, file.slurm), file.slurm.network
        all_hosts = slurm_hosts(slurm.nodes)
        if checked.whole:
            options = settle_slurm(context, options, slurm)
    name = file.name or _name_from(path, document.node(("name",)) is None, problems)
    problems.raise_if_any()
    # Which nodes a partition has, Slurm says later.
    chosen = select(all_hosts, wanted=hosts, unwanted=exclude) if all_hosts else ()
    return Cluster(
        name,
        path,
        chosen,
        network=network,
        env=env,
        options=options,
        warnings=tuple(warnings),
        all_names=tuple(host.name for host in all_hosts),
        slurm=slurm,
        wanted=hosts,
        unwanted=exclude,
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
