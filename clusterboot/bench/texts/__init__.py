"""What each program says when a run fails: one file a program, with the sources of its texts."""

from clusterboot.bench.texts import benchmarks, hydra, login, open_mpi, programs, schedulers, transports

# The first that fits a place in a log is the one.
PATTERNS = (
    *benchmarks.BENCHMARKS,
    *programs.LOADER,
    *hydra.HYDRA,
    *login.LOGIN,
    *schedulers.SCHEDULERS,
    *open_mpi.ENDS,
    *programs.KILLS,
    *transports.TRANSPORTS,
    *open_mpi.STARTS,
    *(
        pattern
        for program in (open_mpi, hydra, schedulers, programs, benchmarks)
        for pattern in program.CONSEQUENCES
    ),
)
