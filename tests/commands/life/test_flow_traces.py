"""What a cluster's life leaves behind: no secret anywhere on the way, and nothing at all in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form

from clusterboot import lab as labs
from lab_traces import Watch, at_terminal, commands, snapshot, texts
from operator_fixture import Operator

pytestmark = [pytest.mark.lab, pytest.mark.long]

MODES = ("per-node", "ca", "shared")
PASSPHRASE = "canary-passphrase-5f1c9e"  # noqa: S105
MISTYPED = "canary-mistyped-77ab02"
TOKEN = "canary-token-9d20e4"  # noqa: S105
INLINE = "canary-inline-1be6a8"


@dataclass
class Life:
    """Three lives of one cluster, one in each mode, and all that was to be seen of them.

    ``up`` describes every machine after each change; ``secrets`` has each secret's bytes by name;
    ``kept`` every file of every machine while the cluster was up, by machine and path, each content that
    it had; ``said`` what the commands printed.
    """

    lab: labs.Lab
    operator: Operator
    before: dict[str, dict[str, str]]
    watch: Watch = field(default_factory=Watch)
    after: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    running: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    up: list[dict[str, dict[str, str]]] = field(default_factory=list)
    secrets: dict[str, set[bytes]] = field(default_factory=dict)
    kept: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.operator.folder / "state/clusterboot" / self.lab.name

    def command(self, *args: str, typed: str = PASSPHRASE, expect: int = 0) -> None:
        cluster = ("--cluster", str(self.operator.folder / "cluster.yaml"), "--json")
        code, said, shown = at_terminal(self.operator, *args, *cluster, typed=typed, CANARY_TOKEN=TOKEN)
        assert code == expect, (args, said.decode(), shown.decode())
        self.said += [said, shown]

    def look(self) -> None:
        """Take in what is where just now."""
        self.up.append({machine.name: snapshot(machine) for machine in self.lab.machines})
        for machine in self.lab.machines:
            for path, content in texts(machine).items():
                self.kept.setdefault((machine.name, path), set()).add(content)
                if b"PRIVATE KEY" in content and path.startswith("/home"):
                    self.secrets.setdefault(f"{machine.name}:{path}", set()).update(body(content))
        for path in self.state.glob("*_key*"):
            self.secrets.setdefault(f"operator:{path.name}", set()).update(body(path.read_bytes()))


def body(text: bytes) -> list[bytes]:
    """Give the lines of a private key's file that are the key's own: not those of its form or public half."""
    return text.strip().splitlines()[3:-1]


def encrypted(operator: Operator, path: Path) -> tuple[Path, list[bytes]]:
    """Write a key file anew under the passphrase; gives it, and what nobody is to see of the key."""
    key = form.load_ssh_private_key(path.read_bytes(), None)
    assert not isinstance(key, str)
    shape = (form.Encoding.PEM, form.PrivateFormat.OpenSSH)
    text = key.private_bytes(*shape, form.BestAvailableEncryption(PASSPHRASE.encode()))
    seed = key.private_bytes(form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption())
    secret = operator.folder / path.name
    secret.write_bytes(text)
    secret.chmod(0o600)
    return secret, [*body(text), *body(path.read_bytes()), seed, seed.hex().encode()]


@pytest.fixture(scope="module")
def life(module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory) -> Life:
    lab = module_lab(nodes=2)
    operator = Operator(tmp_path_factory.mktemp("traces"))
    life = Life(lab, operator, {machine.name: snapshot(machine) for machine in lab.machines})
    node_key, of_node_key = encrypted(operator, lab.folder / "node_key")
    text = lab.cluster_file.read_text().replace(str(lab.folder / "node_key"), str(node_key))
    operator.write("cluster.yaml", f"{text}env:\n  - CANARY_INLINE={INLINE}\n  - CANARY_TOKEN\n")
    life.secrets = {
        "passphrase": {PASSPHRASE.encode(), MISTYPED.encode()},
        "operator's node key": set(of_node_key),
        "operator's head key": set(body((lab.folder / "head_key").read_bytes())),
    }
    with life.watch:
        for mode in MODES:
            encrypt = ("--encrypt-keys",) if mode == "ca" else ()
            life.command("bootstrap", "--keys", mode, *encrypt)
            life.look()
            if mode == "ca":
                life.command("rotate-keys")
                life.look()
            life.command("teardown")
            life.after[mode] = {machine.name: snapshot(machine) for machine in lab.machines}
            life.running[mode] = {machine.name: commands(machine) for machine in lab.machines}
        life.command("bootstrap", typed=MISTYPED, expect=2)
        life.command("--debug", "facts")
    return life


def holders(secret: set[bytes], places: dict[str, bytes]) -> list[str]:
    return [name for name, content in places.items() for line in secret if line in content]


def check_after_a_teardown_every_machine_is_as_it_was_before_the_first_bootstrap(life: Life) -> None:
    for mode in MODES:
        for machine, before in life.before.items():
            assert set(life.after[mode][machine].items()) ^ set(before.items()) == set(), (mode, machine)
        assert life.running[mode] == {machine.name: ["sshd"] for machine in life.lab.machines}, mode


def check_nothing_outside_the_users_home_was_ever_changed(life: Life) -> None:
    assert len(life.up) == len(MODES) + 1
    for now in life.up:
        for machine, before in life.before.items():
            changed = {path for path, _ in set(now[machine].items()) ^ set(before.items())}
            assert machine == "head" or changed
            assert {path for path in changed if not path.startswith("/home/ubuntu/")} == set(), machine


def check_no_secret_is_among_the_words_or_in_the_environment_of_any_process(life: Life) -> None:
    assert len(life.secrets) >= 3 + 2 * 4, "each node has had keys of its own in each mode"
    assert len(life.watch.words) > 50
    seen = {str(n): text for n, text in enumerate((*life.watch.words, *life.watch.environments))}
    for name, secret in life.secrets.items():
        assert len(secret) >= 2, name
        assert holders(secret, seen) == [], name
    words = {str(n): text for n, text in enumerate(life.watch.words)}
    assert holders({TOKEN.encode(), INLINE.encode()}, words) == []
    assert any(TOKEN.encode() in text for text in life.watch.environments), "the watch sees the operator"
    # The operator's own process has it from the operator; nothing on a node is given what no rank needs.
    nodes = {str(n): text for n, text in enumerate(life.watch.environments) if b"SSH_CONNECTION" in text}
    assert nodes
    assert holders({TOKEN.encode(), INLINE.encode()}, nodes) == []


def check_no_secret_is_printed_logged_or_kept_beside_its_own_file(life: Life) -> None:
    said = {str(n): text for n, text in enumerate(life.said)}
    assert json.loads(life.said[0])["exit_code"] == 0
    logs = {str(path): path.read_bytes() for path in life.state.rglob("*") if path.is_file()}
    logs = {path: text for path, text in logs.items() if "_key" not in path}
    logs |= {str(p): p.read_bytes() for p in (life.operator.folder / "hostfiles").rglob("*") if p.is_file()}
    assert any("audit" in path for path in logs)
    for name, secret in {**life.secrets, "tokens": {TOKEN.encode(), INLINE.encode()}}.items():
        assert holders(secret, {**said, **logs}) == [], name


def check_a_private_key_is_in_its_own_file_on_its_own_node_and_nowhere_else(life: Life) -> None:
    keys = f"/home/ubuntu/.ssh/clusterboot/{life.lab.name}/"
    everything = {f"{machine}:{path}": b"\0".join(texts) for (machine, path), texts in life.kept.items()}
    tokens = {"tokens": {TOKEN.encode(), INLINE.encode()}}
    for name, secret in {**life.secrets, **tokens}.items():
        found = set(holders(secret, everything))
        if f"{keys}id_shared" in name or name.startswith("operator:shared_key"):
            assert all(f"{keys}id_shared" in place and "head:" not in place for place in found), found
        elif keys in name:
            assert found == {name}
        else:
            assert found == set(), name
    assert not [path for (machine, path), now in life.kept.items() if machine == "head" and is_key(path, now)]


def is_key(path: str, contents: set[bytes]) -> bool:
    return "/ssh_host_" not in path and any(b"PRIVATE KEY" in content for content in contents)


def test_a_clusters_life_leaves_no_secret_on_the_way_and_nothing_in_the_end(life: Life) -> None:
    # In one test, since tests that share three lives may be given to two processes.
    check_after_a_teardown_every_machine_is_as_it_was_before_the_first_bootstrap(life)
    check_nothing_outside_the_users_home_was_ever_changed(life)
    check_no_secret_is_among_the_words_or_in_the_environment_of_any_process(life)
    check_no_secret_is_printed_logged_or_kept_beside_its_own_file(life)
    check_a_private_key_is_in_its_own_file_on_its_own_node_and_nowhere_else(life)
