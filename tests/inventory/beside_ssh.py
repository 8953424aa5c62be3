"""What ``ssh -G`` reads from an ssh_config, and what is read here, in the same words."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import yaml

from clusterboot.inventory.locations import Operator
from clusterboot.inventory.logins import Reading, make_login
from clusterboot.inventory.name_rules import parse_hop
from clusterboot.inventory.openssh.ssh_config import SshConfig
from clusterboot.inventory.problems import Problems
from clusterboot.inventory.yamlfile import YamlDocument

HOME = pwd.getpwuid(os.getuid()).pw_dir
EMPTY = YamlDocument(yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark("", 0, 0, 0, None, None)))
ENVIRON = {"HOME": HOME, "PATH": os.environ["PATH"], "KEYS": "/etc/keys"}


def ssh_says(config: Path, host: str, *options: str) -> dict[str, list[str]] | None:
    """Ask ``ssh -G``; ``None`` where it refuses the file."""
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), *options, host],
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        return None
    answer: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        answer.setdefault(key, []).append(value)
    return answer


def we_say(config: Path, host: str, user: str | None = None) -> tuple[dict[str, list[str]], list[str]]:
    """Put our reading into the words of ``ssh -G``, with the warnings it gave."""
    problems = Problems(config)
    warnings: list[str] = []
    operator = Operator.here(ENVIRON)
    reader = SshConfig(operator, config, problems, warnings)
    found = reader.lookup(host, user)
    context = Reading(EMPTY, config.parent, operator, reader, problems, warnings)
    login = make_login(context, found, user=user, port=None, identity=None)
    problems.raise_if_any()
    answer = {
        "hostname": [login.hostname],
        "user": [login.user],
        "port": [str(login.port)],
        "identitiesonly": ["yes" if login.identities_only else "no"],
    }
    if found.identity_files:
        answer["identityfile"] = [value.text for value in found.identity_files]
    if found.certificate_files:
        answer["certificatefile"] = [value.text for value in found.certificate_files]
    if login.known_hosts_files:
        answer["userknownhostsfile"] = [" ".join(map(str, login.known_hosts_files))]
    if login.hostkey_alias:
        answer["hostkeyalias"] = [login.hostkey_alias]
    if login.identity_agent:
        answer["identityagent"] = [login.identity_agent]
    if found.proxy and found.proxy_is_jump and found.proxy.text.lower() != "none":
        answer["proxyjump"] = [found.proxy.text]
    return answer, warnings


def same(ours: dict[str, list[str]], theirs: dict[str, list[str]]) -> None:
    assert {key: theirs.get(key) for key in ours if key != "proxyjump"} == {
        key: value for key, value in ours.items() if key != "proxyjump"
    }
    jumps = [
        [parse_hop(hop) for hop in answer["proxyjump"][0].split(",")] if "proxyjump" in answer else None
        for answer in (ours, theirs)
    ]
    assert jumps[0] == jumps[1]
    for key in ("certificatefile", "hostkeyalias"):
        assert (key in ours) == (key in theirs)
