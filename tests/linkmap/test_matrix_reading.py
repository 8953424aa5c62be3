"""What can be read as a matrix, and that everything else is one clear error."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from repetition import share

from clusterboot.errors import UsageError
from clusterboot.linkmap.formats.json import matrix_to_json
from clusterboot.linkmap.formats.reading import read_matrix
from clusterboot.linkmap.pair_matrix import SAMPLE_RATES, Inference, PairMatrix, Samples

MPIGRAPH = """START mpiGraph v1.0.0
MsgSize\t1048576
Times\t10
Window\t10
Procs\t3

1 of 3 (33.3%)
2 of 3 (66.7%)
Gathering results

Send max\t12000.000000
Send avg\t9000.000000

Send\tgpu1:0\tgpu2:1\tgpu3:2\t
gpu1:0 to\t0.000\t11000.000\t11100.000\t
gpu2:1 to\t11200.000\t0.000\t11300.000\t
gpu3:2 to\t5000.000\t5100.000\t0.000\t

Recv max\t12000.000000
Recv avg\t9000.000000

Recv\tgpu1:0\tgpu2:1\tgpu3:2\t
gpu1:0 from\t0.000\t11250.000\t4900.000\t
gpu2:1 from\t10900.000\t0.000\t5200.000\t
gpu3:2 from\t11150.000\t11350.000\t0.000\t

Send MB/sec min:\t5000.000000
END mpiGraph
"""
# The later layout: names padded with blanks, and a colon after each word of the summary.
MPIGRAPH_PADDED = """START mpiGraph v1.4
Msg Size: 4194304 Bytes
Procs: 2

Send max: 12000.000 MB/s

Send               \tgpu1:0    \tgpu2:1    \t
gpu1:0       to\t0.000          \t11000.000      \t
gpu2:1       to\t12000.000      \t0.000          \t

END mpiGraph
"""


def read(text: str) -> PairMatrix:
    return read_matrix(text.encode(), "m")


def small(**changes: object) -> str:
    return json.dumps({"nodes": ["a", "b"], "bandwidth_gb_s": [[None, 1.5], [0, None]], **changes})


def test_json_with_nodes_and_bandwidth_alone():
    matrix = read(small())
    assert matrix.nodes == ("a", "b")
    assert matrix.bandwidth_gb_s[0, 1] == 1.5
    assert matrix.bandwidth_gb_s[1, 0] == 0
    assert np.isnan(matrix.bandwidth_gb_s.diagonal()).all()
    assert matrix.latency_us is None


def test_a_whole_link_map_result():
    text = small(
        schema="clusterboot/2", rounds=1, latency_us=[[None, 2.5], [None, None]], findings=[], verdict="ok"
    )
    latency = read(text).latency_us
    assert latency is not None
    assert latency[0, 1] == 2.5
    assert math.isnan(latency[1, 0])


@pytest.mark.parametrize(
    "text",
    [
        ",a,b\na,,1.5\nb,0,\n",
        "a,b\n,1.5\n0,\n",
        "node;a;b\r\na;;1.5\r\nb;0;NA\r\n",
        "\ufeff\ta\tb\na\tN/A\t1.5\nb\t0\t-\n",
        '"","a","b"\n"a","","1.5"\n"b","0.0",""\n',
    ],
)
def test_csv_with_a_header_of_names(text: str):
    matrix = read(text)
    assert matrix.nodes == ("a", "b")
    assert matrix.bandwidth_gb_s[0, 1] == 1.5
    assert matrix.bandwidth_gb_s[1, 0] == 0


def test_csv_blank_is_not_measured():
    matrix = read(",a,b,c\na,,,1\nb,NA,,1\nc,1,1,\n")
    assert math.isnan(matrix.bandwidth_gb_s[0, 1])
    assert math.isnan(matrix.bandwidth_gb_s[1, 0])


def test_mpigraph_gives_the_lower_of_what_both_ends_saw():
    matrix = read(MPIGRAPH)
    mib = 1024 * 1024 / 1e9
    assert matrix.nodes == ("gpu1", "gpu2", "gpu3")
    # gpu1 sent to gpu2 at 11000, gpu2 received from gpu1 at 10900.
    assert matrix.bandwidth_gb_s[0, 1] == pytest.approx(10900 * mib)
    assert matrix.bandwidth_gb_s[2, 0] == pytest.approx(4900 * mib)
    assert matrix.bandwidth_gb_s[2, 1] == pytest.approx(5100 * mib)


def test_mpigraph_with_padded_names():
    matrix = read(MPIGRAPH_PADDED)
    assert matrix.nodes == ("gpu1", "gpu2")
    assert matrix.bandwidth_gb_s[1, 0] == pytest.approx(12000 * 1024 * 1024 / 1e9)


def test_mpigraph_with_several_ranks_a_host_keeps_the_ranks():
    text = MPIGRAPH_PADDED.replace("gpu2", "gpu1")
    assert read(text).nodes == ("gpu1:0", "gpu1:1")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("hello", "no header"),
        ("{", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "no list nodes"),
        (small(nodes=None), "no list nodes"),
        (small(bandwidth_gb_s="x"), "no list bandwidth_gb_s"),
        (small(nodes=["a"]), "1 nodes"),
        (small(nodes=["a", "a"]), "twice"),
        (small(nodes=["a", ""]), "not a node's name"),
        (small(nodes=["a", 2]), "not a node's name"),
        (small(nodes=["a", "x" * 300]), "not a node's name"),
        (small(nodes=["a", "b\x1b[2J"]), "cannot be shown"),
        (small(nodes=["a", "b", "c"]), "2 rows for 3 nodes"),
        (small(bandwidth_gb_s=[[None, 1]]), "1 rows for 2 nodes"),
        (small(bandwidth_gb_s=[[None, 1], [1]]), "the row of b has 1 cells"),
        (small(bandwidth_gb_s=[[None, 1], 5]), "the row of b has no cells"),
        (small(bandwidth_gb_s=[[None, -1], [1, None]]), "-1 from a to b"),
        (small(bandwidth_gb_s=[[None, "1"], [1, None]]), "'1' from a to b"),
        (small(bandwidth_gb_s=[[None, True], [1, None]]), "True from a to b"),
        (small(bandwidth_gb_s=[[None, {}], [1, None]]), "{} from a to b"),
        (small(latency_us=[[None, -2], [1, None]]), "latency_us: -2"),
        (small(latency_us=3), "latency_us"),
        (small().replace("1.5", "NaN"), "NaN is not a number"),
        (small().replace("1.5", "-Infinity"), "Infinity is not a number"),
        (small().replace("1.5", "1e999"), "inf from a to b"),
        (small().replace("1.5", "1" * 400), "is not a number"),
        (small().replace("1.5", "1" * 5000), "not JSON"),
        (small().replace("1.5", "2e12"), "is not a number from 0 to 1e+12"),
        (small()[:-1] + ', "nodes": ["c", "d"]}', "stands twice"),
        (",a,b\na,,1\n", "1 rows for 2 nodes"),
        (",a,b\na,,1\nb,1\n", "the row of b has 1 cells"),
        (",a,b\na,,1\nb,x,\n", "'x' is not a bandwidth"),
        (",a,b\na,,nan\nb,1,\n", "nan from a to b"),
        (",a,b\na,,inf\nb,1,\n", "inf from a to b"),
        (",a,b\na,,-1\nb,1,\n", "-1.0 from a to b"),
        (",a,b\nb,1,\na,,1\n", "order"),
        (",a,a\na,,1\na,1,\n", "twice"),
        (',a,b\na,"x\nb,1,\n', "not CSV"),
        (MPIGRAPH.split("Recv max", maxsplit=1)[0].replace("gpu3:2 to", "gpu9:2 to"), "no row of gpu3:2"),
        (MPIGRAPH[: MPIGRAPH.index("gpu2:1 to")], "no row of gpu2:1"),
        (MPIGRAPH[: MPIGRAPH.index("Send\t")], "without its table"),
        (MPIGRAPH.replace("\t5100.000", ""), "2 cells for 3"),
        (MPIGRAPH.replace("5100.000", "x"), "'x' is not a bandwidth"),
    ],
)
def test_what_is_no_matrix_is_one_clear_error(text: str, cause: str):
    with pytest.raises(UsageError) as caught:
        read(text)
    line = str(caught.value)
    assert line.startswith("m: ")
    assert cause in line
    assert "\n" not in line
    assert len(line) < 400


def test_what_is_no_text_is_an_error():
    with pytest.raises(UsageError, match="not text"):
        read_matrix(b"\xff\xfe\x00", "m")


def test_too_many_nodes_are_an_error_before_their_cells_are_read():
    with pytest.raises(UsageError, match="5000 nodes"):
        read(json.dumps({"nodes": [f"n{i}" for i in range(5000)], "bandwidth_gb_s": []}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=share(80), deadline=None)
@given(st.one_of(st.text(), st.text(alphabet="a,b;1.-\n\"'\t :[]{}NSendRecvSTARTmpiGraph")))
@example("a,b\n\n")
@example('"')
@example("Send\ta:0\n")
def test_any_text_is_a_matrix_or_a_usage_error(text: str):
    try:
        matrix = read(text)
    except UsageError:
        return
    assert matrix.bandwidth_gb_s.shape == (len(matrix.nodes),) * 2


@settings(max_examples=share(80), deadline=None)
@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
def test_any_json_is_a_matrix_or_a_usage_error(nodes, bandwidth, latency):
    document = {"nodes": nodes, "bandwidth_gb_s": bandwidth, "latency_us": latency}
    try:
        matrix = read(json.dumps(document))
    except UsageError:
        return
    known = matrix.bandwidth_gb_s[~np.isnan(matrix.bandwidth_gb_s)]
    assert ((known >= 0) & np.isfinite(known)).all()


def test_a_line_a_pair_is_a_matrix_too() -> None:
    lines = ["sender,receiver,bandwidth_gb_s,latency_us", "b,a,12,2.5", "a,b,11.5,", "b,c,0,"]
    matrix = read_matrix("\n".join(lines).encode(), "m")
    assert matrix.nodes == ("b", "a", "c")
    assert (matrix.bandwidth_gb_s[0, 1], matrix.bandwidth_gb_s[1, 0], matrix.bandwidth_gb_s[0, 2]) == (
        12,
        11.5,
        0,
    )
    assert np.isnan(matrix.bandwidth_gb_s[2, 0])
    assert matrix.latency_us is not None
    assert matrix.latency_us[0, 1] == 2.5
    assert matrix.one_way_gb_s is None


@pytest.mark.parametrize(
    "lines",
    [
        ["sender,receiver,bandwidth_gb_s", "a,b,1", "a,b,2"],
        ["sender,receiver,bandwidth_gb_s", "a,b"],
        ["sender,receiver,bandwidth_gb_s", "a,b,x"],
        ["sender,receiver,bandwidth_gb_s", "a,a,1"],
        ["sender,receiver,bandwidth_gb_s"],
        ["sender,receiver,sender,bandwidth_gb_s", "a,b,a,1"],
        ["sender,receiver,bandwidth_gb_s", "a,b,-1"],
    ],
)
def test_lines_that_are_no_pairs_are_one_clear_error(lines: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^m: "):
        read_matrix("\n".join(lines).encode(), "m")


@pytest.mark.parametrize("corner", ["   ", "to "])
def test_a_table_set_with_blanks_is_a_matrix(corner: str) -> None:
    matrix = read_matrix(f"{corner} n1   n2\nn1    0 12.5\nn2   NA    0\n".encode(), "m")
    assert matrix.nodes == ("n1", "n2")
    assert matrix.bandwidth_gb_s[0, 1] == 12.5
    assert np.isnan(matrix.bandwidth_gb_s[1, 0])


@pytest.mark.parametrize("text", ["hello world\nthis is no matrix\n", "n1 n2\n", "hello\n", "a b\n1 2 3 4\n"])
def test_other_words_are_no_table(text: str) -> None:
    with pytest.raises(UsageError, match=r"^m: "):
        read_matrix(text.encode(), "m")


def test_samples_are_written_and_read_back():
    matrix = PairMatrix(("a", "b"), np.array([[np.nan, 9.0], [8.0, np.nan]]), samples=Samples.nothing(2))
    assert matrix.samples is not None
    values = {"count": 5, "bytes": 10**9, "low": 2, **dict(zip(SAMPLE_RATES, (9, 7, 11, 8, 10), strict=True))}
    for field, value in values.items():
        getattr(matrix.samples, field)[0, 1] = value
    document = matrix_to_json(matrix, Inference("ok"))
    cell = {"n": 5, "median_gb_s": 9.0, "min_gb_s": 7.0, "max_gb_s": 11.0, "q1_gb_s": 8.0, "q3_gb_s": 10.0}
    assert document["samples"] == [[None, {**cell, "bytes": 10**9, "low": 2}], [None, None]]
    again = read_matrix(json.dumps(document).encode(), "x").samples
    for each in fields(Samples):
        np.testing.assert_array_equal(getattr(again, each.name), getattr(matrix.samples, each.name))


@pytest.mark.parametrize(
    ("samples", "cause"),
    [
        ([[None, 5], [None, None]], "samples.n"),
        ([[None, {"n": "x"}], [None, None]], "samples.n"),
        ([[None, {"n": 1, "min_gb_s": -1}], [None, None]], "samples.min_gb_s"),
        ([[None]], "samples.n"),
        ({}, "samples is not a list"),
    ],
)
def test_samples_that_are_none_are_refused(samples, cause):
    text = json.dumps({"nodes": ["a", "b"], "bandwidth_gb_s": [[None, 1], [1, None]], "samples": samples})
    with pytest.raises(UsageError, match=cause):
        read_matrix(text.encode(), "x")
