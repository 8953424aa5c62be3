"""The file's ``env``: what is exported to every rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from .name_rules import check_env_key, check_env_value
from .problems import Problems, RuleError
from .yamlfile import line_of

_NULL = "tag:yaml.org,2002:null"
_Entry = tuple[int, str, str | None]


def read_env(node: yaml.Node | None, environ: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """Read the environment that a cluster file sets.

    Parameters: the node of ``env``, a mapping or a list of ``K=V`` and ``K``, or ``None``
    where there is none; the operator's environment, which a bare ``K`` takes its value
    from; where to note problems. Values are taken as they are written: ``yes`` stays ``yes``.
    Returns: the variables in the file's order. No value, which may be secret, is ever shown.
    """
    env: dict[str, str] = {}
    first_lines: dict[str, int] = {}
    for line, key, value in _entries(node, problems):
        try:
            env[check_env_key(key)] = _value(key, value, environ)
        except RuleError as error:
            problems.add(line, f"env: {error.cause}", error.remedy)
        if key in first_lines:
            cause = f"env: '{key}' is here twice, first in line {first_lines[key]}"
            problems.add(line, cause, "keep one of them")
        first_lines.setdefault(key, line)
    return env


def read_variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Read one variable of a command line, ``K=V`` or ``K``, by the rules of the file's.

    Errors: :class:`RuleError`, which never has the value.
    """
    key, equals, value = text.partition("=")
    return check_env_key(key), _value(key, value if equals else None, environ)


def _value(key: str, value: str | None, environ: Mapping[str, str]) -> str:
    if value is None and key not in environ:
        raise RuleError(f"'{key}' is not set where clusterboot runs", f"set it, or write {key}=VALUE")
    return check_env_value(key, environ[key] if value is None else value)


def _entries(node: yaml.Node | None, problems: Problems) -> Iterator[_Entry]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode):
                yield line_of(key), key.value, None if value.tag == _NULL else value.value
            else:
                cause = f"env: the value of '{key.value}' is not text"
                problems.add(line_of(key), cause, "write KEY: value")
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.ScalarNode):
                key, equals, text = item.value.partition("=")
                yield line_of(item), key, text if equals else None
            else:
                problems.add(line_of(item), "env: an element is not text", "write KEY=VALUE, or KEY alone")
    elif node is not None and node.tag != _NULL:
        problems.add(line_of(node), "env is neither a mapping nor a list", "write KEY: value, one a line")
