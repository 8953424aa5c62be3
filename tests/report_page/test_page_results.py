"""Results read back, pages made again, and the runs before one."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_runs import STARTED, link_map, nccl_test

from clusterboot.errors import UsageError
from clusterboot.report.page import page
from clusterboot.report.page.html import data, el
from clusterboot.report.page.maps import STEP, packed
from clusterboot.report.pages import earlier
from clusterboot.report.saved import read_runs
from operator_fixture import Operator


def save(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(text, encoding="utf-8")
    return folder


def test_a_page_is_made_again_beside_its_result_and_only_over_a_page(operator: Operator) -> None:
    folder = save(operator.folder / "results/testing/20260102T030405Z-link-map", link_map(6, slow=1))
    said = operator.document("report")
    made = folder / "report.html"
    assert said["page"] == str(made)
    assert "n2 sends" in made.read_text()
    before = made.read_bytes()
    assert operator.run("report", str(folder)).returncode == 0
    assert made.read_bytes() == before
    made.write_text("my own notes")
    refused = operator.run("report", str(folder))
    assert refused.returncode == 2
    assert "is no page of this program's" in refused.stderr
    assert made.read_text() == "my own notes"


def test_several_results_are_put_side_by_side(operator: Operator) -> None:
    for at, text in enumerate((nccl_test(10.0), nccl_test(5.0), link_map(5))):
        save(operator.folder / f"results/testing/2026010{at}T000000Z-run", text)
    words = [f"results/testing/2026010{at}T000000Z-run" for at in (0, 1)]
    said = operator.document("report", *words, "--output", "two.html")
    assert (said["page"], len(said["results"])) == ("two.html", 2)
    assert "-50.0 %" in (operator.folder / "two.html").read_text()
    assert len(operator.document("report", "results/testing")["results"]) == 3
    assert len(operator.document("report", "results/testing/*1T*")["results"]) == 1
    assert operator.run("report", "nothing/*").returncode == 2


def test_the_newest_runs_of_the_cluster_that_was_last_at_work_are_put_side_by_side(
    operator: Operator,
) -> None:
    runs = operator.folder / "kept/results/testing"
    for day in range(1, 5):
        save(runs / f"2026010{day}T000000Z-nccl-test", nccl_test(float(day)))
    save(runs / "20260109T000000Z-bootstrap", nccl_test(1.0))
    save(runs.parent / "other/20260101T000000Z-nccl-test", nccl_test(9.0))
    kept = ("--results-dir", "kept")

    said = operator.document("report", "--last", "2", *kept)
    assert said["page"] == str(runs / "comparison.html")
    assert [Path(name).parent.name[:8] for name in said["results"]] == ["20260103", "20260104"]
    said = operator.document("report", "--since", "2026-01-03", *kept)
    assert [Path(name).parent.name[:8] for name in said["results"]][-2:] == ["20260103", "20260104"]
    assert operator.document("report", "--last", "1", *kept)["page"].endswith("nccl-test/report.html")
    page_of_one = (runs / "20260104T000000Z-nccl-test/report.html").read_bytes()
    for words, told in (
        (("--since", "1m", *kept), "there is no run of that time"),
        (("--since", "yesterday", *kept), "not a time like 7d"),
        (("--last", "0", *kept), "--last 0"),
        (("--last", "2", str(runs)), "leave one out"),
        (
            ("--last", "2", *kept, "--output", str(runs / "20260104T000000Z-nccl-test/report.html")),
            "single run",
        ),
        ((), "there is no result below"),
    ):
        done = operator.run("report", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
    assert (runs / "20260104T000000Z-nccl-test/report.html").read_bytes() == page_of_one


def test_other_peoples_matrices_and_logs_that_were_read_have_pages_too(operator: Operator) -> None:
    operator.write("map.csv", "from,a,b,c\na,,9,3\nb,9,,9\nc,9,9,\n")
    assert operator.document("report", "map.csv")["results"] == ["map.csv"]
    log = Path(__file__).parents[1] / "programs/fixtures/all_gather_20.txt"
    read = operator.run("nccl-parse", str(log), "--json")
    operator.write("read.json", read.stdout)
    assert len(operator.document("report", "read.json", "--output", "log.html")["results"]) == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"schema": "clusterboot/2", "tests": 3}', "tests is not as this program writes it"),
        ('{"schema": "clusterboot/2", "duration_s": NaN}', "NaN is not a number"),
        ('{"schema": "clusterboot/3"}', "it is no result of clusterboot/2"),
        ('{"schema": "clusterboot/2", "command": "diagnose", "files": []}', "it has no results in it"),
        ('{"schema": "clusterboot/2", "nodes": ["a", "b"], "bandwidth_gb_s": [[1]]}', "1 rows for 2 nodes"),
        ("[" * 100_000, "nested too deeply"),
        ("", "is empty"),
    ],
)
def test_what_is_no_result_is_refused_with_the_reason(text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=re.escape(cause)):
        read_runs(text.encode(), "file")


def test_earlier_runs_are_told_of_and_broken_or_foreign_ones_left_out(tmp_path: Path) -> None:
    cluster = tmp_path / "results" / "testing"
    save(cluster / "20260101T000000Z-nccl-test", nccl_test(10.0))
    save(cluster / "20260102T000000Z-link-map", link_map(4, slow=1))
    save(cluster / "20260103T000000Z-nccl-test", "{broken")
    save(cluster / "20260104T000000Z-nccl-test", nccl_test(9.0, head={"cluster": "another"}))
    (cluster / "20260105T000000Z-cut-off").mkdir()
    (cluster / "notes.txt").write_text("a file, and no run")
    (cluster / "20260106T000000Z-loop").symlink_to(cluster / "20260106T000000Z-loop")
    now = save(cluster / "20260109T000000Z-nccl-test", nccl_test(11.0))
    save(cluster / "20260110T000000Z-later", nccl_test(1.0))
    past = earlier(now)
    assert [(run.command, run.sign) for run in past.runs] == [("link-map", "slow"), ("nccl-test", "ok")]
    assert past.runs[0].findings == ("node n2",)
    (note,) = past.notes
    assert "20260103T000000Z-nccl-test (" in note
    assert "it is of the cluster another" in note
    made = page(read_runs((now / "result.json").read_bytes(), "now"), past)
    assert "Earlier runs of this cluster" in made
    assert note.split(" (")[0] in made


def test_a_million_cells_keep_what_matters_and_stay_small() -> None:
    rng = np.random.default_rng(1)
    cells = 10 * rng.lognormal(0, 0.5, (300, 300))
    cells[0, 1], cells[1, 0] = 0.0, np.nan
    found = packed(cells)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(found["codes"])), np.uint8)
    codes = planes[:90_000].astype(int) + 256 * planes[90_000:].astype(int)
    assert (codes[1], codes[300]) == (65534, 65535)
    known = np.setdiff1d(np.arange(90_000), [1, 300])
    values = found["floor"] * np.exp(codes[known] * found["step"])
    np.testing.assert_allclose(values, cells.reshape(-1)[known], rtol=STEP * 0.501)


def test_text_and_data_cannot_leave_their_place() -> None:
    assert el("p", "<b>&\x1b[31m", title='"x" <y>') == '<p title="&quot;x&quot; &lt;y&gt;">&lt;b&gt;&amp;</p>'
    embedded = data("x", {"a": "</script><!--"})
    assert embedded.count("</script") == 1
    assert "<!--" not in embedded


class Tags(HTMLParser):
    """Counts the tags that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        # Text of several lines keeps them: that is a pre in place of a p.
        self.count["p" if tag == "pre" else tag] += 1


def tags(text: str) -> Counter[str]:
    parser = Tags()
    parser.feed(text)
    return parser.count


@settings(max_examples=15, deadline=None)
@given(st.text(alphabet="<>/\"'&!-=` scriptaSTYLEo\x00\u2028\n;", min_size=1, max_size=40))
def test_no_text_adds_a_tag(text: str) -> None:
    def made(said: str) -> str:
        problem = {"kind": "nccl-error", "host": said, "line": 1, "text": said, "remedy": said}
        facts = [{"fact": said, "usual": said, "odd": [{"hosts": said, "value": said}]}]
        head = {"head": {"cluster": said, "started": said}}
        return nccl_test(9.0, problems=[problem], node_facts=facts, reason=said, what=said, **head)

    (hostile,), (plain,) = (read_runs(made(said).encode(), said) for said in (f"x{text}", "x"))
    assert tags(page([hostile])) == tags(page([plain]))


def test_a_page_names_no_other_place_and_allows_itself_nothing() -> None:
    made = page(read_runs(link_map(4).encode(), "x"))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert policy.startswith("default-src &#x27;none&#x27;; script-src &#x27;sha256-")
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href|action)="(?!#)[^"]*"', made) == []
    assert "Copyright (c) 2022 Leon Sorokin" in made
    assert STARTED in made


def test_a_result_says_what_it_was_held_against_as_the_page_needs_it() -> None:
    (run,) = read_runs(nccl_test(11.0).encode(), "x")
    (expected,) = run.expected
    assert (expected.min_busbw_gb_s, expected.holds_from_bytes) == (8.0, 4 << 20)
    assert json.loads(nccl_test(11.0))["node_facts"][0]["odd"] == [{"hosts": "n3", "value": "32"}]
