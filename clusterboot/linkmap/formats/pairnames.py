"""The two hosts of a measurement, from the name of its file or from a launcher's command line."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePath

from clusterboot.inventory.nodeset import expand
from clusterboot.inventory.problems import RuleError

# What stands between two names, the surest first.
_BETWEEN = (
    *("__", "--", "_to_", "-to-", "_vs_", "-vs-", "_and_", "-and-", "<->", "->"),
    *("+", ",", "_", "-", "."),
)
_ENDINGS = re.compile(r"\.(?:log|txt|out|err|output|stdout|result|res|csv|json|gz)$", re.IGNORECASE)
# Words of such names that are no hosts: of programs, and of what else is counted, dated or kept.
_PROGRAM = (
    r"nccl|rccl|osu|ib|mpi|ucx|perf|perftest|bw|bibw|mbw|mr|lat|latency|bandwidth|write|read|send|recv|sendrecv|all|"
    r"reduce|gather|scatter|alltoall|alltoallv|allreduce|allgather|reducescatter|broadcast|hypercube|p2p|bench|"
    r"benchmark|tests?|runs?|results?|logs?|outs?|outputs?|pairs?|pairwise|debug|without|with"
)
_DAY = r"20\d\d-?[01]\d-?[0-3]\d(?:[T_-]?\d\d[:.-]?\d\d(?:[:.-]?\d\d)?Z?)?"
_DATED = re.compile(rf"^{_DAY}[-_.]+|[-_.]+{_DAY}$")
_NO_HOST = re.compile(
    # Of counts, as N2 and G8, capitals tell them from hosts.
    rf"\d*|(?-i:[NG])\d+|np\d+|x\d+|\d+gpus?|gpus?|nodes?|hosts?|client|server|mlx\d"
    rf"|{_DAY}|\d\d[:.-]\d\d[:.-]\d\d|\d+[KMG]i?B?|(?:slurm|job|run|iter|round|try|pair|test)[-_.]?\d*|{_PROGRAM}",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"(?:(?:{_PROGRAM})[-_.])+", re.IGNORECASE)
_AFTER = re.compile(rf"(?:[-_.](?:{_PROGRAM}))+$", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_HOST = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
_JOINING = frozenset({"and", "to", "vs", "with", "from", "between"})
_MOST_WORDS = 12
# What a line may have two of that are no hosts.
_DEVICE = re.compile(
    r"(?:mlx\d|hfi\d|bnxt_re|irdma|efa|rocep|cuda|device|rank|port|eth|ens|ib|gpu|cpu|core)[_:]?\d(?:[:_.]\w+)*",
    re.IGNORECASE,
)
_NAME_LIKE = re.compile(r"[A-Za-z]|^\d+(?:\.\d+){3}$")
_OPTION = re.compile(r"\s(?:-H|--?hosts?|--nodelist|-w|--?hostlist)[ =]\s*(\S+)")
_LAUNCHERS = re.compile(r"\b(?:mpirun|mpiexec|mpiexec\.hydra|prterun|srun|aprun)\b")


def pair_in_name(path: str) -> tuple[str, str] | None:
    """Find the two hosts that a file is named after: ``nccl_N2_G1_a-001_a-002.log``, ``a__b``, ``a-to-b``.

    Returns: the hosts in their order; ``None`` where the name has no two, or may be read in several ways.
    """
    stem = PurePath(path).name
    while stem != (shorter := _ENDINGS.sub("", stem)):
        stem = shorter
    pairs = _pairs(_DATED.sub("", stem), _BETWEEN)
    return pairs.pop() if len(pairs) == 1 else None


def _pairs(stem: str, separators: tuple[str, ...]) -> set[tuple[str, str]]:
    """Find what pairs of hosts a name may tell of, by the surest of the separators that tells any."""
    for at, between in enumerate(separators, 1):
        words = stem.split(between)
        if len(words) < 2:
            continue
        weaker = separators[at:]
        if pairs := _alike(words, between) or _inside(words, weaker) or _only_two(words):
            return pairs
        left = [word for word in words if not _NO_HOST.fullmatch(word)]
        if len(left) == 1:  # as in ib_write_bw_alice-bob_20260102
            return _pairs(left[0], weaker)
    return set()


def _inside(words: list[str], separators: tuple[str, ...]) -> set[tuple[str, str]]:
    """Look for two hosts that are alike within one word, as in ``rack7_n1-n2_20260102``."""
    found = {pair for word in words for each in separators for pair in _alike(word.split(each), each)}
    return {pair for pair in found if re.search("[A-Za-z]", pair[0])}


def hosts_in_command(line: str) -> tuple[str, str] | None:
    """Find the two hosts that a launcher's command line names."""
    launcher = _LAUNCHERS.search(line)
    option = _OPTION.search(line, launcher.end()) if launcher else None
    if option is None:
        return None
    return two_names(re.sub(r":\d+(?=,|$)", "", option[1]))


def hosts_above(line: str) -> tuple[str, str] | None:
    """Find the two hosts that a line above a test says it is of: a launcher's command, or a heading.

    A heading is what a loop over pairs prints, as ``=== n1 n2 ===`` or ``osu_bw: n1 <-> n2``: of its words
    two that stand together are alike but for their numbers.
    """
    if _LAUNCHERS.search(line):
        return hosts_in_command(line)
    words = re.sub(r"[^\w.:-]+", " ", line.replace("->", " ").replace("_to_", " ")).split()
    words = [word.strip("-:._") for word in words if word.lower() not in _JOINING]
    words = [word for word in words if word]
    if len(words) > _MOST_WORDS:
        return None
    pairs = {
        (one, other)
        for one, other in itertools.pairwise(words)
        if one != other
        and _DIGITS.sub("0", one) == _DIGITS.sub("0", other)
        and _NAME_LIKE.search(one)
        and not _DEVICE.fullmatch(one)
        and _is_host(one)
        and _is_host(other)
    }
    return pairs.pop() if len(pairs) == 1 else None


def two_names(text: str) -> tuple[str, str] | None:
    """Read a list of exactly two hosts, folded or not: ``n[1-2]``, ``a,b``, ``a b``."""
    try:
        names = dict.fromkeys(name for part in text.split() for name in expand(part.strip(",;")))
    except RuleError:
        return None
    first, *rest = names or ("",)
    return (first, rest[0]) if len(rest) == 1 else None


def _alike(words: list[str], between: str) -> set[tuple[str, str]]:
    """Find two runs of words, one behind the other, that differ in their numbers alone; the longest runs."""
    for length in range(len(words) // 2, 0, -1):
        found = set()
        for at in range(len(words) - 2 * length + 1):
            one, other = (between.join(words[i : i + length]) for i in (at, at + length))
            same = _DIGITS.sub("0", one) == _DIGITS.sub("0", other)
            if one != other and same and _is_host(one) and _is_host(other):
                found.add((one, other))
        if found:
            return found
    return set()


def _only_two(words: list[str]) -> set[tuple[str, str]]:
    """Take the two words that are left when all are gone that are no hosts."""
    left = [_AFTER.sub("", _BEFORE.sub("", word, count=1)) for word in words if not _NO_HOST.fullmatch(word)]
    if len(left) != 2 or left[0] == left[1] or not all(map(_is_host, left)):
        return set()
    return {(left[0], left[1])}


def _is_host(text: str) -> bool:
    return bool(_HOST.fullmatch(text)) and not _NO_HOST.fullmatch(text)
