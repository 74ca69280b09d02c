#!/bin/bash
# run_tests.sh lint|quick|full: runs every check of that tier, even after one has failed, and ends with a summary.
# The Makefile has installed and built everything before. Each step's output is kept under build/test-logs.
set -uo pipefail
cd "$(dirname "$0")/.."

tier=${1:?usage: run_tests.sh lint|quick|full}
bin=$PWD/.venv/bin
logs=build/test-logs
rm -rf "$logs" && mkdir -p "$logs"
started=$SECONDS
failed=0
names=() results=()

# step NAME COMMAND…: quiet steps (everything but the two test runners) show their output only when they fail.
step() {
  local name=$1 log=$logs/$1.log begin=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  case $name in
    ctest* | pytest*) "$@" 2>&1 | tee "$log" || status=$? ;;
    *) "$@" >"$log" 2>&1 || { status=$?; cat "$log"; } ;;
  esac
  names+=("$name")
  if [ "$status" -eq 0 ]; then
    results+=("passed  $((SECONDS - begin)) s")
  else
    results+=("FAILED  $((SECONDS - begin)) s (exit status $status; $log)")
    failed=1
  fi
}

preset() { # configure, build and run one CMake preset; tidy has no tests to run, its build is the check
  cmake --preset "$1" && cmake --build --preset "$1" && { [ "$1" = tidy ] || ctest --preset "$1" --parallel 2; }
}

clang_format() { find cpp bindings tests -name '*.cpp' -o -name '*.h' | xargs "$bin/clang-format" --dry-run --Werror; }

lint() {
  step ruff "$bin/ruff" check .
  step ruff-format "$bin/ruff" format --check .
  step mypy "$bin/mypy" python app
  step clang-format clang_format
}

# python_tests NAME OPTION…: models are pulled beforehand, so that no test needs a network and one that tries is found.
python_tests() {
  step "$1" env MATINEE_OFFLINE=1 "$bin/python" -m pytest --numprocesses "${TEST_WORKERS:-2}" --dist loadfile "${@:2}"
}

lint
if [ "$tier" != lint ]; then
  step docs "$bin/mkdocs" build --strict --site-dir build/site
  step models "$bin/matinee" models pull
  step ctest ctest --test-dir build/wheel --output-on-failure --parallel 2
  if [ "$tier" = full ]; then
    for name in asan tsan tidy; do step "$name" preset "$name"; done
    step fuzz scripts/run_fuzz.sh
    python_tests pytest
  else
    python_tests pytest -m 'not slow'
  fi
fi

printf '\n== summary (%d s)\n' $((SECONDS - started))
for i in "${!names[@]}"; do printf '  %-14s %s\n' "${names[$i]}" "${results[$i]}"; done
for log in ctest pytest; do [ -f "$logs/$log.log" ] && grep -E '^(=+ .* in [0-9].*=+|[0-9]+% tests passed.*)$' "$logs/$log.log" | tail -n 1; done
exit "$failed"
