"""Run as a program: become another one, which ends when the thread that started it does, killed or not.

Arguments: the process id of the parent; the program's own command line.
Source: prctl(2), PR_SET_PDEATHSIG, which outlasts execve(2).
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # Each stream through a master costs it three descriptors.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Ctrl-C is its parent's matter, which still needs the way to tell the nodes; ssh keeps to that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent may have gone before it could be told that way.
    if os.getppid() == parent:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
