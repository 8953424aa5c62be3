"""Logs of perftest: ``ib_write_bw``, ``ib_read_bw``, ``ib_send_bw`` between two hosts; its JSON too.

Source: perftest_parameters.h, perftest_parameters.c and perftest_resources.c of linux-rdma/perftest:
``MB/sec`` is 2^20 bytes, ``Gb/sec`` 10^9 bits a second. The client writes and sends, and reads what the
server sends; of two hosts in a file's name the first is taken for the client. ``--out_json`` writes
neither hosts nor the unit, which the rate of messages and their size tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from .cells import bad
from .pairnames import hosts_above, pair_in_name
from .stored import Format, PairFigure, sustained

_TITLE = re.compile(r"(?P<verb>RDMA_Write|RDMA_Read|Send)(?:_imm)?(?P<words>(?: [\w-]+)*?) BW Test$")
_HEADER = re.compile(r"#bytes\s.*\bBW average\[")
_COLUMN = re.compile(r"#\w+|[A-Za-z]\w*(?: \w+)?\[[^\]]*\]")
_UNIT = re.compile(r"BW average\[([^\]]*)\]")
_FACTOR = {"MB/sec": 2**20 / 1e9, "Gb/sec": 1 / 8, "MiB/sec": 2**20 / 1e9, "GB/sec": 1.0}
_DEVICE = re.compile(r"\bDevice\s*:\s*(\S+)")
_ADDRESS = re.compile(r"(local|remote) address:")
_GID = re.compile(r"GID: ?((?:\d{1,3}:){15}\d{1,3})$")
# The program's own lines with numbers that differ.
_OWN = re.compile(r"\d|(?:local|remote) address")
_SERVER = re.compile(r"\* Waiting for client to connect")
# The data path itself failed; what never got so far measured nothing.
_DEAD = re.compile(r"Completion with error|Failed status \d+|wr_id \d+ syndrom")
_FAILED = re.compile(
    r"(?:Couldn't |Could not |Unable to |Failed to |Unexpected |Problem|IB device .* not found|.*[Ee]rror\b)"
)
# All that is printed where the server, or the device, is not there.
_UNCONNECTED = re.compile(
    r"Couldn't connect to \S{1,253}:\d{1,5}\b|Unable to init the socket connection"
    r"|IB device \S{1,64} not found|Unable to find the Infiniband/RoCE device"
)
_PROGRAMS = {"RDMA_Write": "ib_write_bw", "RDMA_Read": "ib_read_bw", "Send": "ib_send_bw"}
_READS = "ib_read_bw"
_JSON_TEST = re.compile(
    r'"test": ?"(?P<verb>RDMA_Write|RDMA_Read|Send)(?:_imm)?(?P<words>(?:_\w+?)*?)_BW_Test"'
)
_JSON_VALUE = re.compile(r'"(\w+)": ?(?:"([^"]{1,64})"|(-?[0-9.]{1,32}))')
_UNITS_AGREE = 0.02


@dataclass
class _PerftestRun:
    """One test as it is read line by line."""

    program: str
    words: str
    heading: tuple[str, str] | None = None
    device: str | None = None
    gids: dict[str, str] = field(default_factory=dict)
    rate_gb_s: float | None = None
    why: str | None = None
    points: dict[int, float] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    factor: float = 0.0
    side: str = ""

    def take(self, line: str, path: str) -> None:
        """Read a line below the test's title."""
        rate = self._rate(line) if self.columns else None
        if rate is not None:
            self.points[int(line.split(maxsplit=1)[0])] = rate
        elif _HEADER.match(line):
            self.columns, self.factor = _columns(line, path)
        elif _DEAD.search(line):
            self.rate_gb_s, self.why = 0.0, line
        elif self.why is None and _FAILED.match(line):
            self.why = line
        else:
            self._about(line)

    def end(self) -> None:
        """Take the rate of the largest sizes, or say why there is none."""
        if self.points and self.rate_gb_s is None:
            self.rate_gb_s = sustained(self.points)
        if self.rate_gb_s:
            self.why = None
        elif self.why is None:
            self.why = "the test has no result"

    def _about(self, line: str) -> None:
        if device := _DEVICE.search(line):
            self.device = device[1]
        elif address := _ADDRESS.match(line):
            self.side = address[1]
        elif self.side and (gid := _GID.match(line)) and (ip := _ipv4(gid[1])):
            self.gids.setdefault(self.side, ip)

    def _rate(self, line: str) -> float | None:
        """Read a row's average; a negative one is an overflow of perftest's clock, and no measurement."""
        words = line.split()
        at = next((place for place, name in enumerate(self.columns) if name.startswith("BW average")), 0)
        if len(words) <= at or not words[0].isdecimal():
            return None
        try:
            rate = float(words[at]) * self.factor
        except ValueError:
            return None
        return rate if math.isfinite(rate) and rate >= 0 else None


def _recognises(text: str) -> bool:
    if _JSON_TEST.search(text):
        return True
    titled = "BW Test" in text and any(_TITLE.search(line[:200].rstrip()) for line in text.splitlines())
    return titled or bool(_UNCONNECTED.search(text))


def _read(text: str, path: str) -> list[PairFigure]:
    if _JSON_TEST.search(text):
        return _from_json(text, path)
    lines = [line.strip() for line in text.splitlines()]
    is_server = any(_SERVER.match(line) for line in lines)
    tests = _tests(lines, path)
    if not tests and (said := _UNCONNECTED.search(text)):
        return [PairFigure("", path, None, None, why=said[0].strip())]
    named = pair_in_name(path) is not None
    figures = []
    for test in tests:
        ends = test.heading
        if ends is None and not named and len(test.gids) == 2:
            # What is local to a server's log is remote to its client.
            ends = (test.gids["local"], test.gids["remote"])
            ends = ends[::-1] if is_server else ends
        ends = ends[::-1] if ends and test.program == _READS else ends
        made = _figure(test.program, test.words, path, test.rate_gb_s, max(test.points, default=None))
        figures.append(replace(made, ends=ends, why=test.why, rail=test.device))
    if not figures:
        raise bad(path, "it has no bandwidth test of perftest")
    return figures


def _from_json(text: str, path: str) -> list[PairFigure]:
    figures = []
    tests = list(_JSON_TEST.finditer(text))
    for test, following in zip(tests, [*(each.start() for each in tests[1:]), len(text)], strict=True):
        said = {
            key: word or number for key, word, number in _JSON_VALUE.findall(text[test.end() : following])
        }
        made = _figure(_PROGRAMS[test["verb"]], test["words"], path, *_json_rate(said, path))
        figures.append(replace(made, rail=said.get("Device")))
    return figures


def _figure(program: str, words: str, path: str, rate: float | None, size: int | None) -> PairFigure:
    both = "Bidirectional" in words
    what = f"{program}, both directions together" if both else program
    return PairFigure(what, path, None, rate, not both, largest_bytes=size, pulls=program == _READS)


def _json_rate(said: Mapping[str, str], path: str) -> tuple[float, int]:
    """Give the rate in GB/s and the message's size in bytes, by the unit that the rate of messages fits."""
    try:
        rate, messages = float(said["BW_average"]), float(said["MsgRate"])
        size = int(said["MsgSize"])
    except (KeyError, ValueError):
        raise bad(path, "perftest's JSON has no BW_average, MsgRate and MsgSize in it") from None
    moved_gb_s = messages * size / 1e3
    for factor in (_FACTOR["MB/sec"], _FACTOR["Gb/sec"]):
        if moved_gb_s > 0 and math.isclose(rate * factor, moved_gb_s, rel_tol=_UNITS_AGREE):
            return rate * factor, size
    raise bad(path, "its bandwidth agrees with its rate of messages in neither MB/sec nor Gb/sec")


def _tests(lines: list[str], path: str) -> list[_PerftestRun]:
    tests: list[_PerftestRun] = []
    heading: tuple[str, str] | None = None
    for line in lines:
        if title := _TITLE.search(line):
            tests.append(_PerftestRun(_PROGRAMS[title["verb"]], title["words"], heading))
        elif not _OWN.match(line):
            heading = hosts_above(line) or heading
        if tests:
            tests[-1].take(line, path)
    for test in tests:
        test.end()
    return tests


def _columns(line: str, path: str) -> tuple[list[str], float]:
    unit = _UNIT.search(line)
    if unit is None or unit[1] not in _FACTOR:
        raise bad(path, f"perftest's unit '{unit[1][:20] if unit else ''}' is not known")
    return _COLUMN.findall(line), _FACTOR[unit[1]]


def _ipv4(gid: str) -> str | None:
    """Give the address in a GID of RoCE, which perftest prints in decimal bytes: ``…:255:255:10:0:0:1``."""
    raw = [int(byte) for byte in gid.split(":")]
    if raw[:10] != [0] * 10 or raw[10:12] != [255, 255] or max(raw) > 255:
        return None
    return str(ip_address(bytes(raw[12:])))


PERFTEST = Format("a log of perftest", _recognises, _read)
