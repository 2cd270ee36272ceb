"""The recipes in packaging/ and meson.build at work, on the library that is built already: a Meson subproject, Conan 2,
vcpkg's portfile without vcpkg, and what Cargo.toml tells cargo-c (tests/packaging/cinstall.sh runs it). If a version must be
written once more, it is that of Cargo.toml."""

import glob
import json
import os
import re
import shutil
import tomllib
import unittest

import s3client
import support

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CONAN = os.path.join(ROOT, "build", "conan-venv", "bin", "conan")
CONSUMER = os.path.join(ROOT, "tests", "consumers", "main.c")
BUCKET = "packaging"

server = None
other = None
manifest = None
version = None


def setUpModule():
    global server, other, manifest, version
    support.need(("cc", "make", "cargo"), "gcc make cargo")
    with open(os.path.join(ROOT, "Cargo.toml"), "rb") as file:
        manifest = tomllib.load(file)
    version = manifest["package"]["version"]
    server = support.ObsLocal("--bucket", BUCKET)
    other = s3client.S3(server.port, server.access_key, server.secret_key)


def tearDownModule():
    if other:
        other.close()
    if server:
        server.stop()


def environment(**more):
    """Cargo finds what is built. Where the header is in this tree is not where it is to be installed."""
    env = {name: value for name, value in os.environ.items() if name not in ("INCLUDEDIR", "LIBDIR", "PKG_CONFIG_PATH")}
    target = os.path.dirname(os.path.dirname(os.path.abspath(os.environ["OBSABORT_LIB"])))
    return {**env, "CARGO_TARGET_DIR": target, **more}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


class Packaging(unittest.TestCase):
    def check_program(self, program, **env):
        key = "a key/" + os.path.basename(program)
        upload_id = other.initiate(BUCKET, key)
        keys = {"OBS_ACCESS_KEY_ID": server.access_key, "OBS_SECRET_ACCESS_KEY": server.secret_key}
        for says in "ok", "no_such_upload":
            done = support.run([program, server.endpoint, BUCKET, key, upload_id], 60, {**keys, **env}, check=False)
            self.assertEqual(done.stdout.strip(), says, done.stderr)
        self.assertIsNone(other.list_parts(BUCKET, key, upload_id))

    def check_needs(self, program, shared):
        support.need(("objdump",), "binutils")
        needs = re.findall(r"NEEDED\s+(\S*obsabort\S*)", support.run(["objdump", "-p", program]).stdout)
        self.assertEqual(needs, ["libobsabort.so." + version.split(".")[0]] if shared else [])

    def test_meson_subproject(self):
        support.need(("meson", "ninja"), "meson ninja-build")
        folder = support.temp_dir()
        os.mkdir(os.path.join(folder, "subprojects"))
        os.symlink(ROOT, os.path.join(folder, "subprojects", "obsabort"))
        shutil.copy(CONSUMER, folder)
        write(
            folder,
            "meson.build",
            "project('superproject', 'c')\n"
            f"found = dependency('obsabort', version: '{version}', fallback: 'obsabort')\n"
            "executable('found', 'main.c', dependencies: found)\n"
            "static = dependency('obsabort-static', fallback: 'obsabort')\n"
            "executable('static', 'main.c', dependencies: static)\n",
        )
        for default in "shared", "static":
            with self.subTest(default_library=default):
                build = os.path.join(folder, default)
                support.run(["meson", "setup", f"-Ddefault_library={default}", folder, build], 120, environment())
                support.run(["meson", "compile", "-C", build], 600, environment())
                self.check_needs(os.path.join(build, "found"), default == "shared")
                self.check_needs(os.path.join(build, "static"), False)
                self.check_program(os.path.join(build, "found"))
                self.check_program(os.path.join(build, "static"))
                staged = os.path.join(folder, "staged-" + default)
                support.run(["meson", "install", "-C", build], 600, environment(DESTDIR=staged))
                installed = [name for _, _, names in os.walk(staged) for name in names]
                soname = "libobsabort.so." + version.split(".")[0]
                self.assertEqual(installed, [soname] if default == "shared" else [])

    def test_conan(self):
        if not os.path.exists(CONAN):
            message = f"no {CONAN}; to run this: python3 -m venv build/conan-venv && build/conan-venv/bin/pip install conan"
            self.assertFalse(support.CI, message)
            self.skipTest(message)
        support.need(("cmake",), "cmake")
        folder = support.temp_dir()
        env = environment(CONAN_HOME=os.path.join(folder, "home"))
        recipe = os.path.join(ROOT, "packaging", "conan")

        def conan(*arguments):
            return support.run([CONAN, *arguments], 600, env, cwd=folder)

        conan("profile", "detect")
        inspected = json.loads(conan("inspect", recipe, "--format=json").stdout)
        self.assertEqual((inspected["name"], inspected["version"]), ("obsabort", version))
        for shared in True, False:
            with self.subTest(shared=shared):
                build = os.path.join(folder, f"build-{shared}")
                options = ["-o", f"obsabort/*:shared={shared}", "-c", f"tools.cmake.cmake_layout:test_folder={build}"]
                options += ["-c", "tools.cmake.cmaketoolchain:user_presets="]
                done = conan("export-pkg", recipe, "--test-folder=test_package", *options)
                self.assertRegex(done.stdout + done.stderr, rf"(?m)^{re.escape(version)}$")
                programs = [os.path.join(at, "version") for at, _, names in os.walk(build) if "version" in names]
                self.assertEqual(len(programs), 1)
                self.check_needs(programs[0], shared)

    def test_vcpkg(self):
        support.need(("cmake",), "cmake")
        port = os.path.join(ROOT, "packaging", "vcpkg", "obsabort")
        with open(os.path.join(port, "vcpkg.json")) as file:
            port_manifest = json.load(file)
        self.assertEqual(set(port_manifest), {"name", "version", "description", "license", "supports"})
        self.assertEqual((port_manifest["name"], port_manifest["version"]), ("obsabort", version), "vcpkg.json must follow Cargo.toml")
        with open(os.path.join(port, "usage")) as file:
            usage = [line.strip() for line in file if line.startswith("    ")]
        for linkage in "dynamic", "static":
            with self.subTest(linkage=linkage):
                folder = support.temp_dir()
                package = os.path.join(folder, "package")
                script = os.path.join(ROOT, "tests", "packaging", "vcpkg.cmake")
                options = [f"-DLINKAGE={linkage}", f"-DPACKAGE={package}"]
                support.run(["cmake", *options, "-P", script], 600, environment())
                # Tools and manuals, and a folder lib/cmake, have other places in vcpkg, or none.
                self.assertEqual(sorted(os.listdir(package)), ["include", "lib", "share"])
                self.assertEqual(os.listdir(os.path.join(package, "share")), ["obsabort"])
                libraries = {name.split(".")[1] for name in os.listdir(os.path.join(package, "lib")) if "." in name}
                self.assertEqual(libraries, {"so"} if linkage == "dynamic" else {"a"})
                self.assertIn("copyright", os.listdir(os.path.join(package, "share", "obsabort")))
                # As `usage` tells it.
                program = [usage[0], "add_executable(main main.c)", usage[1]]
                write(folder, "CMakeLists.txt", "\n".join(["cmake_minimum_required(VERSION 3.19)", "project(p C)", *program]))
                shutil.copy(CONSUMER, folder)
                build = os.path.join(folder, "build")
                support.run(["cmake", "-S", folder, "-B", build, f"-DCMAKE_PREFIX_PATH={package}"])
                support.run(["cmake", "--build", build])
                self.check_needs(os.path.join(build, "main"), linkage == "dynamic")
                self.check_program(os.path.join(build, "main"))

    def test_cargo_c(self):
        """cargo-c refuses a library without this feature, and has a SONAME of its own for versions 0.x unless it is told."""
        self.assertEqual(manifest["features"]["capi"], [])
        capi = manifest["package"]["metadata"]["capi"]
        self.assertEqual(capi["library"], {"version_suffix_components": 1})
        self.assertEqual(capi["header"], {"name": "obsabort", "subdirectory": False, "generation": False})
        for kind, expected in ("include", {"obsabort.h", "obsabort.hpp"}), ("data", {"valgrind.supp", "thread-sanitizer.supp"}):
            files = [path for asset in capi["install"][kind]["asset"] for path in glob.glob(os.path.join(ROOT, asset["from"]))]
            self.assertEqual({os.path.basename(path) for path in files}, expected)

    def test_version_stands_in_one_place(self):
        """What is read as it stands may repeat it, and is compared elsewhere; no script or recipe may have one of its own."""
        repeats = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
        may_repeat = re.compile(r"Cargo\.toml|Cargo\.lock|.*\.md|docs/.*|include/.*|tests/abi/.*|packaging/vcpkg/obsabort/vcpkg\.json")
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in (".git", "target", "build", "corpus", "artifacts")]
            for path in (os.path.relpath(os.path.join(folder, name), ROOT) for name in names):
                if may_repeat.fullmatch(path) or path.endswith(".pyc"):
                    continue
                with open(os.path.join(ROOT, path), errors="replace") as file:
                    found += [f"{path}: {line}" for line in file if repeats.search(line) and "Since " not in line]
        found = [line for line in found if "exist since" not in line and not line.startswith("fuzz/Cargo.lock")]
        self.assertEqual(found, [])
        with open(os.path.join(ROOT, "CHANGELOG.md")) as file:
            newest = re.search(r"^## \[(.*?)\]", file.read(), re.MULTILINE).group(1)
        self.assertIn(newest, ("Unreleased", version), "the newest section of CHANGELOG.md")

    def cmake(self, folder, *lines):
        """Runs a project without a language, and returns what it says."""
        write(folder, "CMakeLists.txt", "\n".join(["cmake_minimum_required(VERSION 3.19)", "project(p NONE)", *lines, ""]))
        return support.run(["cmake", "-S", folder, "-B", os.path.join(folder, "build")], 60, environment()).stderr

    def test_cmake_on_windows(self):
        """A prefix as the archive for Windows has it; the libraries are not looked into."""
        support.need(("cmake",), "cmake")
        folder = support.temp_dir()
        prefix = os.path.join(folder, "prefix")
        release = os.path.dirname(os.path.abspath(os.environ["OBSABORT_LIB"]))
        support.run(["make", "-C", ROOT, "install-development", f"PREFIX={prefix}", f"release={release}"], 60, environment())
        os.mkdir(os.path.join(prefix, "bin"))
        for name in "bin/obsabort.dll", "lib/libobsabort.dll.a", "lib/obsabort.lib", "lib/libobsabort.a":
            write(prefix, name, "")
        for msvc, imported, static in ("TRUE", "obsabort.lib", False), ("FALSE", "libobsabort.dll.a", True):
            with self.subTest(msvc=msvc):
                said = self.cmake(
                    folder,
                    f"set(WIN32 TRUE)\nset(MSVC {msvc})\nset(obsabort_DIR {prefix}/lib/cmake/obsabort)",
                    "find_package(obsabort 0.1...<1 REQUIRED)",
                    "get_target_property(dll obsabort::obsabort IMPORTED_LOCATION)",
                    "get_target_property(lib obsabort::obsabort IMPORTED_IMPLIB)",
                    "if(TARGET obsabort::static)\n  set(static TRUE)\nelse()\n  set(static FALSE)\nendif()",
                    'message(NOTICE "${dll};${lib};${static}")',
                )
                expected = [f"{prefix}/bin/obsabort.dll", f"{prefix}/lib/{imported}", str(static).upper()]
                self.assertEqual(said.strip().split(";"), expected)

    def test_cmake_through_a_link(self):
        """With /lib -> usr/lib, CMake may find the package below /, whose include is in usr."""
        support.need(("cmake",), "cmake")
        folder = support.temp_dir()
        usr = os.path.join(folder, "usr")
        support.run(["make", "-C", ROOT, "install", f"PREFIX={usr}"], 600, environment())
        os.symlink("usr/lib", os.path.join(folder, "lib"))
        said = self.cmake(
            folder,
            f"set(obsabort_DIR {folder}/lib/cmake/obsabort)\nfind_package(obsabort REQUIRED)",
            "get_target_property(include obsabort::obsabort INTERFACE_INCLUDE_DIRECTORIES)\nmessage(NOTICE ${include})",
        )
        self.assertEqual(said.strip(), os.path.join(os.path.realpath(usr), "include"))


if __name__ == "__main__":
    unittest.main()
