"""A recipe for Conan 2: conan create packaging/conan

Cargo, which Conan does not bring, builds the library from this tree.
"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, load, rmdir, save

# What Cargo.toml's `include` puts into a crate, and the lock file.
SOURCES = ("Cargo.*", "LICENSE-*", "Makefile", "build.rs", "src/*", "include/*", "tools/*", "packaging/*")
SOURCES += ("tests/support/*", "examples-c/*")


class Obsabort(ConanFile):
    name = "obsabort"
    description = "Aborts multipart uploads on Huawei Cloud OBS"
    license = "MIT OR Apache-2.0"
    topics = ("obs", "huawei", "multipart", "s3")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        manifest = load(self, os.path.join(self._root, "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"', manifest, re.MULTILINE).group(1)

    def export_sources(self):
        for pattern in SOURCES:
            copy(self, pattern, self._root, self.export_sources_folder)

    def layout(self):
        # `conan export-pkg` packages what was built in this tree; in the cache, recipe and sources are in other folders.
        self.folders.root = "../.."
        self.folders.source = "."
        self.folders.build = "."
        self.folders.generators = "build/conan"

    def configure(self):
        # There is no C++ in it.
        self.settings.rm_safe("compiler.libcxx")
        self.settings.rm_safe("compiler.cppstd")

    def package_id(self):
        # Cargo builds one library, for release, with a compiler of its own.
        del self.info.settings.compiler
        del self.info.settings.build_type

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration("this recipe builds for Linux on x86_64 and armv8")

    def build(self):
        self.run("make library", cwd=self.source_folder)

    def package(self):
        self.run(f"make install PREFIX='{self.package_folder}'", cwd=self.source_folder)
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        if self.options.shared:
            os.remove(os.path.join(self.package_folder, "lib", "libobsabort.a"))
        else:
            # What rustc says that a program needs, for package_info().
            static = load(self, os.path.join(self.package_folder, "lib", "pkgconfig", "obsabort-static.pc"))
            needs = re.search(r"libobsabort\.a (.*)", static).group(1)
            save(self, os.path.join(self.package_folder, "res", "native-static-libs"), needs)
            for name in os.listdir(os.path.join(self.package_folder, "lib")):
                if name.startswith("libobsabort.so"):
                    os.remove(os.path.join(self.package_folder, "lib", name))
            # It would look for the shared library.
            rmdir(self, os.path.join(self.package_folder, "bin"))
        # Conan's generators make these, by package_info().
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))

    def package_info(self):
        self.cpp_info.libs = ["obsabort"]
        if not self.options.shared:
            needs = load(self, os.path.join(self.package_folder, "res", "native-static-libs")).split()
            self.cpp_info.system_libs = [need.removeprefix("-l") for need in needs]
        self.cpp_info.set_property("cmake_file_name", "obsabort")
        self.cpp_info.set_property("cmake_target_name", "obsabort::obsabort")
        self.cpp_info.set_property("pkg_config_name", "obsabort")
