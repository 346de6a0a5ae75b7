# rtun: what one types. `make help` lists the targets.

SWIFT        ?= swift
# One configuration serves programs, demo and tests, so that nothing is compiled twice and what is tested is optimised
# code; -enable-testing lets the unit tests see the internals.
SWIFT_FLAGS  := -c release -Xswiftc -enable-testing
# Seconds for each fuzz target, and which targets; all if none are named.
TIME         ?= 20
TARGETS      ?=
# Which steps of `make verify`; all if none are named.
STEPS        ?=
ifeq ($(shell uname -s),Darwin)
# What packaging/macos/setup.sh gathers.
export PKG_CONFIG_PATH := $(CURDIR)/.build-macos/lib/pkgconfig:$(CURDIR)/.build-macos/ngtcp2/lib/pkgconfig
SWIFT_FLAGS  += -Xcc -I$(CURDIR)/.build-macos/include -Xlinker -L$(CURDIR)/.build-macos/lib
endif
BIN           = $(shell $(SWIFT) build $(SWIFT_FLAGS) --show-bin-path)
SOURCES      := Package.swift Sources Tests Benchmarks
PROGRAMS     := rtun-server rtun-agent rtun-socks rtun-relay

.PHONY: help setup build release dist try-dist image try-image deb rpm try-deb version test test-portable test-portable-quick \
	verify debian13 fuzz fuzz-quick sanitize demo bench bench-wan bench-quick bench-tools \
	nat-table nat-spread proto proto-check format lint clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 21

setup: ## install what is missing to build and test (Debian packages, a Python environment for the interop tests)
	@scripts/setup.sh

build: setup ## build the programs and print where they are
	@$(SWIFT) build $(SWIFT_FLAGS)
	@echo "programs are in $(BIN)"

release: setup ## build the programs for shipping, Swift's runtime linked in, stripped, into dist/
	@scripts/release.sh $(PROGRAMS)

dist: setup ## build the programs for any Linux, statically linked, with archives, checksums and lists of parts, into dist/; TARGET=aarch64-linux does so on x86-64, too (then needs root)
	@scripts/dist.sh $(PROGRAMS)

try-dist: ## try what make dist has made in empty roots, on Debian 12 and 13 and beside busybox only (needs root)
	@scripts/try-dist.sh

image: ## make container images of what make dist has made, into dist/ (needs root, and no engine)
	@scripts/image.sh $(PROGRAMS) rtun

try-image: ## try these images, as an engine would run them, without one (needs root)
	@scripts/install-packages.sh try-image python3 python3-yaml curl iproute2
	@scripts/try-image.py

deb: ## make Debian packages of what make dist has made, into dist/
	@scripts/packages.sh deb

rpm: ## make RPM packages of it
	@scripts/packages.sh rpm

try-deb: ## install, run, upgrade and remove the Debian packages on a Debian 12 and 13 made for that (needs root, three minutes)
	@scripts/try-deb.sh

version: ## print the version of all programs; VERSION=0.2.0 makes it that, and gives CHANGELOG's new section its name
	@scripts/version.sh $(VERSION)

test: setup ## run all tests
	@scripts/try-install.sh
	@scripts/try-release.sh
	@scripts/test-front.sh
	@scripts/test.sh $(SWIFT_FLAGS)
	@$(SWIFT) test --package-path Benchmarks --scratch-path .build-benchmarks

test-portable: setup ## build and test on Linux what other systems are built of, in place of Linux's own (docs/building.md)
	@scripts/test-portable.sh

test-portable-quick: setup ## the same with the tests of what is different
	@scripts/test-portable.sh quick

verify: ## run everything that can be tried here, and note it in docs/verified.md; STEPS="dist try-dist" for some (needs root, hours)
	@scripts/verify.py $(STEPS)

debian13: setup ## build and try it on a Debian 13 that is made for that (needs root, some ten minutes)
	@scripts/debian13.sh

fuzz: setup ## feed every decoder with mutated input for TIME seconds each (default 20); TARGETS="stun ice" for some
	@TIME="$(TIME)" scripts/fuzz.sh $(TARGETS)

fuzz-quick: setup ## the same in about a minute and a half, from the same seed, and its build
	@TIME=3 SEED=1 scripts/fuzz.sh

sanitize: setup ## run the unit tests under AddressSanitizer and ThreadSanitizer
	@scripts/sanitize.sh

demo: setup ## start all programs on loopback and send traffic through them
	@$(SWIFT) build $(SWIFT_FLAGS) --product rtun-server
	@$(SWIFT) build $(SWIFT_FLAGS) --product rtun-agent
	@$(SWIFT) build $(SWIFT_FLAGS) --product rtun-socks
	@$(SWIFT) build $(SWIFT_FLAGS) --product rtun-relay
	@RTUN_BIN="$(BIN)" scripts/demo.sh

bench: build bench-tools ## rtun and others on one machine, as tables in docs/benchmarks.md (needs root, about half an hour)
	@Benchmarks/setup.sh
	@RTUN_BIN="$(BIN)" python3 Benchmarks/bench.py

bench-wan: build bench-tools ## the same over slow, far and lossy links (needs root, under two hours)
	@Benchmarks/setup.sh
	@RTUN_BIN="$(BIN)" python3 Benchmarks/wan.py

bench-quick: build bench-tools ## a short look at both, rtun and no tunnel only; fails when something does not complete (needs root)
	@RTUN_BIN="$(BIN)" python3 Benchmarks/bench.py --quick
	@RTUN_BIN="$(BIN)" python3 Benchmarks/wan.py --quick

# The load generator and the link emulator, a package of their own.
bench-tools:
	@$(SWIFT) build --package-path Benchmarks -c release --scratch-path .build-benchmarks

nat-table: setup ## how both clients fare between every two kinds of NAT, as a matrix for each (needs root)
	@scripts/nat-table.sh $(SWIFT_FLAGS)

nat-spread: setup ## how often guessing the ports of a symmetric NAT goes well, as a table (needs root, up to half an hour)
	@scripts/nat-spread.sh $(SWIFT_FLAGS)

proto: ## regenerate the C code of the wire schema
	@scripts/generate-proto.sh

proto-check: ## fail when the committed C code does not match proto/app.proto
	@scripts/generate-proto.sh --check

format: ## format the sources in place
	@$(SWIFT) format format --in-place --recursive --parallel $(SOURCES)

lint: ## check the format, what modules depend on, and scripts and workflows, without changing anything
	@scripts/lint.sh
	@$(SWIFT) format lint --strict --recursive --parallel $(SOURCES)

clean: ## remove what the build and the setup made here
	rm -rf .build .build-portable .build-macos .build-release .build-fuzz .build-address .build-thread .build-venv \
		.build-ahead .build-benchmarks .build-benchmarks-venv .build-debian13 .build-dist .build-dist-* .build-cross-* .build-try-dist \
		.build-lint-venv .build-tools .build-image .build-try-image .build-packages .build-try-deb .build-verify dist
