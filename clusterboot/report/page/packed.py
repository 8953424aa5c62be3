"""A million numbers in a page: as codes of two bytes, compressed, in base64."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The ratio of neighbouring codes: what is read is within half of it, 0.05 %.
STEP = 0.001
_NOT_MEASURED = 65535
_DEAD = 65534
_MOST = 65533

Cells = NDArray[np.float64]


def packed(cells: Cells) -> dict[str, Any]:
    """Pack a matrix for the page's script.

    Parameters: cells of any unit at or above 0, NaN for not measured, 0 for dead.
    Returns: ``floor``, the value of code 0; ``step``: code c is ``floor * exp(c * step)``; ``codes``,
    deflated and in base64: all low bytes, row by row, then all high bytes. Code 65534 is 0, 65535
    not measured. Values are kept to 0.05 %; those above ``exp(65)`` times the lowest are cut to that.
    """
    known = cells[np.isfinite(cells) & (cells > 0)]
    low = float(known.min()) if known.size else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.rint(np.log(cells / low) / STEP)
    codes = np.where(np.isfinite(codes), np.clip(codes, 0, _MOST), _NOT_MEASURED)
    codes[cells == 0] = _DEAD
    words = codes.astype("<u2").reshape(-1)
    planes = np.concatenate([words & 0xFF, words >> 8]).astype(np.uint8)
    content = base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
    return {"floor": low, "step": STEP, "codes": content}
