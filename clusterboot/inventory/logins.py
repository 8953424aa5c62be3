"""How one machine is logged in to: the cluster file first, then ssh_config, then OpenSSH's defaults."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .cluster import Login
from .locations import Operator
from .name_rules import canonical, check_hostname, check_user
from .openssh.ssh_config import Settings, SshConfig, expand_tokens
from .openssh.ssh_lines import Value
from .problems import Problems, RuleError, shown
from .yamlfile import YamlDocument

Where = tuple[str | int, ...]

# Those of OpenSSH's default keys that need no hardware; ssh(1), FILES.
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass
class Reading:
    """What is at hand while a cluster file is read."""

    document: YamlDocument
    folder: Path
    operator: Operator
    config: SshConfig
    problems: Problems
    warnings: list[str]
    _files: dict[tuple[str, int], Path] = field(default_factory=dict)
    _default_keys: tuple[Path, ...] | None = None

    def file(self, text: str | None, where: Where) -> Path | None:
        """Make the path of a file that the cluster file names at ``where``; it must be readable."""
        if text is None:
            return None
        line = self.document.line(where)
        if (text, line) not in self._files:
            self._files[text, line] = self._checked_file(text, line)
        return self._files[text, line]

    def _checked_file(self, text: str, line: int) -> Path:
        try:
            path = self.operator.path(text, base=self.folder)
        except RuleError as error:
            self.problems.add(line, error.cause, error.remedy)
            return Path(text)
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            self.problems.add(line, f"{shown(path)} does not exist", "correct the path")
        except OSError as error:
            self.problems.add(
                line, f"{shown(path)}: {error.strerror}", "correct the path, or its permissions"
            )
        else:
            self._check_readable(path, mode, line)
        return path

    def _check_readable(self, path: Path, mode: int, line: int) -> None:
        if not stat.S_ISREG(mode):
            self.problems.add(line, f"{shown(path)} is not a file", "correct the path")
        elif not os.access(path, os.R_OK):
            self.problems.add(line, f"{shown(path)} cannot be read", "check its permissions")

    def default_keys(self) -> tuple[Path, ...]:
        """Give the operator's keys under OpenSSH's default names."""
        if self._default_keys is None:
            folder = self.operator.home / ".ssh"
            self._default_keys = tuple(folder / name for name in _DEFAULT_KEYS if _is_file(folder / name))
        return self._default_keys

    def refuse(self, value: Value, error: RuleError) -> None:
        """Note that what an ssh_config line says cannot be used."""
        self.problems.add(value.line, error.cause, error.remedy, file=value.file)


def _is_file(path: Path) -> bool:
    """Tell whether a file is there; one behind a folder that is closed to the operator is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def make_login(
    context: Reading, settings: Settings, *, user: str | None, port: int | None, identity: Path | None
) -> Login:
    """Put a login together.

    Parameters: what ssh_config says about the machine; user, port and private key where
    the cluster file has them. A key from there is the only one that is tried.
    Returns: the login; what ssh_config says is checked like the cluster file's own words.
    """
    hostname = _hostname(context, settings)
    user = user or _checked(context, "User", settings.user, check_user) or context.operator.user
    port = port or (int(settings.port.text) if settings.port else 22)
    alias = _checked(context, "HostKeyAlias", settings.hostkey_alias, check_hostname)
    login = Login(hostname, user, port, hostkey_alias=alias.lower() if alias else None)
    paths = _Paths(context, _tokens(context.operator, settings.host, login))
    named = settings.identity_files
    configured = paths.existing(named) if named else context.default_keys()
    return replace(
        login,
        identity_files=(identity,) if identity else configured,
        identities_only=identity is not None or bool(settings.identities_only),
        known_hosts_files=paths.known_hosts(settings.known_hosts_files),
        certificate_files=paths.existing(settings.certificate_files),
        identity_agent=_agent(paths, context.operator, settings.identity_agent),
    )


def _hostname(context: Reading, settings: Settings) -> str:
    try:
        # As OpenSSH dials it and looks it up in known_hosts: resolve_canonicalize() in its ssh.c.
        return canonical(check_hostname(settings.dialled))
    except RuleError as error:
        if settings.hostname:
            context.refuse(settings.hostname, RuleError(f"HostName: {error.cause}", error.remedy))
        return settings.host


def _checked(context: Reading, keyword: str, value: Value | None, rule: Callable[[str], str]) -> str | None:
    """Give what a line of ssh_config says; ``None`` where there is none, or its rule refuses it."""
    if value is None:
        return None
    try:
        return rule(value.text)
    except RuleError as error:
        context.refuse(value, RuleError(f"{keyword}: {error.cause}", error.remedy))
        return None


def _tokens(operator: Operator, host: str, login: Login) -> dict[str, str]:
    """Give what the tokens of ssh_config(5) stand for; ``host`` is the name as it was given."""
    return {
        "d": str(operator.home),
        "h": login.hostname,
        "i": str(operator.uid),
        "k": login.hostkey_alias or host,
        "L": operator.hostname.partition(".")[0],
        "l": operator.hostname,
        "n": host,
        "p": str(login.port),
        "r": login.user,
        "u": operator.user,
    }


@dataclass(frozen=True)
class _Paths:
    """Makes paths of what ssh_config has for files: ``~``, tokens and ``${VARIABLE}`` resolved."""

    context: Reading
    tokens: Mapping[str, str]

    def expand(self, value: Value) -> str | None:
        operator = self.context.operator
        try:
            text = expand_tokens(str(operator.path(value.text)), self.tokens)
            return re.sub(r"\$\{([^}]*)\}", self._variable, text)
        except RuleError as error:
            self.context.refuse(value, error)
            return None

    def _variable(self, match: re.Match[str]) -> str:
        if match[1] not in self.context.operator.environ:
            raise RuleError(f"the variable {shown(match[1])} is not set", "set it, or write the path in full")
        return self.context.operator.environ[match[1]]

    def existing(self, values: Iterable[Value]) -> tuple[Path, ...]:
        """Give the files that are there: ssh passes over the others in silence, and over ``none``."""
        texts = [self.expand(value) for value in values if value.text.lower() != "none"]
        return tuple(Path(text) for text in texts if text and _is_file(Path(text)))

    def known_hosts(self, values: list[Value]) -> tuple[Path, ...]:
        """Give the files named; ``none`` is the empty file, as no name at all means the default ones."""
        if values and values[0].text.lower() == "none":
            return (Path(os.devnull),)
        return tuple(Path(text) for value in values if (text := self.expand(value)))


def _agent(paths: _Paths, operator: Operator, value: Value | None) -> str | None:
    """Read ``IdentityAgent``: ``none``, ``SSH_AUTH_SOCK``, ``$VARIABLE`` or a path (ssh_config(5))."""
    if value is None or value.text == "SSH_AUTH_SOCK":
        return None
    if value.text.lower() == "none":
        return "none"
    if value.text.startswith("$") and not value.text.startswith("${"):
        return operator.environ.get(value.text[1:], "none")
    return paths.expand(value)
