"""What a benchmark is asked to do: its command line, and the rows that it must print."""

from __future__ import annotations

from dataclasses import dataclass

from clusterboot.errors import UsageError

from .collectives import COLLECTIVES, DTYPE_BYTES
from .records import Sweep

# Rounding of a rank's share, where a size is divided: in collbench and since nccl-tests 2.13.11.
_SHARE_BYTES = 16


@dataclass(frozen=True)
class BenchOptions:
    """A sweep over message sizes, in nccl-tests' terms.

    ``check`` is the number of data checks a size, 0 for none. ``cap_s`` is collbench's own: it
    chooses the iterations, until the rate is steady, and a size takes about that many seconds
    at most; ``None`` for exactly ``iterations``. ``dtype`` is nccl-tests' name
    of a type, ``None`` for its default, float.
    Errors: ``UsageError`` for values that no benchmark could run.
    """

    collectives: tuple[str, ...] = ("all_reduce",)
    begin_bytes: int = 8
    end_bytes: int = 128 * 1024**2
    factor: int = 2
    iterations: int = 20
    warmup: int = 5
    check: int = 1
    cap_s: float | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.collectives if name not in COLLECTIVES]
        known = ", ".join(COLLECTIVES)
        if unknown or not self.collectives:
            raise UsageError(f"no collective '{', '.join(unknown)}'", remedy=f"known are {known}")
        if self.dtype is not None and self.dtype not in DTYPE_BYTES:
            raise UsageError(f"no type '{self.dtype}'", remedy=f"known are {', '.join(DTYPE_BYTES)}")
        if self.begin_bytes > self.end_bytes:
            raise UsageError(f"-b {self.begin_bytes} is larger than -e {self.end_bytes}")
        if self.begin_bytes == 0:
            raise UsageError("-b 0 stays 0 however often -f multiplies it", remedy="start with -b 8")
        if self.begin_bytes < 1 or self.factor < 2:
            raise UsageError("-b must be at least 1, -f at least 2")
        if self.iterations < 1 or self.warmup < 0 or self.check < 0:
            raise UsageError("-n must be at least 1, -w and -c at least 0")
        if self.cap_s is not None and not 0 < self.cap_s <= 1e6:
            raise UsageError("the cap on a size's time must be more than 0 and at most 1e6 seconds")

    @property
    def sweep(self) -> Sweep:
        """The sweep as a log's line of parameters would give it."""
        return Sweep(
            self.begin_bytes,
            self.end_bytes,
            self.factor,
            by_factor=True,
            iterations=self.iterations,
            warmup=self.warmup,
            check=self.check,
        )


def argv(options: BenchOptions) -> list[str]:
    """Write the options that nccl-tests and collbench share, program's name not included.

    Source: nccl-tests' README, "Arguments".
    """
    return [
        *("-b", str(options.begin_bytes), "-e", str(options.end_bytes), "-f", str(options.factor)),
        *("-n", str(options.iterations), "-w", str(options.warmup), "-c", str(options.check)),
        *(("-d", options.dtype) if options.dtype else ()),
    ]


def nominal_sizes(sweep: Sweep) -> tuple[int, ...]:
    """List the sizes that a sweep goes through, before any rounding, in bytes.

    Returns: nothing for a sweep that would never end.
    """
    sizes = []
    size = sweep.begin_bytes
    while size <= sweep.end_bytes:
        sizes.append(size)
        following = size * sweep.step if sweep.by_factor else size + sweep.step
        if following <= size or len(sizes) > 1_000_000:
            return ()
        size = following
    return tuple(sizes)


def effective_size(
    size_bytes: int, collective: str, ranks: int, dtype: str = "float", *, share_bytes: int = _SHARE_BYTES
) -> int:
    """Give the size that a row shows for a nominal size, in bytes.

    Whole elements only; where the size is divided among the ranks, whole shares of
    ``share_bytes``, so small sizes become 0.
    Source: GetCollByteCount in nccl-tests' ``src/all_gather.cu`` and its like.
    """
    element = DTYPE_BYTES[dtype]
    count = size_bytes // element
    if not COLLECTIVES[collective].split:
        return count * element
    unit = max(1, share_bytes // element)
    return count // ranks // unit * unit * ranks * element
