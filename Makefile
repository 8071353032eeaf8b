# Nightshift's front door. Everything it installs goes to .tools, which git ignores.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
INFRA := $(TOOLS)/infra
SAM := env SAM_CLI_TELEMETRY=0 PATH="$(VENV)/bin:$(PATH)" $(INFRA)/bin/sam
BUILT := target/sam/build
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
# What is only tried out is linked in a fraction of the time.
HASTY := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
# Of a deployment: its name, where, and what the template is told (PARAMETERS="PublicFront=true AlarmEmail=me@example.com").
STACK ?= nightshift
REGION ?=
PARAMETERS ?=
# What is not named keeps the value it had; this one the build has to know too, so it is always named.
ARCHITECTURE := $(or $(patsubst Architecture=%,%,$(filter Architecture=%,$(PARAMETERS))),arm64)
OVERRIDES := Architecture=$(ARCHITECTURE) $(filter-out Architecture=%,$(PARAMETERS))
# What functions were seen to use of AWS, while the tests run.
ACTIONS := $(CURDIR)/target/actions
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
	rm -rf $(ACTIONS)
	$(CLEAN) NIGHTSHIFT_ACTIONS=$(ACTIONS) $(CARGO) test --workspace -j$(JOBS)
	$(CLEAN) NIGHTSHIFT_ACTIONS=$(ACTIONS) $(CARGO) test --workspace -j$(JOBS) --test deployment -- --ignored grants

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
	$(CARGO) build --workspace --release -j$(JOBS) $(foreach name,$(FUNCTIONS),--bin nightshift-$(name)) --example hello-lambda
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

.PHONY: arm64
arm64:
	@rustc --print target-libdir --target aarch64-unknown-linux-gnu 2>/dev/null | xargs -r test -d || \
	  rustup target add aarch64-unknown-linux-gnu || \
	  { echo "Rust cannot build for arm64 here: install it by rustup, or deploy with PARAMETERS=Architecture=x86_64"; exit 1; }

.PHONY: release
release: tools arm64 ## the functions for AWS (arm64), with their sizes
	PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/cargo-lambda lambda build --release --arm64 -j$(JOBS) \
	  $(foreach name,$(FUNCTIONS),--bin nightshift-$(name))
	@ls -l target/lambda/*/bootstrap | awk '{ printf "%-55s %6.2f MB\n", $$NF, $$5 / 1e6 }'

.PHONY: check-infra
check-infra: tools $(TOOLS)/infra.done ## the template: linted, built, and deployed into an AWS of this machine that checks every role, where jobs run
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint -t infra/template.yaml
	mkdir -p target/sam
	AWS_DEFAULT_REGION=us-east-1 $(INFRA)/bin/python infra/translate.py infra/template.yaml target/sam/translated.json
	$(INFRA)/bin/cfn-lint target/sam/translated.json
	AWS_DEFAULT_REGION=us-east-1 $(HASTY) $(SAM) build --beta-features -t infra/template.yaml --build-dir $(BUILT) \
	  --parameter-overrides Architecture=$(MACHINE) PublicFront=true
	$(CARGO) build --workspace -j$(JOBS) --bin nightshift --test deployment
	$(CLEAN) $(CARGO) test --workspace -j$(JOBS) --test deployment -- --ignored deployed --nocapture

# Told before anything is built.
.PHONY: account
account: $(TOOLS)/infra.done
	@[[ "$(STACK)" =~ ^[A-Za-z][A-Za-z0-9-]{0,53}$$ ]] || \
	  { echo "a stack's name begins with a letter and has at most 54 letters, digits and hyphens: STACK=nightshift"; exit 1; }
	@test -n "$(REGION)" || { echo "name the region: make $(or $(MAKECMDGOALS),deploy) STACK=$(STACK) REGION=eu-central-1"; exit 1; }
	@AWS_DEFAULT_REGION=$(REGION) $(INFRA)/bin/python -c "import boto3; print('as', boto3.client('sts').get_caller_identity()['Arn'])" 2>/dev/null || \
	  { echo "AWS takes no credentials from here: run aws configure or aws sso login, or name a profile that works: AWS_PROFILE=me"; exit 1; }

.PHONY: deploy
deploy: account tools $(if $(filter arm64,$(ARCHITECTURE)),arm64) ## into your AWS account: make deploy STACK=nightshift REGION=eu-central-1
	$(SAM) build --beta-features -t infra/template.yaml --build-dir $(BUILT) --parameter-overrides $(OVERRIDES)
	$(SAM) deploy --template-file $(BUILT)/template.yaml --stack-name $(STACK) --region $(REGION) --resolve-s3 \
	  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --parameter-overrides $(OVERRIDES)
	@echo; echo "next, unless it is done:"; \
	echo "  nightshift config secret set anthropic-key --stack $(STACK) --region $(REGION)"; \
	echo "  nightshift config set providers.anthropic.apiKey ssm:anthropic-key --stack $(STACK) --region $(REGION)"; \
	echo "  nightshift doctor --aws --stack $(STACK) --region $(REGION)"

.PHONY: undeploy
undeploy: account ## takes it away again, with every timer; the table, the bucket and the secrets stay
	$(SAM) delete --stack-name $(STACK) --region $(REGION)
	@echo "the table and the bucket of $(STACK) are still there, with its jobs and history; its secrets too, under /$(STACK)/"

.PHONY: tools
tools: $(TOOLS)/python.done $(TOOLS)/node.done ## pinned helpers, into .tools

$(TOOLS)/python.done: .config/tools.txt
	@mkdir -p $(TOOLS)
	@command -v python3 >/dev/null || { echo "python3 is needed: install it and its venv and pip modules"; exit 1; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r .config/tools.txt
	@touch $@

# The SAM CLI and its linters want other versions of what they share with the helpers above.
$(TOOLS)/infra.done: .config/infra-tools.txt
	@mkdir -p $(TOOLS)
	python3 -m venv $(INFRA)
	$(INFRA)/bin/pip install --quiet --disable-pip-version-check -r .config/infra-tools.txt
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
