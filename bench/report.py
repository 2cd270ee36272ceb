"""What a run found, as text for a terminal, as docs/performance.md and as docs/performance.svg."""

import os
import statistics
from xml.sax.saxutils import escape

NAMES = {
    "obsabort": "libobsabort",
    "raw": "raw socket + OpenSSL signing",
    "curl": "libcurl, handle kept",
    "curl-fresh": "libcurl, new handle per call",
}
CHART_NAMES = dict(NAMES, raw="raw socket + signing")
ORDER = ("obsabort", "raw", "curl", "curl-fresh")
CELLS = (("http", 1, "HTTP, 1 thread"), ("tls", 1, "TLS 1.3, 1 thread"), ("http", 8, "HTTP, 8 threads"), ("tls", 8, "TLS 1.3, 8 threads"))


NOT_MEASURED = (
    "Not measured here: the sizes of the DLL and of the static library, a sweep of 100 000 stale uploads of which 30 000 stay, "
    "and the least stack (48 KB) on which every function runs."
)


PAGE = "performance.md"
# Of docs/performance.md, what another run writes than the rest of it: bench/sweep.py.
SECTION_BEGIN, SECTION_END = "<!-- Written by `make bench-sweep`. -->", "<!-- The end of it. -->"


def verdict(row):
    return {True: "met", False: "MISSED", None: "not measured"}[row["met"]]


def tally(rows):
    verdicts = [verdict(row) for row in rows]
    return f"{verdicts.count('met')} met, {verdicts.count('MISSED')} missed, {verdicts.count('not measured')} not measured"


def rate(found, cell, client):
    values = found["rates"][cell].get(client)
    return statistics.median(values) if values else None


def times_curl(found, cell, client):
    rates = found["rates"][cell]
    if "curl" not in rates or client not in rates:
        return None
    return statistics.median(a / b for a, b in zip(rates[client], rates["curl"]))


def goals_table(rows):
    return ["| what | goal | measured | verdict |", "| --- | --- | --- | --- |"] + [
        f"| {row['what']} | {row['goal']} | {row['measured']} | {verdict(row)} |" for row in rows
    ]


def rates_table(found):
    lines = ["| aborts/s (× libcurl) | " + " | ".join(title for _, _, title in CELLS) + " |", "| --- |" + " --- |" * len(CELLS)]
    for client in ORDER:
        cells = []
        for kind, threads, _ in CELLS:
            value, times = rate(found, (kind, threads), client), times_curl(found, (kind, threads), client)
            text = "" if value is None else f"{value / 1e3:.1f}k"
            cells.append(text + (f" ({times:.2f})" if times is not None else ""))
        if any(cells):
            lines.append(f"| {NAMES[client]} | " + " | ".join(cells) + " |")
    return lines


def cost_table(found):
    lines = ["| one abort, connection kept, HTTP / TLS | instructions | system calls | allocations | cold start | memory 1 thread HTTP / 8 threads TLS |",
             "| --- | --- | --- | --- | --- | --- |"]

    def both(figures, show, unit=""):
        shown = [show(figures[kind][client]) for kind in ("http", "tls") if client in figures.get(kind, {})]
        return " / ".join(shown) + (unit if shown else "")

    for client in (c for c in ORDER if c in found["allocations"]["http"]):
        memory = [found["memory"][key][client]["pss_kb"] / 1024 for key in found["memory"] if client in found["memory"][key]]
        lines.append("| " + " | ".join([
            NAMES[client],
            both(found.get("instructions", {}), lambda count: f"{count / 1e3:.1f}k"),
            both(found.get("system_calls", {}), lambda seen: f"{sum(seen[0].values()):.0f}"),
            both(found["allocations"], lambda count: f"{count:.0f}"),
            both(found["cold"], lambda times: f"{statistics.median(times):.1f}", " ms"),
            " / ".join(f"{mb:.1f}" for mb in memory) + (" MB" if memory else ""),
        ]) + " |")
    return lines


def ceiling_text(found):
    http, tls = found["ceiling"]["http"], found["ceiling"]["tls"]
    return (f"The responder is not the bottleneck: with requests signed once and sent 32 at a time it serves "
            f"{http['pipelined']['rate'] / 1e6:.2f} million a second over HTTP ({http['pipelined']['responder_us']:.2f} µs each) and "
            f"{tls['pipelined']['rate'] / 1e6:.2f} million over TLS. Asked one at a time it takes {http['single']['responder_us']:.1f} µs and "
            f"{tls['single']['responder_us']:.1f} µs of the shared core per abort, nearly all of it in the kernel and the same for every "
            f"client: the ratios between the clients' own costs are larger than the ratios of rates above.")


def machine_text(found):
    v = found["versions"]
    against = f"libcurl {v['libcurl']}, " if "libcurl" in v else ""
    return (f"{v['processor']}, {v['cores']} cores, Linux {v['kernel']}, {v['system']}. libobsabort {v['libobsabort']} (httparse "
            f"{v['httparse']}, rustls {v['rustls']}, {v['compiler']}), {against}OpenSSL {v['OpenSSL']}.")


def plain(table):
    """The same table with its columns in line."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if not line.startswith("| ---")]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def text(found, rows):
    return "\n".join([machine_text(found), ""] + plain(rates_table(found)) + [""] + plain(cost_table(found)) + ["", ceiling_text(found), ""]
                     + plain(goals_table(rows)) + ["", "goals: " + tally(rows), NOT_MEASURED])


def section_of(page):
    """The lines from SECTION_BEGIN to SECTION_END, both of them included; none if there are none."""
    lines = page.split("\n")
    return lines[lines.index(SECTION_BEGIN):lines.index(SECTION_END) + 1] if SECTION_BEGIN in lines else []


def read_page(folder):
    try:
        with open(os.path.join(folder, PAGE), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_page(lines, folder):
    with open(os.path.join(folder, PAGE), "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def write_section(lines, folder):
    """Puts the lines into the page, in place of those of the run before, or at its end."""
    page = read_page(folder)
    old, new = section_of(page), [SECTION_BEGIN, "", *lines, "", SECTION_END]
    if old:
        write_page(page.replace("\n".join(old), "\n".join(new)).split("\n"), folder)
    else:
        write_page([page, *new, ""], folder)


def write(found, rows, folder):
    os.makedirs(folder, exist_ok=True)
    sweep = section_of(read_page(folder))
    lines = [
        "# Performance", "",
        "<!-- Written by `make bench`; what is changed here by hand is lost at the next run. -->", "",
        "![Aborts per second, side by side](performance.svg)", "",
        "`make bench` measures this library through its C ABI beside libcurl and a bare socket, in one run, against a responder on",
        "loopback that responds to every DELETE with 204. All clients send the same request, signed anew each time; each is checked",
        "for that first. Client and responder share one core, since on two cores wake-ups dominate and hide the client;",
        f"{found['rounds']} interleaved rounds, medians of the ratios within each round. A refusal is a 404 or a 503 with the XML body of",
        "OBS, in response to a single attempt.", "",
        machine_text(found), "",
        f"## Goals: {tally(rows)}", "",
    ]
    lines += goals_table(rows)
    lines += ["", NOT_MEASURED, "", "## Rates", ""]
    lines += rates_table(found)
    lines += ["", ceiling_text(found), "", "## What one abort costs", ""]
    lines += cost_table(found)
    lines += [
        "",
        "An abort by this library is one write, one read, and before them one peek, which tells whether a kept connection is still",
        "quiet: a byte left over from before could be read as the next response. Nearly all of its allocations are for the request",
        "(target, canonical resource, head), the response (its bytes, the list of its header fields) and the outcome (key, upload id,",
        "request ids); over TLS rustls adds two. Host names are resolved, and the threads for that started, only when a connection is",
        "opened; the key schedule of the signature is kept with the credentials, and the date is written once a second.", "",
        "The raw socket stands for what a C program does by hand: snprintf, strftime, OpenSSL's HMAC in one call. It has no peek, no",
        "retry and no budget. If it comes second, that HMAC is the reason: it takes four fifths of the client's instructions, since the",
        "algorithm is looked up and the key schedule computed anew for each request.", "",
        "Instructions are counted by callgrind, as the difference of 1200 and 200 aborts. valgrind shows every program the same made-up",
        "processor, so the counts move little from one x86-64 machine to another; SHA-1 runs without the processor's own SHA",
        "instructions there, for all clients. Processor time is that of the whole process, on connections that are open already.",
        "System calls are what strace sees on a kept connection. Allocations are calls of malloc and its kin. A cold start is dlopen,",
        "client or handle, and the first abort; over TLS with the system's roots to be read.",
        "Memory is the proportional set size (what is shared with other processes counts by share) above the same process",
        "before it loads the client.", "",
        "The figures that need no clock are gates of `make test` (`python3 bench/run.py gates`).", "",
    ]
    write_page(lines + [*sweep, ""] if sweep else lines, folder)
    with open(os.path.join(folder, "performance.svg"), "w", encoding="utf-8") as file:
        file.write(svg(found))


STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #1f2328; }
  .title { font-size: 18px; font-weight: 600; }
  .group { font-weight: 600; }
  .soft { fill: #59636e; }
  .strong { font-weight: 600; }
  .obsabort { fill: #0969da; } .raw { fill: #8c959f; } .curl { fill: #d4762b; } .curl-fresh { fill: #e8b387; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .soft { fill: #9198a1; }
    .obsabort { fill: #4493f8; } .raw { fill: #6e7681; } .curl { fill: #db8a45; } .curl-fresh { fill: #8a5a33; }
  }
"""


def svg(found):
    width, left, bar, gap = 880, 220, 18, 5
    longest = max(statistics.median(v) for rates in found["rates"].values() for v in rates.values())
    scale = (width - left - 170) / longest
    parts, y = [], 74
    for kind, threads, title in CELLS:
        parts.append(f'<text class="group" x="24" y="{y}">{escape(title)}</text>')
        y += 10
        for client in ORDER:
            value = rate(found, (kind, threads), client)
            if value is None:
                continue
            times = times_curl(found, (kind, threads), client)
            times_text = "" if times is None or client == "curl" else f'<tspan class="soft" dx="8" font-weight="400">{times:.2f} × libcurl</tspan>'
            weight = "strong" if client == "obsabort" else ""
            middle = y + bar / 2 + 4.5
            parts.append(f'<text class="{weight}" x="{left - 10}" y="{middle}" text-anchor="end">{escape(CHART_NAMES[client])}</text>')
            parts.append(f'<rect class="{client}" x="{left}" y="{y}" width="{value * scale:.1f}" height="{bar}" rx="2"/>')
            parts.append(f'<text class="{weight}" x="{left + value * scale + 8:.1f}" y="{middle}">{value / 1e3:.1f}k{times_text}</text>')
            y += bar + gap
        y += 26
    v = found["versions"]
    note = f"One kept connection a thread; client and server share one core; medians of {found['rounds']} interleaved rounds. {v['processor']}, libcurl {v.get('libcurl', 'none')}."
    height = y + 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="Aborts per second: libobsabort, a raw socket and libcurl side by side">\n<style>{STYLE}</style>\n'
            f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>\n'
            f'<text class="title" x="24" y="38">Aborts per second</text>\n' + "\n".join(parts)
            + f'\n<text class="soft" x="24" y="{y}">{escape(note)}</text>\n</svg>\n')
