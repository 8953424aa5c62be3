"""What each program says when a run fails: one file a program, with the sources of its texts."""

from . import benchmarks, hydra_mpis, login, open_mpi, programs, schedulers, transports

# The first that fits a place in a log is the one.
PATTERNS = (
    *benchmarks.BENCHMARKS,
    *programs.LOADER,
    *programs.LIMITS,
    *hydra_mpis.HYDRA,
    *login.LOGIN,
    *schedulers.SCHEDULERS,
    *open_mpi.ENDS,
    *programs.KILLS,
    *transports.TRANSPORTS,
    *open_mpi.STARTS,
    *(
        pattern
        for program in (open_mpi, hydra_mpis, schedulers, programs, benchmarks)
        for pattern in program.CONSEQUENCES
    ),
)
