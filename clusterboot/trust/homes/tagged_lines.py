"""The lines that clusterboot adds to files of other people, and how it knows them again.

Its lines go to the top of a file. So a last line without a newline stays as it is, an
``Include`` stands before the first ``Host``, and taking them out leaves the very bytes
that were there before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from .known import PER_NODE, Edit, Member, NodeFile, Terms

# What stands for a host in the tag of a line that is not one host's; no host can be called so.
SHARED = "@shared"
AUTHORITY = "@ca"
# The machine that a launch starts from without being a node: it is let in, and lets nobody in.
LAUNCHER = "@head"
_NOT_A_HOST = {SHARED: "shared", AUTHORITY: "ca"}


# What a node's key is not for. An sshd before OpenSSH 7.2 refuses a line with a word that it does not know.
RESTRICT = "restrict"
RESTRICT_IN_FULL = "no-agent-forwarding,no-port-forwarding,no-pty,no-user-rc,no-X11-forwarding"


# What may stand above clusterboot's lines: another cluster's, comments, nothing. Two clusters of the
# same nodes would else change places at each bootstrap.
_ABOVE = re.compile(
    rb"(?:# clusterboot:([^ \n]+) begin, removed by clusterboot teardown\r?\n"
    rb"(?s:.*?)\n# clusterboot:\1 end\r?\n"
    rb"|[ \t]*(?:#[^\n]*)?\r?\n"
    rb"|Include clusterboot/[A-Za-z0-9._-]+/config\r?\n"
    rb"|[!\"$-~][ -~]* clusterboot:[A-Za-z0-9._-]+:[A-Za-z0-9@._:-]+\r?\n)*"
)


def tag(cluster: str, host: str | None = None) -> str:
    """Give the word that marks a line as clusterboot's: ``clusterboot:NAME`` or ``clusterboot:NAME:HOST``."""
    return f"clusterboot:{cluster}:{host}" if host else f"clusterboot:{cluster}"


def principal(cluster: str) -> str:
    """Name the one principal of a cluster's user certificates."""
    return f"clusterboot-{cluster}"


def authorized_line(
    cluster: str, public_key: str, owner: str, members: Sequence[Member], restrict: str = RESTRICT
) -> str:
    """Write the ``authorized_keys`` line for a key that ``members`` have, from their own addresses only.

    Parameters: ``owner`` is whose it is by its tag: a host's name, or what stands for one.
    Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT.
    """
    sources = dict.fromkeys(source for member in members for source in member.sources)
    # A login to the node's own name comes from loopback where /etc/hosts says 127.0.1.1.
    listed = ",".join((*sources, "127.0.0.0/8", "::1"))
    return f'{restrict},from="{listed}" {public_key} {tag(cluster, owner)}\n'


def authority_line(cluster: str, public_key: str, restrict: str = RESTRICT) -> str:
    """Write the ``authorized_keys`` line that takes the cluster's certificates, for its principal alone.

    Source: sshd(8), ``cert-authority`` and ``principals=``.
    """
    name = principal(cluster)
    return f'{restrict},cert-authority,principals="{name}" {public_key} {tag(cluster, AUTHORITY)}\n'


def kinds(content: bytes, cluster: str, hosts: Collection[str]) -> set[str]:
    """Tell which modes' lines are in an ``authorized_keys``: ``per-node``, ``shared``, ``ca``.

    Parameters: the file; the cluster; ``hosts`` are those whose own lines count, not those of
    hosts that are away and could not follow a change of mode yet.
    """
    found = [host for _, _, host in _own_lines(content, cluster)]
    return {_NOT_A_HOST.get(host, "per-node") for host in found if host in _NOT_A_HOST or host in hosts}


def authorities(content: bytes, cluster: str) -> set[str]:
    """Give the public keys of the cluster's lines in an ``authorized_keys`` that are not one node's."""
    lines = (
        content[start:end].decode()
        for start, end, host in _own_lines(content, cluster)
        if host in _NOT_A_HOST
    )
    return {" ".join(line.split()[-3:-1]) for line in lines}


def include_lines(cluster: str) -> str:
    """Write the lines that make ``~/.ssh/config`` take in the cluster's own configuration.

    Source: ssh_config(5), Include; relative names are looked for in ``~/.ssh``.
    """
    return f"# {tag(cluster)}, removed by clusterboot teardown\nInclude clusterboot/{cluster}/config\n"


def edit_authorized_keys(
    old: NodeFile,
    cluster: str,
    members: Sequence[Member],
    keep_hosts: Collection[str],
    terms: Terms = PER_NODE,
    *,
    restrict: str = RESTRICT,
) -> Edit | None:
    """Plan what lets all ``members`` in.

    Parameters: the file as it was read; the members; ``keep_hosts`` are hosts of the
    cluster whose lines stay as they are, since they were not reached this time; on what terms;
    ``restrict`` is the word, or words, that this home's sshd knows for it.
    Returns: ``None`` where all of it is so already.
    """
    own = list(_own_lines(old.content, cluster))
    lines = _lines_for(cluster, members, terms, restrict)
    current = {member.key_owner for member in members if member.name not in terms.away}
    for start, end, host in own:
        line = old.content[start:end].decode().rstrip("\r\n") + "\n"
        away = host in keep_hosts and host not in current
        # The head's own goes with the other old keys, and is made anew by the next launch from it.
        kept = terms.phase == "in" or (terms.phase != "out" and host == LAUNCHER)
        if line not in lines and (kept or away):
            lines.append(line)
    return _edit(old, own, "".join(lines))


def _lines_for(cluster: str, members: Sequence[Member], terms: Terms, restrict: str) -> list[str]:
    if terms.authority and terms.mode == "ca":
        return [authority_line(cluster, terms.authority, restrict)]
    if terms.authority and terms.mode == "shared":
        return [authorized_line(cluster, terms.authority, SHARED, members, restrict)]
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.public_key, []).append(member)
    return [
        authorized_line(cluster, key, owners[0].key_owner, owners, restrict) for key, owners in groups.items()
    ]


def edit_launcher(old: NodeFile, cluster: str, line: str) -> Edit | None:
    """Plan the one ``line`` that lets the head in, behind the others; ``None`` where it is there."""
    own = list(_own_lines(old.content, cluster))
    present = [(host, old.content[start:end].decode()) for start, end, host in own]
    if [text for host, text in present if host == LAUNCHER] == [line]:
        return None
    others = (text.rstrip("\r\n") + "\n" for host, text in present if host != LAUNCHER)
    return _edit(old, own, "".join((*others, line)))


def lets_launcher_in(content: bytes, cluster: str) -> bool:
    """Tell whether an ``authorized_keys`` has the head's line."""
    return any(host == LAUNCHER for _, _, host in _own_lines(content, cluster))


def edit_config(old: NodeFile, cluster: str, block: str | None = None) -> Edit | None:
    """Plan the tagged ``Include`` at the top of ``~/.ssh/config``; ``None`` where it is there.

    Parameters: ``block`` is the configuration itself, for an ssh that knows no ``Include``.
    """
    insert = include_lines(cluster) if block is None else block_lines(cluster, block)
    return _edit(old, _own_include(old.content, cluster), insert)


def block_lines(cluster: str, config: str) -> str:
    """Write the tagged block that stands for the ``Include`` where OpenSSH is older than 7.3.

    Its last line lets what follows apply to all hosts again, as it did before.
    """
    begin, end = _block_marks(cluster)
    return f"{begin}\n{config}Host *\n{end}\n"


def _block_marks(cluster: str) -> tuple[str, str]:
    return (
        f"# {tag(cluster)} begin, removed by clusterboot teardown",
        f"# {tag(cluster)} end",
    )


def take_back(old: NodeFile, cluster: str, *, created: bool) -> Edit | None:
    """Plan the removal of every line of clusterboot's from a file.

    Parameters: the file; ``created`` is true where clusterboot made it, so that it is
    removed with its last line.
    Returns: ``None`` where nothing of ours is in it.
    """
    own = [*_own_lines(old.content, cluster), *_own_include(old.content, cluster)]
    edit = _edit(old, own, "")
    if edit is None and created and old.kind == "file" and not old.content:
        edit = Edit(old.path, old, "", ())
    if edit is None:
        return None
    return Edit(edit.path, old, edit.insert, edit.keep, remove=created and not edit.new)


def undo(edit: Edit) -> Edit:
    """Plan the way back from an edit that was made: clusterboot's former lines at the top again."""
    if edit.remove:
        return Edit(edit.path, NodeFile(edit.path, "absent"), edit.old.content.decode(), ())
    made = NodeFile(edit.path, "file", edit.new)
    if edit.old.kind == "absent":
        return Edit(edit.path, made, "", (), remove=True)
    dropped, position = b"", 0
    for offset, length in (*edit.keep, (len(edit.old.content), 0)):
        dropped += edit.old.content[position:offset]
        position = offset + length
    start = len(edit.insert.encode())
    keep = ((start, len(made.content) - start),) if len(made.content) > start else ()
    return Edit(edit.path, made, dropped.decode(), keep)


def other_lines_with(content: bytes, cluster: str, members: Sequence[Member]) -> list[tuple[int, str]]:
    """Find lines of other people that hold a member's key: their numbers from 1, and the member's name.

    Such a line may grant more, or less, than clusterboot's own; it is not clusterboot's to change.
    """
    owners = {member.public_key.split()[1].encode(): member.name for member in members}
    own = {start for start, _, _ in _own_lines(content, cluster)}
    found, start = [], 0
    for number, line in enumerate(content.split(b"\n"), 1):
        if start not in own and not line.lstrip().startswith(b"#"):
            found += [(number, owners[word]) for word in line.split() if word in owners]
        start += len(line) + 1
    return found


def edit_own(old: NodeFile, text: str) -> Edit | None:
    """Plan a file that is clusterboot's alone; ``None`` where it has this text already."""
    if old.kind == "file" and old.content == text.encode():
        return None
    return Edit(old.path, old, text, ())


def _own_include(content: bytes, cluster: str) -> list[tuple[int, int, str]]:
    first, second = (re.escape(line.encode()) for line in include_lines(cluster).splitlines())
    begin, end = (re.escape(mark.encode()) for mark in _block_marks(cluster))
    # A block without its end is somebody's accident; what follows it is not ours to take.
    block = begin + rb"\r?\n(?s:.*?)^" + end
    pattern = re.compile(rb"(?m)^(?:" + block + rb"|" + first + rb"|" + second + rb")\r?(?:\n|\Z)")
    return [(match.start(), match.end(), "") for match in pattern.finditer(content)]


def _own_lines(content: bytes, cluster: str) -> Iterator[tuple[int, int, str]]:
    pattern = re.compile(rb"[!\"$-~][ -~]* " + re.escape(tag(cluster).encode()) + rb":([A-Za-z0-9@._:-]+)")
    start = 0
    # Only a newline ends a line for sshd; a lone carriage return is part of it.
    for part in content.split(b"\n"):
        end = min(start + len(part) + 1, len(content))
        match = pattern.fullmatch(part.rstrip(b"\r"))
        if match:
            yield start, end, match[1].decode()
        start = end


def _edit(old: NodeFile, own: Sequence[tuple[int, int, str]], insert: str) -> Edit | None:
    keep: list[tuple[int, int]] = []
    position = 0
    for start, end, _ in sorted(own):
        if start > position:
            keep.append((position, start - position))
        position = max(position, end)
    if position < len(old.content):
        keep.append((position, len(old.content) - position))
    if insert and _stands(old.content, own, insert.encode()):
        return None
    edit = Edit(old.path, old, insert, tuple(keep))
    return None if edit.new == old.content and (old.kind == "file" or not insert) else edit


def _stands(content: bytes, own: Sequence[tuple[int, int, str]], insert: bytes) -> bool:
    """Tell whether the lines are there, all in one place, with nothing above them that matters to them."""
    start = min((start for start, _, _ in own), default=0)
    end = start + len(insert)
    if not own or content[start:end] != insert or any(stop > end for _, stop, _ in own):
        return False
    return _ABOVE.fullmatch(content[:start]) is not None
