#!/usr/bin/env python3
"""How fast, side by side with libcurl and a bare socket, in one run.

  python3 bench/run.py [--no-write] [--rounds N] [--core N]   measures, prints the goals' table, and writes it to
                                                 docs/performance.md, with docs/performance.svg (3 to 4 minutes)
  python3 bench/run.py gates [--renew]     what `make test` checks; no clock is looked at

OBSABORT_LIB names the library, OBS_LOCAL the obs-local program, INCLUDEDIR the folder of obsabort.h (default: include/
of this tree).
Needs: cc, libssl-dev, libcurl4-openssl-dev, openssl, valgrind, strace, binutils, ca-certificates.
"""

import argparse
import os
import platform
import re
import statistics
import sys

import gates
import measure
import report
from goals import (ALLOWED_LIBRARIES, LIMIT, MAX_COLD_OF_CURL, MAX_INSTRUCTIONS_OF_CURL, MAX_MEMORY_KB, MAX_PROCESSOR_OF_THREADS,
                   MAX_REFUSAL_OF_CURL, MAX_REFUSED_OF_LIMIT, MAX_SIZE, MAX_SWEEP_KB, MAX_SYSTEM_CALLS, MAX_TIME_OF_CURL_MULTI,
                   MIN_OF_IDEAL_MANY, MIN_OF_LIMIT, MIN_RATE_OF_500S, MIN_RATE_OF_CURL, MIN_RATE_OF_RAW, REFUSALS)

KINDS = {"http": "HTTP", "tls": "TLS"}


def paired(ours, theirs):
    """Median and quartiles of the ratios within each round."""
    ratios = [a / b for a, b in zip(ours, theirs)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"median": middle, "low": low, "high": high}


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure_all(bench, clients, rounds):
    found = {"clients": clients, "rounds": rounds, "versions": versions(bench, clients)}
    for client in clients:
        wrong = bench.check_request(client)
        if wrong:
            sys.exit(f"{client} does not send what it should: {wrong}")
    # A new handle for every abort is a TLS handshake and a read of the roots each time: not worth the wait.
    fresh = ["curl-fresh"] if "curl" in clients else []
    every = {"http": clients + fresh, "tls": clients}

    def of_each(figure):
        return {kind: {client: figure(client, kind) for client in every[kind]} for kind in KINDS}

    found["ceiling"] = {kind: bench.ceiling(kind) for kind in KINDS}
    found["rates"] = {}
    for kind in KINDS:
        for threads in (1, 8):
            say(f"rates: {KINDS[kind]}, {threads} thread{'s' if threads > 1 else ''}, {rounds} rounds")
            found["rates"][kind, threads] = bench.rounds(every[kind] if threads == 1 else clients, kind, threads, rounds, 0.2)
    say("cold starts")
    found["cold"] = {kind: bench.cold_starts(clients, kind, max(rounds, 15)) for kind in KINDS}
    found["many"] = {}
    for at_once, delay_ms in MIN_OF_IDEAL_MANY:
        say(f"1000 aborts, {at_once} at a time, {delay_ms} ms away")
        found["many"][at_once, delay_ms] = bench.many([c for c in clients if c != "raw"], 9, at_once, delay_ms)
    say("processor time of obs_abort_many and of threads")
    found["processor"] = {"no delay": bench.processor_us("http", rounds, 16_000), "20 ms away": bench.processor_us("20ms", rounds, 3200)}
    say("100 000 stale uploads, and 1000")
    found["sweep"] = {count: bench.sweep_peak_kb(count) for count in (1000, 100_000)}
    say("random 503s and 500s, and a limit of the service")
    found["random"] = bench.random_refusals_ms(9)
    found["limit"] = bench.sweep_at_limit(**LIMIT)
    say("memory, connections, allocations")
    found["memory"] = {key: {c: bench.memory_kb(c, *key) for c in clients} for key in MAX_MEMORY_KB}
    found["connections"] = {key: {c: bench.connections(c, *key) for c in clients} for key in (("http", 8), ("http", 32), ("tls", 8))}
    found["allocations"] = of_each(bench.allocations)
    for name, what, count in (("system_calls", "system calls", bench.system_calls), ("instructions", "instructions", bench.instructions)):
        say(what)
        try:
            found[name] = of_each(count)
        except measure.Missing as missing:
            say(f"not measured: {missing}")
    if "instructions" in found:
        say("instructions of refusals")
        found["refusals"] = {(kind, status): bench.instructions("obsabort", f"{kind}-{status}") for kind in KINDS for status in REFUSALS}
    found["size"] = bench.stripped_size()
    found["needed"] = bench.needed_libraries()
    return found


def versions(bench, clients):
    def first(pattern, path):
        try:
            with open(path) as file:
                match = re.search(pattern, file.read(), re.M)
                return match.group(1) if match else "unknown"
        except OSError:
            return "unknown"

    lock = os.path.join(measure.ROOT, "Cargo.lock")
    out = {
        "libobsabort": bench.version("obsabort"),
        **{name: first(rf'name = "{name}"\nversion = "(.*)"', lock) for name in ("httparse", "rustls")},
        "compiler": gates.compiled_by(bench.library),
        "OpenSSL": bench.version("raw").split()[1],
        "processor": first(r"^model name\s*: (.*)$", "/proc/cpuinfo"),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "system": first(r'^PRETTY_NAME="(.*)"', "/etc/os-release"),
    }
    if "curl" in clients:
        out["libcurl"] = bench.version("curl").split()[0].partition("/")[2]
    return out


def row(what, goal, measured, met):
    """A row of the goals' table. `met` is None if it could not be measured."""
    return {"what": what, "goal": goal, "measured": measured, "met": met}


def ratio_text(ratio):
    return f"{ratio['median']:.2f} (quartiles {ratio['low']:.2f} to {ratio['high']:.2f})"


def not_measured(what, goal, *needed):
    return row(what, goal, f"not measured: {measure.Missing(*needed)}", None)


def judge(found):
    """The goals' table."""
    groups = (rate_rows, instruction_rows, kept_rows, many_rows, throttle_rows, memory_rows, cold_rows, size_rows)
    return [each for group in groups for each in group(found)]


def rate_rows(found):
    rows = []
    for kind, name in KINDS.items():
        what, goal = f"rate against libcurl with a kept handle, {name}, timeouts on", MIN_RATE_OF_CURL[kind]
        if "curl" in found["clients"]:
            ratio = paired(found["rates"][kind, 1]["obsabort"], found["rates"][kind, 1]["curl"])
            rows.append(row(what, f"≥ {goal}", ratio_text(ratio), ratio["median"] >= goal))
        else:
            rows.append(not_measured(what, f"≥ {goal}", "libcurl"))
    for kind, name in KINDS.items():
        ratio = paired(found["rates"][kind, 1]["obsabort"], found["rates"][kind, 1]["raw"])
        what = f"rate against raw socket + signing, {name}"
        rows.append(row(what, f"≥ {MIN_RATE_OF_RAW}", ratio_text(ratio), ratio["median"] >= MIN_RATE_OF_RAW))
    return rows


def instruction_rows(found):
    rows = []
    measured = "instructions" in found and "curl" in found["clients"]
    for kind, name in KINDS.items():
        what, goal = f"instructions per abort against libcurl, {name}", MAX_INSTRUCTIONS_OF_CURL[kind]
        if not measured:
            rows.append(not_measured(what, f"≤ {goal:.2f}", "valgrind", "libcurl"))
            continue
        ours, theirs = found["instructions"][kind]["obsabort"], found["instructions"][kind]["curl"]
        rows.append(row(what, f"≤ {goal:.2f}", f"{ours / theirs:.3f} ({ours / 1e3:.1f}k of {theirs / 1e3:.1f}k)", ours / theirs <= goal))
    for kind, name in KINDS.items():
        what, goal = f"a refusal with an XML body, instructions against libcurl's 204, {name}", f"≤ {MAX_REFUSAL_OF_CURL}"
        if not measured:
            rows.append(not_measured(what, goal, "valgrind", "libcurl"))
            continue
        theirs, ours = found["instructions"][kind]["curl"], {status: found["refusals"][kind, status] for status in REFUSALS}
        rows.append(row(what, goal, ", ".join(f"{status}: {count / theirs:.3f} ({count / 1e3:.1f}k)" for status, count in ours.items()),
                        max(ours.values()) / theirs <= MAX_REFUSAL_OF_CURL))
    return rows


def kept_rows(found):
    """On kept connections: what is done for each abort, and how many there are."""
    rows = []
    for kind, name in KINDS.items():
        what, goal = f"system calls per abort on a kept connection, {name}, timeouts on", f"≤ {MAX_SYSTEM_CALLS}"
        if "system_calls" not in found:
            rows.append(not_measured(what, goal, "strace"))
            continue
        calls, _, _ = found["system_calls"][kind]["obsabort"]
        total = sum(calls.values())
        rows.append(row(what, goal, f"{total:.2f} ({', '.join(calls)})", total <= MAX_SYSTEM_CALLS + 0.05))
    for index, what in ((1, "DNS queries"), (2, "threads started")):
        if "system_calls" in found:
            seen = sum(len(found["system_calls"][kind]["obsabort"][index]) for kind in KINDS)
            rows.append(row(f"{what} on a kept connection", "0", str(seen), seen == 0))
        else:
            rows.append(not_measured(f"{what} on a kept connection", "0", "strace"))
    opened = {key: counts["obsabort"] for key, counts in found["connections"].items()}
    rows.append(row("connections opened by T threads", "≤ T", ", ".join(f"{n} by {t} ({KINDS[k]})" for (k, t), n in opened.items()),
                    all(n <= threads for (_, threads), n in opened.items())))
    return rows


def many_rows(found):
    rows = []
    for (at_once, delay_ms), goal in MIN_OF_IDEAL_MANY.items():
        ideal = -(-1000 // at_once) * delay_ms
        ours, theirs = found["many"][at_once, delay_ms]["obsabort"], found["many"][at_once, delay_ms].get("curl")
        ms = statistics.median(ours)
        libcurl = f"; libcurl multi {statistics.median(theirs):.0f} ms" if theirs else ""
        rows.append(row(f"1000 aborts {at_once} at a time, {delay_ms} ms away", f"≥ {goal} of the ideal",
                        f"{ideal / ms:.3f} ({ms:.0f} ms of an ideal {ideal}{libcurl})", ideal / ms >= goal))
        if theirs and (at_once, delay_ms) in MAX_TIME_OF_CURL_MULTI:
            ratio, goal = paired(ours, theirs), MAX_TIME_OF_CURL_MULTI[at_once, delay_ms]
            rows.append(row("the same against libcurl multi", f"time ≤ {goal:.2f}", f"{ratio['median']:.3f}", ratio["median"] <= goal))
    for distance, used in found["processor"].items():
        ratio = paired(used["many"], used["threads"])
        us = {name: statistics.median(values) for name, values in used.items()}
        rows.append(row(f"processor time of obs_abort_many per upload, 32 wide, against 32 threads of the caller, {distance}",
                        f"≤ {MAX_PROCESSOR_OF_THREADS}", f"{ratio_text(ratio)}, {us['many']:.1f} of {us['threads']:.1f} µs",
                        ratio["median"] <= MAX_PROCESSOR_OF_THREADS))
    return rows


def throttle_rows(found):
    """Services that refuse."""
    ratio, (throttled, failed) = paired(found["random"][500], found["random"][503]), (found["random"][status] for status in (503, 500))
    rows = [row("10 % random 503s against 10 % random 500s, 32 wide, 20 ms away, rate", f"≥ {MIN_RATE_OF_500S}",
                f"{ratio_text(ratio)}, {statistics.median(throttled):.0f} and {statistics.median(failed):.0f} ms for 500",
                ratio["median"] >= MIN_RATE_OF_500S)]
    sweep, rate = found["limit"], LIMIT["rate"]
    of_limit = (sweep["aborted"] - LIMIT["burst"]) / (sweep["ns"] / 1e9) / rate
    refused = sweep["throttled"] / (sweep["throttled"] + sweep["aborted"])
    rows.append(row(f"a true limit of {rate} a second, burst {LIMIT['burst']}", f"≥ {MIN_OF_LIMIT} of it, ≤ {MAX_REFUSED_OF_LIMIT:.0%} refused",
                    f"{of_limit:.2f}, {refused:.1%} refused", of_limit >= MIN_OF_LIMIT and refused <= MAX_REFUSED_OF_LIMIT))
    return rows


def memory_rows(found):
    few, many = (found["sweep"][count] for count in (1000, 100_000))
    rows = [row("100 000 stale uploads found and aborted, of which none stay", f"≤ {MAX_SWEEP_KB // 1024} MB more than for 1000",
                f"{max(many - few, 0) / 1024:.2f} MB more (at most {many / 1024:.1f} MB, process and all)", many - few <= MAX_SWEEP_KB)]
    for (kind, threads), allowed in MAX_MEMORY_KB.items():
        used = found["memory"][kind, threads]["obsabort"]
        rows.append(row(f"memory above the empty process, {threads} thread{'s' if threads > 1 else ''} {KINDS[kind]}", f"≤ {allowed // 1024} MB",
                        f"{used['pss_kb'] / 1024:.2f} MB ({used['rss_kb'] / 1024:.2f} with what other processes share)",
                        used["pss_kb"] <= allowed))
    return rows


def cold_rows(found):
    rows = []
    for kind, name in (("http", "HTTP"), ("tls", "TLS with the system's roots")):
        what, goal = f"dlopen + client + first abort against libcurl, {name}", f"≤ {MAX_COLD_OF_CURL}"
        if "curl" not in found["clients"]:
            rows.append(not_measured(what, goal, "libcurl"))
            continue
        ratio = paired(found["cold"][kind]["obsabort"], found["cold"][kind]["curl"])
        ours, theirs = (statistics.median(found["cold"][kind][c]) for c in ("obsabort", "curl"))
        rows.append(row(what, goal, f"{ratio['median']:.3f} ({ours:.2f} of {theirs:.2f} ms)", ratio["median"] <= MAX_COLD_OF_CURL))
    return rows


def size_rows(found):
    beyond = [n for n in found["needed"] if not re.fullmatch(ALLOWED_LIBRARIES, n) or n.startswith("libgcc_s")]
    return [
        row("libobsabort.so, stripped", f"≤ {MAX_SIZE / 1e6} MB", f"{found['size'] / 1e6:.2f} MB", found["size"] <= MAX_SIZE),
        row("all it needs beyond libc", "libgcc_s alone", ", ".join(beyond) or "nothing", all(n.startswith("libgcc_s") for n in beyond)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["bench", "gates"], default="bench")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True, help="bench: docs/performance.md and .svg")
    parser.add_argument("--renew", action="store_true", help="gates: write committed.json anew")
    parser.add_argument("--rounds", type=int, default=15, help="bench: interleaved rounds, at least 9")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="bench: core of client and responder")
    options = parser.parse_args()
    if options.rounds < 9:
        parser.error("--rounds: at least 9")
    library = os.environ.get("OBSABORT_LIB")
    if not library or not os.path.exists(library):
        sys.exit(f"OBSABORT_LIB must name the built library (it is {library!r}): make library")
    obs_local = os.environ.get("OBS_LOCAL", "")
    if options.what == "bench" and not os.path.exists(obs_local):
        sys.exit(f"OBS_LOCAL must name the obs-local program (it is {obs_local!r}): cargo build --release -p obs-local")
    include = os.environ.get("INCLUDEDIR") or os.path.join(measure.ROOT, "include")
    bench = measure.Bench(library, include, options.core if options.what == "bench" else -1)
    try:
        if options.what == "gates" and not options.renew:
            return gates.run(bench)
        clients = bench.build()
        bench.start_responder()
        if options.what == "gates":
            return gates.renew(bench)
        if "curl" not in clients:
            say(f"libcurl is not compared: {measure.Missing('libcurl')}")
        found = measure_all(bench, clients, options.rounds)
        rows = judge(found)
        print(report.text(found, rows))
        if options.write:
            report.write(found, rows, os.path.join(measure.ROOT, "docs"))
        return 0
    except measure.Missing as missing:
        sys.exit(f"something is missing: {missing}")
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
