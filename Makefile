# `make` alone lists the commands. What each of them needs scripts/setup installs, or names where it may not.
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak check bench fuzz s3 wasm cluster cluster-node cluster-down cluster-test bench-operator images

# rustup's folder, for a shell that was opened before rustup was installed.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

help: ## list the commands
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building needs with apt and rustup; name what may not be installed, and the command that does
	@scripts/setup

demo: setup ## build, then serve a made-up company on http://localhost:8080 until Ctrl-C; DEMO=--fresh makes it anew
	@cargo build --locked --profile demo --bin cartera --bin cartera-device
	@exec target/demo/cartera demo $(DEMO)

test: ## everything that CI runs: format, lints, tests, builds for WebAssembly, dependencies, a real Kubernetes
	@scripts/setup node
	@scripts/verify format programs lints tests wasm dependencies cluster

soak: setup ## ten thousand seeds of the simulation, a hundred kills, every fault under the whole conformance suite and at every write of the operator; stopped, it goes on
	@cargo build --release --locked --bins
	@cargo test --release --locked --package cartera-tests --test simulation -- --ignored --nocapture soak
	@KILL_ROUNDS=100 cargo test --release --locked --package cartera-tests --test kill load
	@CONFORMANCE_WHOLE=1 cargo test --release --locked --package cartera-tests --test conformance exactly_that
	@ALL_FAULTS=1 scripts/cluster-test faults

check: setup ## format, lints and dependencies, without running a test
	@scripts/verify format lints dependencies

bench: setup ## measure the server, release build, as ratios beside a bare SQLite loop; on a quiet machine
	@cargo build --release --bins
	@cargo bench --workspace --bench load --bench pure

fuzz: setup ## feed every parser of bytes from outside with what it does not expect, FUZZ_SECONDS (60) each; needs nightly
	@scripts/fuzz

s3: setup ## keep files in a bucket: the tests that need a server which speaks S3, which is versitygw here
	@scripts/s3

wasm: setup ## build what also runs in a browser, for wasm32-unknown-unknown
	@scripts/verify wasm

cluster: ## start a real Kubernetes with simulated nodes on this machine, built the first time; docs/cluster.md
	@scripts/cluster up

cluster-node: ## the same, and a node that really runs pods; on Linux as root
	@scripts/cluster node

cluster-down: ## stop it: nothing of it stays
	@scripts/cluster down

cluster-test: ## only the tests that need a Kubernetes: starts one, tests the operator on it, stops it
	@scripts/setup node
	@scripts/verify cluster

bench-operator: setup ## measure the operator with a thousand tenants, release build, beside plain applies; on a quiet machine
	@scripts/bench-operator

images: setup ## build container images of the binaries, without an engine: target/images/NAME.tar
	@scripts/images
