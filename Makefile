# Nightshift's front door. Everything it installs goes to .tools, which git ignores.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
FUNCTIONS := api trigger poll deliver heartbeat tools
CARGO ?= cargo
JOBS ?= 2
# Tests and everything they start never see a real key: nothing is spent by accident.
CLEAN := env $(foreach name,$(shell env | grep -o '^ANTHROPIC_[A-Z_]*' || true),-u $(name)) NIGHTSHIFT_TOOLS=$(TOOLS)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

.PHONY: build
build: ## everything, for this machine
	$(CARGO) build --workspace --all-targets -j$(JOBS)

.PHONY: run
run: ## a stack that stays, on a real clock
	$(CARGO) build -j$(JOBS) --bin nightshift-local --bin nightshift
	./target/debug/nightshift-local $(ARGS)

.PHONY: demo
demo: ## a batch job from add to delivery, in under a minute
	$(CARGO) build -j$(JOBS) --bin nightshift-demo --bin nightshift-local --bin nightshift
	./target/debug/nightshift-demo

.PHONY: watch
watch: tools ## the same job with the real binaries under cargo lambda watch
	$(CARGO) build -j$(JOBS) --bins
	NIGHTSHIFT_CARGO_LAMBDA=$(VENV)/bin/cargo-lambda ./target/debug/nightshift-demo --functions cargo-lambda

.PHONY: test
# What is built once is not kept in pieces for the next time: that costs more than it saves, most of all on a fresh machine.
test: export CARGO_INCREMENTAL ?= 0
test: tools fmt lint ## all checks and tests, with the set-up they need
	$(CARGO) build --workspace --lib --bins --tests -j$(JOBS)
	$(CLEAN) $(CARGO) test --workspace -j$(JOBS)

.PHONY: sim
sim: ## worlds with faults that must come to rest; SIM=long for millions of operations, SIM_SEED=n for others
	$(CLEAN) $(CARGO) test -p nightshift-sim -j$(JOBS) --test sim -- --nocapture

.PHONY: mutants
mutants: ## known bugs in a copy of the product, each awake in its turn and to be caught by the simulation; BUGS="name name" for some
	$(CARGO) build --workspace -j$(JOBS) --bin nightshift-mutants
	$(CLEAN) "$${CARGO_TARGET_DIR:-target}"/debug/nightshift-mutants $(BUGS)

.PHONY: kills
kills: ## a day with 200 kills of the process: KILLS= and KILL_SEED= for others
	$(CARGO) build --workspace -j$(JOBS) --bin nightshift-local --test processes
	$(CLEAN) KILLS=$${KILLS:-200} $(CARGO) test --workspace -j$(JOBS) --test processes killed_day -- --nocapture

.PHONY: bench
bench: ## figures of speed and size, and their ratios
	$(CARGO) build --workspace --profile bench -j$(JOBS) --bin nightshift --bin nightshift-local --bench figures
	$(CLEAN) $(CARGO) bench --workspace -j$(JOBS) --bench figures

.PHONY: load
load: ## 5,000 jobs in one minute (LOAD_JOBS= for others), and a batch of 100,000 results
	$(CARGO) build --workspace --profile bench -j$(JOBS) --bin nightshift-poll --bench window --bench results
	$(CLEAN) $(CARGO) bench --workspace -j$(JOBS) --bench window --bench results

.PHONY: steady
steady: tools $(TOOLS)/steady.done ## what is sent to the model, judged by SPEC=path/to/openapi.json
	@test -f "$(SPEC)" || { echo "name a specification of the Messages API: make steady SPEC=path/to/openapi.json"; exit 1; }
	rm -f $(TOOLS)/record.jsonl
	$(CLEAN) NIGHTSHIFT_RECORD=$(TOOLS)/record.jsonl $(CARGO) test -p nightshift-tests -j$(JOBS) --test contracts what_the_product_sends
	node tests/sdk/steady.mjs $(TOOLS)/steady/node_modules/.bin/steady $(SPEC) $(TOOLS)/record.jsonl

.PHONY: fmt
fmt: ## formatting is as rustfmt leaves it
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## clippy has nothing to say
	$(CARGO) clippy --workspace --all-targets -j$(JOBS) -- -D warnings

.PHONY: release
release: tools ## the functions for AWS (arm64), with their sizes
	@if ! rustc --print target-libdir --target aarch64-unknown-linux-gnu 2>/dev/null | xargs -r test -d; then \
	  echo "the arm64 target is missing; trying: rustup target add aarch64-unknown-linux-gnu"; \
	  rustup target add aarch64-unknown-linux-gnu || { echo "skipped: arm64 cannot be built here"; exit 0; }; fi; \
	PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/cargo-lambda lambda build --release --arm64 -j$(JOBS) \
	  $(foreach name,$(FUNCTIONS),--bin nightshift-$(name)); \
	ls -l target/lambda/*/bootstrap | awk '{ printf "%-55s %6.2f MB\n", $$NF, $$5 / 1e6 }'

.PHONY: tools
tools: $(TOOLS)/python.done $(TOOLS)/node.done ## pinned helpers, into .tools

$(TOOLS)/python.done: .config/tools.txt
	@mkdir -p $(TOOLS)
	@command -v python3 >/dev/null || { echo "python3 is needed: install it and its venv and pip modules"; exit 1; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r .config/tools.txt
	@touch $@

$(TOOLS)/node.done: tests/sdk/package.json
	@mkdir -p $(TOOLS)/node
	@if command -v npm >/dev/null; then cp tests/sdk/package.json $(TOOLS)/node/ && \
	  npm install --prefix $(TOOLS)/node --no-audit --no-fund --loglevel=error; \
	  else echo "no npm here: the tests with the TypeScript SDK and the Telegram mock will be skipped"; fi
	@touch $@

# A mock server of 95 MB that only `make steady` needs.
$(TOOLS)/steady.done:
	@mkdir -p $(TOOLS)
	npm install --prefix $(TOOLS)/steady --no-audit --no-fund --loglevel=error @stdy/cli@0.22.2
	@touch $@

.PHONY: clean
clean: ## removes what was built; .tools stays
	$(CARGO) clean
