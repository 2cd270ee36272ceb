"""One table of options: --help, the manual, the completions and README tell of the same ones."""

import os
import re
import unittest

import support
from tool_terminal import Pty, environment, not_on_windows, run

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
TOOL = os.path.join(ROOT, "tools/obs-abort")
GENERATED = ("obs-abort.1", "completions/obs-abort.bash", "completions/_obs-abort", "completions/obs-abort.fish")

# What an option takes that takes nearly nothing; any other takes anything.
VALUES = {"AGE": "24h", "SIZE": "1G", "TIME": "30s", "N": "1", "HOW": "path", "SCHEME": "obs", "PER_GIB_MONTH": "0.02",
          "RESULT": "failed"}


def text_of(name, folder=TOOL):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def options():
    """Every option with its letter and what its value is called, as the program itself has them."""
    found = re.findall(r"^ +(?:-(\w), )?--([a-z-]+)(?: ([A-Z_]+))? {2,}\S", run("-hv", env=environment()).stdout, re.M)
    assert len(found) > 25, found
    return {name: (letter, value) for letter, name, value in found}


class Options(unittest.TestCase):
    def test_what_is_generated_is_up_to_date(self):
        folder = support.temp_dir()
        support.run(["make", "-C", TOOL, "texts", f"OUT={folder}", f"OUT_TEXTS={folder}"])
        for name in GENERATED:
            self.assertEqual(text_of(name), text_of(name, folder), f"{name}: make -C tools/obs-abort texts")

    def test_help_with_a_line_for_each(self):
        lines = run("--help", "--verbose", env=environment()).stdout.splitlines()
        self.assertLess(max(map(len, lines)), 80)
        self.assertEqual(run("-vh", env=environment()).stdout.splitlines(), lines)

    def test_each_is_parsed(self):
        for name, (letter, value) in options().items():
            with self.subTest(name):
                words = [f"--{name}"] + ([VALUES.get(value, "x")] if value else [])
                done = run(*words, "--version", env=environment())
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                if value:
                    self.assertIn(f"--{name} wants a value", run(f"--{name}", env=environment()).stderr)
                if letter:
                    self.assertEqual(run(f"-{letter}", "--version", env=environment()).returncode, 0)

    def test_each_is_an_item_of_the_manual(self):
        items = re.findall(r"^\.It (Fl .*)$", text_of("obs-abort.1"), re.M)
        found = {}
        for item in items:
            for letter, name, value in re.findall(r"(?:Fl (\w) , )?Fl \\-([a-z-]+)(?: Ar (\S+))?", item):
                self.assertNotIn(name, found, "described twice")
                found[name] = (letter, value.upper())
        self.assertEqual(found, options())

    def test_the_manual_speaks_of_no_other(self):
        manual = text_of("obs-abort.1")
        self.assertEqual(set(re.findall(r"Fl \\-([a-z][a-z-]*)", manual)) - set(options()), set())
        letters = {letter for letter, _ in options().values() if letter}
        self.assertEqual(set(re.findall(r"Fl (\w)\b", manual)) - letters, set())

    @not_on_windows
    def test_the_manual_is_well_formed(self):
        support.need(("mandoc",), "mandoc")
        done = support.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(TOOL, "obs-abort.1")], check=False)
        self.assertEqual(done.stdout, "")

    def test_readme_speaks_of_no_other(self):
        section = re.search(r"^## For operators.*?(?=^## )", text_of("README.md", ROOT), re.M | re.S).group()
        section = re.sub(r"^ +systemctl .*$", "", section, flags=re.M)
        named = set(re.findall(r"--([a-z][a-z-]+)", section))
        self.assertGreater(len(named), 3)
        self.assertEqual(named - set(options()), set())

    def test_each_is_completed(self):
        bash, zsh, fish = (text_of(name) for name in GENERATED[1:])
        words = set(re.search(r'words="(\s+--?\w[^"]*)"', bash).group(1).split())
        self.assertEqual(words, {f"--{name}" for name in options()} | {f"-{letter}" for letter, _ in options().values()
                                                                      if letter})
        self.assertEqual(set(re.findall(r"^    --([a-z-]+)\) option=value", bash, re.M)),
                         {name for name, (_, value) in options().items() if value})
        self.assertEqual(set(re.findall(r"--([a-z-]+)[=}]?'\[", zsh)), set(options()))
        self.assertEqual(set(re.findall(r" -l ([a-z-]+)", fish)), set(options()))


@not_on_windows
class Completions(unittest.TestCase):
    """Each in its shell."""

    def setUp(self):
        self.folder = support.temp_dir()
        for name in ("list.tsv", "a file"):
            open(os.path.join(self.folder, name), "w").close()

    def bash(self, *words):
        """What is offered for the last word, split as bash splits what was typed."""
        quoted = " ".join("'%s'" % word for word in ("obs-abort", *words))
        script = (f"set -u; . {TOOL}/completions/obs-abort.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; "
                  '_obs_abort; printf "%s\\n" "${COMPREPLY[@]}"; complete -p obs-abort')
        lines = support.run(["bash", "--norc", "-c", script], cwd=self.folder).stdout.splitlines()
        self.assertEqual(lines[-1], "complete -F _obs_abort obs-abort")
        return [line for line in lines[:-1] if line]

    def test_bash(self):
        self.assertEqual(self.bash("--addr"), ["--addressing"])
        self.assertEqual(self.bash("--addressing", "p"), ["path"])
        self.assertEqual(self.bash("--addressing", "="), ["auto", "virtual-host", "path", "custom-domain"])
        self.assertEqual(self.bash("--addressing", "=", "v"), ["virtual-host"])
        self.assertEqual(self.bash("--endpoint", "--li"), [])
        self.assertIn("list.tsv", self.bash("--from", ""))
        self.assertEqual(self.bash("--ca-file", "a "), ["a file"])
        self.assertEqual(self.bash("--credentials", "f"), ["file:"])
        self.assertEqual(self.bash("--credentials", "file", ":", "li"), ["list.tsv"])
        self.assertIn("list.tsv", self.bash("--credentials", "file", ":"))
        self.assertEqual(set(self.bash("--list", "--")), {f"--{name}" for name in options()})
        self.assertEqual(self.bash("--list", "obs"), [])
        self.assertEqual(self.bash("obs", ":", "//bucket/", "--conf"), ["--confirm"])

    def zsh(self, typed):
        """What stands on the line after a tab."""
        env = dict(environment(), PS1="> ", TERM="xterm", HOME=self.folder, ZDOTDIR=self.folder)
        with open(os.path.join(self.folder, ".zshrc"), "w") as file:
            file.write(f"fpath=({TOOL}/completions $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPS1='ready> '\n"
                       "unsetopt prompt_sp\nzstyle ':completion:*' menu no\nbindkey '^T' kill-whole-line\n"
                       "show() { zle -I; print -r -- \"line=[$BUFFER]\" }\nzle -N show\nbindkey '^X' show\n")
        with Pty("-i", program=support.find_program("zsh"), env=env, cwd=self.folder) as terminal:
            terminal.read_until("ready> ")
            terminal.type(typed + "\t\x18")
            line = re.search(r"line=\[(.*?)\]\r?\n", terminal.read_until("]\r\n")).group(1)
            terminal.type("\x14exit\n")
            terminal.finish()
        return line

    def test_zsh(self):
        support.need(("zsh",), "zsh")
        self.assertEqual(self.zsh("obs-abort --addr"), "obs-abort --addressing=")
        self.assertEqual(self.zsh("obs-abort --addressing p"), "obs-abort --addressing path ")
        self.assertEqual(self.zsh("obs-abort --addressing=v"), "obs-abort --addressing=virtual-host ")
        self.assertEqual(self.zsh("obs-abort --from li"), "obs-abort --from list.tsv ")
        self.assertEqual(self.zsh("obs-abort --list --qui"), "obs-abort --list --quiet ")

    def fish(self, typed):
        script = f"source {TOOL}/completions/obs-abort.fish; complete -C '{typed}'"
        env = dict(environment(), HOME=self.folder)
        lines = support.run(["fish", "--no-config", "-c", script], env=env, cwd=self.folder).stdout.splitlines()
        return [line.split("\t")[0] for line in lines]

    def test_fish(self):
        support.need(("fish",), "fish")
        self.assertEqual(self.fish("obs-abort --addr"), ["--addressing"])
        self.assertEqual(self.fish("obs-abort --addressing p"), ["path"])
        self.assertEqual(self.fish("obs-abort --addressing=v"), ["--addressing=virtual-host"])
        self.assertEqual(self.fish("obs-abort --from li"), ["list.tsv"])
        self.assertEqual(self.fish("obs-abort --endpoint li"), [])
        self.assertEqual(set(self.fish("obs-abort --")), {f"--{name}" for name in options()})
