"""obs-abort as its users start it: in a pipe, in a terminal (tmux), under a terminal of our own (pty)."""

import fcntl
import functools
import os
import pty
import select
import shlex
import signal
import subprocess
import termios
import time
import unittest

import support

SECRET = "OBS_SECRET_ACCESS_KEY"
ON_WINDOWS = os.environ.get("TARGET_SYSTEM") == "windows"  # under Wine, that is

# What a console is told there, Wine's own one draws in its own way.
not_on_windows = unittest.skipIf(ON_WINDOWS, "a console under Wine shows what is there, not what was written to it")


def tool_path():
    path = os.environ.get("OBS_ABORT_TOOL")
    if not path or not os.path.exists(path):
        raise AssertionError(f"OBS_ABORT_TOOL must name the built obs-abort; it is {path!r}")
    return path


@functools.cache
def _empty_home():
    return support.temp_dir()


def environment(server=None, **more):
    """Nothing of the caller's settings decides a test: only what is named here. The home directory is empty, but for
    Wine, which has its own there."""
    kept = ("PATH", "HOME", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")
    env = {name: value for name, value in os.environ.items() if name in kept}
    if not ON_WINDOWS:
        env["HOME"] = _empty_home()
    env["no_proxy"] = "*"
    if server:
        env["OBS_ENDPOINT"] = server.endpoint
        env["OBS_ACCESS_KEY_ID"] = server.access_key
        env[SECRET] = server.secret_key
    env.update(more)
    return {name: value for name, value in env.items() if value is not None}


def run(*arguments, env, stdin=None, seconds=30, stdout=subprocess.PIPE):
    """In a pipe. The result has returncode, stdout and stderr; stdin is text, or None for /dev/null."""
    return subprocess.run(
        [tool_path(), *arguments],
        env=env,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=seconds,
        encoding="utf-8",
    )


class Tmux:
    """A real terminal, 80 by 24 unless told, with one command in it. After the command the screen
    says exit=STATUS. `before` goes to the shell first, as typed by hand."""

    def __init__(self, *arguments, env, width=80, height=24, redirect="", before=""):
        self.directory = support.temp_dir("obsabort-tmux-")
        self.env = dict(env, TMUX_TMPDIR=self.directory, LANG="C.UTF-8", PS1="$ ")
        command = " ".join(shlex.quote(word) for word in (tool_path(), *arguments))
        # The sleep, not a shell that waits for ever: a killed test run leaves nothing behind.
        script = f"{before}{command} {redirect}; echo exit=$?; sleep 60"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), script)

    def _tmux(self, *arguments):
        return support.run(["tmux", "-u", *arguments], env=self.env).stdout

    def screen(self, colours=False, joined=True):
        """`joined`: lines that the terminal broke are whole again."""
        return self._tmux("capture-pane", "-p", *(["-J"] if joined else []), *(["-e"] if colours else []))

    def wait_for(self, text, seconds=30, times=1):
        """The first screen that shows text so many times."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if screen.count(text) >= times:
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} did not appear:\n{screen}")
            time.sleep(0.03)

    def wait_for_question(self, seconds=30):
        """The screen with the question, whose answer may be typed from now on."""
        screen = self.wait_for("[y/N/l]", seconds)
        if ON_WINDOWS:
            self._wait_until_wine_reads(seconds)
        return screen

    def _wait_until_wine_reads(self, seconds):
        """A console of Windows keeps what is typed before a program reads. Wine takes the terminal out of line mode no
        sooner than at the program's first read (conhost, tty_input), and before it an Enter arrives as Ctrl-Enter."""
        terminal = os.open(self._tmux("display-message", "-p", "#{pane_tty}").strip(), os.O_RDWR | os.O_NOCTTY)
        try:
            deadline = time.monotonic() + seconds
            while termios.tcgetattr(terminal)[0] & termios.ICRNL:
                if time.monotonic() > deadline:
                    raise AssertionError("nobody reads the answer")
                time.sleep(0.01)
        finally:
            os.close(terminal)

    def keys(self, *keys):
        self._tmux("send-keys", *keys)

    def close(self):
        try:
            self._tmux("kill-server")
        except AssertionError:
            pass  # it ended by itself

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pty:
    """A terminal of our own: every byte that the tool writes to it, escape sequences included."""

    def __init__(self, *arguments, env, program=None, output_stopped=False, **popen):
        self.master, slave = pty.openpty()
        self.name = os.ttyname(slave)
        if output_stopped:
            self.flow(termios.TCOOFF)
        self.output = b""
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        streams.update(popen)
        self.process = subprocess.Popen(
            [program or tool_path(), *arguments],
            env=dict(env, TERM=env.get("TERM", "xterm")),
            preexec_fn=self._own_terminal,
            **streams,
        )
        os.close(slave)

    @staticmethod
    def _own_terminal():
        """A session of its own, with the terminal that is standard input: Ctrl-C then reaches it."""
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a runner under nohup ignores it, and so would the tool
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read_until(self, text, seconds=10, times=1):
        deadline = time.monotonic() + seconds
        while self.output.count(text.encode()) < times:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} did not appear: {self.output!r}")
        return self.output.decode()

    def _read(self, deadline):
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.output += piece
        return bool(piece)

    def flow(self, action):
        """TCOOFF holds up what is written to the terminal, as Ctrl-S does; TCOON lets it go on."""
        slave = os.open(self.name, os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(slave, action)
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self, seconds=20):
        """Exit status and all output."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        status = self.process.wait(max(0.1, deadline - time.monotonic()))
        return status, self.output.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
