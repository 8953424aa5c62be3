"""The cluster file of a Slurm cluster: every key that may stand in it, with its type."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from .model import (
    BLOCKS,
    FileBlock,
    HostName,
    Jump,
    Line,
    OptionsBlock,
    Port,
    User,
    as_blocks,
    as_list,
    as_network,
)
from .name_rules import check_cluster_name
from .nodeset import expand
from .problems import RuleError, shown

# What clusterboot itself says to salloc: said twice, the job would be another than the one that it asks for.
_OWN_WORDS = re.compile(
    r"-[NnwtpJH].*|--(no-shell|nodes|ntasks|nodelist|time|partition|job-name|exclusive|mem|chdir)(=.*)?"
)
# A partition is a word in a list that commas divide.
_PARTITION = re.compile(r"(?!-)[A-Za-z0-9._+-]{1,64}")


def _partition(text: str) -> str:
    if not _PARTITION.fullmatch(text):
        raise RuleError(f"{shown(text)} is not a partition's name", "write it as 'sinfo' lists it")
    return text


def _nodes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a set of nodes", "write it like gpu[001-064]")
    return tuple(dict.fromkeys(expand(value)))


def _word(text: str) -> str:
    if not text.startswith("-"):
        raise RuleError(f"{shown(text)} is not an option of salloc", "write it in one word: --option=value")
    if _OWN_WORDS.fullmatch(text):
        raise RuleError(f"{shown(text)} is given to salloc already", "take it out; 'slurm' has a key for it")
    return text


class SlurmLogin(FileBlock):
    """``slurm.login``: the machine that has Slurm's commands, and how it is logged in to."""

    hostname: HostName
    user: User | None = None
    port: Port | None = None
    identity_file: Line | None = None
    proxy_jump: Jump = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"hostname": value} if isinstance(value, str) else value


class SlurmBlock(FileBlock):
    """``slurm``: which nodes, and what Slurm is asked for."""

    partition: Annotated[
        list[Annotated[str, AfterValidator(_partition)]], BeforeValidator(as_list), Field(min_length=1)
    ]
    nodes: Annotated[tuple[str, ...], PlainValidator(_nodes)] = ()
    login: SlurmLogin | None = None
    network: Annotated[IPv4Network | IPv6Network | None, PlainValidator(as_network)] = None
    account: Line | None = None
    qos: Line | None = None
    reservation: Line | None = None
    constraint: Line | None = None
    time_limit_minutes: Annotated[int, Field(ge=1, le=525600)] | None = None
    gpus_per_node: Annotated[int, Field(ge=1, le=1024)] | None = None
    args: list[Annotated[Line, AfterValidator(_word)]] | None = None


class SlurmFile(FileBlock):
    """The whole file."""

    type: Literal["slurm"]
    slurm: SlurmBlock
    name: Annotated[str, AfterValidator(check_cluster_name)] | None = None
    placement: Literal["any", "cluster"] | None = None
    blocks: Annotated[int | str | None, PlainValidator(as_blocks)] = None
    env: Any = None
    clusterboot: OptionsBlock | None = None


# The blocks by the key under which they stand, in place of a fleet's.
SLURM_BLOCKS: dict[str, type[FileBlock]] = {
    "": SlurmFile,
    "slurm": SlurmBlock,
    "login": SlurmLogin,
    **{key: block for key, block in BLOCKS.items() if key not in ("", "ssh_config", "hosts")},
}
