#!/bin/bash
# find_python.sh: prints a Python that can build Matinee: 3.11 to 3.13, with venv, pip's bootstrap and the C headers.
# $PYTHON names one to use; otherwise the first fitting one on PATH, then Debian's own.
set -euo pipefail

fits() {
  "$1" - <<'PY' 2>/dev/null
import pathlib, sys, sysconfig
import ensurepip, venv
headers = pathlib.Path(sysconfig.get_path("include")) / "Python.h"
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and headers.is_file()))
PY
}

for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 /usr/bin/python3}; do
  path=$(command -v "$candidate" || true)
  if [ -n "$path" ] && fits "$path"; then
    # A version manager's shim is not an interpreter: ask the interpreter where it really is.
    "$path" -c 'import sys; print(sys.executable)'
    exit 0
  fi
done
echo "find_python.sh: expected Python 3.11, 3.12 or 3.13 with venv and headers, found none;" \
  "install python3-dev and python3-venv, or name one: make PYTHON=/path/to/python3.11 …" >&2
exit 1
