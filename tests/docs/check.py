"""Looks at the manual that `make docs` has made: check.py FOLDER

Each exported symbol has its place, with each parameter and what is returned; each program of examples-c is shown as it is
compiled; all links lead somewhere; and nothing comes from the network.
"""

import html
import html.parser
import os
import re
import sys
import urllib.parse

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if given.get("href"):
            (self.loaded if tag == "link" else self.links).append(given["href"])
        # The results of a search appear in a frame that is empty at first.
        if given.get("src", "javascript:void(0)") != "javascript:void(0)":
            self.loaded.append(given["src"])

    def code(self):
        """The lines of the code that the page shows."""
        lines = re.findall(r'<div class="line">(.*?)</div>', self.text)
        return [html.unescape(re.sub("<[^>]*>", "", line)).rstrip() for line in lines]

    def functions(self):
        """name -> (parameters, parameters that are described, whether what is returned is, if anything)"""
        found = {}
        for member in self.text.split('<h2 class="memtitle">')[1:]:
            name = re.search(r"</span>(\w+)\(\)</h2>", member)
            if name:
                parameters = set(re.findall(r'<td class="paramname"><em>(\w+)</em>', member))
                described = set(re.findall(r'<td class="paramname">(\w+)</td>', member))
                returns = 'class="section return"' in member or '<td class="memname">void obs_' in member
                found[name.group(1)] = (parameters, described, returns)
        return found


def symbols():
    with open(os.path.join(ROOT, "include", "obsabort.symbols"), encoding="ascii") as file:
        return [line.split()[0] for line in file if not line.startswith("#")]


def examples():
    with open(os.path.join(ROOT, "examples-c", "Makefile"), encoding="ascii") as file:
        return re.search(r"^names := (.*)$", file.read(), re.MULTILINE).group(1).split()


def check_symbols(pages):
    functions = pages["obsabort_8h.html"].functions()
    for symbol in symbols():
        assert symbol in functions, f"{symbol} has no place in the manual"
        parameters, described, returns = functions[symbol]
        assert parameters == described, f"{symbol}: its parameters are {parameters}, those with a description {described}"
        assert returns, f"{symbol}: what it returns is not described"
    return len(symbols())


def check_names(pages):
    """Doxygen makes links of the functions that it knows, and says nothing about others."""
    for name in "index.html", "obsabort_8h.html":
        prose = re.sub(r'<div class="line">.*?</div>|<(pre|a|h2) .*?</\1>', "", pages[name].text, flags=re.DOTALL)
        plain = re.sub("<[^>]*>", "", prose)
        unknown = set(re.findall(r"\bobs_abort_\w*\w\(\)", plain))
        assert not unknown, f"{name} speaks of {unknown}"


def check_examples(pages):
    shown = {name for name in pages if name.endswith("-example.html")}
    expected = {f"{name}_8c-example.html" for name in examples()}
    assert shown == expected, f"programs that are shown, or compiled, but not both: {shown ^ expected}"
    for name in examples():
        with open(os.path.join(ROOT, "examples-c", f"{name}.c"), encoding="utf-8") as file:
            lines = [line.rstrip() for line in file]
        assert pages[f"{name}_8c-example.html"].code() == lines, f"{name}.c is shown in another form"
    return len(expected)


def check_links(folder, pages):
    for name, page in pages.items():
        for link in page.loaded:
            assert not re.match(r"[a-z]+:|//", link), f"{name} loads {link}"
            assert os.path.exists(os.path.join(folder, link)), f"{name} loads {link}, which is not there"
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("http", "https", "mailto"), f"{name} links to {link}"
                continue
            target = urllib.parse.unquote(parts.path) or name
            assert os.path.exists(os.path.join(folder, target)), f"{name} links to {link}, which is not there"
            if parts.fragment and target.endswith(".html"):
                assert urllib.parse.unquote(parts.fragment) in pages[target].anchors, f"{name} links to {link}: no such place"


def main():
    folder = sys.argv[1]
    names = [name for name in sorted(os.listdir(folder)) if name.endswith(".html")]
    pages = {name: Page(os.path.join(folder, name)) for name in names}
    functions, programs = check_symbols(pages), check_examples(pages)
    check_names(pages)
    check_links(folder, pages)
    for page in sorted(name[:-3] for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")):
        assert f"{page}.html" in pages, f"docs/{page}.md is not part of the manual"
    print(f"{len(pages)} pages, {functions} functions, {programs} programs, and no link without an end")


if __name__ == "__main__":
    main()
