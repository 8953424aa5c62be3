"""The files for a nightly run: what they call is there, and the alerts and panels read what is written."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NIGHTLY = Path(__file__).parents[2] / "docs" / "nightly"
METRIC = re.compile(r"\bclusterboot_[a-z0-9_]+")


def promtool(*words: str) -> None:
    binary = shutil.which("promtool")
    assert binary, "promtool is missing: it is in script/packages"
    done = subprocess.run(
        [binary, *words], cwd=NIGHTLY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> list[str]:
    """Give every expression of the dashboard's panels, for one cluster."""
    panels = json.loads((NIGHTLY / "dashboard.json").read_text())["panels"]
    return [target["expr"].replace("$cluster", "c") for panel in panels for target in panel["targets"]]


def test_the_alerts_fire_where_they_should_and_nowhere_else() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts-test.yml")


def test_the_panels_ask_in_prometheus_own_words(tmp_path: Path) -> None:
    rules = [{"record": f"panel{at}", "expr": expr} for at, expr in enumerate(expressions())]
    # JSON is YAML.
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_alerts_and_panels_read_only_what_is_written() -> None:
    source = (NIGHTLY.parents[1] / "clusterboot" / "report" / "to_prometheus.py").read_text()
    written = {f"clusterboot_{name}" for name in re.findall(r'(?:yield |of\()\(?\s*"([a-z_]+)"', source)}
    read = {
        name
        for text in ((NIGHTLY / "alerts.yml").read_text(), *expressions())
        for name in METRIC.findall(text)
    }
    assert read
    assert read <= written


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    dashboard = json.loads((NIGHTLY / "dashboard.json").read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(dashboard)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert panel["type"] in ("stat", "table", "timeseries")
        assert panel["datasource"]["uid"] == "${datasource}"
    assert {each["name"] for each in dashboard["templating"]["list"]} == {"datasource", "cluster"}


def test_the_units_start_the_script_and_name_each_other() -> None:
    service, timer = configparser.RawConfigParser(strict=False), configparser.RawConfigParser()
    service.optionxform = timer.optionxform = str  # type: ignore[assignment,method-assign]
    service.read(NIGHTLY / "clusterboot-nightly.service")
    timer.read(NIGHTLY / "clusterboot-nightly.timer")
    assert Path(shlex.split(service["Service"]["ExecStart"])[0]).name == "clusterboot-nightly"
    assert service["Service"]["Type"] == "oneshot"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert "OnCalendar" in timer["Timer"]


@pytest.mark.parametrize(
    ("says", "code", "kept"),
    [("figures", 0, "figures\n"), ("figures", 6, "figures\n"), ("", 2, "old\n")],
    ids=["ok", "bad", "refused"],
)
def test_the_script_leaves_whole_figures_or_the_old_ones(
    tmp_path: Path, says: str, code: int, kept: str
) -> None:
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "clusterboot"
    stand_in.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/asked\n[ -z '{says}' ] || echo '{says}'\nexit {code}\n"
    )
    stand_in.chmod(0o755)
    folder = tmp_path / "collector"
    folder.mkdir()
    (folder / "clusterboot-gpu.prom").write_text("old\n")
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TEXTFILE_DIR": str(folder),
        "ON_BAD": "mail -s 'bad link' ops",
    }
    done = subprocess.run(
        [NIGHTLY / "clusterboot-nightly", "gpu.yaml", "--hosts", "n[1-4]"], env=environment, check=False
    )
    assert done.returncode == code
    assert [path.name for path in folder.iterdir()] == ["clusterboot-gpu.prom"]
    assert (folder / "clusterboot-gpu.prom").read_text() == kept
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[asked.index("--on-bad") + 1] == "mail -s 'bad link' ops"
    assert asked[-2:] == ["--hosts", "n[1-4]"]


def test_link_map_has_every_option_that_the_script_uses() -> None:
    used = set(re.findall(r"--[a-z-]+", (NIGHTLY / "clusterboot-nightly").read_text()))
    helped = subprocess.run(
        [sys.executable, "-m", "clusterboot", "link-map", "--help"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert used - set(re.findall(r"--[a-z-]+", helped.stdout)) == set()
