"""Builds programs outside of this tree on an installed library, and runs them: by plain cc, pkg-config, CMake and Meson,
with the shared and the static library, in C and C++. Each aborts an upload on obs-local, and is told no_such_upload the
second time.

    python3 tests/consumers/run.py PREFIX [--run WRAPPER] [--exe SUFFIX] [--cmake OPTION]... [--meson OPTION]... [--only WAY,...] [--link KIND]

CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, OBJDUMP and OBS_LOCAL are honoured, for MinGW and Wine, for example:

    CC=x86_64-w64-mingw32-gcc CXX=x86_64-w64-mingw32-g++ LDFLAGS=-static-libgcc\\ -static-libstdc++ python3 tests/consumers/run.py PREFIX \\
        --run wine --exe .exe --cmake=-DCMAKE_SYSTEM_NAME=Windows --meson=--cross-file=mingw.ini
"""

import argparse
import os
import re
import shlex
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import s3client
import support

HERE = os.path.dirname(os.path.abspath(__file__))
BUCKET = "consumers"
SOURCES = ("main.c", "main.cpp", "CMakeLists.txt", "meson.build")


def words(variable, default=""):
    return shlex.split(os.environ.get(variable) or default)


class Builder:
    """Builds in a folder of its own, which knows nothing of this tree."""

    def __init__(self, prefix, options):
        self.prefix = os.path.abspath(prefix)
        self.options = options
        self.kinds = [(link, language) for link in options.link.split(",") for language in ("c", "cpp")]
        self.library_dir = self.find("pkgconfig/obsabort.pc", 2)
        self.folder = support.temp_dir("consumers-")
        for name in SOURCES:
            shutil.copy(os.path.join(HERE, name), self.folder)
        self.env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(self.library_dir, "pkgconfig")}
        for variable in "INCLUDEDIR", "LIBDIR", "LD_LIBRARY_PATH", "CPATH", "LIBRARY_PATH":
            self.env.pop(variable, None)

    def find(self, name, up):
        for folder, _, files in os.walk(self.prefix):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                for _ in range(up):
                    path = os.path.dirname(path)
                return path
        raise AssertionError(f"{self.prefix} has no {name}")

    def run(self, *command):
        return support.run([str(word) for word in command], 300, self.env, cwd=self.folder).stdout

    def compile(self, way, kind, flags):
        link, language = kind
        compiler = words("CC", "cc") + words("CFLAGS") if language == "c" else words("CXX", "c++") + words("CXXFLAGS")
        strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=" + ("c99" if language == "c" else "c++11")]
        program = f"{way}-{link}-{language}{self.options.exe}"
        self.run(*compiler, *strict, f"main.{language}", *flags, *words("LDFLAGS"), "-o", program)
        return os.path.join(self.folder, program)

    def cc(self):
        """With nothing but folders. What the static library needs is in a file of text."""
        include = "-I" + os.path.join(self.prefix, "include")
        programs = {}
        for kind in self.kinds:
            link = ["-L" + self.library_dir, "-lobsabort"]
            if kind[0] == "static":
                with open(os.path.join(self.library_dir, "pkgconfig", "obsabort-static.pc")) as file:
                    needs = re.search(r"^Libs: \S+libobsabort\.a(.*)$", file.read(), re.MULTILINE).group(1).split()
                link = [os.path.join(self.library_dir, "libobsabort.a"), *needs]
            programs[kind] = self.compile("cc", kind, [include, *link])
        return programs

    def pkg_config(self):
        programs = {}
        for kind in self.kinds:
            package = "obsabort" if kind[0] == "shared" else "obsabort-static"
            flags = self.run("pkg-config", "--cflags", "--libs", package)
            programs[kind] = self.compile("pkg-config", kind, shlex.split(flags))
        return programs

    def cmake(self):
        compilers = [f"-DCMAKE_{l}_COMPILER={words(v, d)[0]}" for l, v, d in (("C", "CC", "cc"), ("CXX", "CXX", "c++"))]
        self.run("cmake", "-S", ".", "-B", "cmake", f"-DCMAKE_PREFIX_PATH={self.prefix}", *compilers, *self.options.cmake)
        self.run("cmake", "--build", "cmake")
        return self.built("cmake")

    def meson(self):
        self.run("meson", "setup", "meson", *self.options.meson)
        self.run("meson", "compile", "-C", "meson")
        return self.built("meson")

    def built(self, way):
        folder = os.path.join(self.folder, way)
        return {kind: os.path.join(folder, "-".join(kind) + self.options.exe) for kind in self.kinds}

    def run_env(self, link):
        """What a user sets for a shared library in a place of his own. The static program must not need it."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "WINEPREFIX", "WINEDEBUG") if name in os.environ}
        if link == "shared":
            env["LD_LIBRARY_PATH"] = self.library_dir
        return env


def check_link(program, link):
    """The program must have been built as it was meant to be."""
    headers = support.run([*words("OBJDUMP", "objdump"), "-p", program]).stdout
    needs = re.findall(r"(?:NEEDED|DLL Name:)\s+(\S*obsabort\S*)", headers)
    if (len(needs) == 1) != (link == "shared"):
        raise AssertionError(f"{program}: linked as {link}, needs {needs}")


def check_program(builder, program, kind, server, other):
    link, language = kind
    check_link(program, link)
    dll = os.path.join(builder.prefix, "bin", "obsabort.dll")
    if link == "shared" and os.path.exists(dll):
        shutil.copy(dll, os.path.dirname(program))
    key = "a key/" + os.path.basename(program)
    upload_id = other.initiate(BUCKET, key)
    env = builder.run_env(link)
    env.update(OBS_ACCESS_KEY_ID=server.access_key, OBS_SECRET_ACCESS_KEY=server.secret_key)
    for status, says in (0, "ok"), (1, "no_such_upload"):
        command = [*shlex.split(builder.options.run), program, server.endpoint, BUCKET, key, upload_id]
        done = support.run(command, 60, env, check=False)
        if (done.returncode, done.stdout.strip()) != (status, says):
            raise AssertionError(f"{program}: {done.returncode} {done.stdout!r} instead of {says}\n{done.stderr}")
        if other.list_parts(BUCKET, key, upload_id) is not None:
            raise AssertionError(f"{program}: says {says}, and the upload is there")


def main():
    ways = {
        "cc": ("objdump", "binutils"),
        "pkg-config": ("pkg-config", "pkg-config"),
        "cmake": ("cmake", "cmake"),
        "meson": ("meson", "meson ninja-build"),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("--run", default="", help="put before a program to run it")
    parser.add_argument("--exe", default="", help="suffix of programs")
    parser.add_argument("--cmake", action="append", default=[], help="an option for cmake")
    parser.add_argument("--meson", action="append", default=[], help="an option for meson setup")
    parser.add_argument("--only", default=",".join(ways), help="cc, pkg-config, cmake, meson")
    parser.add_argument("--link", default="shared,static", help="shared, static; CMake and Meson build both in any case")
    options = parser.parse_args()

    ran = 0
    with support.ObsLocal("--bucket", BUCKET) as server:
        other = s3client.S3(server.port, server.access_key, server.secret_key)
        for way in options.only.split(","):
            program, packages = ways[way]
            if shutil.which(program) is None:
                print(f"SKIPPED: consumers by {way} (apt-get install {packages})")
                if support.CI:
                    return 1
                continue
            builder = Builder(options.prefix, options)
            programs = getattr(builder, way.replace("-", "_"))()
            for kind in builder.kinds:
                check_program(builder, programs[kind], kind, server, other)
                ran += 1
            print(f"{way}: {options.link}, in C and C++")
        other.close()
    print(f"{ran} programs by {' '.join(words('CC', 'cc'))} aborted an upload, and were told that it is gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
