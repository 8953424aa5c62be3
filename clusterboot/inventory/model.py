"""The cluster file's schema: every key that may stand in it, with its type.

The keys outside the ``clusterboot`` block are dstack's (``FleetConfiguration`` and
``SSHParams`` in dstack's ``core/models/fleets.py``), so that its SSH fleet files are read
as they are. ``env`` is read in :mod:`clusterboot.inventory.env`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clusterboot.mpi.launchers import LAUNCHERS

from .cluster import KexOrder, KeyMode, ResultsAccess, VerifyMode
from .name_rules import (
    check_cluster_name,
    check_hca,
    check_hostname,
    check_ip,
    check_line,
    check_module,
    check_network,
    check_remote_folder,
    check_user,
    parse_hop,
)
from .nodeset import expand
from .problems import RuleError, shown
from .publickey import check_public_key

# Keys that a dstack fleet may have for clouds; without meaning for machines that are there.
CLOUD_KEYS = frozenset(
    {
        "availability_zones",
        "backend_options",
        "backends",
        "creation_policy",
        "idle_duration",
        "instance_types",
        "max_price",
        "nodes",
        "regions",
        "reservation",
        "resources",
        "retry",
        "spot_policy",
        "tags",
        "termination_idle_time",
        "termination_policy",
    }
)

# The collectives that nccl-tests has a program for, and the one word each is called by.
Collective = Literal[
    "all_gather",
    "all_reduce",
    "alltoall",
    "alltoallv",
    "broadcast",
    "gather",
    "hypercube",
    "reduce",
    "reduce_scatter",
    "scatter",
    "sendrecv",
]


def _digits(value: Any) -> Any:
    """Take a number in quotes for the number, as dstack does."""
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10
        else value
    )


def as_list(value: Any) -> Any:
    """Let one thing stand where a list of it may stand."""
    return value if isinstance(value, list) or value is None else [value]


def _text(check: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Apply ``check`` to text; anything else is not text."""

    def apply(value: Any) -> Any:
        if not isinstance(value, str):
            raise RuleError(f"{shown(value)} is not text", "put it in quotes")
        return check(value)

    return apply


def as_network(value: Any) -> Any:
    """Read a subnet; what is absent stays so."""
    return None if value is None else _text(check_network)(value)


def _launcher(value: Any) -> Any:
    if value in list(LAUNCHERS):
        return value
    *others, last = map(repr, LAUNCHERS)
    raise PydanticCustomError("literal_error", "unknown", {"expected": f"{', '.join(others)} or {last}"})


def as_blocks(value: Any) -> Any:
    """Take what dstack allows for a number of blocks."""
    number = _digits(value)
    if value is None or number == "auto" or (type(number) is int and number >= 1):
        return number
    raise RuleError(f"{shown(value)} is neither a number of blocks nor auto", "write 1, the default")


def _hops(value: Any) -> Any:
    """Bring the three ways of naming gateways into one: a list of mappings, empty for ``none``."""
    if value is None:
        return None
    if isinstance(value, str):
        value = [] if value.strip().lower() == "none" else value.split(",")
    elif value == []:
        raise RuleError("an empty list of gateways", "write none, or name a gateway")
    elif not isinstance(value, list):
        value = [value]
    return value


def _mapping(value: Any, what: str) -> Any:
    if isinstance(value, dict | BaseModel):
        return value
    cause = f"{shown(value)} is neither the name of a {what} nor an object"
    raise RuleError(cause, "write its name, in quotes where it is a number")


@dataclass(frozen=True)
class _Folded:
    """A host given as a bare string, which may be folded; an object's hostname may not."""

    text: str


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, _Folded):
        return expand(value.text)
    if isinstance(value, str) and "[" in value:
        cause = f"{shown(value)} is folded, but stands in an object"
        raise RuleError(cause, "write it as a plain string, and its settings under ssh_config")
    return (_text(check_hostname)(value),)


HostName = Annotated[str, AfterValidator(check_hostname)]
User = Annotated[str, AfterValidator(check_user)]
Line = Annotated[str, AfterValidator(check_line)]
Port = Annotated[int, BeforeValidator(_digits), Field(ge=1, le=65535)]
RemoteFolder = Annotated[str, AfterValidator(check_remote_folder)]
PublicKey = Annotated[str, AfterValidator(check_public_key)]


class FileBlock(BaseModel):
    """A mapping of the file: nothing unknown in it, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Hop(FileBlock):
    """A gateway."""

    hostname: HostName
    user: User | None = None
    port: Port | None = None
    identity_file: Line | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value.strip().lower() == "none":
                raise RuleError(
                    "none stands among gateways", "write 'proxy_jump: none' alone, or take it out"
                )
            return parse_hop(value)
        return _mapping(value, "gateway")


Jump = Annotated[list[Hop] | None, BeforeValidator(_hops)]


class HostEntry(FileBlock):
    """An element of ``hosts``: one host, or all hosts of a folded string."""

    hostname: Annotated[tuple[str, ...], PlainValidator(_names)]
    name: HostName | None = None
    user: User | None = None
    port: Port | None = None
    identity_file: Line | None = None
    proxy_jump: Jump = None
    internal_ip: Annotated[str, AfterValidator(check_ip)] | None = None
    blocks: Annotated[int | str | None, PlainValidator(as_blocks)] = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"hostname": _Folded(value)} if isinstance(value, str) else _mapping(value, "host")


# Stands where a host was that could not be read.
NO_HOST = HostEntry.model_construct(hostname=())


class SshBlock(FileBlock):
    """``ssh_config``: the hosts, and how all of them are logged in to."""

    hosts: Annotated[list[HostEntry], Field(min_length=1)]
    user: User | None = None
    port: Port | None = None
    identity_file: Line | None = None
    proxy_jump: Jump = None
    network: Annotated[IPv4Network | IPv6Network | None, PlainValidator(as_network)] = None


class TrustBlock(FileBlock):
    """``clusterboot.trust``."""

    known_hosts: Annotated[list[Line] | None, BeforeValidator(as_list)] = None
    pins: dict[str, Annotated[list[PublicKey], BeforeValidator(as_list), Field(min_length=1)]] | None = None


class MpiBlock(FileBlock):
    """``clusterboot.mpi``."""

    kind: Annotated[str, BeforeValidator(_launcher)] | None = None
    prefix: RemoteFolder | None = None
    module: Annotated[str, AfterValidator(check_module)] | None = None
    args: list[Line] | None = None


class NcclBlock(FileBlock):
    """``clusterboot.nccl``."""

    tests_dir: RemoteFolder | None = None
    lib_dirs: Annotated[list[RemoteFolder] | None, BeforeValidator(as_list)] = None
    ib_hca: Annotated[str, AfterValidator(check_hca)] | None = None


class OptionsBlock(FileBlock):
    """``clusterboot``: what dstack has no word for."""

    keys: KeyMode | None = None
    certificate_hours: Annotated[int, Field(ge=1, le=8760)] | None = None
    verify: VerifyMode | None = None
    slots: Annotated[int, Field(ge=1, le=65536)] | None = None
    launch_from: HostName | None = None
    fanout: Annotated[int, Field(ge=1, le=1024)] | None = None
    kex_algorithms: KexOrder | None = None
    results_access: ResultsAccess | None = None
    trust: TrustBlock | None = None
    mpi: MpiBlock | None = None
    nccl: NcclBlock | None = None
    # Earlier versions called it by the second name.
    expected_busbw_gb_s: Annotated[
        dict[Collective, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None,
        Field(validation_alias=AliasChoices("expected_busbw_gb_s", "expected_busbw_gbps")),
    ] = None


class FleetFile(FileBlock):
    """The whole file."""

    type: Literal["fleet"]
    ssh_config: SshBlock
    name: Annotated[str, AfterValidator(check_cluster_name)] | None = None
    placement: Literal["any", "cluster"] | None = None
    blocks: Annotated[int | str | None, PlainValidator(as_blocks)] = None
    env: Any = None
    clusterboot: OptionsBlock | None = None


# The blocks by the key under which they stand.
BLOCKS: dict[str, type[FileBlock]] = {
    "": FleetFile,
    "ssh_config": SshBlock,
    "hosts": HostEntry,
    "proxy_jump": Hop,
    "clusterboot": OptionsBlock,
    "trust": TrustBlock,
    "mpi": MpiBlock,
    "nccl": NcclBlock,
}
