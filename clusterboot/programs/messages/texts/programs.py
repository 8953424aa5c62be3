"""What stands in for a program that does not start: the loader, the shell, the kernel.

Sources: glibc's ``elf/dl-load.c`` and ``elf/dl-version.c``; bash, dash, zsh and csh; Linux's
``mm/oom_kill.c`` and ``kernel/signal.c``.
"""

from ..pattern import texts

_LIBRARY = "install it on every node, or name its folder in LD_LIBRARY_PATH of the cluster file's env"
EXECUTABLE = "install it at the same path on every node, or set clusterboot.mpi.prefix"
KILLED = "look at that host's kernel log and memory at that time"
LOST = "see whether that host is still up, and its kernel log and network at that time"
TIME = "raise the limit, or find what stopped moving with a smaller run"
SAID_NO_MORE = "the program said no more than that; run it alone on that node"
_MEMORY = "give the job more memory, or ask for smaller sizes; see that host's kernel log"

LOADER = (
    *texts(
        "missing-library",
        _LIBRARY,
        "(?:(?:^{host}: )?\\S+: )?error while loading shared libraries: ",
        r"version [`'\u2018]?[\w.]+['\u2019]? not found \(required by",
        "(?:(?:^{host}: )?\\S+: )?symbol lookup error: ",
    ),
    *texts(
        "missing-executable",
        EXECUTABLE,
        r"{program}['\"\u2019]?: (?:[Cc]ommand )?not found",
        r"command not found: \S*{program}",
        r"{program}['\"\u2019]?: No such file or directory",
        r"\w*sh: …{program}: Permission denied",
        r"{program}['\"\u2019]?: …Exec format error",
        "executable file not found in",
    ),
)

LIMITS = texts(
    "mpi-launch",
    "raise the limit on processes there (ulimit -u, TasksMax, a container's pids limit)",
    "fork: (?:retry: )?Resource temporarily unavailable",
    strength="weak",
)

KILLS = (
    *texts(
        "killed",
        _MEMORY,
        "oom-kill",
        "oom_kill event",
        "Out of memory: Kill(?:ed)? process",
        "cgroup out of memory: Kill",
        r"\bOOMKilled\b",
        "exceeded memory limit",
    ),
    *texts("killed", KILLED, "terminated with exit code 137"),
    *texts(
        "killed",
        KILLED,
        r"^{tag} (?:\*\*\* )?Process received signal",
        r"{tag} Caught signal \d+ \(",
        running=True,
    ),
)

CONSEQUENCES = (
    # A shell's word for the signal that ended a program; where a launcher says more, it is the same end.
    *texts(
        "killed",
        KILLED,
        *(
            rf"^\S*{words}(?: \(core dumped\))?$|: line \d+: \d+ {words} "
            for words in ("Segmentation fault", "Bus error", "Aborted", "Killed", "Terminated")
        ),
        strength="weak",
    ),
    *texts("killed", KILLED, r"command terminated with exit code \d+", strength="weak"),
    *texts("killed", KILLED, "^terminate called (?:after|without)", strength="weak"),
)
