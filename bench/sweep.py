#!/usr/bin/env python3
"""How fast a sweep of 2000 stale uploads is, side by side with what people use for it, in one run.

  python3 bench/sweep.py [--no-write] [--rounds N] [--far-rounds N]   measures, prints the table, and writes it to its section of
                                                                      docs/performance.md (6 minutes)

Every client sweeps the same uploads, made anew for each, on Ceph RGW and on obs-local, 20 ms away. A client that is not there is
named, and its goals are not measured. OBSABORT_LIB, OBS_LOCAL and OBS_ABORT_TOOL name what was built.
Needs: cc; ceph-mon ceph-osd ceph-common radosgw nginx-light faketime (for RGW), root; rclone s3cmd; boto3, in the Python that
BOTO3_PYTHON names, in build/bench-venv, or in the one that runs this.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

import measure
import report
from goals import (MAX_SWEEP_IDLE, MAX_SWEEP_PEAK_KB, MAX_SWEEP_PROCESSOR_OF_RCLONE, MIN_SWEEP_OF_BOTO3, MIN_SWEEP_OF_RCLONE)
from sweep_servers import BUCKET, Far, OnRgw

UPLOADS = 2000
AGE, CUTOFF = 3 * 3600, 3600  # how old the uploads are, and from which age on they go
BOTO3 = "boto3==1.44.8"
# s3cmd aborts one upload a process: a few tell how long all would take. More than a page it can't even list: it asks for the
# first page again and again, since it sends KeyMarker for key-marker.
S3CMD_UPLOADS = 20

NAMES = {
    "obs-abort": "obs-abort",
    "obs-abort --idle": "obs-abort, idle checked",
    "boto3": "boto3, 32 threads",
    "rclone": "rclone backend cleanup",
    "s3cmd": f"s3cmd abortmp, a process for each upload ({S3CMD_UPLOADS}, times {UPLOADS // S3CMD_UPLOADS})",
}
PLACES = {"rgw": "Ceph RGW", "far": "20 ms away"}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Clients:
    """The programs that sweep, and what runs them: rusage.c."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="obsabort-bench-")
        measure.need("cc")
        self.rusage = os.path.join(self.dir, "rusage")
        source = os.path.join(measure.HERE, "rusage.c")
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.rusage, source], check=True)
        self.tool = os.path.abspath(os.environ["OBS_ABORT_TOOL"])
        # No proxy, no settings and no roots of whoever runs this.
        foreign = ("SSL_", "OBS_", "AWS_", "RCLONE_", "S3_", "BOTO_")
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(foreign)}
        self.env["HOME"] = self.dir
        self.boto3 = self._boto3_python()
        self.missing = self._missing()
        self.names = [name for name in NAMES if name not in self.missing]

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def _boto3_python(self):
        own = os.path.join(measure.ROOT, "build/bench-venv/bin/python")
        for python in (os.environ.get("BOTO3_PYTHON"), own, sys.executable):
            if python and shutil.which(python):
                tried = subprocess.run([python, "-c", "import boto3"], env=self.env, stderr=subprocess.DEVNULL)
                if tried.returncode == 0:
                    return python
        return None

    def _missing(self):
        """Clients that are not there, with how to get them."""
        missing = {name: f"apt-get install {name}" for name in ("rclone", "s3cmd") if shutil.which(name) is None}
        if self.boto3 is None:
            missing["boto3"] = f"python3 -m venv build/bench-venv && build/bench-venv/bin/pip install {BOTO3}"
        return missing

    def versions(self):
        def said(pattern, *command):
            text = subprocess.run(command, env=self.env, text=True, capture_output=True, check=True).stdout
            return re.search(pattern, text).group(1)

        commands = {
            "obs-abort": (r"(\d\S+)", self.tool, "--version"),
            "rclone": (r"v(\S+)", "rclone", "version"),
            "s3cmd": (r"version (\S+)", "s3cmd", "--version"),
            "boto3": (r"(\S+)", self.boto3, "-c", "import boto3; print(boto3.__version__)"),
        }
        return {name: said(*command) for name, command in commands.items() if name in self.names}

    def command(self, name, server):
        """-> command, environment"""
        env = dict(self.env)
        access_key, secret_key = server.keys
        if name.startswith("obs-abort"):
            env.update(OBS_ACCESS_KEY_ID=access_key, OBS_SECRET_ACCESS_KEY=secret_key)
            idle = ("--idle", f"{CUTOFF}s" if name == "obs-abort --idle" else "0")
            return [self.tool, "--stale", f"{CUTOFF}s", *idle, "--yes", "--quiet", "--endpoint", server.endpoint, f"obs://{BUCKET}"], env
        env.update(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
        if name == "boto3":
            return [self.boto3, os.path.join(measure.HERE, "sweep_boto3.py"), server.endpoint, BUCKET, str(CUTOFF)], env
        if name == "rclone":
            settings = {"TYPE": "s3", "PROVIDER": "Ceph", "ENV_AUTH": "true", "ENDPOINT": server.endpoint}
            env.update({f"RCLONE_CONFIG_STORE_{key}": value for key, value in settings.items()}, RCLONE_CONFIG="/dev/null")
            return ["rclone", "backend", "cleanup", "-o", f"max-age={CUTOFF}s", f"store:{BUCKET}"], env
        # It has no choice by age, and lists what there is.
        host = server.endpoint.partition("://")[2]
        s3cmd = f"s3cmd --no-ssl --host={host} --host-bucket={host}"
        loop = "while IFS='\t' read -r _ url id; do case $url in s3://*) " + s3cmd + " abortmp $url $id || exit 1;; esac; done"
        return ["sh", "-c", f"{s3cmd} multipart s3://{BUCKET} | {loop}"], env

    def sweep(self, name, server):
        """One sweep of all there is, all of which must be gone. -> wall_ms, processor_ms, peak_kb, server_ms: its processor time"""
        count = S3CMD_UPLOADS if name == "s3cmd" else UPLOADS
        server.fill(count, AGE)
        command, env = self.command(name, server)
        figures, log = (os.path.join(self.dir, file) for file in ("rusage.json", "log"))
        before = server.processor_ms()
        with open(log, "w") as output:
            done = subprocess.run([self.rusage, figures, *command], env=env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=600)
        server_ms = server.processor_ms() - before
        left = server.left()
        if done.returncode != 0 or left:
            with open(log, errors="replace") as output:
                sys.exit(f"{name} ended with {done.returncode}, and left {left} of {count} uploads: {output.read()[-2000:]}")
        with open(figures) as file:
            used = json.load(file)
        times = UPLOADS // count
        return {"wall_ms": used["ns"] / 1e6 * times, "processor_ms": used["processor_us"] / 1e3 * times, "peak_kb": used["peak_kb"],
                "server_ms": server_ms * times}


def measure_place(clients, start, place, rounds):
    """Figures of each client, round by round: each runs once in every round, each round in another order. Each has a new server:
    RGW becomes slower with every upload that was aborted before, threefold within 30 000."""
    found = {name: [] for name in clients.names}
    for number in range(rounds):
        turn = number % len(clients.names)
        order = clients.names[turn:] + clients.names[:turn]
        for name in order if number % 2 == 0 else reversed(order):
            server = start()
            try:
                found[name].append(clients.sweep(name, server))
            finally:
                server.stop()
            say(f"{PLACES[place]}, round {number + 1} of {rounds}: {name}: {found[name][-1]['wall_ms']:.0f} ms")
    return found


def median(found, name, figure):
    return statistics.median(each[figure] for each in found[name])


def ratio(found, name, other, figure):
    """Median of the ratios within each round."""
    return statistics.median(a[figure] / b[figure] for a, b in zip(found[name], found[other]))


def row(what, goal, measured, met):
    return {"what": what, "goal": goal, "measured": measured, "met": met}


def judge_place(found, place, missing):
    """The goals of one place. `found` is empty if it is not there."""
    where, rows = PLACES[place], []

    def add(what, goal, needed, judged):
        absent = [name for name in needed if name not in found]
        if absent:
            text = "; ".join(missing.get(name, missing.get(place, name)) for name in absent)
            rows.append(row(f"{what}, {where}", goal, f"not measured: {text}", None))
        else:
            rows.append(row(f"{what}, {where}", goal, *judged()))

    def times(peer, goal):
        factor = ratio(found, peer, "obs-abort", "wall_ms")
        both = (median(found, name, "wall_ms") / 1e3 for name in ("obs-abort", peer))
        return "{:.1f} ({:.2f} of {:.2f} s)".format(factor, *both), factor >= goal

    def processor():
        share = ratio(found, "obs-abort", "rclone", "processor_ms")
        both = (median(found, name, "processor_ms") for name in ("obs-abort", "rclone"))
        return "{:.3f} ({:.0f} of {:.0f} ms)".format(share, *both), share <= MAX_SWEEP_PROCESSOR_OF_RCLONE

    def memory():
        peaks = [max(each["peak_kb"] for each in found[name]) for name in ("obs-abort", "obs-abort --idle")]
        text = "{:.1f} MB, {:.1f} MB if idle is checked".format(*(peak / 1024 for peak in peaks))
        return text, max(peaks) <= MAX_SWEEP_PEAK_KB

    def idle():
        factor = ratio(found, "obs-abort --idle", "obs-abort", "wall_ms")
        both = (median(found, name, "wall_ms") / 1e3 for name in ("obs-abort --idle", "obs-abort"))
        return "{:.2f} ({:.2f} of {:.2f} s)".format(factor, *both), factor <= MAX_SWEEP_IDLE

    of_rclone = MIN_SWEEP_OF_RCLONE[place]
    add("times as fast as rclone", f"≥ {of_rclone}", ("obs-abort", "rclone"), lambda: times("rclone", of_rclone))
    add("times as fast as boto3 with 32 threads", f"≥ {MIN_SWEEP_OF_BOTO3}", ("obs-abort", "boto3"), lambda: times("boto3", MIN_SWEEP_OF_BOTO3))
    add("processor time of rclone's", f"≤ {MAX_SWEEP_PROCESSOR_OF_RCLONE}", ("obs-abort", "rclone"), processor)
    add("memory at its peak, process and all", f"≤ {MAX_SWEEP_PEAK_KB // 1024} MB", ("obs-abort", "obs-abort --idle"), memory)
    add("time with idle checked, of that without", f"≤ {MAX_SWEEP_IDLE}", ("obs-abort --idle", "obs-abort"), idle)
    return rows


def figures_table(found):
    lines = ["| client | " + " | ".join(f"{where}: wall | processor | memory | server" for where in PLACES.values()) + " |",
             "| --- |" + " --- |" * 4 * len(PLACES)]
    for name, title in NAMES.items():
        cells = []
        for place in PLACES:
            if name in found[place]:
                figures = ("wall_ms", "processor_ms", "peak_kb", "server_ms")
                wall, processor, peak, of_server = (median(found[place], name, figure) for figure in figures)
                cells += [f"{wall / 1e3:.2f} s", f"{processor / 1e3:.2f} s", f"{peak / 1024:.1f} MB", f"{of_server / 1e3:.2f} s"]
            else:
                cells += ["not measured", "", "", ""]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def busy_text(found):
    """What there would be to gain on the same machine as the server."""
    if "obs-abort" not in found:
        return []
    cores = len(os.sched_getaffinity(0))
    shares = ((each["processor_ms"] + each["server_ms"]) / (each["wall_ms"] * cores) for each in found["obs-abort"])
    return [f"On RGW, obs-abort and the server together kept the {cores} cores busy for {statistics.median(shares):.0%} of the time.", ""]


def machine_text(versions):
    with open("/proc/cpuinfo") as file:
        processor = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    cores = len(os.sched_getaffinity(0))
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{processor.group(1) if processor else 'unknown processor'}, {cores} cores, Linux {platform.release()}. {programs}."


def lines_of(found, versions, rounds, rows):
    """The section of docs/performance.md."""
    return [
        f"## A sweep of {UPLOADS} stale uploads: {report.tally(rows)}", "",
        f"`make bench-sweep` runs obs-abort beside rclone, boto3 and s3cmd, each as it is started from a shell, on {UPLOADS} uploads that are",
        "3 hours old: on Ceph RGW 16 on the same machine, each upload with a part of 1 KiB, and on obs-local, which waits 20 ms before",
        f"each response. {rounds['rgw']} and {rounds['far']} interleaved rounds, medians, and of the ratios within each round. Server and uploads are new for each",
        "run, and a run counts only if none is left. Processor time and memory are the client's alone, and in a column of its own stands",
        "the processor time of the server.", "",
        *busy_text(found["rgw"]),
        machine_text(versions), "",
        *report.goals_table(rows), "",
        *figures_table(found), "",
        "rclone aborts one upload after the other. s3cmd aborts one upload a process; of more than 1000 it never ends to list the first",
        "1000, since it sends `KeyMarker` for `key-marker`. Neither they nor boto3 look at when the last part came. With idle checked,",
        "each DELETE follows a ListParts: two requests for one.", "",
        "What a DELETE costs RGW is the limit there, and the client has little say in it: over 8, 16, 32 or 64 connections it costs the same,",
        "over one 1.4 times as much; a program that sends DELETEs that were signed beforehand, and lists nothing, costs the server no less.",
    ]


def run(clients, rounds):
    found, missing = {}, dict(clients.missing)
    for place, start in (("rgw", OnRgw), ("far", Far)):
        try:
            found[place] = measure_place(clients, start, place, rounds[place])
        except unittest.SkipTest as skipped:
            missing[place], found[place] = str(skipped), {}
    rows = [each for place in PLACES for each in judge_place(found[place], place, missing)]
    return found, missing, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True, help="its section of docs/performance.md")
    parser.add_argument("--rounds", type=int, default=5, help="on Ceph RGW")
    parser.add_argument("--far-rounds", type=int, default=3, help="20 ms away, where rclone takes most of a minute")
    options = parser.parse_args()
    for name in ("OBSABORT_LIB", "OBS_LOCAL", "OBS_ABORT_TOOL"):
        if not os.path.exists(os.environ.get(name, "")):
            sys.exit(f"{name} must name what was built (it is {os.environ.get(name)!r}): make bench-sweep")
    rounds = {"rgw": options.rounds, "far": options.far_rounds}
    clients = Clients()
    try:
        for name, how in clients.missing.items():
            say(f"NOT COMPARED: {name} is not there: {how}")
        found, missing, rows = run(clients, rounds)
        lines = lines_of(found, clients.versions(), rounds, rows)
    finally:
        clients.close()
    print("\n".join(lines))
    for name, how in missing.items():
        say(f"NOT COMPARED: {name} is not there: {how}")
    if options.write:
        report.write_section(lines, os.path.join(measure.ROOT, "docs"))


if __name__ == "__main__":
    main()
