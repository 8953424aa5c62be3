"""Where results are kept: one folder a run, made before the run starts."""

from __future__ import annotations

import time
from pathlib import Path

from clusterboot import files
from clusterboot.errors import ClusterbootError

from .context import Context

# Who may read results: the operator alone, his group, or everybody.
_MODES = {"owner": 0o700, "group": 0o750, "all": 0o755}


def result_folder(context: Context, command: str) -> Path:
    """Make ``results/NAME/TIME-COMMAND`` for a run, with a number behind it where that is taken.

    Errors: :class:`ClusterbootError` where it cannot be made: then nothing is launched.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(context.started_s))
    base = context.result_dir
    mode = _MODES[context.cluster.options.results_access]
    try:
        files.make_folder(base, mode=mode)
        for number in range(1, 1000):
            folder = base / (f"{stamp}-{command}" + (f"-{number}" if number > 1 else ""))
            try:
                folder.mkdir(mode=mode)
            except FileExistsError:
                continue
            folder.chmod(mode)
            return folder
        cause = "a thousand runs began in this second"
    except OSError as problem:
        cause = problem.strerror or "unknown"
    raise ClusterbootError(
        f"no folder for results below {base}: {cause}", remedy="free space or mend its permissions"
    )


def save(folder: Path, text: str) -> None:
    """Write ``result.json`` beside the raw log, whole or not at all.

    Errors: :class:`ClusterbootError` where the disk does not take it.
    """
    try:
        files.replace(folder / "result.json", text.encode())
    except OSError as problem:
        cause = f"the result could not be saved in {folder}: {problem.strerror or 'unknown'}"
        raise ClusterbootError(cause, remedy="free space or mend its permissions") from None
