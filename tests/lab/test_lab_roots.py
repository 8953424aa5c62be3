"""A lab in a root directory that is not the machine's own: it never touches what is around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import HANGS_S

import clusterboot

pytestmark = pytest.mark.lab

# Makes an outer machine on a tmpfs, with a folder that one can change the root to, and runs the rest
# of its arguments there. Its mounts are shared, as under systemd: what is mounted in a namespace that
# was not made private appears here. What is this machine's own shows read-only.
OUTER = r"""
outer=$1; shown=$2; shift 2
new_root() {
  mkdir -p "$1"
  cd "$1"
  mkdir -p proc sys dev root home run mnt srv tmp var/tmp var/lib usr
  chmod 1777 tmp var/tmp
  cp -a /etc etc
  rm -f etc/os-release etc/machine-id
  echo outer >etc/os-release
  echo outer >etc/machine-id
  for link in /bin /sbin /lib /lib64; do
    if [ -L $link ]; then
      cp -a $link .
    elif [ -d $link ]; then
      mkdir .$link
      mount --bind -o ro $link .$link
    fi
  done
  mount --bind -o ro /usr usr
  printf '%s\n' "$shown" | while read -r folder; do
    mkdir -p ".$folder"
    mount --bind -o ro "$folder" ".$folder"
  done
}
with_devices() {
  mount -t proc proc "$1/proc"
  mount -t sysfs sysfs "$1/sys"
  mount --rbind /dev "$1/dev"
}
mount -t tmpfs outer "$outer"
new_root "$outer"
with_devices "$outer"
new_root "$outer/srv/inner"
with_devices "$outer/srv/inner"
new_root "$outer/srv/bare"
cd "$outer"
pivot_root . mnt
umount -l mnt
mount --make-rshared /
exec "$@"
"""

# In the outer machine: what of it is changed by the command in its arguments.
WATCH = r"""
import hashlib, json, os, subprocess, sys
shown = [*sys.argv[1].split("\n"), "/usr", "/proc", "/sys", "/dev"]
roots = ["", "/srv/inner", "/srv/bare"]
def see(path):
    found = os.lstat(path)
    facts = [found.st_mode, found.st_uid, found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
    if os.path.isfile(path) and not os.path.islink(path):
        facts.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
    return facts
def look():
    seen = {"mounts": open("/proc/self/mountinfo").read()}
    for folder, below, files in os.walk("/"):
        below[:] = [b for b in below if os.path.join(folder, b) not in {r + s for r in roots for s in shown}]
        seen.update((path, see(path)) for path in (os.path.join(folder, name) for name in ["", *files]))
    return seen
before = look()
done = subprocess.run(sys.argv[2:], capture_output=True, text=True)
after = look()
changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
print(json.dumps({"out": done.stdout, "err": done.stderr, "changed": changed}))
"""

# A lab whose nodes do to their files what they can, and then are asked who they are.
HOSTILE = r"""
import json, os, sys
from clusterboot import lab
from clusterboot.errors import UsageError
script = '''
for folder in / /etc /root /home /srv /mnt /tmp /var/tmp /var/lib /run; do
  echo hostile >$folder/os-release
done
rm -rf --one-file-system /etc/os-release /etc/machine-id /etc/passwd /srv/*/etc /home/* /root/* /var/lib/*
mount -t tmpfs none /mnt
cat /etc/hostname; ls -id / /proc/1/root/
'''
try:
    started = lab.up("t-rooted", nodes=1)
except UsageError as error:
    print(json.dumps({"refused": str(error), "left": os.path.exists(os.environ["CLUSTERBOOT_LAB_ROOT"])}))
    sys.exit()
try:
    said = {m.name: lab.node_exec("t-rooted", m.name, ["sh", "-c", script]).stdout for m in started.machines}
    user = lab.node_exec("t-rooted", "n1", ["sh", "-c", "echo mine >f; cat ~/f; pwd"], "ubuntu").stdout
    print(json.dumps({"said": said, "user": user}))
finally:
    lab.down("t-rooted")
"""


def in_outer(place: Path, lab_root: str, *prefix: str) -> dict[str, Any]:
    """Run the hostile lab behind ``prefix`` in the outer machine; what it said, and what it changed."""
    repository = str(Path(clusterboot.__file__).parents[1])
    shown = "\n".join(dict.fromkeys([repository, sys.prefix, sys.base_prefix]))
    env = ["env", f"CLUSTERBOOT_LAB_ROOT={lab_root}-rooted", "PYTHONDONTWRITEBYTECODE=1"]
    hostile = [*env, sys.executable, "-c", HOSTILE]
    watch = [sys.executable, "-c", WATCH, shown, *prefix, *hostile]
    place.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", OUTER, "sh", str(place), shown, *watch],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["err"] == "", seen
    return {"changed": seen["changed"], **json.loads(seen["out"])}


@pytest.mark.parametrize(
    ("prefix", "own"),
    [((), "/var/lib/"), (("chroot", "/srv/inner"), "/srv/inner/var/lib/")],
    ids=["pivoted", "chroot"],
)
def test_machines_have_their_own_root(
    tmp_path: Path, lab_root: str, prefix: tuple[str, ...], own: str
) -> None:
    """Whether the root is a mount or a plain folder, a machine's writes stay in the machine."""
    seen = in_outer(tmp_path / "outer", lab_root, *prefix)

    for name, said in seen["said"].items():
        hostname, root, root_of_init = said.splitlines()
        assert hostname == name
        assert root.split()[0] == root_of_init.split()[0]
    assert seen["user"] == "mine\n/home/ubuntu\n"
    # The folder in which the lab's own was, and is not any more.
    assert seen["changed"] in ([], [own])


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        (("chroot", "/srv/bare"), "/proc"),
        (("setpriv", "--bounding-set=-sys_admin"), "unshare: Operation not permitted"),
        (("chroot", "/srv/inner", "setpriv", "--bounding-set=-sys_chroot"), "Operation not permitted"),
    ],
    ids=["no /proc", "no right to make namespaces", "no right to change the root"],
)
def test_what_cannot_be_isolated_is_not_started(
    tmp_path: Path, lab_root: str, prefix: tuple[str, ...], reason: str
) -> None:
    seen = in_outer(tmp_path / "outer", lab_root, *prefix)

    assert "a lab's machines cannot be isolated here: " in seen["refused"]
    assert reason in seen["refused"]
    assert (seen["left"], seen["changed"]) == (False, [])
