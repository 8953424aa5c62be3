"""Logs and results made safe to keep: credentials taken out before anything is written to a disk.

Benchmarks print what they run in: nccl-tests' ``-J`` writes the whole environment, launchers
trace ``-x NAME=value``, shells with ``set -x`` every assignment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, overload

REMOVED = "[removed]"

# A name that ends or begins like one of these holds a credential; `TOKENIZERS_…` and
# `NCCL_…KEY…` numbers do not. AUTHORITY is XAUTHORITY's file name.
_NAMES_END = (
    r"(?:PASS(?:WORD|WD|PHRASE)?|SECRET(?:_?KEY|S)?|TOKENS?|CREDENTIALS?|API_?KEYS?|ACCESS_?KEY(?:_?ID)?|PRIVATE_?KEY"
    r"|AUTH(?:ORIZATION)?|BEARER|COOKIE|SESSION_?KEY|SIGNING_?KEY|ENCRYPTION_?KEY|ACCOUNT_?KEY|CLIENT_?KEY|SAS"
    r"|CONNECTION_?STRING|DSN|WEBHOOK(?:_?URL)?|PIN_?CODE)"
)
_SUFFIX = r"(?:_(?:FILE|PATH|DIR|ID|BASE64|B64|JSON|VALUE|\d+))?"
# Too short to be sought at the end of a longer word: DB_PWD is one, a "hwpw" is not.
_SHORT_NAMES = r"(?:PWD?|PSWD|JWT|OTP|PSK|CREDS?)"
_NAME = rf"(?:[A-Za-z0-9]+[_.-])*(?:[A-Za-z0-9]*{_NAMES_END}|{_SHORT_NAMES}){_SUFFIX}"
_IS_SECRET_NAME = re.compile(rf"{_NAME}\Z", re.IGNORECASE)
_KEEPS = re.compile(r"(?:_FILE|_PATH|_DIR|SSH_AUTH_SOCK|XAUTHORITY)\Z", re.IGNORECASE)
# The shell's own, in every environment: a folder is no secret. Source: sh(1).
_SHELLS_FOLDERS = ("PWD", "OLDPWD")
# What configures a library: long, of letters and digits, and needed to understand a log.
_LIBRARIES = re.compile(
    r"(?:NCCL|RCCL|UCX|OMPI|PMIX|PRTE|FI|I_MPI|MPICH|HYDRA|OMP|CUDA|NVIDIA|LD|SLURM)_", re.IGNORECASE
)
_LEAST_SECRET, _LEAST_DIGITS, _LEAST_RANDOM = 4, 8, 16
# As long as this a value is sought within words as well.
_LEAST_UNBOUNDED = 8
_PLAIN_VALUES = frozenset({"true", "false", "none", "null", "auto", "default", "yes", "enabled", "disabled"})

# Every pattern stays within one line, and a key block's rows are looked at one by one: no row is swallowed.
_ASSIGNED = re.compile(
    rf"""(?<![A-Za-z0-9_.-])(?P<name>{_NAME})(?P<mid>["']?\s?[=:]\s?)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?:[^\s"',;\\\0]|\\[^n\n])+)""",
    re.IGNORECASE,
)
_KEY_BEGINS = re.compile(r"-----BEGIN (?P<what>(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----")
# A line of a key's body, its headers and JSON's way of writing line ends included.
_KEY_LINE = re.compile(r"\s*(?:[A-Za-z0-9+/=]|\\[nr/])+\s*|(?:Proc-Type|DEK-Info|Comment|Version): .*")
# No private key is longer.
_LONGEST_KEY = 32_768
_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)(?P<user>[^\s/:@\"']*):(?P<word>[^\s/@\"']+)@")
_HEADER = re.compile(r"\b(?P<kind>Bearer|Basic)\s+(?P<word>[A-Za-z0-9._~+/=-]{12,})")
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"  # AWS: IAM unique identifiers
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{16,}"  # GitLab
    r"|hf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|nvapi-[A-Za-z0-9_-]{20,}"  # NVIDIA NGC
    r"|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JSON Web Tokens
    r")(?![A-Za-z0-9_-])"
)
# One of these, in any case, stands in every line that anything above could change.
_HINTS = (
    *(
        "pass",
        "pw",
        "pswd",
        "jwt",
        "otp",
        "psk",
        "secret",
        "token",
        "cred",
        "key",
        "auth",
        "bearer",
        "cookie",
    ),
    *("sas", "connection", "dsn", "webhook", "pin", "://", "basic ", "akia", "asia", "abia", "acca", "ghp_"),
    *(
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat",
        "glpat",
        "hf_",
        "nvapi",
        "sk-",
        "xox",
        "aiza",
        "ya29",
        "eyj",
    ),
)


@overload
def scrub(text: str) -> str: ...
@overload
def scrub(text: bytes) -> bytes: ...
def scrub(text: str | bytes) -> str | bytes:
    """Replace the secrets in a log by ``[removed]``.

    Parameters: text, or bytes in an encoding that extends ASCII; bytes that are no UTF-8 come
    back as they were.
    Returns: the same with the values of variables whose names look like credentials, private
    keys, well-known tokens and passwords in URLs replaced. The number of lines stays the same.
    """
    if isinstance(text, bytes):
        return scrub(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if "PRIVATE KEY" in text:
        text = _without_keys(text)
    return "\n".join(_line(line) if _may_hold(line.lower()) else line for line in text.split("\n"))


@dataclass(frozen=True)
class Scrubber:
    """Removes secrets, those that a cluster file's ``env`` exports to the ranks also by their value."""

    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Scrubber:
        """Take the values that are secrets: by their variable's name, or since they look random."""
        return cls(tuple(sorted(_secret_values(env.items()), key=len, reverse=True)))

    @overload
    def __call__(self, text: str) -> str: ...
    @overload
    def __call__(self, text: bytes) -> bytes: ...
    def __call__(self, text: str | bytes) -> str | bytes:
        """Do what :func:`scrub` does, and replace the known values; the number of lines stays the same."""
        if isinstance(text, bytes):
            return self(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return self._without_values(scrub(text))

    def knows(self, text: str) -> bool:
        """Tell whether one of the known values stands in a text."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def in_document(self, value: Any) -> Any:
        """Give a copy of a parsed JSON document without the known values; the names of members stay."""
        if isinstance(value, str):
            return self._without_values(value)
        if isinstance(value, dict):
            return {key: self.in_document(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.in_document(item) for item in value]
        return value

    def _without_values(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(REMOVED, text)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not self.values:
            return None
        forms = (form for value in self.values for form in dict.fromkeys((value, json.dumps(value)[1:-1])))
        return re.compile("|".join(map(_sought, forms)))


NO_SECRETS = Scrubber()


def _secret_values(env: Iterable[tuple[str, str]]) -> set[str]:
    found = set()
    for name, value in env:
        if value.lower() in _PLAIN_VALUES or (value.isdecimal() and len(value) < _LEAST_DIGITS):
            continue
        if is_secret_name(name) and not _is_folder(name, value):
            if len(value) >= _LEAST_SECRET:
                found.add(value)
        elif _looks_random(value) and not _LIBRARIES.match(name):
            found.add(value)
    return found


def _looks_random(value: str) -> bool:
    return (
        len(value) >= _LEAST_RANDOM
        and re.fullmatch(r"[A-Za-z0-9+_=.~-]+", value) is not None
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
    )


def _sought(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= _LEAST_UNBOUNDED else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"


def _is_folder(name: str, value: str) -> bool:
    return name.upper() in _SHELLS_FOLDERS and value.startswith("/")


def is_secret_name(name: str) -> bool:
    """Tell whether a variable of this name is likely to hold a credential rather than a path to one."""
    return _IS_SECRET_NAME.match(name) is not None and _KEEPS.search(name) is None


def _may_hold(lower: str) -> bool:
    return any(hint in lower for hint in _HINTS)


def _line(line: str) -> str:
    line = _URL.sub(rf"\g<scheme>\g<user>:{REMOVED}@", line)
    line = _HEADER.sub(rf"\g<kind> {REMOVED}", line)
    line = _TOKENS.sub(REMOVED, line)
    return _ASSIGNED.sub(_assigned, line)


def _assigned(match: re.Match[str]) -> str:
    value = match["value"]
    if (
        not is_secret_name(match["name"])
        or REMOVED in value
        or _is_folder(match["name"], value.lstrip("\"'"))
    ):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{match['name']}{match['mid']}{quote}{REMOVED}{quote}"


def _without_keys(text: str) -> str:
    """Empty every key block, also one whose end is lost."""
    begins = list(_KEY_BEGINS.finditer(text))
    parts = [text[: begins[0].end()]] if begins else [text]
    for match, following in zip_longest(begins, begins[1:]):
        rest = text[match.end() : following.end() if following else None]
        limit = min(_LONGEST_KEY, following.start() - match.end() if following else len(rest))
        end = rest.find(f"-----END {match['what']}-----", 0, limit)
        parts += [_without_body(rest[:end]), rest[end:]] if end >= 0 else [_without_body(rest, whole=False)]
    return "".join(parts)


def _without_body(text: str, *, whole: bool = True) -> str:
    """Empty the lines of a key's body; without the block's end, up to the first line that can be none."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        if _KEY_LINE.fullmatch(line):
            lines[at] = REMOVED
        elif not whole and at:
            break
        elif not whole and (match := _KEY_LINE.match(line)) is not None:
            lines[at] = REMOVED + line[match.end() :]
    return "\n".join(lines)
