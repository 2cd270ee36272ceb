# Builds C programs against the library in this tree, or against an installed one. A Makefile that includes this file sets
# `names`, the programs, before, and says after it which objects make which program. It is then used like this:
#
#     make -C FOLDER                      # include and target/release of this tree
#     make -C FOLDER BUILT_LIB=... BUILT_INCLUDE=... OUT=...
#     make -C FOLDER INSTALLED=1          # what pkg-config finds
#
# CC, CPPFLAGS, CFLAGS, LDFLAGS, LDLIBS and CARGO_TARGET_DIR are honoured. PREFIX, BINDIR, LIBDIR, DATADIR, MANDIR and DESTDIR mean
# what they always mean: where things are installed, not where the built library is. SYSTEM, what CC compiles for, is linux, macos
# or windows.

MAKEFLAGS += --no-builtin-rules

CFLAGS ?= -O2 -g
STD = -std=c99
WARNINGS = -Wall -Wextra -Wpedantic -Werror
PKG_CONFIG ?= pkg-config
PC_NAME ?= obsabort
INSTALL ?= install
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man

root := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))/..
include $(root)/tools/version.mk
# Cargo reads a relative CARGO_TARGET_DIR from where it is run: the tree's root.
ifeq ($(CARGO_TARGET_DIR),)
target := $(root)/target
else
target := $(if $(filter /%,$(CARGO_TARGET_DIR)),,$(root)/)$(CARGO_TARGET_DIR)
endif
OUT ?= $(target)/$(notdir $(CURDIR))
out := $(abspath $(OUT))

SYSTEM ?= linux
posix_threads := -pthread
ifeq ($(SYSTEM),windows)
  exe := .exe
  # Statically, as libgcc: no DLL comes along that Windows has not.
  posix_threads := -Wl,-Bstatic -lwinpthread -Wl,-Bdynamic
  link_windows := -static-libgcc
endif

comma := ,
# The loader finds the standard places by itself.
rpath_to = $(if $(filter /usr/lib /usr/lib/% /lib /lib/% /usr/lib64 /lib64,$(1)),,-Wl$(comma)-rpath$(comma)$(1))

ifdef INSTALLED
  BUILT_INCLUDE := $(shell $(PKG_CONFIG) --variable=includedir $(PC_NAME))
  libdir := $(shell $(PKG_CONFIG) --variable=libdir $(PC_NAME))
  compile := $(shell $(PKG_CONFIG) --cflags $(PC_NAME))
  link := $(shell $(PKG_CONFIG) --libs $(PC_NAME))
  ifeq ($(link),)
    $(error $(PKG_CONFIG) does not know $(PC_NAME): install the library, or set PKG_CONFIG_PATH)
  endif
  rpath := $(call rpath_to,$(libdir))
  install_rpath := $(rpath)
  library :=
else
  BUILT_LIB ?= $(target)/release
  BUILT_INCLUDE ?= $(root)/include
  compile := -I$(BUILT_INCLUDE)
  link := -L$(abspath $(BUILT_LIB)) -lobsabort
  # What cargo leaves, and where programs look for it. They ask for the SONAME: the link in OUT/lib bears that name.
  # Windows looks beside the program.
  built_linux := libobsabort.so
  built_macos := libobsabort.dylib
  built_windows := obsabort.dll
  loaded_linux := lib/libobsabort.so.$(soversion)
  loaded_macos := lib/libobsabort.$(soversion).dylib
  loaded_windows := obsabort.dll
  library := $(out)/$(loaded_$(SYSTEM))
  rpath_linux := '-Wl,-rpath,$$ORIGIN/lib'
  rpath_macos := '-Wl,-rpath,@loader_path/lib'
  rpath := $(rpath_$(SYSTEM))
  # Relative if it can be: a prefix may be moved.
  origin_linux := $$ORIGIN
  origin_macos := @loader_path
  install_rpath := $(if $(exe),,$(call rpath_to,$(LIBDIR)))
  ifneq ($(and $(install_rpath),$(filter $(PREFIX)/bin,$(BINDIR)),$(filter $(PREFIX)/%,$(LIBDIR))),)
    install_rpath := '-Wl$(comma)-rpath$(comma)$(origin_$(SYSTEM))/../$(patsubst $(PREFIX)/%,%,$(LIBDIR))'
  endif
endif

header := $(BUILT_INCLUDE)/obsabort.h
programs := $(patsubst %,$(out)/%$(exe),$(names))

all: $(programs)

$(programs): $(library)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(link) $(link_windows) $(rpath) $(threads) $(LDLIBS)

$(out)/%.o: %.c $(header) $(wildcard *.h) $(MAKEFILE_LIST)
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CPPFLAGS) $(compile) $(CFLAGS) -c -o $@ $<

ifndef INSTALLED
$(library): $(BUILT_LIB)/$(built_$(SYSTEM))
	@mkdir -p $(@D)
	ln -sf $(abspath $<) $@

$(BUILT_LIB)/$(built_$(SYSTEM)) $(header):
	@echo "$@ is missing: build the library first (make library), or set BUILT_LIB and BUILT_INCLUDE" >&2
	@exit 1
endif

clean:
	rm -f $(out)/*.o $(programs) $(library)

.PHONY: all clean
