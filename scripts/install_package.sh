#!/bin/bash
# install_package.sh EXTRAS: makes .venv, installs the pinned dependencies of these extras (comma separated), and builds
# and installs the package editable. Run again it only does what changed. Nothing is installed outside .venv.
# With `test` among the extras, the C++ tests are built too (ctest --test-dir build/wheel).
set -euo pipefail
cd "$(dirname "$0")/.."

extras=${1:?usage: install_package.sh EXTRAS}
pytorch_cpu=${PYTORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_REQUIRE_VIRTUALENV=1 PIP_DISABLE_PIP_VERSION_CHECK=1

if ! .venv/bin/python -c '' 2>/dev/null; then
  python=$(scripts/find_python.sh)
  echo "Making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
fi
pip() { .venv/bin/python -m pip "$@"; }

# The build needs these in .venv itself: without build isolation a second build compiles only what changed.
pip install --quiet --constraint constraints.txt scikit-build-core pybind11

definitions=()
if [[ ,$extras, == *,test,* ]]; then
  definitions+=(--config-settings=cmake.define.MATINEE_BUILD_TESTS=ON)
  # PyPI's default torch brings gigabytes of CUDA with it, and the tests want none of that. Where the configured index
  # has no CPU build, PyTorch's own index does; it is used for this one package only.
  torch=$(grep '^torch==' constraints.txt)
  if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    offered=$(pip install --quiet --dry-run --no-deps --ignore-installed --report - "$torch" |
      .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["metadata"]["version"])')
    if [[ $offered == *+cpu ]]; then
      pip install --quiet --constraint constraints.txt "$torch"
    else
      pip install --quiet --no-deps --index-url "$pytorch_cpu" "$torch"
    fi
  fi
fi

echo "Installing the package with [$extras] (the first time compiles the extension: some minutes)"
pip install --quiet --no-build-isolation --constraint constraints.txt "${definitions[@]}" --editable ".[$extras]"
