"""The one JSON document that every command prints with ``--json``: built, written, and read back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from typing_extensions import NotRequired, TypedDict

from clusterboot.errors import ExitCode, HostResult, Stage
from clusterboot.headline import CutShort, Ending, headline
from clusterboot.printable import printable
from clusterboot.schema_1 import upgraded

if TYPE_CHECKING:
    from clusterboot.scrub import Scrubber

SCHEMA = "clusterboot/2"


class ErrorJson(TypedDict):
    """Why a whole command failed."""

    host: str | None
    stage: Stage | None
    """Where it stopped."""
    cause: str
    remedy: str | None


class Document(TypedDict):
    """What every document has."""

    schema: str
    command: str
    cluster: str | None
    """Its name; null where none is involved."""
    started: str
    """RFC 3339, UTC."""
    duration_s: float
    """Seconds."""
    exit_code: int
    """The same that the command exits with."""
    headline: NotRequired[str]
    """What the command came to, in one line, with every host that is not done."""
    cut_short: NotRequired[CutShort | None]
    """What ended it before it had done all that was asked for."""
    dry_run: NotRequired[bool]
    """Whether it only said what it would do."""
    next: NotRequired[str | None]
    """What to do next, where something can help."""
    hosts: list[HostResult]


class FailureJson(TypedDict):
    """What a command's document has in place of the command's own part where the whole command failed."""

    error: ErrorJson


def document(
    command: str,
    *,
    cluster: str | None,
    started: str,
    duration_s: float,
    exit_code: ExitCode,
    hosts: Sequence[HostResult] = (),
    ending: Ending = Ending(),  # noqa: B008  # frozen
    next_step: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a command's document.

    Parameters: the command's name; the cluster's, ``None`` where none is involved; when it
    began (RFC 3339) and how long it took in seconds; how it ended, and what to do next; ``more`` is the
    command's own part.
    """
    return {
        "schema": SCHEMA,
        "command": command,
        "cluster": cluster,
        "started": started,
        "duration_s": round(duration_s, 3),
        "exit_code": int(exit_code),
        "headline": headline(hosts, exit_code, ending).text,
        "cut_short": ending.cut_short,
        "dry_run": ending.dry_run,
        "next": next_step,
        "hosts": [dataclasses.asdict(host) for host in hosts],
        **(more or {}),
    }


def parse(text: str | bytes) -> Any:
    """Read a stored JSON text, a document of this program or not; one of schema 1 as :data:`SCHEMA` has it.

    Errors: ``ValueError`` that says what is wrong, for what is no strict JSON, has a key twice in one object,
    or is nested too deeply.
    """
    try:
        return upgraded(json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_doubles), SCHEMA)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as problem:
        raise ValueError(f"it is not JSON: {problem}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def render(document: Mapping[str, Any], scrubber: Scrubber | None = None) -> str:
    """Write a document as JSON text: strict JSON, free of characters that steer a terminal.

    A row of numbers is one line: a matrix of a thousand nodes stays small, and is written at once.
    What ``scrubber`` knows as secret stands nowhere in it.
    """
    text = "".join((*_written(document, "\n"), "\n"))
    return render(scrubber.in_document(json.loads(text))) if scrubber and scrubber.knows(text) else text


def _written(value: Any, newline: str) -> Iterator[str]:
    """Write a value piece by piece; ``newline`` is a line break with the indentation around it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        members = ((f"{_plain(str(key))}: ", _written(item, newline + "  ")) for key, item in value.items())
        yield from _listed("{}", members, newline)
    elif isinstance(value, list | tuple):
        row = _row(value)
        if row is None:
            yield from _listed("[]", (("", _written(item, newline + "  ")) for item in value), newline)
        else:
            yield row
    else:
        yield _plain(value)


def _listed(brackets: str, members: Iterable[tuple[str, Iterator[str]]], newline: str) -> Iterator[str]:
    first = True
    yield brackets[0]
    for name, pieces in members:
        yield f"{'' if first else ','}{newline}  {name}"
        yield from pieces
        first = False
    yield brackets[1] if first else newline + brackets[1]


def _row(values: Sequence[Any]) -> str | None:
    """Write a list of nothing but numbers in one line; ``None`` for any other list."""
    types = set(map(type, values))
    if not values or not types <= _OF_ROWS:
        return None
    # 0 and 0.0 are one key and two texts: what is looked up is one type's.
    if int not in types and len(_texts) < _MOST_TEXTS:
        return f"[{','.join(map(_texts.__getitem__, values))}]"
    # Hardly any number comes again: then looking up costs more than it saves.
    try:
        return json.dumps(values, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps([_finite(each) for each in values], separators=(",", ":"))


class _Texts(dict[float | None, str]):
    """What numbers look like: measurements come again and again, and looking up is cheaper than writing."""

    def __missing__(self, number: float | None) -> str:
        text = "null" if number is None or not math.isfinite(number) else repr(number)
        if len(self) < _MOST_TEXTS:
            self[number] = text
        return text


_OF_ROWS = {float, int, type(None)}
_MOST_TEXTS = 100_000
_texts = _Texts()


def _plain(value: Any) -> str:
    if isinstance(value, str | Path):
        return json.dumps(printable(str(value)), ensure_ascii=False)
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    # JSON has no word for them; what is not a number was not measured.
    return None if isinstance(value, float) and not math.isfinite(value) else value
