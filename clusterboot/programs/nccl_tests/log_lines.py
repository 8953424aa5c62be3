"""A log as lines of plain text: without byte order marks, escape codes and launchers' tags."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .headers import begins_rank
from .prefixes import names_before, strip_prefix

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Bytes looked at to tell UTF-16 without a byte order mark: every other one is zero there.
_SAMPLE = 4096

# ECMA-48: CSI sequences, OSC strings up to BEL or ST, and two-character escapes; colours also where the
# escape itself was lost on a web page.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\[\d{1,3}(?:;\d{1,3})*m"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NOT_PLAIN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|&lt;|&gt;|\[[\d;]+m")

# `[1,0]<stdout>:` of Open MPI's --tag-output; since Open MPI 5 it names the job before it, and
# the host and process after it; with time stamps alone there is only `<stdout>:`.
_MPI_TAG = (
    r"(?:\[(?:[\w.@-]*@)?\d+,(\d+)\](?:\[[^\]]*\])?|\b\w{3} \w{3} +\d+ [\d:]+ \d{4} ?)"
    r"<std(?:out|err|diag)>: ?"
)
_TAGGED = re.compile(_MPI_TAG)
# Or `srun --label` and Hydra's -prepend-rank, at the start of a line only.
_LABELLED = re.compile(rf"{_MPI_TAG}| *(?:(\d{{1,5}}): |\[(\d{{1,5}})\] )")
# A row is printed in pieces, and Hydra labels each piece; a long list of devices srun cuts anywhere.
_ROW_LIKE = re.compile(r"\s*\d+\s+\d+\s+[a-z]")
_TIME_ONLY = re.compile(r"[\s\d:.,/+TZ-]*(?:\w{3} \w{3} +\d+ [\d:]+ \d{4})?\s*")

# Most of a debug log: such a line needs no cleaning.
_LIBRARY_LINE = re.compile(r"[\w.-]+:\d+:\d+ \[")

# No line of interest is longer; output without line ends must not cost minutes.
_LONGEST = 4000
_FEWEST_DOUBLED = 8


# How lines begin of nccl-tests, OSU, perftest, nvbandwidth, p2pBandwidthLatencyTest, Open MPI's messages.
_OWN = re.compile(
    r"#\s*(?:nThread |Using devices|Rank +\d|(?:nccl|rccl)-tests|Out of bounds|Avg bus|Collective test)"
    r"|#\s*(?:OSU |bytes )|memcpy [CS][EM] \w|Unidirectional P2P=|(?<!-)-{74}(?!-)"
)
_MOST_LINES = 0.8
_LONGEST_PREFIX = 200
# Figures of a row where a spreadsheet or an editor was set to another country.
_FIGURES = re.compile(r"(?:^|\s)\d+(?:,\d+)?\s+\d+,\d+(?:\s|$)")
_DECIMAL_COMMA = re.compile(r"(?<!\S)(-?\d+),(\d+)(?!\S)")
_DECIMAL_POINT = re.compile(r"(?:^|\s)\d+\.\d+(?:\s|$)")


class Line(NamedTuple):
    """One line of a log: its number, counted from 1, its text without tags, the rank they named.

    ``ended`` is false where the line's end is not there: a last line that is cut off, or a
    piece of a line that a launcher parted. ``host`` is the machine that a prefix such as
    pdsh's names. ``cut`` is true for a last line without its end: what stands at its end may
    be cut short.
    """

    number: int
    text: str
    rank: int | None = None
    ended: bool = True
    host: str | None = None
    cut: bool = False


def decode(data: bytes | str) -> str:
    """Read a log's bytes as text; what is not in its encoding becomes U+FFFD."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "replace")
    head = data[:_SAMPLE]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[first::2].count(0)
        if len(head) >= 16 and zeros > len(head) * 0.4 and head[1 - first :: 2].count(0) < zeros // 8:
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


class Dress(NamedTuple):
    """What collectors put on the lines of a whole log, which its single lines do not tell for sure.

    ``labelled`` is false where a number at a line's beginning is no rank's label; ``names`` are machines'
    that stand before the lines, ``doubled`` is true where every line is there twice, ``commas`` where
    its tables have commas for decimal points. ``frame`` matches a line with what else stands before and
    after its words.
    """

    labelled: bool = True
    names: frozenset[str] = frozenset()
    doubled: bool = False
    commas: bool = False
    frame: re.Pattern[str] | None = None


def segments(
    number: int, text: str, *, ended: bool = True, dress: Dress | None = None, longest: int = _LONGEST
) -> Iterator[Line]:
    """Part one line of a log into what each process wrote of it, cleaned.

    Open MPI tags the beginning of each chunk: a tag in mid-line begins another process's
    piece, and the line's end belongs to the last one only.
    """
    dress = dress or Dress()
    if text.startswith('{"log":'):
        text = _of_json_log(text)
    plain = _plain(text[:longest].rstrip("\r\n"))
    if dress.commas:
        plain = _DECIMAL_COMMA.sub(r"\1.\2", plain)
    # Nearly all lines have no such tag, or one at their beginning.
    is_one = "<std" not in plain or (plain.count("<std") == 1 and _TAGGED.match(plain))
    starts = [] if is_one else [tag.start() for tag in _TAGGED.finditer(plain)]
    if not starts:
        yield _unlabelled(number, plain, ended, dress)
        return
    before, _ = strip_prefix(plain[: starts[0]], dress.names)
    if not _TIME_ONLY.fullmatch(before):
        yield Line(number, before, None, ended=False)
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        line = _unlabelled(number, plain[start:stop], ended and stop is None, dress)
        if line.text or stop is None:
            yield line


def split(data: bytes | str, *, longest: int = _LONGEST) -> Iterator[Line]:
    """Cut a whole log into cleaned lines; a carriage return within a line ends it too.

    What lies beyond ``longest`` characters of a line is left out.
    """
    text = decode(data)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    pieces = text.split("\n")
    dress = _dress(pieces)
    unended = pieces.pop()
    for line in _lines(pieces, unended, dress, longest):
        framed = dress.frame.fullmatch(line.text) if dress.frame else None
        words, host = strip_prefix(framed["words"]) if framed else (line.text, None)
        yield line._replace(text=words, host=line.host or host) if framed else line


def _lines(pieces: list[str], unended: str, dress: Dress, longest: int) -> Iterator[Line]:
    step = 2 if dress.doubled else 1
    for number, piece in zip(range(1, len(pieces) + 1, step), pieces[::step], strict=True):
        if " NCCL INFO " in piece and "<std" not in piece and _LIBRARY_LINE.match(piece):
            yield Line(number, piece)
        else:
            yield from segments(number, piece, dress=dress, longest=longest)
    if unended and len(pieces) % step == 0:
        for line in segments(len(pieces) + 1, unended, ended=False, dress=dress, longest=longest):
            yield line._replace(cut=True)


def undressed(text: str) -> str:
    """Give a whole text as its cleaned lines, of whatever length."""
    return _joined(split(text, longest=len(text)))


def by_speaker(text: str) -> dict[str, str]:
    """Part a text by the machine or the rank that its lines' tags name: cleaned, without what has no tag."""
    parts: dict[str, list[Line]] = {}
    for line in split(text, longest=len(text)):
        who = line.host or ("" if line.rank is None else f"rank {line.rank}")
        parts.setdefault(who, []).append(line)
    return {who: _joined(lines) for who, lines in parts.items() if who}


def _joined(lines: Iterable[Line]) -> str:
    return "".join(f"{line.text}{chr(10) * (not line.cut)}" for line in lines)


def _dress(pieces: list[str]) -> Dress:
    """Look at what most lines of a log have.

    A message that is wrapped before ``22: Connection refused`` or ``[0] misc/socket.cc`` has no label.
    """
    heads = [head for piece in pieces[:_SAMPLE] if (head := _plain(piece[:80]).strip())]
    bare = [text for head in heads if (text := strip_prefix(head)[0])]
    labelled = sum(_LABELLED.match(line) is not None for line in bare) * 2 > len(bare)
    dress = Dress(labelled, names_before(heads), _is_doubled(pieces[:-1]), _has_commas(pieces[:_SAMPLE]))
    return dress._replace(frame=_frame(pieces[:_SAMPLE], dress))


def _frame(pieces: list[str], dress: Dress) -> re.Pattern[str] | None:
    """Find what stands before a benchmark's first words, and before most other lines: numbers may differ."""
    own = next((piece for piece in pieces if _OWN.search(piece)), None)
    if own is None:
        return None
    (first, *_) = segments(1, own, dress=dress)
    found = _OWN.search(first.text)
    before = first.text[: found.start()] if found else ""
    before = before.strip()
    if not 0 < len(before) <= _LONGEST_PREFIX:
        return None
    known = re.sub(r"\d+", r"\\d+", re.sub(r"(?:\\?[ \t])+", r"[ \\t]+", re.escape(before)))
    quote = rf"{before[-1]},?[ \t]*" if before[-1] in "'\"" else ""
    frame = re.compile(rf"[ \t]*{known}[ \t]?(?P<words>.*?){quote}")
    texts = [
        text for piece in pieces for each in segments(1, piece, dress=dress) if (text := each.text.strip())
    ]
    framed = sum(frame.fullmatch(text) is not None for text in texts)
    return frame if framed >= _MOST_LINES * len(texts) else None


def _has_commas(pieces: list[str]) -> bool:
    """Tell whether the figures of a log's rows have commas, and none a point."""
    rows = [piece for piece in pieces if "," in piece and _FIGURES.search(piece)]
    figures = sum(len(_DECIMAL_COMMA.findall(row)) for row in rows)
    return figures > 1 and not any(_DECIMAL_POINT.search(piece) for piece in pieces)


def _is_doubled(pieces: list[str]) -> bool:
    """Tell whether every line stands there twice, as where two of ``tee`` wrote to one file."""
    if len(pieces) < _FEWEST_DOUBLED or len(set(pieces[:_SAMPLE])) < _FEWEST_DOUBLED // 2:
        return False
    return all(one == other for one, other in zip(pieces[::2], pieces[1::2], strict=False))


def _of_json_log(text: str) -> str:
    """Take a line out of a container's log as Docker's ``json-file`` driver keeps it."""
    try:
        return str(json.loads(text)["log"]).rstrip("\n")
    except (ValueError, KeyError, TypeError):
        return text


def _plain(text: str) -> str:
    if not _NOT_PLAIN.search(text):
        return text
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    # Logs copied out of web pages keep their tags as entities.
    return text.replace("&lt;", "<").replace("&gt;", ">") if "&" in text else text


def _unlabelled(number: int, plain: str, ended: bool, dress: Dress) -> Line:
    """Take off what stands before the words of one process: prefixes, its rank, prefixes again."""
    text, host = strip_prefix(plain, dress.names)
    label = (_LABELLED if dress.labelled else _TAGGED).match(text)
    if label is None:
        return Line(number, text, None, ended, host)
    rank = int(label[label.lastindex]) if label.lastindex else None
    text, inner = strip_prefix(text[label.end() :])
    if "<std" not in label[0] and _ROW_LIKE.match(text):
        # No cell has a bracket or ends in a colon; the label may be glued to the cell before it.
        text = re.sub(rf"\[{rank}\]|{re.escape(label[0].strip())}(?=\s)", " ", text)
    elif begins_rank(text):
        text = text.replace(label[0], "")
    return Line(number, text, rank, ended, host or inner)
