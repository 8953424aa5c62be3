from __future__ import annotations

from dataclasses import replace

import pytest

from clusterboot.programs.records import BenchTest, Judgement, LogJudgement, ParsedLog, Rank
from clusterboot.verdict.placing import Launched, RankPlace, doubted, misplaced

PLACES = [RankPlace("a", "gpu1.example.org", 2), RankPlace("b", "gpu2.example.org", 2)]
NAMESAKES = [RankPlace("a", "node", 2), RankPlace("b", "node", 2)]


def table(*hosts: tuple[str | None, int]) -> BenchTest:
    ranks = tuple(Rank(number, host, device) for number, (host, device) in enumerate(hosts))
    return BenchTest(tool="collbench", ranks=ranks)


def test_ranks_are_looked_for_by_what_hosts_call_themselves() -> None:
    assert misplaced(table(("gpu1", 0), ("gpu2", 0), ("gpu1", 1), ("gpu2", 1)), PLACES) is None


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (
            [("gpu1", 0), ("gpu1", 1), ("gpu1", 2), ("gpu1", 3)],
            "a shows 4 of 2 ranks; b shows none of 2 ranks",
        ),
        ([("gpu1", 0), ("gpu1", 1), ("gpu2", 0)], "b shows 1 of 2 ranks"),
        ([("gpu1", 0), ("gpu1", 1), ("gpu2", 0), ("x", 0)], "1 rank on x, which is no node of this run"),
        ([("gpu1", 0), ("gpu1", 1), ("gpu2", 0), (None, 0)], "1 rank on a host without a name"),
    ],
)
def test_hosts_with_another_number_of_ranks_are_told(hosts: list[tuple[str | None, int]], told: str) -> None:
    assert told in str(misplaced(table(*hosts), PLACES))


def test_one_rank_twice_is_no_second_rank() -> None:
    test = table(("gpu1", 0), ("gpu1", 1), ("gpu2", 0), ("gpu2", 1))
    again = replace(test, ranks=(*test.ranks[:3], replace(test.ranks[3], rank=0)))
    assert misplaced(again, PLACES) == "one rank is in the list of ranks more than once"


def test_hosts_of_one_name_are_told_apart_by_each_ranks_number_on_its_node() -> None:
    assert misplaced(table(("node", 0), ("node", 0), ("node", 1), ("node", 1)), NAMESAKES) is None
    all_on_one = misplaced(table(*(("node", number) for number in range(4))), NAMESAKES)
    assert "which share the name node, did not each run their ranks" in str(all_on_one)


def test_where_one_host_shows_another_name_than_it_said_nobody_is_named_for_it() -> None:
    log = ParsedLog((replace(table(("gpu7", 0), ("gpu7", 1), ("gpu2", 0), ("gpu2", 1)), collective="sum"),))
    good = LogJudgement(Judgement("ok", ""), (Judgement("ok", ""),))
    marks = b"# clusterboot run r1\n" * 2
    for start, named in (("b", None), ("a", "a")):
        said = doubted(good, log, marks, Launched(start, PLACES, ("r1",), ("sum",))).overall
        assert said.verdict == "inconclusive"
        assert [problem.host for problem in said.problems] == [named]
        assert f"either a has two names for itself, or {start} ran its ranks elsewhere" in said.reason
