"""Environment modules in a shell that read no start-up file: loaded, and what they changed.

Written for Environment Modules 3 to 5 and Lmod. Source: their ``init/sh``, and the files that
their packages put into ``/etc/profile.d``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from .search_paths import MODULE_INITS
from .text import clean

# A profile script chooses the modules' folders, too, so those go before the bare init/sh. Which
# shell this is they find out for themselves. Some of their lines fail in a shell that is not
# interactive, which is no reason to stop.
_LOAD = r"""path_before=$PATH
for f in "${MODULESHOME:-/-}/init/sh" INITS; do
  command -v module && break
  [ -r "$f" ] && . "$f"
done >/dev/null
if ! command -v module >/dev/null; then printf '@no-module-command\n'; exit; fi
printf '@before\n'
env
printf '\n@load\n'
module load NAME 2>&1
printf '\n@after\n'
env
"""

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# The shell's own variables, and the modules' own bookkeeping.
_NOT_THE_MODULES = re.compile(
    r"_|SHLVL|PWD|OLDPWD|LOADEDMODULES|_LMFILES_|_ModuleTable.*|MODULE\w*|__\w*|LMOD_\w*|BASH\w*|\w*_modshare"
)


@dataclass(frozen=True)
class Loaded:
    """What loading a module did: the variables that it set or changed, or why it did not work."""

    env: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


def load(module: str) -> str:
    """Write the lines that load ``module`` into the shell that runs them; PATH before is ``$path_before``.

    Several names, separated by spaces, are loaded in this order.
    """
    return _LOAD.replace("INITS", " ".join(MODULE_INITS)).replace("NAME", shlex.join(module.split()))


def parse(text: str) -> Loaded:
    """Read what those lines printed. Text without them is of a node that loads no module."""
    if "@no-module-command" in text:
        return Loaded(problem="a non-interactive shell has no module command")
    _, begun, rest = text.partition("@before\n")
    if not begun:
        return Loaded()
    before, _, rest = rest.partition("\n@load\n")
    said, ended, after = rest.partition("\n@after\n")
    old, new = _variables(before), _variables(after)
    if ended and new != old:
        changed = {name: value for name, value in new.items() if old.get(name) != value}
        return Loaded(
            {name: value for name, value in changed.items() if not _NOT_THE_MODULES.fullmatch(name)}
        )
    words = clean(" ".join(said.split()))
    return Loaded(problem=f"its module cannot be loaded: {words or 'nothing was changed by it'}")


def _variables(text: str) -> dict[str, str]:
    """Read ``env``'s lines; what a value has after a line's end is lost."""
    found = (_VARIABLE.fullmatch(line) for line in text.split("\n"))
    return {match[1]: match[2] for match in found if match}
