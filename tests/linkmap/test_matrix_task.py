"""``diagnose`` as a user meets it: what it prints, its document, its exit codes."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from rich.console import Console
from simulator import Fabric, Fault, simulate

from clusterboot.headline import headline
from clusterboot.linkmap.inference.infer import infer
from clusterboot.linkmap.map_ending import map_ending
from clusterboot.linkmap.pair_matrix import PairMatrix
from clusterboot.report.matrix import heat_map, show_matrix
from clusterboot.report.next_steps import after_findings
from clusterboot.tasks.diagnose_task import diagnose_task

FIXTURES = Path(__file__).parent / "fixtures"


def run(
    capsys: pytest.CaptureFixture[str], where: str, *, as_json: bool = True, wanted: str = ""
) -> tuple[int, str, str]:
    with pytest.raises(Exit) as ended:
        diagnose_task(Context(), matrix=where, json=as_json, format=wanted)
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_one_file_gives_one_document(capsys):
    path = str(FIXTURES / "node-both.json")
    code, out, err = run(capsys, path)
    document = json.loads(out)
    assert (code, err) == (6, "")
    assert document["schema"] == "clusterboot/2"
    assert document["command"] == "diagnose"
    assert document["exit_code"] == 6
    (file,) = document["files"]
    assert file["path"] == path
    assert file["verdict"] == "slow"
    assert file["bandwidth_gb_s"][0][0] is None
    assert file["bandwidth_gb_s"][0][1] == json.loads(Path(path).read_text())["bandwidth_gb_s"][0][1]
    (finding,) = file["findings"]
    assert finding["hosts"] == ["n3"]
    assert finding["next_pairs"] == []
    assert "where" not in finding


def test_its_own_document_can_be_read_again(capsys, tmp_path):
    _, out, _ = run(capsys, str(FIXTURES / "node-both.json"))
    again = tmp_path / "again.json"
    again.write_text(json.dumps(json.loads(out)["files"][0]))
    _, second, _ = run(capsys, str(again))
    assert json.loads(second)["files"][0]["findings"] == json.loads(out)["files"][0]["findings"]


def test_a_folder_and_a_glob_mean_their_files_in_order(capsys, tmp_path):
    for name in ("clean-rails", "link-both"):
        shutil.copy(FIXTURES / f"{name}.json", tmp_path)
    code, out, _ = run(capsys, str(tmp_path))
    assert code == 6
    assert [file["verdict"] for file in json.loads(out)["files"]] == ["ok", "slow"]
    code, out, _ = run(capsys, str(tmp_path / "clean-*.json"))
    assert code == 0
    assert len(json.loads(out)["files"]) == 1


def test_a_folder_of_logs_of_pairs_is_a_matrix_a_measurement(capsys):
    folder = str(FIXTURES.parent / "stored/nccl-pairs")
    code, out, err = run(capsys, folder)
    files = json.loads(out)["files"]
    assert (code, err) == (6, "")
    assert [(file["path"], file["caption"], file["verdict"]) for file in files] == [
        (folder, "alltoall_perf, 2 ranks", "slow"),
        (folder, "sendrecv_perf, 2 ranks", "ok"),
    ]
    assert any("gpu-003 and gpu-004: dead; " in note for note in files[0]["notes"])
    _, out, _ = run(capsys, folder, as_json=False)
    assert f"{folder}: alltoall_perf, 2 ranks" in out.replace("\n", "")
    assert "link gpu-003 with gpu-004, both directions: dead" in out


def test_a_folder_of_folders_is_told_how_to_name_them(capsys, tmp_path):
    (tmp_path / "test_000").mkdir()
    code, _, err = run(capsys, str(tmp_path))
    assert code == 2
    assert f"no file lies directly in it; give a quoted glob: '{tmp_path}/*/*'" in err


def test_standard_input(capsys, monkeypatch):
    text = io.TextIOWrapper(io.BytesIO(b",a,b\na,,0\nb,0,\n"))
    monkeypatch.setattr("sys.stdin", text)
    code, out, _ = run(capsys, "-")
    (file,) = json.loads(out)["files"]
    assert (code, file["path"], file["verdict"]) == (6, "-", "slow")
    assert file["findings"][0]["fraction_of_expected"] == 0


def test_inconclusive_is_no_success(capsys):
    code, out, _ = run(capsys, str(FIXTURES / "half-slow-of-four.json"))
    assert (code, json.loads(out)["files"][0]["verdict"]) == (6, "inconclusive")


@pytest.mark.parametrize("where", ["absent.json", "bad.json"])
def test_what_cannot_be_read_is_one_line(capsys, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    code, out, err = run(capsys, where)
    assert code == 2
    assert json.loads(out)["error"]["cause"].startswith(where)
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_machine_formats_come_alone_on_standard_output(capsys):
    path = str(FIXTURES / "node-both.json")
    code, out, err = run(capsys, path, as_json=False, wanted="junit")
    assert (code, err) == (6, "")
    assert ElementTree.fromstring(out).get("failures") == "1"  # noqa: S314
    _, out, _ = run(capsys, path, as_json=False, wanted="prometheus")
    assert 'clusterboot_link_verdict{cluster="",backend="",verdict="slow"} 1' in out.splitlines()
    _, out, _ = run(capsys, path, as_json=False, wanted="csv")
    assert len(out.splitlines()) == 1 + 16 * 15


def test_its_own_csv_can_be_read_again(capsys, tmp_path):
    _, document, _ = run(capsys, str(FIXTURES / "node-both.json"))
    _, out, _ = run(capsys, str(FIXTURES / "node-both.json"), as_json=False, wanted="csv")
    (tmp_path / "again.csv").write_text(out)
    _, second, _ = run(capsys, str(tmp_path / "again.csv"))
    first, again = (json.loads(text)["files"][0] for text in (document, second))
    assert (again["nodes"], again["findings"]) == (first["nodes"], first["findings"])


def test_a_machine_format_is_one_document(capsys, tmp_path):
    for name in ("clean-rails", "link-both"):
        shutil.copy(FIXTURES / f"{name}.json", tmp_path)
    code, _, err = run(capsys, str(tmp_path), as_json=False, wanted="csv")
    assert code == 2
    assert "give one of them at a time" in err
    code, _, err = run(capsys, str(tmp_path / "link-both.json"), as_json=False, wanted="yaml")
    assert code == 2
    assert "--format" in err


def test_a_person_reads_the_finding_before_the_map(capsys):
    code, out, _ = run(capsys, str(FIXTURES / "node-both.json"), as_json=False)
    lines = out.splitlines()
    assert code == 6
    assert re.fullmatch(r"slow: node n3 at \d+% of the expected; 120 of 120 pairs measured", lines[1])
    assert lines[2].startswith("  node n3, both directions: n3 sends and receives ")
    assert lines[-1].startswith("Next: ")
    assert lines[-1].endswith(" nccl-test --exclude n3")
    assert max(map(len, lines[3:])) <= 80


def plain(matrix: PairMatrix) -> str:
    to = Console(file=io.StringIO(), width=80, force_terminal=False)
    found = infer(matrix)
    show_matrix(to, "m", matrix, found, headline((), 0, map_ending(matrix, found)))
    return to.file.getvalue()  # type: ignore[attr-defined]


def test_an_open_finding_says_what_to_measure():
    matrix = PairMatrix(
        tuple("abcd"),
        np.array(
            [
                [np.nan, 3, np.nan, np.nan],
                [3, np.nan, np.nan, np.nan],
                [np.nan] * 3 + [12],
                [np.nan] * 2 + [12, np.nan],
            ]
        ),
    )
    told = plain(matrix)
    assert "node a or b, both directions: " in told
    assert "not certain: measure a with c, b with d" in told
    step = after_findings(infer(matrix), matrix.nodes)
    assert step is not None
    assert step("invoke {}".format) == "invoke link-map --hosts a,b,c,d"


def simulated(nodes: int, *faults: Fault) -> PairMatrix:
    sound = Fabric(np.full((nodes, nodes), 12.0), ())
    return simulate(sound, faults, np.random.default_rng(1), noise=0.01)


@pytest.mark.parametrize("nodes", [2, 3, 9, 10, 31, 32, 33, 64, 100, 1024])
def test_the_heat_map_fits_80_columns_and_40_lines(nodes: int):
    lines = heat_map(simulated(nodes))
    assert max(line.cell_len for line in lines) <= 80
    assert len(lines) <= 40


def test_the_heat_map_shows_dead_slow_and_not_measured():
    matrix = simulated(4, Fault("link", (0, 1), 0.0, "out"), Fault("link", (0, 2), 0.35))
    matrix.bandwidth_gb_s[0, 3] = np.nan
    (row,) = [line.plain for line in heat_map(matrix) if " n1 " in line.plain]
    assert row.split()[2:] == ["X", "3", "."]


def test_a_fold_keeps_the_slowest_pair():
    folded = heat_map(simulated(100, Fault("link", (50, 99), 0.0, "out")))
    assert sum(line.plain.count("X") for line in folded[:-2]) == 1


def test_long_and_odd_names_do_not_break_the_map():
    names = ("compute-host-000001.example.org", "x" * 200, "[a]", "結果結果結果結果結果")
    matrix = PairMatrix(names, simulated(4).bandwidth_gb_s)
    assert max(line.cell_len for line in heat_map(matrix)) <= 80
    assert "6 of 6 pairs measured" in plain(matrix)
