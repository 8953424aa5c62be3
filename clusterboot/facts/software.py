"""NCCL or RCCL, nccl-tests and ssh on a node."""

from __future__ import annotations

import re
import shlex

from clusterboot.inventory.cluster import Options

from .fact import Fact
from .node import Software
from .search_paths import CUDA_LIB, CUDA_RUNTIMES, NCCL_LIB, NCCL_TEST_NAMES, NCCL_TESTS, RCCL_LIB
from .text import PRELUDE, absolute, known, pairs

# ldconfig's cache is what the loader goes by, but it is two processes and only of use beside
# a GPU's driver. The version stands in the name of the file that libnccl.so.2 leads to, or
# else in the header beside it, within its first lines.
_SNIPPET = r"""library() {
  [ -e "$1" ] || return
  printf 'library:%s\n' "$1"
  for f in "$1".*; do [ "$f" -ef "$1" ] && printf 'file:%s\n' "$f"; done
  for f in "${1%/*}/../include/HEADER" "${1%/*}/../../include/HEADER"; do
    [ -f "$f" ] && [ -r "$f" ] || continue
    while read -r a b c; do
      case $b in NCCL_MAJOR|NCCL_MINOR) printf 'define:%s\n' "$c";;
        NCCL_PATCH) printf 'define:%s\n' "$c"; break;; esac
    done <"$f"
    break
  done
}
runtime() { for n in RUNTIMES; do [ -e "$1/$n" ] && { printf 'cudart:%s\n' "$1/$n"; return; }; done; }
for d in GIVEN; do library "$d/libnccl.so.2"; runtime "$d"; done
if [ -e /dev/nvidiactl ] || [ -e /dev/kfd ]; then
  PATH=$PATH:/sbin:/usr/sbin
  ldconfig -p | while read -r n v; do
    case $n in libnccl.so.2|librccl.so.1) library "${v##*=> }";;
      libcudart.so*) v=${v##*=> }; runtime "${v%/*}";; esac
  done
fi
IFS=:
for d in $LD_LIBRARY_PATH; do
  library "$d/libnccl.so.2"; library "$d/librccl.so.1"; IFS=' '; runtime "$d"; IFS=:
done
IFS=' '
for d in NCCL_PLACES; do library "$d/libnccl.so.2"; done
for d in CUDA_PLACES; do runtime "$d"; done
for d in RCCL_PLACES; do library "$d/librccl.so.1"; done
tests() {
  for n in NAMES; do
    for f in "$1/${n}_perf_mpi" "$1/${n}_perf"; do
      [ -f "$f" ] && [ -x "$f" ] && printf 'test:%s\n' "$f"
    done
  done
}
PREFERRED
for d in TEST_PLACES; do [ -d "$d" ] && tests "$d"; done
IFS=:
for d in $PATH; do
  case $d in /usr/bin|/usr/local/bin|/bin|/sbin|/usr/sbin) ;; *) IFS=' '; tests "$d";; esac
done
printf 'ssh:'; ssh -V 2>&1
"""

_FILE_VERSION = re.compile(r"/lib[nr]ccl\.so\.([0-9]+\.[0-9]+(?:\.[0-9]+)*)")
_TEST = re.compile(r".*/([a-z_]+_perf)(?:_mpi)?")
_SSH_VERSION = re.compile(r"(OpenSSH_[^\s,]+|Dropbear \S+)")


def script(options: Options) -> str:
    """Write the script; what the cluster file names is looked at first."""
    tests_dir, lib_dirs = options.nccl.tests_dir, options.nccl.lib_dirs
    preferred = f"tests {shlex.quote(tests_dir.rstrip('/'))}" if tests_dir else ":"
    given = " ".join(shlex.quote(path.rstrip("/")) for path in lib_dirs)
    body = (
        _SNIPPET.replace("HEADER", "nccl.h")
        .replace("RUNTIMES", " ".join(CUDA_RUNTIMES))
        .replace("CUDA_PLACES", " ".join(CUDA_LIB))
        .replace("NCCL_PLACES", " ".join(NCCL_LIB))
        .replace("RCCL_PLACES", " ".join(RCCL_LIB))
        .replace("TEST_PLACES", " ".join(f'"{place}"' if "$" in place else place for place in NCCL_TESTS))
        .replace("NAMES", " ".join(NCCL_TEST_NAMES))
    )
    return PRELUDE + body.replace("PREFERRED", preferred).replace("GIVEN", given)


def parse(text: str) -> Software:
    """Read the software section.

    Returns: the first library found, in the loader's order where it could be asked, with
    its version; for each benchmark its first program, an MPI build before another.
    """
    library: str | None = None
    current: str | None = None
    files: dict[str, str] = {}
    defines: dict[str, list[str]] = {}
    tests: dict[str, str] = {}
    runtimes: list[str] = []
    for key, value in pairs(text):
        if key == "library" and absolute(value):
            current = value
            library = library or value
        elif key == "file" and current:
            files.setdefault(current, value)
        elif key == "define" and current:
            defines.setdefault(current, []).append(value)
        elif key == "cudart" and absolute(value):
            runtimes.append(value)
        elif key == "test":
            match = _TEST.fullmatch(value)
            if match and absolute(value):
                tests.setdefault(match[1], value)
    ssh = _SSH_VERSION.search(text.rpartition("ssh:")[2])
    return Software(
        nccl_library=library,
        nccl_version=_version(library, files, defines) if library else None,
        nccl_tests=tests,
        ssh_version=known(ssh[1]) if ssh else None,
        cuda_runtimes=tuple(dict.fromkeys(runtimes)),
    )


def _version(library: str, files: dict[str, str], defines: dict[str, list[str]]) -> str | None:
    match = _FILE_VERSION.search(files.get(library, ""))
    if match and match[1].count(".") >= 2:
        return match[1]
    parts = defines.get(library, [])[:3]
    if len(parts) == 3 and all(re.fullmatch(r"[0-9]{1,4}", part) for part in parts):
        return ".".join(parts)
    return None


FACT = Fact("software", script, lambda text: {"software": parse(text)})
