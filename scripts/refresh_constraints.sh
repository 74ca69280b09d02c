#!/bin/bash
# refresh_constraints.sh [PIP OPTION…]: resolves every extra together afresh and writes constraints.txt.
# Run it with Debian 12's Python (3.11), review the difference, run make test, commit. `--constraint FILE` among the
# options keeps what FILE names, for a smaller step.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
# Debian's own Python: some releases ask for a later 3.11 than the one it has, and pip then has to choose others.
"$(PYTHON=${PYTHON:-/usr/bin/python3} scripts/find_python.sh)" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
# Torch's default build on PyPI names its CUDA packages; only torch's own pin is kept of those.
"$venv/bin/python" -m pip install --quiet --dry-run --ignore-installed --report "$venv/report.json" "$@" \
  '.[serve,test,dev,docs,bench]' scikit-build-core pybind11
"$venv/bin/python" - "$venv/report.json" > "$venv/constraints.txt" <<'PY'
import json
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    items = [item["metadata"] for item in json.load(file)["install"]]
print("# The exact set that make, CI and the images install (Python 3.11). Written by scripts/refresh_constraints.sh.")
for item in sorted(items, key=lambda item: item["name"].lower()):
    name = re.sub(r"[-_.]+", "-", item["name"]).lower()
    if name != "matinee" and not name.startswith(("nvidia-", "triton", "cuda-")):
        print(f"{name}=={item['version'].partition('+')[0]}")
PY
mv "$venv/constraints.txt" constraints.txt
chmod 644 constraints.txt
