"""The rules of the house that a reader would otherwise have to check by hand."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clusterboot"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room imports the ground floor and the rooms that stand before it in this list.
GROUND = (
    *("errors", "units", "printable", "interrupts", "files", "scrub", "folding", "headline", "schema_1"),
    "document",
)
ROOMS = (
    "mpi",
    "inventory",
    "nodes",
    "ssh",
    "slurm",
    "facts",
    "programs",
    "session",
    "hostfiles",
    "trust",
    "checks",
    "run",
    "verdict",
    "linkmap",
    "report",
    "commands",
    "tasks",
)
FLOOR = dict.fromkeys(("__init__", "__main__"), 0) | dict.fromkeys(GROUND, 1)
FLOOR |= {room: floor for floor, room in enumerate(ROOMS, 2)}
PURE = ("inventory", "hostfiles", "mpi", "programs", "verdict", "report")
# Descriptions and readers in ssh/ that touch no network themselves.
PURE_OF_SSH = ("clusterboot.nodes.script", "clusterboot.ssh.knownhosts")


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


def test_every_file_is_in_a_room_that_is_known() -> None:
    assert {room_of(path) for path in MODULES} == {*FLOOR, "lab"}


def test_a_name_stands_once() -> None:
    """No two files and no two classes bear one name, so that a search for it finds its only meaning."""
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sh", ".c", ".h", ".cu", ".js")]
    classes = [
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    counts = Counter(path.name for path in files if path.name != "__init__.py") + Counter(classes)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    room = room_of(path)
    others = rooms_imported(path) - {room}
    if room == "lab":
        assert others <= {"errors", "files", "units"}
    elif room not in ("__init__", "__main__"):
        assert "lab" not in others or room == "tasks"
        floor = FLOOR[room]
        assert not {other for other in others - {"lab"} if FLOOR[other] > floor or FLOOR[other] == floor > 1}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_its_room_speaks_a_library(path: Path) -> None:
    room, names = room_of(path), set(imports(path))
    tops = {name.split(".")[0] for name in names}
    assert not tops & {"fabric", "paramiko", "asyncssh"} or room == "ssh"
    assert "rich" not in tops or room in ("report", "tasks")
    if room in PURE:
        of_ssh = {name for name in names if name.startswith("clusterboot.ssh.")}
        assert {name for name in of_ssh if not name.startswith(PURE_OF_SSH)} == set()


def test_nothing_becomes_root_on_a_node() -> None:
    """The lab and the operator's own files know of sudo; what is sent to nodes does not."""
    # A group has the method of Fabric that has this name: what it runs is the user's own.
    own = ("lab", "files.py", "ssh/audit.py", "ssh/group.py", "tasks/connecting.py")
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sh")):
        if not str(path.relative_to(PACKAGE)).startswith(own):
            assert not re.search(r"\b(?:sudo|doas|pkexec)\b", path.read_text(encoding="utf-8")), path


def is_frozen(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and any(word.arg == "frozen" for word in decorator.keywords)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_frozen_record_holds_nothing_that_can_be_changed_through_it(path: Path) -> None:
    """A Mapping and a tuple in its fields: mypy then finds whoever writes to them."""
    changeable = re.compile(r"\b(?:dict|list|set|Counter|defaultdict|deque|bytearray|Mutable\w+)\b")
    for record in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(record, ast.ClassDef) and any(map(is_frozen, record.decorator_list)):
            fields = [ast.unparse(each.annotation) for each in record.body if isinstance(each, ast.AnnAssign)]
            assert not [each for each in fields if changeable.search(each)], record.name


def test_nothing_trusts_blindly() -> None:
    words = re.compile(
        r"AutoAddPolicy|StrictHostKeyChecking[ =]no|ssh-keyscan|yaml\.load\("
        r"|shell=True|os\.system|pkill|killall"
    )
    for path in [*MODULES, *PACKAGE.rglob("*.sh")]:
        assert not words.search(path.read_text(encoding="utf-8")), path
