# libobsabort: make, make test, make install PREFIX= DESTDIR=. CARGO_TARGET_DIR, CC, CXX, CFLAGS and CARGOFLAGS are honoured.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
INSTALL ?= install
CARGO ?= cargo

version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
target := $(abspath $(or $(CARGO_TARGET_DIR),target))
release := $(target)/release

# What the suites in tests/ need to know.
test_env := OBSABORT_LIB=$(release)/libobsabort.so OBS_LOCAL=$(release)/obs-local INCLUDEDIR=$(CURDIR)/include \
    EXAMPLES_DIR=$(target)/examples-c OBS_ABORT_TOOL=$(target)/obs-abort/obs-abort

all: examples obs-abort

# Says what is missing, where a bare "command not found" would not say how to get it.
need = @command -v $(1) >/dev/null 2>&1 || { echo "$(1) is missing: $(2)" >&2; exit 1; }
tools:
	$(call need,$(CARGO),install Rust 1.88 or newer (rustup, or Debian: apt-get install cargo))
	$(call need,$(CC),install a C compiler (Debian: apt-get install gcc))

# Cargo leaves out link-time optimization if it builds an rlib along: a tenth larger, and slower.
library: tools
	$(CARGO) rustc --release --locked $(CARGOFLAGS) -p obsabort --lib --crate-type cdylib,staticlib

examples: library
	@$(MAKE) --no-print-directory -C examples-c

obs-abort: library
	@$(MAKE) --no-print-directory -C tools/obs-abort

# For another system: x86_64-unknown-linux-gnu (from glibc 2.17 on), aarch64-unknown-linux-musl, x86_64-win7-windows-gnu …
cross: tools
	@test -n "$(TARGET)" || { echo "usage: make cross TARGET=... (tools/cross/setup.sh says which)" >&2; exit 1; }
	sh tools/cross/build.sh $(TARGET)

demo: tools
	@sh tests/demo.sh

test: tools
	@sh tests/all.sh

# One step of `make test`; names: sh tests/all.sh --list
test-%: tools
	@sh tests/all.sh $*

header: tools
	OBSABORT_UPDATE_HEADER=1 $(CARGO) test --locked --test header

bench: library
	$(CARGO) build --release --locked -p obs-local
	$(test_env) python3 bench/run.py $(BENCHFLAGS)

soak: tools
	SOAK_ABORTS=$${SOAK_ABORTS:-1000000} SOAK_SWEEPS=$${SOAK_SWEEPS:-2000} $(CARGO) test --release --locked --test soak -- --nocapture

fuzz: tools
	sh fuzz/run.sh

mutants: tools
	sh tests/mutants/run.sh $(MUTANTSFLAGS)

sanitize-address: tools
	sh tests/sanitize/address.sh

sanitize-thread: tools
	sh tests/sanitize/thread.sh

install: obs-abort
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/cmake/obsabort $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(release)/libobsabort.so $(DESTDIR)$(LIBDIR)/libobsabort.so.$(version)
	ln -sf libobsabort.so.$(version) $(DESTDIR)$(LIBDIR)/libobsabort.so.0
	ln -sf libobsabort.so.0 $(DESTDIR)$(LIBDIR)/libobsabort.so
	$(INSTALL) -m 644 $(release)/libobsabort.a $(DESTDIR)$(LIBDIR)/libobsabort.a
	$(INSTALL) -m 644 include/obsabort.h $(DESTDIR)$(INCLUDEDIR)/obsabort.h
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(version)|' \
	    include/obsabort.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/obsabort.pc
	sed -e 's|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(version)|' \
	    include/obsabort-config.cmake.in >$(DESTDIR)$(LIBDIR)/cmake/obsabort/obsabort-config.cmake
	sed -e 's|@VERSION@|$(version)|' \
	    include/obsabort-config-version.cmake.in >$(DESTDIR)$(LIBDIR)/cmake/obsabort/obsabort-config-version.cmake
	@$(MAKE) --no-print-directory -C tools/obs-abort install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/libobsabort,.so .so.0 .so.$(version) .a) $(DESTDIR)$(INCLUDEDIR)/obsabort.h \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/obsabort.pc
	rm -rf $(DESTDIR)$(LIBDIR)/cmake/obsabort
	@$(MAKE) --no-print-directory -C tools/obs-abort uninstall PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

clean:
	$(CARGO) clean

help:
	@echo "make                   the library, the programs in examples-c, and obs-abort"
	@echo "make install           PREFIX=$(PREFIX) DESTDIR="
	@echo "make cross             for another system: TARGET=..., tools/cross/setup.sh says which"
	@echo "make demo              an upload is aborted before your eyes, on a small OBS on loopback"
	@echo "make test              everything; one step alone: make test-STEP"
	@echo "make bench             side by side with libcurl and a bare socket; writes docs/performance.md (BENCHFLAGS=--no-write: not)"
	@echo "make soak              a million aborts and 2000 sweeps under faults"
	@echo "make fuzz, mutants, sanitize-address, sanitize-thread"
	@echo "make header            writes include/obsabort.h anew from the Rust docs"

.PHONY: all tools library examples obs-abort cross demo test header bench soak fuzz mutants sanitize-address sanitize-thread install uninstall clean help
