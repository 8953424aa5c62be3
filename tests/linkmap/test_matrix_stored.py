"""What people have beside matrices: logs of pairs, tables of pairs, tables of GPUs; each with its answer.

A fixture is a file or a folder below ``stored``, and beside it what it is read as.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.commands.inputs import read_inputs
from clusterboot.errors import UsageError
from clusterboot.linkmap.formats.pairnames import hosts_above, hosts_in_command, pair_in_name, two_names
from clusterboot.linkmap.formats.reading import read_matrices
from clusterboot.linkmap.formats.stored import StoredMatrix, sustained
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.pair_matrix import Rates

STORED = Path(__file__).parent / "stored"
FIXTURES = sorted(path for path in STORED.iterdir() if path.suffix != ".expected")
FILES = sorted(path for path in STORED.rglob("*") if path.is_file() and path.suffix != ".expected")


def read(path: Path) -> list[StoredMatrix]:
    files = ((str(Path(name).relative_to(STORED)), data) for name, data in read_inputs(str(path), None))  # type: ignore[arg-type]
    return read_matrices(files, path.name)


def rows(cells: Rates) -> list[list[float | None]]:
    return [[None if np.isnan(cell) else round(float(cell), 3) for cell in row] for row in cells]


def told(path: Path) -> Any:
    try:
        stored = read(path)
    except UsageError as error:
        return {"error": str(error), "exit_code": int(error.exit_code)}
    return [
        {
            "path": each.path,
            "caption": each.caption,
            "nodes": list(each.matrix.nodes),
            "bandwidth_gb_s": rows(each.matrix.bandwidth_gb_s),
            **({} if each.matrix.latency_us is None else {"latency_us": rows(each.matrix.latency_us)}),
            "notes": list(each.notes),
        }
        for each in stored
    ]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_it_is_read_as_what_it_is(path: Path) -> None:
    assert told(path) == json.loads(path.with_name(f"{path.name}.expected").read_text())


def on_each_line(before: str, after: str = "") -> Callable[[str], str]:
    return lambda text: "".join(f"{before}{line}{after}\n" for line in text.splitlines())


DRESSES: dict[str, Callable[[str], str]] = {
    "open-mpi": on_each_line("[1,0]<stdout>:"),
    "prrte": on_each_line("[prterun-n1-7@1,0]<stdout>: "),
    "srun-label": on_each_line("0: "),
    "hydra-label": on_each_line("[0] "),
    "pdsh": on_each_line("login-9: "),
    "kubectl": on_each_line("[pod/pairs-launcher-x7/launcher] "),
    "compose": on_each_line("launcher-1  | "),
    "time": on_each_line("2026-01-02T10:11:12.123456Z "),
    "quote": on_each_line("> "),
    "line-numbers": lambda text: "".join(
        f"{at:5d}  {line}\n" for at, line in enumerate(text.splitlines(), 1)
    ),
    "ansible": on_each_line('        "', '",'),
    "airflow": on_each_line("[2026-01-02, 10:11:12 UTC] {subprocess.py:93} INFO - "),
    "kubetail": on_each_line("[pairs-launcher-x7] "),
    "container-log": on_each_line("2026-01-02T10:11:12.123456789Z stdout F "),
    "colour": on_each_line("\x1b[32m", "\x1b[0m"),
    "colour-without-escape": on_each_line("[32m", "[0m"),
    "crlf": on_each_line("", "\r"),
    "written-twice": lambda text: "".join(f"{line}\n" * 2 for line in text.splitlines()),
    "unended": lambda text: text.rstrip("\n"),
    "below-a-command": lambda text: f"+ ./pairs.sh\n{text}done\n",
    "decimal-commas": lambda text: re.sub(r"(?<=\s)(\d+)\.(\d+)(?=\s)", r"\1,\2", text),
}
TABLES = (".csv", ".json")
LOGS = [
    path
    for path in FIXTURES
    if not path.name.startswith("other")
    and not any(file.suffix in TABLES for file in FILES if file.is_relative_to(path))
]


@pytest.mark.parametrize("dress", DRESSES)
def test_what_a_launcher_or_a_collector_adds_changes_no_figure(dress: str) -> None:
    for path in LOGS:
        plain, dressed = [], []
        for full, data in read_inputs(str(path), None):
            name = str(Path(full).relative_to(STORED))
            plain.append((name, data))
            dressed.append((name, DRESSES[dress](data.decode()).encode()))
        one, other = (read_matrices(files, path.name) for files in (plain, dressed))
        assert [each.caption for each in other] == [each.caption for each in one], path.name
        for was, found in zip(one, other, strict=True):
            assert found.matrix.nodes == was.matrix.nodes, path.name
            assert rows(found.matrix.bandwidth_gb_s) == rows(was.matrix.bandwidth_gb_s), path.name


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ('"bw_avg": 392.04', "no BW_average, MsgRate and MsgSize"),
        ('"MsgSize": 65536, "BW_average": 392.04, "MsgRate": 0.1', "neither MB/sec nor Gb/sec"),
    ],
)
def test_perftests_json_without_a_unit_that_fits_is_refused(result: str, why: str) -> None:
    document = f'{{"test_info": {{"test": "RDMA_Write_BW_Test"}}, "results": {{{result}}}}}'
    with pytest.raises(UsageError, match=why):
        read_matrices([("a_b.json", document.encode())], "a_b.json")


@pytest.mark.parametrize("tags", [("n1: ", "n2: "), ("0: ", "1: "), ("[1,0]<stdout>:", "[1,1]<stdout>:")])
def test_tables_of_several_machines_in_one_file_are_told_apart(tags: tuple[str, str]) -> None:
    lines = (STORED / "p2p.txt").read_text().splitlines()
    mixed = "".join(f"{tag}{line}\n" for line in lines for tag in tags)
    one, several = (read_matrices([("m", text.encode())], "m") for text in ("\n".join(lines), mixed))
    assert len(several) == 2 * len(one)
    assert {(each.caption or "").partition(": ")[0] for each in several} in (
        {"n1", "n2"},
        {"rank 0", "rank 1"},
    )
    for was, found in zip([*one, *one], several, strict=True):
        assert rows(found.matrix.bandwidth_gb_s) == rows(was.matrix.bandwidth_gb_s)


def test_commas_that_may_part_thousands_are_refused() -> None:
    with pytest.raises(UsageError, match="may be a fraction or thousands"):
        read_matrices([("m", b"src;dst;MB/s\na;b;12,345\n")], "m")
    (read_as,) = read_matrices([("m", b"src;dst;MB/s\na;b;12345,5\na;c;12,345\n")], "m")
    assert rows(read_as.matrix.bandwidth_gb_s)[0] == [None, 12.345, 0.012]


def test_each_fixture_has_its_answer() -> None:
    assert len(FIXTURES) > 25
    assert {path.name for path in STORED.glob("*.expected")} == {f"{path.name}.expected" for path in FIXTURES}


def test_a_dead_pair_among_good_ones_is_found() -> None:
    alltoall, sendrecv = read(STORED / "nccl-pairs")
    (finding,) = infer(alltoall.matrix).findings
    assert (finding.kind, finding.hosts, finding.fraction_of_expected) == ("link", ("gpu-003", "gpu-004"), 0)
    assert infer(sendrecv.matrix).findings == ()


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("nccl_N2_G1_cnode2-001_cnode2-016.log", ("cnode2-001", "cnode2-016")),
        ("a__b.log", ("a", "b")),
        ("a-b.txt", ("a", "b")),
        ("nodeA_nodeB.log", ("nodeA", "nodeB")),
        ("runs/nodeA_nodeB.out.txt", ("nodeA", "nodeB")),
        ("gpu-1-gpu-2.log", ("gpu-1", "gpu-2")),
        ("rack1-n1-rack1-n2.log", ("rack1-n1", "rack1-n2")),
        ("n1_to_n2", ("n1", "n2")),
        ("host1.example.org-host2.example.org.log", ("host1.example.org", "host2.example.org")),
        ("10.0.0.1_10.0.0.2.log", ("10.0.0.1", "10.0.0.2")),
        ("osu_bw_n01_n02", ("n01", "n02")),
        ("ib_write_bw_mlx5_0_alpha_beta.log", ("alpha", "beta")),
        ("all_reduce_perf_gpu3_gpu4_20260101_120000.log", ("gpu3", "gpu4")),
        ("sendrecv-n1,n2.log", ("n1", "n2")),
        ("n1,n2.log", ("n1", "n2")),
        ("nccl-test-node-a__node-b-run.log", ("node-a", "node-b")),
        ("all_nodes_ib_write_bw_node01-node02_20260102.log", ("node01", "node02")),
        ("node1-node2_2026-01-02.log", ("node1", "node2")),
        ("osu_bw_h1_h2-20260102.log", ("h1", "h2")),
        ("ip-10-20-11-30_ip-10-20-11-31.log", ("ip-10-20-11-30", "ip-10-20-11-31")),
        ("2026-01-02_10-11-12_alice_bob.log", ("alice", "bob")),
        ("all_reduce_perf_alice-bob_16G.log", ("alice", "bob")),
        ("cluster1_node1-node2.log", ("node1", "node2")),
        ("job_x17abc_node01-node02_20260102.log", ("node01", "node02")),
        ("pair-0001_gpu-a1_gpu-b7.log", ("gpu-a1", "gpu-b7")),
        ("ip-10-0-0-1_host7.log", ("ip-10-0-0-1", "host7")),
        ("ib_write_bw_gpu-01.log", None),
        ("nccl.log", None),
        ("osu_bw.log", None),
        ("n1_n1.log", None),
        ("n1_n2_n3.log", None),
        ("nccl_N2_G8.log", None),
        ("", None),
        ("_", None),
    ],
)
def test_two_hosts_in_a_file_s_name(name: str, pair: tuple[str, str] | None) -> None:
    assert pair_in_name(name) == pair


def test_two_hosts_in_a_command_or_a_list() -> None:
    assert hosts_in_command("$ mpirun -np 2 -H a:1,b:1 ./osu_bw") == ("a", "b")
    assert hosts_in_command("srun -N2 --nodelist=kp[020-021] osu_bw") == ("kp020", "kp021")
    assert hosts_in_command("mpirun -np 3 --host a,b,c ./osu_bw") is None
    assert hosts_in_command("grep -H a,b") is None
    assert two_names("n[1,3]") == ("n1", "n3")
    assert two_names("a b") == ("a", "b")
    assert two_names("n[1-3]") is None
    assert two_names("$(id)") is None


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("=== n1 n2 ===", ("n1", "n2")),
        ("----- osu_bw: node-01 <-> node-02 -----", ("node-01", "node-02")),
        ("pair 1/6: n1,n2", ("n1", "n2")),
        ("between 10.0.0.1 and 10.0.0.2", ("10.0.0.1", "10.0.0.2")),
        ("2026-01-02 10:11:12 n1 n2", ("n1", "n2")),
        ("+ mpirun -np 2 -H n1,n2 ./osu_bw", ("n1", "n2")),
        ("+ mpirun -np 3 -H n1,n2,n3 ./osu_bw", None),
        ("cn1 cn2 cn3", None),
        ("GPU 0 <-> GPU 1", None),
        ("UCX_NET_DEVICES=mlx5_0:1,mlx5_1:1", None),
        ("ucx 1.12 ucx 1.13", None),
        ("n1 n1", None),
        ("running on 2 nodes", None),
    ],
)
def test_two_hosts_in_a_heading(line: str, pair: tuple[str, str] | None) -> None:
    assert hosts_above(line) == pair


def test_a_sweep_is_worth_what_it_comes_to_at_its_large_end() -> None:
    assert sustained({1: 0.1, 65536: 20.0, 1 << 20: 9.0, 1 << 21: 9.1, 1 << 22: 9.2}) == 9.2
    assert sustained({1 << 20: 12.0, 1 << 21: 12.2, 1 << 22: 3.0}) == 12.0
    assert sustained({}) is None


def test_both_orders_of_a_pair_are_two_directions() -> None:
    (both,) = read_matrices([("m", b"node1,node2,busbw\na,b,10\nb,a,2\na,c,9\n")], "m")
    assert rows(both.matrix.bandwidth_gb_s) == [[None, 10, 9], [2, None, None], [9, None, None]]


def test_several_figures_of_a_pair_count_by_their_median() -> None:
    (one,) = read_matrices([("m", b"src,dst,GB/s\na,b,10\na,b,2\na,b,9\n")], "m")
    assert rows(one.matrix.bandwidth_gb_s) == [[None, 9], [None, None]]
    assert one.notes == ("1 cells have several figures: their median counts",)


def matrices_or_error(name: str, data: bytes) -> list[StoredMatrix]:
    """Read what may be anything; an error is one line, and none is any other than of usage."""
    try:
        return read_matrices([(name, data)], name)
    except UsageError as error:
        line = str(error)
    assert "\n" not in line
    assert len(line) < 1000
    return []


PIECES = [line for path in FILES for line in path.read_text().splitlines() if line.strip()]


@settings(max_examples=share(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=30)), max_size=30), st.data())
def test_any_lines_are_matrices_or_one_usage_error(lines: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["a_b.log", "m", "x/y__z.txt"]))
    cut = "\n".join(lines).encode("utf-8", "surrogatepass")
    cut = cut[: data.draw(st.integers(0, len(cut)))]
    for each in matrices_or_error(name, cut):
        assert each.matrix.bandwidth_gb_s.shape == (len(each.matrix.nodes),) * 2
        assert all("\n" not in note and len(note) < 1000 for note in each.notes)


@settings(max_examples=share(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FILES), st.data())
def test_a_damaged_file_is_matrices_or_one_usage_error(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6))
    matrices_or_error(path.name, bytes(raw))


def test_hostile_sizes_end_soon() -> None:
    wide = b"memcpy CE GPU(row) -> GPU(column) bandwidth (GB/s)\n" + b" 0" * 1_000_000
    names = b"sender,dst,bw\n" + b"".join(b"a%d,b%d,1\n" % (at, at) for at in range(5000))
    for raw in (
        wide,
        names,
        names.replace(b"sender", b"src"),
        b"# OSU MPI Bandwidth Test\n" + b"1 " * 500_000,
    ):
        with pytest.raises(UsageError):
            read_matrices([("m", raw)], "m")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe\xfd", "a PNG picture"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
        (b"\x1f\x8b\x08\xff\xfe", "packed with gzip"),
        (b"\x80\x81\x82\x83", "not text"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(UsageError, match=f"n1-n2: it is {kind}"):
        read_matrices([("n1-n2", data)], "n1-n2")


def test_sizes_of_a_table_are_one_sweep() -> None:
    text = "host1,host2,size,busbw\n" + "".join(
        f"{pair},{size},{rate}\n"
        for pair, end in (("a,b", 40), ("a,c", 20))
        for size, rate in ((8, 0.0), (1 << 20, 9.0), (1 << 30, end), (2 << 30, end), (4 << 30, end))
    )
    (sweep,) = read_matrices([("m", text.encode())], "m")
    assert rows(sweep.matrix.bandwidth_gb_s)[0] == [None, 40.0, 20.0]
    assert sweep.caption == "busbw (taken as GB/s): at the large end of its sizes"


def test_pairs_of_one_direction_are_all_measured() -> None:
    text = b"src,dst,GB/s\na,b,10\na,c,10\nb,c,10\nc,b,10\n"
    (stored,) = read_matrices([("m", text)], "m")
    notes = infer(stored.matrix).notes
    assert notes == (
        "2 of 3 pairs were measured in one direction: what is bad in the other one alone would not show",
    )


def test_a_sweep_that_was_cut_off_is_no_slow_pair() -> None:
    def log(last: int) -> bytes:
        sizes = "".join(f"{1 << power} {min(24000.0, 3.0 * (1 << power))}\n" for power in range(last))
        return f"# OSU MPI Bandwidth Test v7.3\n# Size      Bandwidth (MB/s)\n{sizes}".encode()

    files = [("h1_h2.log", log(3)), ("h1_h3.log", log(23)), ("h2_h3.log", log(22))]
    (stored,) = read_matrices(files, "pairs")
    assert rows(stored.matrix.bandwidth_gb_s)[0] == [None, None, 24.0]
    assert "h1 and h2: not measured; its sizes end at 4 bytes, where the others' go to" in stored.notes[0]
    assert read_matrices(files[:1], "h1_h2.log")[0].matrix.bandwidth_gb_s[0, 1] == 0.012
