#!/bin/bash
# check_extras.sh: every extra of pyproject.toml resolves alone with the pinned versions, and so do all of them together.
# Nothing is installed: pip only works out the set, and every pin it needs has to be in constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
# Debian's own Python: some releases ask for a later 3.11 than the one it has, and pip then has to choose others.
"$(PYTHON=${PYTHON:-/usr/bin/python3} scripts/find_python.sh)" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip

check() { # NAME REQUIREMENT
  "$venv/bin/python" -m pip install --quiet --dry-run --ignore-installed --constraint constraints.txt \
    --report "$venv/report.json" "$2"
  "$venv/bin/python" - "$1" "$venv/report.json" <<'PY'
import json
import re
import sys

name, path = sys.argv[1:]
canonical = lambda text: re.sub(r"[-_.]+", "-", text).lower()
with open("constraints.txt", encoding="utf-8") as file:
    pinned = {line.partition("==")[0] for line in file}
with open(path, encoding="utf-8") as file:
    chosen = {canonical(item["metadata"]["name"]) for item in json.load(file)["install"]} - {"matinee"}
free = sorted(package for package in chosen - pinned if not package.startswith(("nvidia-", "triton", "cuda-")))
print(f"{name}: {len(chosen)} packages" + (f"; not pinned: {', '.join(free)}" if free else ""))
sys.exit(bool(free))
PY
}

extras=$("$venv/bin/python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"])')
check "no extra" .
for extra in $extras; do check "[$extra]" ".[$extra]"; done
check "all together" ".[$(tr ' ' , <<<"$extras")]"
