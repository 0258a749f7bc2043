# segtest's front door. `make help` lists the targets; CI calls only these names.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO ?= go
BIN := bin/segtest
# Where an installed segtest finds the source of the probe agent, which it builds.
LDFLAGS := -X 'github.com/segtest/segtest/fixtures/image.checkout=$(CURDIR)'

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the main job from nothing: plan, cluster, policies, probes, three faults, JUnit
	@hack/demo.sh

.PHONY: test
test: ## every test, from nothing: unit, real kernel, kind; sets up what it needs
	@hack/test.sh unit differential simnet kernel e2e

.PHONY: test-unit
test-unit: ## unit tests with the race detector; no Docker, no root, under a minute
	@hack/test.sh unit

.PHONY: test-differential
test-differential: ## the oracle against other engines: a million random packets; no Docker, no root
	@hack/test.sh differential

.PHONY: test-simnet
test-simnet: ## whole runs over a network in memory: each of its defects is found, 100 seeds; no Docker, no root
	@hack/test.sh simnet

.PHONY: test-kernel
test-kernel: ## probes on the real kernel in network namespaces; root
	@hack/test.sh kernel

.PHONY: test-e2e
test-e2e: ## tests on real kind clusters; Docker
	@hack/test.sh e2e

.PHONY: bench
bench: bench-oracle bench-mutate ## segtest's matrix against cyclonus's on one cluster, agent and harness sizes
	@hack/bench/run.sh

.PHONY: bench-oracle
bench-oracle: ## the oracle against cyclonus's simulation, 3 million flows; no cluster
	@hack/bench/oracle.sh

.PHONY: bench-mutate
bench-mutate: ## 1,000 mutants of the online shop's policies; no cluster
	$(GO) test -run '^$$' -bench OnlineShop -benchtime 5x ./probes/mutate

.PHONY: build
build: ## bin/segtest
	@$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/segtest

.PHONY: install
install: ## segtest into GOBIN
	$(GO) install -trimpath -ldflags "$(LDFLAGS)" ./cmd/segtest

.PHONY: node-image
node-image: docker-up ## the kind node image from source, for hosts that can pull none
	@hack/node-image/build.sh

.PHONY: docker-up
docker-up: ## a Docker daemon, where none answers
	@hack/docker/up.sh

.PHONY: docker-down
docker-down: ## stop the Docker daemon that docker-up started, and no other
	@hack/docker/down.sh

.PHONY: lint
lint: ## golangci-lint, pinned in its own module
	@$(GO) tool -modfile=hack/lint/go.mod golangci-lint run ./...

.PHONY: fmt
fmt: ## format the code
	@$(GO) tool -modfile=hack/lint/go.mod golangci-lint fmt ./...

.PHONY: verify
verify: ## tidy, format and vet; the tree must stay clean
	$(GO) mod tidy && gofmt -l . | tee /dev/stderr | (! grep -q .) && $(GO) vet ./... && git diff --exit-code

.PHONY: golden
golden: ## rewrite the golden files
	$(GO) test $$(grep -rl --include='*_test.go' 'golden.Check(' chaos cmd fixtures probes suites | xargs -n1 dirname | sort -u | sed 's,^,./,') -update

# Making inputs smaller would take all of the minute where coverage differs by chance.
FUZZ := -fuzzminimizetime 10x

.PHONY: fuzz
fuzz: ## a minute of fuzzing for each target
	$(GO) test -run '^$$' -fuzz FuzzLoad -fuzztime 1m $(FUZZ) ./fixtures/scenario
	$(GO) test -run '^$$' -fuzz FuzzParse -fuzztime 1m $(FUZZ) ./fixtures/manifest
	$(GO) test -run '^$$' -fuzz FuzzKustomization -fuzztime 1m $(FUZZ) ./fixtures/manifest
	$(GO) test -run '^$$' -fuzz FuzzRead -fuzztime 1m $(FUZZ) ./suites/run/record
	$(GO) test -run '^$$' -fuzz FuzzSpecs -fuzztime 1m $(FUZZ) ./probes/oracle
	$(GO) test -run '^$$' -fuzz FuzzWorlds -fuzztime 1m $(FUZZ) ./probes/oracle

.PHONY: clean-clusters
clean-clusters: build ## remove what killed runs left
	@$(BIN) clean
