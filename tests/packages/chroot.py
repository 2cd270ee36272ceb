"""Installs the Debian packages of a folder in a clean system, uses them there, and removes them: chroot.py FOLDER WHEELS

Used by obs-abort, by programs in C, and by whoever follows the page of a language. The system is made by debootstrap, of the
release that runs here. WHEELS has what the pages have pip install. Nothing may be left of the packages. Needs root. OBS_LOCAL is
honoured.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import s3client
import support

BUCKET = "packages"
PACKAGES = ("libobsabort0", "libobsabort-dev", "obs-abort")
# What a user of the pages has besides: what they name.
NAMED = ("g++", "pkg-config", "mono-mcs", "mono-runtime", "libmono-system-core4.0-cil", "ruby", "python3-venv")
# What dpkg and ldconfig note down.
NOTES = re.compile(r"/(var/lib/dpkg|var/log|var/cache|etc/ld\.so\.cache|proc|dev)(/|$)")


class System:
    def __init__(self, server):
        self.root = os.path.join(support.temp_dir("chroot-"), "root")
        self.env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "OBS_ACCESS_KEY_ID": server.access_key,
            "OBS_SECRET_ACCESS_KEY": server.secret_key,
        }
        release = re.search(r"^VERSION_CODENAME=(.*)$", open("/etc/os-release").read(), re.MULTILINE).group(1)
        cache = os.path.join(ROOT, "build", "debootstrap")
        os.makedirs(cache, exist_ok=True)
        support.run(["debootstrap", "--variant=minbase", f"--include={','.join(NAMED)}",
                     f"--cache-dir={os.path.realpath(cache)}", release, self.root], 600)

    def run(self, *command, check=True, **env):
        # Mono does not run without /proc.
        apart = ["unshare", "--pid", "--fork", f"--mount-proc={self.root}/proc"]
        return support.run([*apart, "chroot", self.root, *command], 300, {**self.env, **env}, check=check)

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                inside = path[len(self.root):]
                if not NOTES.match(inside):
                    status = os.lstat(path)
                    found[inside] = (status.st_mode, status.st_size, status.st_mtime_ns)
        return found


def expect(done, status, says):
    if done.returncode != status or says not in done.stdout + done.stderr:
        raise AssertionError(f"{done.args}: {done.returncode}, not {status} and {says!r}\n{done.stdout}{done.stderr}")


def aborts(system, server, other, *program):
    """A program that is given endpoint, bucket, key and upload id aborts once, and says so the second time."""
    key = "a key/" + os.path.basename(program[0])
    upload_id = other.initiate(BUCKET, key)
    for status, says in (0, "ok"), (1, "no_such_upload"):
        expect(system.run(*program, server.endpoint, BUCKET, key, upload_id, check=False), status, says)
        assert other.list_parts(BUCKET, key, upload_id) is None, f"{program}: the upload is there"


def use_program(system, server, other):
    """obs-abort, with the shared library alone."""
    upload_id = other.initiate(BUCKET, "by the program")
    command = ["obs-abort", "--endpoint", server.endpoint, f"obs://{BUCKET}/by the program", upload_id]
    expect(system.run(*command, check=False), 0, "aborted")
    assert other.list_parts(BUCKET, "by the program", upload_id) is None, "obs-abort: the upload is there"
    expect(system.run(*command, check=False), 0, "gone already")
    for file in ("man/man1/obs-abort.1.gz", "bash-completion/completions/obs-abort", "zsh/site-functions/_obs-abort",
                 "fish/vendor_completions.d/obs-abort.fish", "../lib/systemd/system/obs-abort@.service",
                 "../lib/systemd/system/obs-abort@.timer"):
        assert os.path.exists(f"{system.root}/usr/share/{file}"), file
    expect(system.run("ldconfig", "-p"), 0, "libobsabort.so.0")


def build_programs(system, server, other):
    """A stranger's program, with the shared and the static library."""
    shutil.copy(os.path.join(ROOT, "tests", "consumers", "main.c"), f"{system.root}/tmp/main.c")
    for package in "obsabort", "obsabort-static":
        flags = system.run("pkg-config", "--cflags", "--libs", package).stdout.split()
        system.run("gcc", "-Wall", "-Werror", "/tmp/main.c", *flags, "-o", f"/tmp/{package}")
        aborts(system, server, other, f"/tmp/{package}")
        needs = subprocess.run(["objdump", "-p", f"{system.root}/tmp/{package}"], check=True, capture_output=True, text=True)
        assert ("libobsabort.so.0" in needs.stdout) == (package == "obsabort"), needs.stdout
        os.remove(f"{system.root}/tmp/{package}")
    os.remove(f"{system.root}/tmp/main.c")


def page(name, language):
    """The text of a page, and its first program."""
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        text = file.read()
    return text, re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)


def lines(text, pattern):
    """The indented lines of a page that begin with one that matches."""
    return re.search(rf"^    {pattern}.*\n(?:    .*\n)*", text, re.MULTILINE).group()


def line(text, pattern):
    """The indented line of a page that begins with what matches, without its comment."""
    return re.search(rf"^    ({pattern}.*?)(?: +#.*)?$", text, re.MULTILINE).group(1)


def follow(system, server, other, file, program, build, run, second=(0, "gone before")):
    """Writes the program of a page, types what the page says, and aborts an upload twice."""
    os.mkdir(f"{system.root}/tmp/page")
    with open(f"{system.root}/tmp/page/{file}", "w", encoding="utf-8") as written:
        written.write(program)

    def typed(text, check=True):
        text = text.replace("/path/to/libobsabort", "/tmp/libobsabort")
        # pip finds what the pages have it install here, and not on PyPI.
        return system.run("sh", "-ec", f"cd /tmp/page\n{text}", check=check, OBS_ENDPOINT=server.endpoint, HOME="/tmp/page",
                          LANG="C.UTF-8", PIP_NO_INDEX="1", PIP_FIND_LINKS="/tmp/wheels")

    typed(build)
    upload_id = other.initiate(BUCKET, file)
    run_once = run.replace("BUCKET KEY UPLOAD_ID", f"{BUCKET} {file} {upload_id}")
    expect(typed(run_once), 0, "gone\n")
    assert other.list_parts(BUCKET, file, upload_id) is None, f"{file}: the upload is there"
    expect(typed(run_once, check=False), *second)
    print("followed:", *filter(None, map(str.strip, f"{build}\n{run}".splitlines())), sep="\n    ")
    shutil.rmtree(f"{system.root}/tmp/page")


def follow_pages(system, server, other):
    text, program = page("cpp.md", "cpp")
    # The endpoint alone is another.
    program = "#include <cstdlib>\n" + program.replace('"https://obs.eu-101.myhuaweicloud.com"', 'std::getenv("OBS_ENDPOINT")')
    build = re.search(r"`(c\+\+ [^`]*)`", text).group(1)
    follow(system, server, other, "main.cpp", program, build, "./a.out BUCKET KEY UPLOAD_ID", (3, "no_such_upload"))

    text, program = page("csharp.md", "csharp")
    build = re.search(r"`(sh bindings/csharp/build.sh FOLDER)`", text).group(1).replace("FOLDER", "/tmp/page")
    build = f"(cd /path/to/libobsabort; {build})\n" + re.search(r"`(mcs [^`]*)`", text).group(1)
    run = re.search(r"`(mono hello.exe [^`]*)`", text).group(1)
    follow(system, server, other, "hello.cs", program, build, run)

    text, program = page("ffi.md", "ruby")
    follow(system, server, other, "abort.rb", program, "", line(text, r"ruby \S+ BUCKET KEY UPLOAD_ID"))

    text, program = page("go.md", "go")
    build = lines(text, "python3 -m venv") + page("go.md", "sh")[1]
    follow(system, server, other, "main.go", program, build, line(text, "./hello"))

    text, program = page("python.md", "python")
    follow(system, server, other, "hello.py", program, lines(text, "python3 -m venv"), line(text, "venv/bin/python "))


def follow_wheel(system, server, other):
    """The wheel with the library in it, before the library is installed."""
    text, program = page("python.md", "python")
    build = lines(text, "make wheel").split("\n", 1)[1].replace("target/wheels/*.whl", "/tmp/wheels/obsabort-*.whl")
    follow(system, server, other, "hello.py", program, build, line(text, "venv/bin/python "))


def main():
    folder, wheels = sys.argv[1:]
    with support.ObsLocal("--bucket", BUCKET) as server:
        other = s3client.S3(server.port, server.access_key, server.secret_key)
        system = System(server)
        before = system.files()
        shutil.copytree(wheels, f"{system.root}/tmp/wheels")
        follow_wheel(system, server, other)
        for package in PACKAGES:
            [file] = glob.glob(f"{folder}/{package}_*.deb")
            shutil.copy(file, f"{system.root}/tmp/{package}.deb")
        system.run("dpkg", "-i", "/tmp/libobsabort0.deb", "/tmp/obs-abort.deb")
        use_program(system, server, other)
        system.run("dpkg", "-i", "/tmp/libobsabort-dev.deb")
        build_programs(system, server, other)
        shutil.copytree(os.path.join(ROOT, "bindings"), f"{system.root}/tmp/libobsabort/bindings")
        shutil.copy(os.path.join(ROOT, "Cargo.toml"), f"{system.root}/tmp/libobsabort")
        follow_pages(system, server, other)
        for used in "libobsabort", "wheels":
            shutil.rmtree(f"{system.root}/tmp/{used}")
        system.run("dpkg", "-P", *PACKAGES)
        for package in PACKAGES:
            os.remove(f"{system.root}/tmp/{package}.deb")
        after = system.files()
        left = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        assert not left, f"removed, and not as it was before: {sorted(left)}"
        assert "libobsabort" not in system.run("ldconfig", "-p").stdout
        other.close()
    print("installed in a clean system, used by obs-abort and by programs built there, and removed without a trace")


if __name__ == "__main__":
    main()
