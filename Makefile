# SPDX-License-Identifier: MIT
# The verbs. What is built how is meson.build's business; what a verb needs is installed by tools/install-needs.

PREFIX  ?= /usr/local
DESTDIR ?=
NEEDS   := tools/install-needs
JOBS    ?= $(shell nproc)

.DEFAULT_GOAL := all
.PHONY: all demo run check check-unit check-e2e check-instructions update-instructions fault soak check-real asan tsan bench fuzz fuzz-planted fuzz-coverage strictness tidy format shape install deb check-deb clean help

all: build/chasqui ## the release binary: build/chasqui

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build/build.ninja: | needs-build
	meson setup build --buildtype=release -Db_lto=true --prefix=$(PREFIX) >/dev/null

build-asan/build.ninja: | needs-build
	meson setup build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false >/dev/null

build-tsan/build.ninja: | needs-build
	meson setup build-tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false >/dev/null

.PHONY: build/chasqui build-asan/chasqui build-tsan/chasqui needs-build needs-check
build/chasqui: build/build.ninja
	@ninja -C build -j$(JOBS) --quiet src/cli/chasqui && ln -sf src/cli/chasqui build/chasqui

build-asan/chasqui: build-asan/build.ninja
	@ninja -C build-asan -j$(JOBS) --quiet && ln -sf src/cli/chasqui build-asan/chasqui

build-tsan/chasqui: build-tsan/build.ninja
	@ninja -C build-tsan -j$(JOBS) --quiet && ln -sf src/cli/chasqui build-tsan/chasqui

needs-build:
	@$(NEEDS) build

needs-check:
	@$(NEEDS) check

demo: build/chasqui ## one prompt through a gateway; REAL=1 with a real Ollama
	@$(if $(REAL),tools/demo --real,tools/demo)

run: build/chasqui ## serve until Ctrl-C
	@build/chasqui serve $(ARGS)

check: check-unit check-e2e check-instructions ## all tests that need nothing but Debian and npm

check-unit: needs-check asan tsan
	meson test -C build-asan --no-rebuild --print-errorlogs --num-processes $(JOBS)
	meson test -C build-tsan --no-rebuild --print-errorlogs --num-processes $(JOBS) --suite unit

check-e2e: needs-check asan tsan build/chasqui
	tools/run-e2e build-asan/chasqui
	tools/run-e2e build-tsan/chasqui
	tools/run-fault build/chasqui build-asan/chasqui short

check-instructions: needs-check build/chasqui ## what a request costs, in instructions, beside bench/instructions.json
	@bench/instructions

update-instructions: needs-check build/chasqui ## make this tree the baseline of check-instructions
	@bench/instructions --update

fault: needs-check asan build/chasqui ## failing allocations, and sockets in every bad mood
	tools/run-fault build/chasqui build-asan/chasqui

soak: needs-check build/chasqui ## ten minutes of faults on five nodes, clients at both doors, then a storm of kills; SECONDS=600 KILLS=1000 SEED=1
	CHASQUI=build/chasqui CHASQUI_SOAK="$(or $(SECONDS),600)" CHASQUI_SEED="$(or $(SEED),1)" node --test --test-reporter=tap tests/e2e/chaos.test.mjs
	CHASQUI=build/chasqui CHASQUI_KILLS="$(or $(KILLS),1000)" CHASQUI_SEED="$(or $(SEED),1)" node --test --test-reporter=tap tests/e2e/resume-storm.test.mjs

check-real: needs-check build/chasqui ## the suite against a real Ollama
	tools/run-real build/chasqui

asan: build-asan/chasqui ## build with AddressSanitizer and UBSan
tsan: build-tsan/chasqui ## build with ThreadSanitizer

fuzz: ## each fuzz target for a while; SECONDS=60 TARGETS=json
	@$(NEEDS) fuzz
	@tools/fuzz "$(or $(SECONDS),60)" $(TARGETS)

fuzz-planted: ## whether the fuzz targets find planted faults
	@tools/fuzz-planted $(SECONDS)

fuzz-coverage: needs-check ## lines of http/, json/, mcp/ and zip/ that the fuzz corpora reach
	@tools/fuzz-coverage

strictness: build/chasqui ## the corpus of odd HTTP beside HAProxy, nginx and Node.js; writes docs/strictness.md
	@bench/strictness

bench: build/chasqui ## CPU and memory beside HAProxy, nginx, gRPC, nng; writes docs/performance.md
	@$(NEEDS) bench
	@tools/bench $(ARGS)

tidy: build/build.ninja ## clang-tidy over src
	@$(NEEDS) tidy
	tools/tidy build

format: ## clang-format over src and tests
	@$(NEEDS) tidy
	clang-format -i $$(git ls-files 'src/*.[ch]' 'tests/*.[ch]')

shape: ## the fifteen longest functions and files: a list to read, not a gate
	@tools/shape

install: build/chasqui ## PREFIX, DESTDIR
	@tools/install "$(PREFIX)" "$(DESTDIR)"

deb: ## Debian packages in build-deb/, judged by lintian
	@$(NEEDS) deb
	@JOBS=$(JOBS) tools/deb

check-deb: deb ## install, use and purge them in a fresh Debian, as root
	@$(NEEDS) check-deb
	@tools/check-deb

clean: ## remove what the verbs built
	rm -rf build build-asan build-tsan build-fuzz build-planted build-coverage build-deb
