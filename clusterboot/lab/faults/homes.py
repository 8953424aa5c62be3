"""Faults of the user's home on a machine: what is wrong with its disk, its modes, and its key files."""

from __future__ import annotations

from .. import sshd
from ..description import Fault, Lab
from ..enter import machine_of
from .kinds import FaultKind, Step

# All scripts are run by root inside the machine, with the home as $1 and its owner's number as $2.

# A small disk laid over the home, with the home's files on it and no room left for bytes, or for a file more.
_FULL = """\
{measure}
mkdir -p /run/lab/full
mount -t tmpfs -o "{limit},mode=750,uid=$2,gid=$2" tmpfs /run/lab/full
cp -a "$1/." /run/lab/full/
chown "$2:$2" /run/lab/full
{fill}
mount --move /run/lab/full "$1"
"""
_FILL_DISK = _FULL.format(
    measure='size=$(( $(du -sk "$1" | cut -f1) + 64 ))',
    limit="size=${size}k",
    fill="dd if=/dev/zero of=/run/lab/full/.filler bs=4k 2>/dev/null || true",
)
_FILL_INODES = _FULL.format(
    measure='count=$(( $(find "$1" | wc -l) + 8 ))',
    limit="nr_inodes=$count",
    fill="while mktemp -q /run/lab/full/.filler.XXXXXX >/dev/null; do :; done",
)
_UNCOVER_HOME = 'umount -l "$1"'

# sshd also reads authorized_keys2, so the user can still log in: sshd_config(5), AuthorizedKeysFile.
_AWAY = 'cd "$1/.ssh" && mv authorized_keys authorized_keys2\n'
_BACK = 'cd "$1/.ssh" && mv authorized_keys2 authorized_keys\n'
_SET_CONFIG_ASIDE = 'cd "$1/.ssh" && { [ ! -e config ] || mv config config.before; }\n'
_RESTORE_CONFIG = 'cd "$1/.ssh" && { [ ! -e config.before ] || mv config.before config; }\n'

_LINK_INSIDE = """\
cd "$1/.ssh"
install -d -o "$2" -g "$2" ../dotfiles
mv authorized_keys ../dotfiles/authorized_keys
ln -s ../dotfiles/authorized_keys authorized_keys
chown -h "$2:$2" authorized_keys
"""
_UNLINK_INSIDE = """\
cd "$1/.ssh"
mv ../dotfiles/authorized_keys authorized_keys
rmdir ../dotfiles
"""
_LINK_OUTSIDE = """\
cd "$1/.ssh"
mv authorized_keys /etc/ssh/authorized_keys.linked
ln -s /etc/ssh/authorized_keys.linked authorized_keys
chown -h "$2:$2" authorized_keys
"""
_UNLINK_OUTSIDE = 'mv /etc/ssh/authorized_keys.linked "$1/.ssh/authorized_keys"'

# Each with the script that makes it and the one that undoes it.
_SCRIPTS = {
    "disk-full": ("no room in the user's home", _FILL_DISK, _UNCOVER_HOME),
    "inodes-gone": ("room in the user's home, but for no file more", _FILL_INODES, _UNCOVER_HOME),
    "home-read-only": (
        "the user's home cannot be written",
        'mount -o remount,bind,ro "$1"',
        'mount -o remount,bind,rw "$1"',
    ),
    "home-open": ("everybody may write the user's home", 'chmod 777 "$1"', 'chmod 750 "$1"'),
    "keys-open": (
        "everybody may write authorized_keys",
        'chmod 666 "$1/.ssh/authorized_keys"',
        'chmod 600 "$1/.ssh/authorized_keys"',
    ),
    "keys-immutable": (
        "authorized_keys is immutable",
        'chattr +i "$1/.ssh/authorized_keys"',
        'chattr -i "$1/.ssh/authorized_keys"',
    ),
    "keys-link": ("authorized_keys is a link inside the home", _LINK_INSIDE, _UNLINK_INSIDE),
    "keys-link-away": ("authorized_keys is a link out of the home", _LINK_OUTSIDE, _UNLINK_OUTSIDE),
    "keys-fifo": (
        "a FIFO in the place of authorized_keys",
        f'{_AWAY}mkfifo authorized_keys; chown "$2:$2" authorized_keys',
        _BACK,
    ),
    "keys-directory": (
        "a directory in the place of authorized_keys",
        f'{_AWAY}install -d -o "$2" -g "$2" authorized_keys',
        f'rmdir "$1/.ssh/authorized_keys"\n{_BACK}',
    ),
    "config-fifo": (
        "a FIFO in the place of ~/.ssh/config",
        f'{_SET_CONFIG_ASIDE}mkfifo config; chown "$2:$2" config',
        f'rm "$1/.ssh/config"\n{_RESTORE_CONFIG}',
    ),
    "config-directory": (
        "a directory in the place of ~/.ssh/config",
        f'{_SET_CONFIG_ASIDE}install -d -o "$2" -g "$2" config',
        f'rmdir "$1/.ssh/config"\n{_RESTORE_CONFIG}',
    ),
    "config-broken": (
        "a line in ~/.ssh/config that ssh refuses",
        f'{_SET_CONFIG_ASIDE}echo "NoSuchOption yes" >config; chown "$2:$2" config; chmod 600 config',
        f'rm "$1/.ssh/config"\n{_RESTORE_CONFIG}',
    ),
    # Last, since with it there is nothing that another of these could be made on.
    "home-gone": ("the user has no home", "mount -t tmpfs -o mode=755 tmpfs /home", "umount -l /home"),
}


def _step(script: str) -> Step:
    def run(lab: Lab, fault: Fault) -> None:
        argv = ["sh", "-c", f"set -e\n{script}", "sh", lab.home_inside, str(lab.uid)]
        sshd.checked(machine_of(lab, fault.node), argv)

    return run


HOME_FAULTS = {
    kind: FaultKind(summary, _step(make), _step(undo)) for kind, (summary, make, undo) in _SCRIPTS.items()
}
