# The two commands a reader needs are `make demo` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build/collections
# Molecule keeps its state there, under the name of the checkout's folder: two folders may be called alike.
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
# Molecule says this by itself; the demo's inventory, which it shares with a scenario, needs it too.
export MOLECULE_PROJECT_DIRECTORY := $(CURDIR)
# The paths of sockets must be short.
export ANSIBLE_SSH_CONTROL_PATH_DIR := $(HOME)/.ansible/cp

SCENARIOS := $(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml))
# These hold what they see against times, or compare latencies.
ALONE := process faults abuse
# The longest first: none of them ends by itself after all others.
LONG := releases edge clients default two_apps
IN_PAIRS := $(LONG) $(filter-out $(LONG) $(ALONE),$(SCENARIOS))
# Each pytest run leaves its numbers here; .ci/run adds them up.
junit = --junit-xml=$(CURDIR)/.build/results/$(1).xml

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 16
	@printf 'molecule-NAME   Run one scenario: %s\n' '$(SCENARIOS)'

# A lab of its own, beside that of the scenario: `make test` leaves the demo alone.
DEMO := molecule/lab/lab up --name make-demo --variables molecule/demo/inventory
PLATFORMS := import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin)["platforms"], sys.stdout)

.PHONY: demo
demo: lab collection ## Boot three hosts, deploy an application to them, talk to it
	@tests/step "Boot the hosts" $(DEMO) --platforms "$$(python -c '$(PLATFORMS)' <molecule/demo/molecule.yml)"
	@inventory=$$(molecule/lab/lab status --name make-demo | sed -n 's/^ *inventory: //p'); \
	  tests/step "Run websockets.fleet.site" ansible-playbook websockets.fleet.site -i "$$inventory"; \
	  tests/step "Talk to it" ansible-playbook molecule/demo/show.yml -i "$$inventory"

.PHONY: demo-status
demo-status: ## Show what every process of the demo does
	@ansible-playbook websockets.fleet.status -i "$$(molecule/lab/lab status --name make-demo | sed -n 's/^ *inventory: //p')"

.PHONY: demo-down
demo-down: ## Remove the demo's hosts
	@molecule/lab/lab down --name make-demo

.PHONY: test
test: tools ## Everything that CI runs
	@$(MAKE) lint units browser sanity lab-test molecule

.PHONY: lint
lint: ## Read the sources: ruff, mypy, yamllint, ansible-lint, shellcheck
	@tests/tools lint
	@tests/lint

.PHONY: units
units: venv ## Run the unit tests
	@tests/step "Unit tests" pytest $(call junit,units)

.PHONY: browser
browser: ## Try the chat example in a browser
	@tests/tools browser
	@tests/step "Browser tests" pytest $(call junit,browser) tests/browser

.PHONY: sanity
sanity: venv ## Run ansible-test sanity
	@tests/step "ansible-test sanity" tests/ansible-test-sanity

.PHONY: lab-test
lab-test: venv lab ## Try the lab itself: side by side, killed, healed, removed
	@tests/step "The lab's own tests" pytest -c molecule/pytest.ini $(call junit,lab) molecule/lab/test_lab.py

.PHONY: molecule
molecule: ## Run every scenario, two at a time, and those that measure times alone
	@$(MAKE) --jobs=1 molecule-in-pairs $(addprefix molecule-,$(ALONE))

# Much of their time they wait.
.PHONY: molecule-in-pairs
molecule-in-pairs:
	@$(MAKE) --jobs=2 $(addprefix molecule-,$(IN_PAIRS))

.PHONY: $(addprefix molecule-,$(SCENARIOS))
$(addprefix molecule-,$(SCENARIOS)): molecule-%: lab collection
	@PYTEST_ADDOPTS=$(call junit,molecule-$*) tests/step "Scenario $*" tests/named $* \
	  molecule test --no-command-borders -s $*

# They have clients that are no Python: a browser, node.
molecule-clients molecule-demo: tools

.PHONY: idle
idle: tools lab collection ## Keep connections idle for ten minutes, with the timeouts that users have
	@IDLE=long PYTEST_ADDOPTS='-k idle' tests/step "Ten idle minutes" molecule test --no-command-borders -s clients

.PHONY: conformance
conformance: tools lab collection ## Run all of Autobahn|Testsuite, for hours: a thousand messages a case
	@MESSAGES=1000 PYTEST_ADDOPTS='-k conformance' tests/step "All of the conformance suite" \
	  molecule test --no-command-borders -s clients

.PHONY: bench
bench: ## Measure both of the next two
	@$(MAKE) --keep-going bench-launcher bench-front

.PHONY: bench-launcher
bench-launcher: venv ## Measure what the launcher costs beside a bare serve()
	@tests/step "Benchmark of the launcher" python tests/bench/measure.py $(OPTIONS)

.PHONY: bench-front
bench-front: lab collection ## Measure what restarts do to clients, behind this nginx and a guide's
	@tests/step "Benchmark of the front door" python tests/bench_front/compare.py $(OPTIONS)

.PHONY: bench-proxy
bench-proxy: lab venv ## Measure what nginx's buffers cost a connection, and what they buy
	@tests/step "Buffers of nginx" python tests/bench_proxy.py $(OPTIONS)

.PHONY: bench-release
bench-release: collection ## Measure what building a release takes, with pip and with uv
	@PYTHONPATH=.build/collections tests/step "Builds of a release" python tests/bench_release.py

.PHONY: labs-down
labs-down: ## Remove the hosts of every scenario and benchmark
	@status=0; for name in $(SCENARIOS) bench-front bench-proxy; do molecule/lab/lab down --name "$$name" || status=1; done; exit $$status

.PHONY: collection
collection: venv ## Build the tarball and install it into .build/collections
	@tests/collection

.PHONY: tools
tools: ## Install what the other targets need
	@tests/tools test

.PHONY: venv
venv:
	@tests/tools units

.PHONY: lab
lab:
	@tests/tools lab
	@molecule/lab/lab images

.PHONY: clean
clean: ## Remove what the other targets made, but the lab's cached images
	rm -rf .build .venv
