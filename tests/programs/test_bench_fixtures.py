"""What each log must say, written by hand, and rules that every answer keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clusterboot.programs.nccl_tests.log_lines import decode
from clusterboot.programs.nccl_tests.parser import parse_log
from clusterboot.verdict.as_json import to_json
from clusterboot.verdict.verdict import judge, report_of

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.txt"))

# Log: its verdict, then layout, ranks and rows of each test, then kind, host and line of each problem.
ESSENTIALS = """
all_operations: ok; 2.13 8 24;
all_operations_types_one_lost: inconclusive; 2.13 8 20; truncated - -
dressed_rows_in_tagged_pieces: ok; 2.13 16 4;
empty: inconclusive; ;
every_root: ok; 2.13 4 16;
fail_bootstrap_no_interface: failed; ; nccl-error gpu001 1, nccl-error gpu001 2
fail_cancelled_by_user: failed; 2.13 16 2; killed - 26
fail_container_mpirun: could-not-launch; ; missing-executable - 1
fail_csh_orted: could-not-launch; ; missing-executable - 1
fail_cuda_memory_glued_to_a_row: failed; 2.13 16 3; cuda-error gpu002 27
fail_daemon_failed_after_launch: could-not-launch; ; mpi-launch - 2
fail_driver_too_old: failed; ; cuda-error gpu001 1
fail_exit_after_the_footer: failed; 2.13 16 4; killed gpu001 33
fail_glibc_too_old: could-not-launch; ; missing-library - 1
fail_host_key: could-not-launch; ; ssh - 2
fail_hydra_executable: could-not-launch; ; missing-executable gpu002 1
fail_hydra_lost_node: failed; 2.13 16 2; killed - 26
fail_hydra_proxy_missing: could-not-launch; ; missing-executable - 1
fail_hydra_signal: failed; 2.13 16 1; killed gpu002 33
fail_hypercube_not_power_of_two: inconclusive; 2.13 6 0; usage - 14
fail_ib_completion: failed; 2.13 16 2; nccl-error gpu002 27, nccl-error gpu001 29
fail_intel_mpi_signal: failed; 2.13 16 0; killed gpu002 28
fail_kernel_oom: failed; 2.13 16 1; killed gpu002 25
fail_kubeflow_resolve: could-not-launch; ; ssh {pod}{domain} 1, mpi-launch - 3, mpi-launch {pod} 10
fail_layout_1_nccl: failed; - 0 0; nccl-error - 2
fail_mpi_init: could-not-launch; ; mpi-launch - 2, mpi-launch gpu002 7
fail_mpich_init: could-not-launch; ; mpi-launch - 1
fail_not_executable: could-not-launch; ; missing-executable - 1
fail_ompi_executable: could-not-launch; ; missing-executable gpu002 2
fail_ompi_timeout: hung; 2.13 16 2; timeout - 27
fail_orted_library: could-not-launch; ; missing-library - 1, mpi-launch - 3
fail_pbs_walltime: hung; 2.13 16 2; timeout - 26
fail_prrte_executable: could-not-launch; ; missing-executable gpu002 2
fail_prrte_slots: could-not-launch; ; no-slots - 2
fail_rccl_too_few_gpus: inconclusive; ; usage mi300-1 1
fail_run_as_root: could-not-launch; ; mpi-launch - 2
fail_segmentation_fault: failed; 2.13 16 1; killed gpu002 25
fail_segmentation_fault_before_output: failed; ; killed 10.10.21.2 2
fail_slurm_node_failure: failed; 2.13 16 2; killed gpu002 26, killed - 28
fail_srun_executable: could-not-launch; ; missing-executable - 1
fail_srun_out_of_memory: failed; 2.13 16 2; killed - 26, killed gpu002 27
fail_ssh_lost_in_midrun: failed; 2.13 16 2; killed gpu002 26
fail_ssh_refused: could-not-launch; ; ssh 10.1.0.5 1
fail_symbol_lookup: could-not-launch; ; missing-library gpu002 1
fail_time_limit_before_anything: could-not-launch; ; timeout - 2
fail_timeout_of_nccl_tests: hung; 2.13 16 2; timeout gpu002 26
fail_unknown_long_option: inconclusive; ; usage - 1
fail_zsh_orted: could-not-launch; ; missing-executable - 1
fail_intel_mpi_proxy: could-not-launch; ; mpi-launch gpu002 1
fail_pyxis: could-not-launch; ; mpi-launch - 1
fail_lsf_memory: failed; 2.13 16 2; killed - 26
fail_gpu_fell_off: failed; 2.13 16 2; cuda-error gpu002 26
rccl_20_asterisk: wrong-data; 2.0 16 4; wrong-data - 29
first_half_lost: inconclusive; 2.13 0 2; truncated - -
jobs_of_eight_ranks_interleaved: inconclusive; 2.13 16 8; not-mpi-build - -
jobs_of_one_rank_tagged: inconclusive; 2.13 4 16; not-mpi-build - -
layout_1_broadcast_one_half: ok; 1 2 4;
layout_1_from_a_paste_site: ok; 1 2 4;
layout_1_header_among_ranks: ok; 1 2 4;
layout_1_wrong_values: wrong-data; 1 2 4; wrong-data - 13
layout_20_info_between_rows: ok; 2.0 16 4;
layout_20_rows_alone: inconclusive; 2.0 0 4; truncated - -
lost_daemon: failed; 2.13 16 6; killed gpu002 31
own_json: ok; 2.13 16 4;
own_json_below_minimum: slow; 2.13 16 4; min-bandwidth - -
own_json_inf_and_no_check: ok; 2.13 16 4;
own_json_killed: inconclusive; 2.13 16 3; truncated - -
own_json_killed_in_config: inconclusive; 2.13 14 0; truncated - -
own_json_per_iteration: ok; 2.19 16 4;
own_json_wrong: wrong-data; 2.13 16 4; wrong-data - -
per_iteration_with_timestamps: ok; 2.19 16 4;
rccl_213_hash_line: ok; 2.13 8 4;
rccl_217_version_line: ok; 2.13 8 4;
remarks_of_the_runtime_then_cut_off: inconclusive; 2.13 16 9; truncated - -
rccl_json: ok; 2.13 0 4;
rccl_json_a_line_each: inconclusive; 2.13 0 3; truncated - -
rccl_json_killed: inconclusive; 2.13 0 2; truncated - -
rccl_json_one_size_lost: inconclusive; 2.13 0 3; truncated - -
rccl_json_wrong: wrong-data; 2.13 0 4; wrong-data - -
rccl_only_in_place: ok; 2.13 8 4;
rccl_stress_cycles: ok; 2.13 8 8;
tabs_and_single_spaces: ok; 2.13 16 4;
three_cycles: ok; 2.13 8 12;
timestamps_2176: ok; 2.13 16 4;
version_and_memory_lines: ok; 2.13 16 4;
warning_then_cut_off: inconclusive; 2.13 16 2; truncated - -
warnings_beside_a_good_table: ok; 2.13 16 4;
fail_harmless_warning_first: failed; 2.13 16 7; nccl-error gpu002 32, nccl-error gpu002 33
fail_host_key_names_host: could-not-launch; ; ssh gpu002 12
fail_hostfile_parse: could-not-launch; ; mpi-launch - 2
fail_imex_before_nccl: failed; ; nccl-error gpu001 2, nccl-error gpu001 3
fail_intel_mpi_fabric: could-not-launch; ; mpi-launch - 1
fail_lost_daemon_ipv6: could-not-launch; ; killed 2001:db8::7 2
fail_mpi_runtime_init: could-not-launch; ; mpi-launch - 2
fail_nvml_before_nccl: failed; ; nccl-error gpu002 1, nccl-error gpu002 2
fail_ofi_mtl_abort: could-not-launch; ; mpi-launch gpu002 1
fail_pals_cxi: could-not-launch; ; mpi-launch x1000c0s1b0n0 1
fail_pals_pmi_port: could-not-launch; ; mpi-launch x1000c0s0b0n0 1
fail_prrte_error_log: could-not-launch; ; mpi-launch gpu001 1
fail_prterun_daemon_lost_at_spawn: could-not-launch; ; mpi-launch gpu002 2
fail_prterun_executable: could-not-launch; ; missing-executable gpu002 2
fail_prterun_exited_improperly: failed; ; killed gpu002 2
fail_prterun_nonzero_exit: failed; ; killed - 2
fail_prterun_signal: failed; 2.13 16 7; killed gpu002 32
fail_redacted_host: failed; ; killed compute-b 2
fail_slurm_pmix_dmodex: could-not-launch; ; mpi-launch gpu001 1
fail_slurm_pmix_timeout: could-not-launch; ; mpi-launch gpu001 1
fail_socket_wrong_type: failed; ; nccl-error gpu002 1
fail_ssh_ipv6: could-not-launch; ; ssh 2001:db8::7 1
fail_ssh_ipv6_zone: could-not-launch; ; ssh fe80::5054:ff:fe12:3456%eth0 1
fail_ucx_alone: could-not-launch; ; mpi-launch gpu002 1
fail_unknown_framed_message: could-not-launch; ; mpi-launch gpu002 2
prose_after_the_footer: ok; 2.13 16 9;
prose_quotes_a_failure: ok; 2.13 16 9;
rank_lines_without_host: ok; 2.13 16 9;
two_tables_without_first_lines: inconclusive; 2.13 0 9, 2.13 0 9; truncated - -, truncated - -
"""
EXPECTED = dict(
    line.replace("{pod}", "nccl-tests-worker-3").replace("{domain}", ".nccl-tests.default.svc").split(": ", 1)
    for line in ESSENTIALS.strip().splitlines()
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def answer(name: str) -> Any:
    log = parse_log((FIXTURES / f"{name}.txt").read_bytes())
    return json.loads(json.dumps(to_json(report_of(log, judge(log)))))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_log_says_what_was_written_down_for_it(name: str) -> None:
    verdict, tests, problems = (part.strip() for part in EXPECTED[name].split(";"))
    found = answer(name)
    assert found["verdict"] == verdict
    said = [f"{test['layout'] or '-'} {len(test['ranks'])} {len(test['rows'])}" for test in found["tests"]]
    assert ", ".join(said) == tests
    told = [f"{each['kind']} {each['host'] or '-'} {each['line'] or '-'}" for each in found["problems"]]
    assert ", ".join(told) == problems


def test_a_collectors_dressing_changes_nothing() -> None:
    plain = answer("dressed_pdsh")
    assert (plain["verdict"], len(plain["tests"][0]["rows"])) == ("ok", 4)
    for path in sorted(FIXTURES.glob("dressed_*.txt")):
        assert answer(path.stem) == plain, path.stem


def test_warnings_are_tied_to_their_host_and_rank() -> None:
    (warned,) = [each for each in answer("fail_ib_completion")["problems"] if "NCCL WARN" in each["text"]]
    assert (warned["host"], warned["rank"]) == ("gpu002", 9)


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_is_there_that_the_log_does_not_print(name: str) -> None:
    text = re.sub(
        r"\x1b\[[0-9;]*m|\[1,0\]<stdout>:|\[0\]", "", decode((FIXTURES / f"{name}.txt").read_bytes())
    )
    printed = {float(number) for number in NUMBER.findall(text)}
    for test in answer(name)["tests"]:
        scale = 1000 if test["layout"] == "1" else 1
        for row in test["rows"]:
            assert {row["size_bytes"], row["count"]} - {None} <= printed
            assert row["root"] is None or row["root"] in printed
            for place in filter(None, (row["out_of_place"], row["in_place"])):
                assert place["time_us"] is None or round(place["time_us"] / scale, 6) in printed
                assert {place["algbw_gb_s"], place["busbw_gb_s"], place["wrong"], place["error"]} - {
                    None
                } <= printed
        assert test["avg_busbw_gb_s"] is None or test["avg_busbw_gb_s"] in printed
        assert test["out_of_bounds"] is None or test["out_of_bounds"] in printed


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_keeps_the_rules_of_the_document(name: str) -> None:
    found = answer(name)
    verdicts = [test["verdict"] for test in found["tests"]]
    assert (found["verdict"] == "ok") <= (set(verdicts) == {"ok"} and not found["problems"])
    lines = decode((FIXTURES / f"{name}.txt").read_bytes()).count("\n") + 1
    for problem in found["problems"]:
        assert problem["line"] is None or 1 <= problem["line"] <= lines
        assert problem["remedy"]
        assert problem["text"]
    for test in found["tests"]:
        values = [
            place["busbw_gb_s"]
            for row in test["rows"]
            for place in (row["out_of_place"], row["in_place"])
            if place and place["busbw_gb_s"] is not None
        ]
        assert test["peak_busbw_gb_s"] == max(values, default=None)
        assert (test["peak_size_bytes"] is None) == (not values)
        if test["layout"] in ("1", "2.0"):
            assert all(
                place["wrong"] is None
                for row in test["rows"]
                for place in (row["out_of_place"], row["in_place"])
                if place
            )
        if test["verdict"] == "ok":
            assert test["out_of_bounds"] == 0
            assert test["problems"] == []
