"""A cluster file that is not what it should be as YAML, by accident or on purpose."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from patience import HANGS_S

from clusterboot.inventory import yamlfile
from clusterboot.inventory.loader import load
from clusterboot.inventory.problems import ConfigError

Refused = Callable[[str], list[str]]

PARSERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


@pytest.fixture(params=PARSERS, autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with each of PyYAML's parsers: the one in C is not on every machine."""
    monkeypatch.setattr(yamlfile, "_Loader", request.param)


GOOD = "type: fleet\nname: test\nssh_config: {hosts: [a]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cluster.yaml:1: the file is empty; write a fleet"),
        ("# nothing\n---\n", "cluster.yaml:1: the file is empty"),
        ("- a\n- b\n", "cluster.yaml:1: the file is not a mapping of keys; begin it with 'type: fleet'"),
        ("just words", "cluster.yaml:1: the file is not a mapping"),
        (GOOD + "---\n" + GOOD, "cluster.yaml:4: a second YAML document begins; keep one fleet in one file"),
        (
            GOOD + "name: other\n",
            "cluster.yaml:4: key 'name' is here twice, first in line 2; keep one of them",
        ),
        ("type: fleet\n\tname: x\n", "cluster.yaml:2: not valid YAML: "),
        ("type: fleet\nssh_config:\n  hosts:\n\t- a\n", "; indent with spaces, not with tabs"),
        ("type: [fleet\nname: x\n", "not valid YAML: "),
        ("type: 'fleet\n", "not valid YAML: "),
        ("type: @fleet\n", "cluster.yaml:1: not valid YAML: "),
        ("type: *nowhere\n", "cluster.yaml:1: unknown alias 'nowhere'; define it above with '&'"),
        ("type: &a [*a]\n", "unknown alias 'a'"),
        (GOOD + "env: !!python/object/apply:os.system ['id']\n", "cluster.yaml:4: YAML tag 'tag:yaml.org"),
        ("type: fleet\nname: !secret test\nssh_config: {hosts: [a]}\n", "cluster.yaml:2: YAML tag '!secret'"),
        ("type: fleet\nname: !!binary test\nssh_config: {hosts: [a]}\n", "cluster.yaml:2: YAML tag"),
        (GOOD + "blocks: !!int x\n", "cluster.yaml:4: 'x' is not a YAML int"),
        (GOOD + "blocks: !!bool x\n", "cluster.yaml:4: 'x' is not a YAML bool"),
        (GOOD + "blocks: !!float x\n", "cluster.yaml:4: 'x' is not a YAML float"),
        (GOOD + "blocks: " + "9" * 5000 + "\n", "is not a YAML int"),
        (GOOD + "? [a, b]\n: c\n", "cluster.yaml:4: a key that is itself a list or mapping"),
        (GOOD + "<<: 5\n", "cluster.yaml:4: '<<' takes over something that is no mapping"),
        ("a: " + "[" * 100 + "]" * 100, "cluster.yaml:1: nested deeper than 32 levels; write a flat file"),
        (GOOD + "blocks: 1\x07\n", "cluster.yaml:4: control character U+0007; take the character out"),
        ("%YAML 9\n---\n" + GOOD, "cluster.yaml:1: not valid YAML: "),
    ],
)
def test_what_is_no_cluster_file_is_refused_with_its_line(
    problems_of: Refused, text: str, expected: str
) -> None:
    assert expected in problems_of(text)[0]


def test_doubles_deep_in_the_file_have_both_lines(problems_of: Refused) -> None:
    text = "type: fleet\nname: test\nssh_config:\n  hosts:\n  - hostname: a\n    port: 1\n    port: 2\n"
    assert problems_of(text) == [
        "cluster.yaml:7: key 'port' is here twice, first in line 6; keep one of them"
    ]


def test_aliases_that_expand_without_end_are_refused(problems_of: Refused) -> None:
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
    (problem,) = problems_of(f"l0: &l0 [ha, ha]\n{laughs}")
    assert "aliases make this too large" in problem


def test_aliases_that_nest_without_end_are_refused(problems_of: Refused) -> None:
    chain = "".join(f"  a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 800))
    (problem,) = problems_of(f"{GOOD}nodes:\n  a0: &a0 [x]\n{chain}")
    assert "nested deeper than 32 levels" in problem


def test_merge_keys_that_expand_without_end_are_refused_too(problems_of: Refused) -> None:
    wide = "m0: &m0 {" + ", ".join(f"k{n}: v" for n in range(1000)) + "}\n"
    merges = "".join(f"m{n}: &m{n} {{a: *m{n - 1}, b: *m{n - 1}, <<: *m{n - 1}}}\n" for n in range(1, 12))
    assert any("aliases make this too large" in problem for problem in problems_of(wide + merges))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_brackets_without_end_do_not_end_the_process(tmp_path: Path, opening: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(opening * 100_000)
    code = (
        "import sys, pathlib\n"
        "from clusterboot.inventory.loader import load\n"
        "try: load(pathlib.Path(sys.argv[1]), environ={})\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, timeout=HANGS_S
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "nested deeper" in done.stdout


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"type: fleet\nname: caf\xe9\n", "cluster.yaml:2: is not UTF-8 text; save the file as UTF-8"),
        ("type: fleet\n".encode("utf-16"), "cluster.yaml:1: is not UTF-8 text"),
        (b"a: " + b"x" * (9 * 1024 * 1024), "cluster.yaml: is larger than 8 MiB"),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, raw: bytes, expected: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert expected in str(caught.value)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path, environ=environ).name == "test"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    looped = tmp_path / "loop"
    looped.symlink_to(looped)
    for path, expected in [
        (tmp_path / "missing.yaml", "missing.yaml: there is no such file; check the path"),
        (tmp_path, ": is a folder, not a cluster file; name the file in it"),
        (looped, "loop: cannot be read: "),
        (Path("nul\0byte"), "cannot be read: "),
        (tmp_path / ("x" * 300), "cannot be read: "),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(path, environ={})
        assert expected in str(caught.value)
        assert caught.value.exit_code == 2
