"""What every suite needs: free ports, temporary directories, servers that end with the test."""

import atexit
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

CI = os.environ.get("CI") == "true"
_libc = ctypes.CDLL(None, use_errno=True)
_running = []


def need(programs, packages):
    """Skips, and says so, unless all programs are installed. In CI a missing server is a failure:
    a suite that skips itself there would prove nothing for ever."""
    missing = [name for name in programs if find_program(name) is None]
    if not missing:
        return
    message = f"not installed: {', '.join(missing)}; to run this: apt-get install {packages}"
    if CI:
        raise AssertionError(message)
    raise unittest.SkipTest(message)


def find_program(name):
    """Servers live in sbin, which is not on an ordinary user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def free_ports(count):
    """Ports nobody listens on. All are held open until the last is chosen, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def free_port():
    return free_ports(1)[0]


def temp_dir(prefix="obsabort-"):
    """A directory that is removed when the test program ends."""
    path = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _end_with_parent():
    """PR_SET_PDEATHSIG: a killed test run leaves no server behind. It follows the thread that
    started the child, so servers are to be started from the main thread."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)


class Process:
    """A server of the test's own, ended by its process id. Its output goes to log_path."""

    def __init__(self, command, log_path, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.log_path = log_path
        self.command = command
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                env=env,
                cwd=cwd,
                preexec_fn=_end_with_parent,
            )
        self.pid = self.popen.pid
        _running.append(self)

    def wait_for_port(self, port, seconds=20, host="127.0.0.1"):
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection((host, port), timeout=1).close()
                return self
            except OSError:
                if self.popen.poll() is not None:
                    raise AssertionError(f"{self.command[0]} ended: {self.log_tail()}") from None
                if time.monotonic() > deadline:
                    raise AssertionError(
                        f"{self.command[0]}: no port {port}: {self.log_tail()}"
                    ) from None
                time.sleep(0.02)

    def log_tail(self, characters=2000):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-characters:]

    def stop(self, seconds=5):
        if self in _running:
            _running.remove(self)
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@atexit.register
def _stop_all():
    for process in reversed(list(_running)):
        process.stop()


def run(command, seconds=60, env=None, check=True, **options):
    """Runs a command to its end and returns it; a failure shows all it printed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=env, **options
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def temp_dir_with_library():
    """A directory for LD_LIBRARY_PATH, in which programs find the library under test by its SONAME."""
    directory = temp_dir()
    os.symlink(os.path.abspath(os.environ["OBSABORT_LIB"]), os.path.join(directory, "libobsabort.so.0"))
    return directory


def build_host(directory, name, source, *flags):
    """Builds a C program of this directory in a directory with the library -> its path. `flags` name the standard."""
    program = os.path.join(directory, name)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), source)
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", os.environ["INCLUDEDIR"]]
    library = os.path.join(directory, "libobsabort.so.0")
    run(["cc", *flags, *strict, source, library, "-pthread", "-ldl", "-o", program])
    return program


class ObsLocal(Process):
    """The project's own small OBS, from the program named by OBS_LOCAL."""

    access_key = "OBSLOCALACCESSKEY"
    secret_key = "obs-local-secret-key"

    def __init__(self, *options):
        program = os.environ.get("OBS_LOCAL")
        if not program:
            raise AssertionError("OBS_LOCAL must name the obs-local program")
        super().__init__(
            [program, "--access-key", self.access_key, "--secret-key", self.secret_key, *options],
            os.path.join(temp_dir(), "obs-local.log"),
            stdin=subprocess.PIPE if "--control" in options else subprocess.DEVNULL,
        )
        self.port = self._port()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def _port(self, seconds=20):
        """The port that it chose. One chosen here might be another test run's by the time it is bound, and a server
        that looks the same would be there."""
        deadline = time.monotonic() + seconds
        while True:
            with open(self.log_path) as log:
                listening = re.match(r"listening on 127\.0\.0\.1:(\d+)\n", log.read())
            if listening:
                return int(listening.group(1))
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"obs-local does not listen: {self.log_tail()}")
            time.sleep(0.005)

    def control(self, command, seconds=10):
        """Gives a command to a server that was started with --control, and returns its reply."""
        before = len(self._replies())
        self.popen.stdin.write(command.encode() + b"\n")
        self.popen.stdin.flush()
        deadline = time.monotonic() + seconds
        while len(self._replies()) == before:
            if time.monotonic() > deadline:
                raise AssertionError(f"obs-local does not reply to {command!r}: {self.log_tail()}")
            time.sleep(0.01)
        return self._replies()[before]

    def _replies(self):
        with open(self.log_path) as log:
            lines = log.read().split("\n")[:-1]
        return [line for line in lines if not line.startswith("listening on ")]

    def stop(self, seconds=5):
        super().stop(seconds)
        if self.popen.stdin:
            self.popen.stdin.close()


def without_network():
    """What to put before a command whose packets must not leave it, whatever goes wrong."""
    need(("unshare",), "util-linux")
    command = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--net"]
    failed = run([*command, "true"], check=False)
    if failed.returncode == 0:
        return command
    message = f"no network namespace ({failed.stderr.strip()}); to run this: be root"
    if CI:
        raise AssertionError(message)
    raise unittest.SkipTest(message)


CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def name_hosts(names, address="127.0.0.1"):
    """Lets this process and its children resolve names to address: a private mount namespace with
    an /etc/hosts of its own, so that the machine's file is never touched. To be called before any
    thread is started; may be called again, the names add up."""
    try:
        _enter_mount_namespace()
        path = os.path.join(temp_dir(), "hosts")
        shutil.copyfile("/etc/hosts", path)
        with open(path, "a") as hosts:
            hosts.write("".join(f"{address} {name}\n" for name in names))
        _system_call("mount", path.encode(), b"/etc/hosts", None, MS_BIND, None)
    except OSError as error:
        message = f"no private mount namespace ({error}); to run this: be root"
        if CI:
            raise AssertionError(message) from error
        raise unittest.SkipTest(message) from error


_in_namespace = False


def _enter_mount_namespace():
    global _in_namespace
    if _in_namespace:
        return
    uid, gid = os.getuid(), os.getgid()
    try:
        _system_call("unshare", CLONE_NEWNS)
    except PermissionError:
        _system_call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {uid} 1"),
            ("gid_map", f"0 {gid} 1"),
        ):
            with open("/proc/self/" + file, "w") as mapping:
                mapping.write(text)
    _system_call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    _in_namespace = True


def _system_call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
