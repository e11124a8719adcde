# `make` alone lists the commands.
.DEFAULT_GOAL := help

help: ## lists the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## sets up what is missing and passes the whole test suite
	cargo test --workspace

.PHONY: help test
