# Matinee: `make demo` shows the product, `make test` tests it; both work first on a fresh Debian 12. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

DATA ?=
# What make evaluate and make bench-product measure, and films to measure with.
BUNDLE ?=
TEST ?=
DEMO_BUNDLE := build/demo.bundle
# Seconds each fuzz target runs for.
FUZZ_SECONDS ?= 60
# Test processes at a time; the default suits two cores.
TEST_WORKERS ?= 2
# More options of python -m benchmarks.bench_encode.
BENCH_ENCODE ?=
# More options of python -m benchmarks.bench_ann.
BENCH_ANN ?=
# SYSTEM=skip: trust that what scripts/debian-packages.txt names is there (other systems than Debian and Ubuntu).
SYSTEM ?= install

# mkdocs-material greets every build with an announcement of its successor; make test's output is for news of ours.
export NO_MKDOCS_2_WARNING := 1

STAMPS := build/.stamps
VENV := .venv/bin
# What the built extension depends on; Python files are used in place and need no build.
NATIVE := CMakeLists.txt pyproject.toml constraints.txt $(shell find cpp bindings tests/cpp -type f 2>/dev/null)

# A stamp tells of an environment; without the environment it tells nothing.
ifeq ($(wildcard $(VENV)/matinee),)
$(shell rm -rf $(STAMPS))
endif

ifeq ($(SYSTEM),skip)
system = true
else
system = scripts/install_system.sh
endif

.PHONY: help demo test test-full build lint format docs stubs fuzz evaluate bench-product bench-encode bench-ann clean system-build system-test system-full

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

demo: $(STAMPS)/demo ## install, build, make the demo bundle, serve API and UI; DATA=DIR_OR_TOML for your own films
	@exec $(VENV)/matinee demo $(if $(DATA),--data "$(DATA)")

test: $(STAMPS)/test ## everything CI checks: lint, types, docs, C++, Python, API and browser
	@TEST_WORKERS=$(TEST_WORKERS) scripts/run_tests.sh quick

test-full: system-full $(STAMPS)/test ## make test, the slow tests, sanitizers, clang-tidy and fuzzing; log in build/test-full.log
	@mkdir -p build
	@TEST_WORKERS=$(TEST_WORKERS) FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run_tests.sh full 2>&1 | tee build/test-full.log

build: $(STAMPS)/demo ## the extension and the package, editable in .venv

lint: $(STAMPS)/test ## ruff, mypy --strict, clang-format
	@scripts/run_tests.sh lint

format: $(STAMPS)/test ## rewrite the sources the way lint wants them
	@$(VENV)/ruff check --fix . && $(VENV)/ruff format .
	@find cpp bindings tests -name '*.cpp' -o -name '*.h' | xargs $(VENV)/clang-format -i

docs: $(STAMPS)/test ## the documentation as pages under build/site
	@$(VENV)/mkdocs build --strict --site-dir build/site && echo "build/site/index.html"

stubs: $(STAMPS)/test ## write the type stubs of the extension modules again
	@.venv/bin/python scripts/generate_stubs.py

fuzz: system-full ## every fuzz target for FUZZ_SECONDS
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run_fuzz.sh

evaluate: $(STAMPS)/demo ## measure the demo's bundle, or BUNDLE=…, on films held back, or TEST=films.toml; writes a report beside it
	@$(if $(BUNDLE),,test -e $(DEMO_BUNDLE) || $(VENV)/matinee build --source python/matinee/catalog/demo/films.toml --out $(DEMO_BUNDLE))
	@$(VENV)/matinee evaluate --bundle "$(or $(BUNDLE),$(DEMO_BUNDLE))" $(if $(TEST),--test "$(TEST)")

bench-product: $(STAMPS)/demo ## what one answer takes: genres, poster check, discovery, chat; BUNDLE=… names the bundle
	@$(if $(BUNDLE),,echo "bench-product: name a bundle: make bench-product BUNDLE=films.bundle" && exit 1)
	@$(VENV)/python -m benchmarks.bench_product "$(BUNDLE)" --out benchmarks/results/product.json --markdown docs/benchmarks/product.md

bench-encode: $(STAMPS)/bench ## encoding beside torch, ONNX Runtime and OpenVINO; BENCH_ENCODE="--sentences 20000 --posters 8124" for all
	@$(VENV)/python -m benchmarks.bench_encode --out benchmarks/results/encode.json \
	  --markdown docs/benchmarks/encode.md $(BENCH_ENCODE)

bench-ann: $(STAMPS)/bench ## the index beside hnswlib, faiss, usearch, annoy, voyager and scalable-vs; BENCH_ANN="--cache DIR" keeps their indexes
	@$(VENV)/python -m benchmarks.bench_ann --out benchmarks/results/ann.json --markdown docs/benchmarks/ann.md $(BENCH_ANN)

clean: ## remove .venv and everything built (models and bundles are kept)
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache

system-build:
	@$(system) build
system-test:
	@$(system) build test
system-full:
	@$(system) build test full

# The Debian packages come first, whatever else is up to date (order-only: they never make a stamp stale).
$(STAMPS)/demo: $(NATIVE) | system-build
	@scripts/install_package.sh serve
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: $(NATIVE) | system-test
	@scripts/install_package.sh serve,test,dev,docs
	@mkdir -p $(STAMPS) && touch $(STAMPS)/demo $@

$(STAMPS)/bench: $(STAMPS)/test
	@scripts/install_package.sh serve,test,dev,docs,bench
	@touch $@
