"""What OpenSSH's client configuration says about one host, without asking ``ssh``.

The first value found wins, ``Host`` and ``Match`` blocks are tried in the file's order
against what is known so far, and ``Match final`` or ``CanonicalizeHostname`` brings a second pass.
Nothing is run: ``Match exec`` and its like never match, and are named in a warning. Nothing is
resolved but what ``CanonicalizeHostname`` has to be.
Source: ssh_config(5); ``match_cfg_line`` in OpenSSH's ``readconf.c``, ``main`` in ``ssh.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterboot.inventory.locations import Operator
from clusterboot.inventory.name_rules import check_port
from clusterboot.inventory.problems import Problems, RuleError, shown

from .ssh_canonical import (
    Canonicalization,
    NameServerSilentError,
    Resolve,
    ask_name_servers,
    canonical_name,
    canonicalization,
)
from .ssh_lines import CANONICAL_KEYWORDS, BadLineError, Directive, HostBlock, Reader, Value, next_word
from .ssh_patterns import pattern_list

_BARE_CRITERIA = ("canonical", "final")
_MATCH_CRITERIA = ("host", "originalhost", "user", "localuser")
# What is kept of each keyword: the first value, or all of them.
_FIRST = {
    "hostkeyalias": "hostkey_alias",
    "hostname": "hostname",
    "identityagent": "identity_agent",
    "port": "port",
    "user": "user",
}
_ALL = {"certificatefile": "certificate_files", "identityfile": "identity_files"}
_Warn = Callable[[Directive, str], None]
_YES = {"yes": True, "true": True, "no": False, "false": False}


@dataclass
class Settings:
    """What the configuration says about ``host``; what it leaves open is ``None`` or empty.

    ``hostname`` is what is dialled, or ``canonical_name`` once there is one, and ``canonicalization``
    has the lines that lead to it. ``proxy`` is the first of ``ProxyJump`` and
    ``ProxyCommand``; ``proxy_is_jump`` tells which.
    """

    host: str
    user: Value | None = None
    port: Value | None = None
    hostname: Value | None = None
    hostkey_alias: Value | None = None
    identity_agent: Value | None = None
    identities_only: bool | None = None
    identity_files: list[Value] = field(default_factory=list)
    certificate_files: list[Value] = field(default_factory=list)
    known_hosts_files: list[Value] = field(default_factory=list)
    proxy: Value | None = None
    proxy_is_jump: bool = False
    canonicalization: dict[str, list[Value]] = field(default_factory=dict)
    canonical_name: str | None = None

    @property
    def dialled(self) -> str:
        """The name or address that is dialled, ``%h`` in ``HostName`` resolved.

        Errors: :class:`RuleError` for any other token.
        """
        if self.canonical_name is not None:
            return self.canonical_name
        return expand_tokens(self.hostname.text, {"h": self.host}) if self.hostname else self.host


class SshConfig:
    """The operator's client configuration: ``ssh_config``, or his own file and then the machine's.

    Parameters: whose it is; one file to read in place of both, as with ``ssh -F``; where
    to note problems and warnings.
    """

    def __init__(
        self, operator: Operator, only: Path | None, problems: Problems, warnings: list[str]
    ) -> None:
        self._operator = operator
        self._problems = problems
        self._warnings = warnings
        self._resolved: dict[str, str | None] = {}
        self._silent = False
        reader = Reader(operator, problems)
        if only is not None:
            if not only.exists():
                problems.add(None, "there is no such file", "check the ssh_config's path", file=only)
            self._blocks = reader.read(only)
        else:
            own = reader.read(operator.home / ".ssh/config", trusted=False)
            self._blocks = own + reader.read(Path("/etc/ssh/ssh_config"), system=True)

    def lookup(self, host: str, user: str | None = None, *, proxied: bool | None = None) -> Settings:
        """Find what the configuration says about a host.

        Parameters: the name as it would be given to ``ssh``; the user where one is given; whether
        a proxy is given, ``None`` where that is left to the configuration.
        """
        look = _Lookup(self._operator, Settings(host), _Given(user, proxied), self._warn, self._resolve)
        try:
            look.run(self._blocks)
        except BadLineError as bad:
            self._problems.add(bad.line, bad.cause, bad.remedy, file=bad.file)
        return look.settings

    def _resolve(self, name: str) -> str | None:
        """Look a name up once; where no name server answers, none is asked again."""
        if name not in self._resolved:
            self._resolved[name] = None if self._silent else self._ask(name)
        return self._resolved[name]

    def _ask(self, name: str) -> str | None:
        try:
            return ask_name_servers(name)
        except NameServerSilentError:
            self._silent = True
            return None

    def _warn(self, directive: Directive, text: str) -> None:
        line = f"{directive.file}:{directive.line}: {text}"
        if line not in self._warnings:
            self._warnings.append(line)


@dataclass(frozen=True)
class _Given:
    """What the command line would say: a user, and whether there is a proxy."""

    user: str | None
    proxied: bool | None


class _Lookup:
    """One host's way through the directives."""

    def __init__(
        self, operator: Operator, settings: Settings, given: _Given, warn: _Warn, resolve: Resolve
    ) -> None:
        self.settings = settings
        self._operator = operator
        self._given = given
        self._resolve = resolve
        self._warn = warn
        self._name = settings.host
        self._final = self._final_wanted = False

    def run(self, blocks: Iterable[HostBlock]) -> None:
        self._pass(blocks, active=True, never=False)
        rules = canonicalization(self.settings.canonicalization)
        if self._final_wanted or rules.when != "no":
            try:
                self._name = self.settings.canonical_name = self._canonical(rules, self.settings.dialled)
            except BadLineError:
                raise
            except RuleError:  # whoever asks what is dialled is told
                return
            self._final = True
            # Whether or not a HostName settled the name, none does any more.
            self.settings.hostname = self.settings.hostname or Value("%h", Path(), 0)
            self._pass(blocks, active=True, never=False)

    def _canonical(self, rules: Canonicalization, dialled: str) -> str:
        settings = self.settings
        proxied = settings.proxy is not None and settings.proxy.text.lower() != "none"
        direct = not (proxied if self._given.proxied is None else self._given.proxied)
        name = canonical_name(dialled, rules, direct=direct, resolve=self._resolve)
        if name is None:
            (line,) = settings.canonicalization["canonicalizefallbacklocal"]
            cause = f"{shown(dialled)} is found in none of the CanonicalDomains"
            raise BadLineError(line, cause, "correct the name, or write CanonicalizeFallbackLocal yes")
        return name

    def _pass(self, blocks: Iterable[HostBlock], *, active: bool, never: bool) -> None:
        for block in blocks:
            if block.head and block.head.keyword == "host":
                active = not never and block.head.patterns.matches(self._name)
            elif block.head:
                active = self._match(block.head) and not never
            # An Include is gone through even where its block does not match: what it
            # brings may ask for the second pass.
            for entry in block.body if active else block.includes:
                if isinstance(entry, Directive):
                    self._take(entry)
                else:
                    for file in entry.files:
                        self._pass(file, active=active, never=never or not active)

    def _match(self, entry: Directive) -> bool:
        result, rest, seen = True, entry.rest, 0
        while rest:
            word, rest_or_none = next_word(rest)
            rest = rest_or_none or ""
            if not word or word.startswith("#"):
                break
            negated = word.startswith("!")
            criterion = word.removeprefix("!").lower()
            if criterion == "all":  # alone, or after "final" or "canonical"
                if seen > 1 or (rest and not rest.startswith("#")):
                    raise BadLineError(entry, "Match all is combined with other criteria", "write it alone")
                return result and not negated
            seen += 1
            if criterion in _BARE_CRITERIA:
                self._final_wanted |= criterion == "final"
                holds = self._final
            else:
                argument, rest_or_none = next_word(rest)
                rest = rest_or_none or ""
                if not argument or argument.startswith("#"):
                    raise BadLineError(entry, f"Match {criterion}: its pattern is missing", "write one")
                if criterion not in _MATCH_CRITERIA:
                    self._warn(entry, f"Match {criterion} is not evaluated here; the block is left out")
                    holds, negated = False, False
                else:
                    holds = self._criterion(criterion, argument)
            result = result and holds != negated
        if not seen:
            raise BadLineError(entry, "Match without criteria", "write one, or 'Match all'")
        return result

    def _criterion(self, criterion: str, patterns: str) -> bool:
        if criterion == "host":
            name = self._name if self._final else self.settings.dialled
            return pattern_list(patterns.lower()).matches(name.lower())
        if criterion == "originalhost":
            return pattern_list(patterns.lower()).matches(self.settings.host.lower())
        if criterion == "localuser":
            return pattern_list(patterns).matches(self._operator.user)
        configured = self.settings.user.text if self.settings.user else self._operator.user
        return pattern_list(patterns).matches(self._given.user or configured)

    def _take(self, entry: Directive) -> None:
        """Keep what a line of an active block says where nothing said it before."""
        keyword, settings = entry.keyword, self.settings
        values = [Value(arg, entry.file, entry.line) for arg in entry.args]
        if keyword in _FIRST:
            self._check(entry)
            if getattr(settings, _FIRST[keyword]) is None:
                setattr(settings, _FIRST[keyword], values[0])
        elif keyword in _ALL:
            kept = getattr(settings, _ALL[keyword])
            if all(value.text != values[0].text for value in kept):
                kept.append(values[0])
        elif keyword == "userknownhostsfile":
            settings.known_hosts_files = settings.known_hosts_files or values
        elif keyword in CANONICAL_KEYWORDS:
            settings.canonicalization.setdefault(keyword, values)
        elif keyword == "identitiesonly":
            if settings.identities_only is None:
                settings.identities_only = _yes(entry)
        elif settings.proxy is None:
            settings.proxy_is_jump = keyword == "proxyjump"
            rest = entry.rest.lstrip(" \t=")
            text = rest.partition("#")[0].rstrip() if settings.proxy_is_jump else rest
            settings.proxy = Value(text, entry.file, entry.line)

    @staticmethod
    def _check(entry: Directive) -> None:
        try:
            if entry.keyword == "port":
                check_port(entry.args[0])
        except RuleError as error:
            raise BadLineError(entry, f"Port: {error.cause}", error.remedy) from None


def _yes(entry: Directive) -> bool:
    if entry.args[0].lower() not in _YES:
        raise BadLineError(entry, f"{entry.keyword}: {shown(entry.args[0])}", "write yes or no")
    return _YES[entry.args[0].lower()]


def expand_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """Put values in the place of ``%h`` and its like; ``%%`` is a percent sign.

    Errors: :class:`RuleError` for a token that is not in ``tokens``.
    Source: ssh_config(5), TOKENS.
    """

    def value(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            raise RuleError(f"'%{letter}' in {shown(text)} cannot be resolved here", "write the value out")
        return tokens[letter]

    return re.sub(r"%(.?)", value, text)
