"""How planned edits reach a node: one script, each file changed whole or not at all."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources

from clusterboot.connect.script import Section, SectionOutput
from clusterboot.errors import PartialError
from clusterboot.keys.records import OWN_DIR, Edit
from clusterboot.printable import one_line

_END = "clusterboot-end-of-text"
_RESULT = re.compile(r"file (\S+) (changed|raced|failed)(?: (.*))?")


def section(cluster: str, edits: Sequence[Edit]) -> Section:
    """Write the script that makes ``edits``, all under one lock.

    The bytes that stay are taken from the file on the node; only clusterboot's own lines
    travel. What clusterboot creates is written down in its folder there, so that it can be
    taken away again.
    """
    own = OWN_DIR.format(name=cluster)
    lines = [_functions(), f'mkdir -p "$HOME/"{shlex.quote(own)} || exit 1', "cb_lock"]
    for edit in edits:
        if edit.old.kind == "absent" and not edit.path.startswith(own):
            lines.append(f'echo {shlex.quote(edit.path)} >>"$HOME/"{shlex.quote(own + "/created")}')
        lines += [_remove(edit) if edit.remove else _replace(edit)]
    return Section("keys.install", "\n".join([*lines, "exit 0"]))


def removal_section(cluster: str, edits: Sequence[Edit]) -> Section:
    """Write the script that makes ``edits`` and then removes the cluster's own folder."""
    own = shlex.quote(OWN_DIR.format(name=cluster))
    lines = [_functions(), 'if [ -d "$HOME/.ssh" ]; then', "cb_lock"]
    lines += [_remove(edit) if edit.remove else _replace(edit) for edit in edits]
    lines += [
        f'if [ -e "$HOME/"{own} ]; then rm -rf "$HOME/"{own} && echo "file {own} changed"; fi',
        'rmdir "$HOME/.ssh/clusterboot" 2>/dev/null',
        "fi",
        "exit 0",
    ]
    return Section("keys.install", "\n".join(lines))


def parse(outputs: Mapping[str, SectionOutput], edits: Sequence[Edit], host: str) -> tuple[str, ...]:
    """Read what an installing script said.

    Returns: the paths that changed, below the home.
    Errors: :class:`PartialError` at stage ``keys`` where any edit was not made.
    """
    output = outputs["keys.install"]
    results = {match[1]: match for line in output.text.splitlines() if (match := _RESULT.fullmatch(line))}
    for edit in edits:
        match = results.get(edit.path)
        if match and match[2] == "changed":
            continue
        if match and match[2] == "raced":
            raise PartialError(
                f"~/{edit.path} changed while it was looked at",
                host=host,
                stage="keys",
                remedy="somebody else edits it; run the command again",
            )
        raise PartialError(
            f"~/{edit.path} could not be written" + (f": {one_line(output.text)}" if not match else ""),
            host=host,
            stage="keys",
            remedy="check the disk, quota and permissions of the home there",
        )
    return tuple(match[1] for match in results.values() if match[2] == "changed")


def _functions() -> str:
    return resources.files(__package__).joinpath("install.sh").read_text(encoding="utf-8")


def _remove(edit: Edit) -> str:
    return f"cb_remove {shlex.quote(edit.path)} {edit.old.digest}"


def _replace(edit: Edit) -> str:
    path = shlex.quote(edit.path)
    if _END in edit.insert:
        raise ValueError("the text to insert has the end mark in it")
    parts = [f"cat <<'{_END}'\n{edit.insert}{_END}"] if edit.insert else []
    parts += [f"cb_keep {path} {offset} {length}" for offset, length in edit.keep]
    made = hashlib.sha256(edit.new).hexdigest()
    return (
        "{\n" + "\n".join(parts or [":"]) + f"\n}} | cb_replace {path} {edit.old.digest} {edit.mode:o} {made}"
    )
