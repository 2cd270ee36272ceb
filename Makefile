# libobsabort: make, make test, make install PREFIX= DESTDIR=. CARGO_TARGET_DIR, CC, CXX, CFLAGS and CARGOFLAGS are honoured.

include tools/version.mk

# Where things go, by GNU's names, in capitals or not.
PREFIX ?= $(or $(prefix),/usr/local)
BINDIR ?= $(or $(bindir),$(PREFIX)/bin)
LIBDIR ?= $(or $(libdir),$(PREFIX)/lib)
INCLUDEDIR ?= $(or $(includedir),$(PREFIX)/include)
DATADIR ?= $(or $(datadir),$(PREFIX)/share)
MANDIR ?= $(or $(mandir),$(DATADIR)/man)
CMAKEDIR ?= $(LIBDIR)/cmake/obsabort
INSTALL ?= install
CARGO ?= cargo
OBJCOPY ?= objcopy

target := $(abspath $(or $(CARGO_TARGET_DIR),target))
release := $(target)/release

# What the suites in tests/ need to know.
test_env := OBSABORT_LIB=$(release)/libobsabort.so OBS_LOCAL=$(release)/obs-local INCLUDEDIR=$(CURDIR)/include \
    EXAMPLES_DIR=$(target)/examples-c OBS_ABORT_TOOL=$(target)/obs-abort/obs-abort

all: examples obs-abort

# Says what is missing, where a bare "command not found" would not say how to get it.
need = @command -v $(1) >/dev/null 2>&1 || { echo "$(1) is missing: $(2)" >&2; exit 1; }
tools:
	$(call need,$(CARGO),install Rust 1.95 or newer (rustup; what Debian 13 has is older))
	$(call need,$(CC),install a C compiler (Debian: apt-get install gcc))

library: tools
	$(call need,$(OBJCOPY),install binutils (Debian: apt-get install binutils))
	CARGO="$(CARGO)" OBJCOPY="$(OBJCOPY)" sh tools/build-library.sh $(CARGOFLAGS)

examples: library
	@$(MAKE) --no-print-directory -C examples-c

obs-abort: library
	@$(MAKE) --no-print-directory -C tools/obs-abort

# For another system: x86_64-unknown-linux-gnu (from glibc 2.17 on), aarch64-unknown-linux-musl, x86_64-win7-windows-gnu …
cross: tools
	@test -n "$(TARGET)" || { echo "usage: make cross TARGET=... (tools/cross/setup.sh says which)" >&2; exit 1; }
	sh tools/cross/build.sh $(TARGET)

# The Python wheel, in target/wheels: of this machine, of TARGET after `make cross`, or without a library for TARGET=any.
wheel: $(if $(TARGET),tools,library)
	sh bindings/python/wheel.sh $(TARGET)

# The NuGet package, in target/nupkg, after `make cross` for its four targets.
nupkg: tools
	sh bindings/csharp/pack.sh

# The manual in HTML, in target/docs: docs/Doxyfile.
docs:
	$(call need,doxygen,apt-get install doxygen)
	rm -rf $(target)/docs
	mkdir -p $(target)/docs
	LC_ALL=C OBSABORT_VERSION=$(version) OBSABORT_DOCS=$(target)/docs doxygen docs/Doxyfile
	@echo "the manual: $(target)/docs/index.html"

demo: tools
	@sh tests/demo.sh

test: tools
	@sh tests/all.sh

# Built for every system, and run as far as this machine can; one alone: make test-cross-TARGET.
test-cross: tools
	sh tests/cross/run.sh all

test-cross-%: tools
	sh tests/cross/run.sh $*

# One step of `make test`; names: sh tests/all.sh --list
test-%: tools
	@sh tests/all.sh $*

test-cinstall: tools
	sh tests/packaging/cinstall.sh

header: tools
	OBSABORT_UPDATE_HEADER=1 $(CARGO) test --locked --test header

abi:
	python3 tests/e2e/abi_dump.py include/obsabort.h tests/abi/libobsabort.so.0.abi

bench: library
	$(CARGO) build --release --locked -p obs-local
	$(test_env) python3 bench/run.py $(BENCHFLAGS)

bench-sweep: obs-abort
	$(CARGO) build --release --locked -p obs-local
	$(test_env) python3 bench/sweep.py $(BENCHFLAGS)

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

# Files that name folders name them from where they are, so that the whole prefix may be moved; unless a folder is outside
# of it.
empty :=
space := $(empty) $(empty)
below_prefix = $(patsubst $(PREFIX)/%,%,$(filter $(PREFIX)/%,$(1)))
# a/b -> /../..
up = $(foreach name,$(subst /, ,$(1)),/..)
# The prefix, as a file in FOLDER sees it that calls its own folder HERE: $(call prefix_from,HERE,FOLDER)
prefix_from = $(1)$(subst $(space),,$(call up,$(call below_prefix,$(2))))
folders := $(LIBDIR) $(INCLUDEDIR) $(BINDIR) $(CMAKEDIR)
ifeq ($(words $(call below_prefix,$(folders))),$(words $(folders)))
  pc_prefix := $(call prefix_from,$${pcfiledir},$(LIBDIR)/pkgconfig)
  pc_root := $${prefix}/
  cmake_root := $(call prefix_from,$${_obsabort_here},$(CMAKEDIR))/
  relocatable = $(call below_prefix,$(1))
else
  pc_prefix := $(PREFIX)
  relocatable = $(1)
endif

native_libs = $(shell cat $(release)/native-static-libs)
# `cc -static` finds no libgcc_s. A C compiler adds it, or what stands for it in a static program, by itself.
fill_in = sed -e 's|@VERSION@|$(version)|; s|@SOVERSION@|$(soversion)|' \
    -e 's|@NATIVE_LIBS@|$(native_libs)|; s|@NATIVE_LIBS_PRIVATE@|$(filter-out -lgcc_s,$(native_libs))|; \
    s|@NATIVE_LIBS_LIST@|$(subst $(space),;,$(strip $(native_libs)))|' \
    -e 's|@PREFIX@|$(pc_prefix)|; s|@LIBDIR@|$(1)$(call relocatable,$(LIBDIR))|' \
    -e 's|@INCLUDEDIR@|$(1)$(call relocatable,$(INCLUDEDIR))|; s|@BINDIR@|$(1)$(call relocatable,$(BINDIR))|' packaging/install/$(2).in

# The program's Makefile is run in a folder of its own.
dirs = $(foreach name,PREFIX BINDIR LIBDIR DATADIR MANDIR DESTDIR,$(name)=$(abspath $($(name))))

install: obs-abort
	@$(MAKE) --no-print-directory install-development
	$(INSTALL) -m 755 $(release)/libobsabort.so $(DESTDIR)$(LIBDIR)/libobsabort.so.$(version)
	ln -sf libobsabort.so.$(version) $(DESTDIR)$(LIBDIR)/libobsabort.so.$(soversion)
	ln -sf libobsabort.so.$(soversion) $(DESTDIR)$(LIBDIR)/libobsabort.so
	$(INSTALL) -m 644 $(release)/libobsabort.a $(DESTDIR)$(LIBDIR)/libobsabort.a
	@$(MAKE) --no-print-directory -C tools/obs-abort install $(dirs)

# What is text, and needed on every system: the headers, files for pkg-config and CMake, suppressions.
# For another system: make install-development release=target/TRIPLE/release
install-development:
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DATADIR)/obsabort
	$(INSTALL) -m 644 include/obsabort.h include/obsabort.hpp $(DESTDIR)$(INCLUDEDIR)
	$(call fill_in,$(pc_root),obsabort.pc) >$(DESTDIR)$(LIBDIR)/pkgconfig/obsabort.pc
	$(call fill_in,$(pc_root),obsabort-static.pc) >$(DESTDIR)$(LIBDIR)/pkgconfig/obsabort-static.pc
	$(call fill_in,$(cmake_root),obsabort-config.cmake) >$(DESTDIR)$(CMAKEDIR)/obsabort-config.cmake
	$(call fill_in,$(cmake_root),obsabort-config-version.cmake) >$(DESTDIR)$(CMAKEDIR)/obsabort-config-version.cmake
	$(INSTALL) -m 644 packaging/suppressions/*.supp $(DESTDIR)$(DATADIR)/obsabort

# The archive of a release, in target/dist. TARGET: as for cross.
dist: tools
	TARGET=$(TARGET) sh packaging/reproducible.sh python3 packaging/dist.py $(TARGET)

deb rpm: tools
	TARGET=$(TARGET) sh packaging/reproducible.sh sh packaging/$@.sh $(TARGET)

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/libobsabort,.so .so.$(soversion) .so.$(version) .a) $(addprefix $(DESTDIR)$(INCLUDEDIR)/obsabort,.h .hpp) \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/obsabort.pc $(DESTDIR)$(LIBDIR)/pkgconfig/obsabort-static.pc
	rm -f $(DESTDIR)$(CMAKEDIR)/obsabort-config.cmake $(DESTDIR)$(CMAKEDIR)/obsabort-config-version.cmake
	-rmdir $(DESTDIR)$(CMAKEDIR)
	rm -rf $(DESTDIR)$(DATADIR)/obsabort
	@$(MAKE) --no-print-directory -C tools/obs-abort uninstall $(dirs)

clean:
	$(CARGO) clean

help:
	@echo "make                   the library, the programs in examples-c, and obs-abort"
	@echo "make install           PREFIX=$(PREFIX) DESTDIR="
	@echo "make cross             for another system: TARGET=..., tools/cross/setup.sh says which"
	@echo "make wheel             the Python package with the library in it, in target/wheels; TARGET=..., or any: docs/python.md"
	@echo "make nupkg             the NuGet package with the libraries of four targets, in target/nupkg, after make cross: docs/csharp.md"
	@echo "make dist              the archive of a release, in target/dist (TARGET=...: for another system)"
	@echo "make deb, make rpm     the same files as packages"
	@echo "make docs              the manual in HTML, in target/docs, by Doxygen"
	@echo "make demo              an upload is aborted before your eyes, on a small OBS on loopback"
	@echo "make test              everything; one step alone: make test-STEP"
	@echo "make test-bindings     the bindings for other languages"
	@echo "make test-cross        builds for every system, and runs what this machine can; one alone: make test-cross-TARGET"
	@echo "make bench             side by side with libcurl and a bare socket; writes docs/performance.md (BENCHFLAGS=--no-write: not)"
	@echo "make bench-sweep       a sweep of 2000 uploads on Ceph RGW and 20 ms away, side by side with rclone, s3cmd and boto3"
	@echo "make soak              a million aborts and 2000 sweeps under faults"
	@echo "make fuzz, mutants, sanitize-address, sanitize-thread"
	@echo "make header            writes include/obsabort.h anew from the Rust docs"
	@echo "make abi               writes the dump of the ABI anew that later versions are compared with: at a release"

.PHONY: all tools wheel nupkg docs library examples obs-abort cross demo test test-cinstall test-cross header abi bench bench-sweep soak fuzz mutants sanitize-address sanitize-thread install install-development dist deb rpm uninstall clean help
