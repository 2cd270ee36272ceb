# The version, which only Cargo.toml states, and what follows from it. Within a major version the ABI only grows, so the
# SONAME bears that number; build.rs derives it in the same way.
version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' $(dir $(lastword $(MAKEFILE_LIST)))../Cargo.toml | head -n 1)
soversion := $(firstword $(subst ., ,$(version)))
