# Sourced by script/demo and script/test: everything they need, on a machine that has only Python.
# Nothing here is done twice: each step looks first whether it is needed.

# Debian keeps ip, tc and sshd where an ordinary user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The first Python of at least 3.10, as PYTHON; an explicit PYTHON is taken as it is.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      PYTHON=$candidate
      return
    fi
  done
  die "Python 3.10 or newer is needed; install it, or name it with PYTHON=/path/to/python3"
}

# missing_packages NEED…: the packages of script/packages for these needs that are missing, one a line.
missing_packages() {
  local need what package _
  while read -r need what package _; do
    case " $* " in
      *" $need "*) is_there "$what" || printf '%s\n' "$package" ;;
    esac
  done <script/packages | sort -u
}

# is_there WHAT: a file (a whole path), a Python module (python:NAME), or any of some programs (a|b).
is_there() {
  local name
  case $1 in
    /*) [ -e "$1" ] ;;
    python:*) "$PYTHON" -c "import ${1#python:}" 2>/dev/null ;;
    *) for name in ${1//|/ }; do command -v "$name" >/dev/null && return; done ;;
  esac
}

# install_packages NEED…: what is missing for these needs, see script/packages.
install_packages() {
  local missing sudo=() package packages=()
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "these are missing: ${missing//$'\n'/ }; install them with your package manager"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing: ${missing//$'\n'/ }; install them as root"
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -q >&2 || die "apt-get could not read what packages there are"
  for package in $missing; do packages+=("$(known_package "$package")"); done
  say "installing ${packages[*]}"
  case $missing in
    *openssh-server*) say "note: Debian's openssh-server also starts this machine's own sshd" ;;
  esac
  case $missing in
    *munge*) say "note: Debian's munge also starts this machine's own munged" ;;
  esac
  case $missing in
    *prometheus*) say "note: Debian's prometheus also starts a server, at port 9090" ;;
  esac
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" >&2 ||
    die "apt-get could not install: ${packages[*]}"
}

# known_package NAME|NAME…: the first of these that apt-get knows, or else the first.
known_package() {
  local name
  for name in ${1//|/ }; do
    if [ -n "$(apt-cache madison "$name" 2>/dev/null)" ]; then
      printf '%s' "$name"
      return
    fi
  done
  printf '%s' "${1%%|*}"
}

# make_venv FOLDER PYTHON LOCK [LOCK…]: a virtual environment with exactly what the first lock
# says, and this project. One that was made from another of the locks is as good.
make_venv() {
  local folder=$1 python=$2 lock found
  shift 2
  found=$(cat "$folder/.made-from" 2>/dev/null) || found=
  for lock in "$@"; do
    if [ "$found" = "$(stamp_of "$lock")" ] && "$folder/bin/python" -c 'import clusterboot' 2>/dev/null; then
      return 0
    fi
  done
  say "making $folder from $1"
  "$folder/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$1" >&2
  "$folder/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
  # As pip does with a package that it copies: a start that compiles everything takes twice as long,
  # and each one does where the environment keeps Python from writing down what it compiled.
  "$folder/bin/python" -m compileall -q clusterboot
  stamp_of "$1" >"$folder/.made-from"
}

stamp_of() { cat "$1" pyproject.toml | sha256sum; }
