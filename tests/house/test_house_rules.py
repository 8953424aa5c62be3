"""The rules of the house that a reader would otherwise have to check by hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clusterboot"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Imports point up this list only; rooms on one line are one floor.
FLOORS = [
    ("errors", "units", "printable", "interrupts", "files"),
    ("config",),
    ("connect",),
    ("facts",),
    ("keys",),
    ("hostfiles",),
    ("launch",),
    ("bench",),
    ("diagnose",),
    ("report",),
    ("flows",),
    ("tasks",),
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
PURE = ("config", "hostfiles", "bench", "diagnose", "report")
# Descriptions and readers in connect/ that touch no network themselves.
PURE_OF_CONNECT = ("clusterboot.connect.script", "clusterboot.connect.knownhosts")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                base = ".".join((*parts[: len(parts) - node.level], *filter(None, (node.module,))))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    found = {name.split(".")[1] for name in imports(path) if name.startswith("clusterboot.")}
    return {room for room in found if room in FLOOR or room == "lab"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    room = room_of(path)
    others = rooms_imported(path) - {room}
    if room == "lab":
        assert others <= {"errors", "files", "units"}
    elif room in FLOOR:
        assert "lab" not in others or room == "tasks"
        assert not {other for other in others - {"lab"} if FLOOR[other] >= FLOOR[room]}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_its_room_speaks_a_library(path: Path) -> None:
    room, names = room_of(path), set(imports(path))
    tops = {name.split(".")[0] for name in names}
    assert not tops & {"fabric", "paramiko", "asyncssh"} or room == "connect"
    assert "rich" not in tops or room in ("report", "tasks")
    if room in PURE:
        of_connect = {name for name in names if name.startswith("clusterboot.connect.")}
        assert {name for name in of_connect if not name.startswith(PURE_OF_CONNECT)} == set()


def test_nothing_becomes_root_on_a_node() -> None:
    """The lab and the operator's own files know of sudo; what is sent to nodes does not."""
    own = ("lab", "files.py", "connect/audit.py")
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sh")):
        if not str(path.relative_to(PACKAGE)).startswith(own):
            assert not re.search(r"\b(?:sudo|doas|pkexec)\b", path.read_text(encoding="utf-8")), path


def test_nothing_trusts_blindly() -> None:
    words = re.compile(
        r"AutoAddPolicy|StrictHostKeyChecking[ =]no|ssh-keyscan|yaml\.load\("
        r"|shell=True|os\.system|pkill|killall"
    )
    for path in [*MODULES, *PACKAGE.rglob("*.sh")]:
        assert not words.search(path.read_text(encoding="utf-8")), path
