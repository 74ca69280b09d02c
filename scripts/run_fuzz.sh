#!/bin/bash
# run_fuzz.sh: builds the libFuzzer targets (preset fuzz) and runs each for $FUZZ_SECONDS (60). What a target learns is kept
# under build/fuzz-corpus, so that the next run goes on from there; a crash is left there too and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake --preset fuzz
cmake --build --preset fuzz
targets=$(find build/fuzz/tests/fuzz -maxdepth 2 -type f -executable -name '*_fuzz*' | sort)
[ -n "$targets" ] || { echo "run_fuzz.sh: expected fuzz targets under build/fuzz/tests/fuzz, found none" >&2; exit 1; }
.venv/bin/python tests/fuzz/make_seeds.py build/fuzz-seeds
for target in $targets; do
  name=$(basename "$target")
  corpus=build/fuzz-corpus/$name
  mkdir -p "$corpus"
  seeds=build/fuzz-seeds/$name
  echo "== $name, ${FUZZ_SECONDS:-60} s"
  "$target" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$corpus/" "$corpus" $([ -d "$seeds" ] && echo "$seeds")
done
