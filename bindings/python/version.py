"""The version of the wheel is that of the library: it stands in Cargo.toml alone."""

import os
import re


def version():
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.environ.get("OBSABORT_CARGO_TOML") or os.path.join(here, "../../Cargo.toml")
    with open(path) as file:
        return re.search(r'(?m)^version = "(.*)"', file.read()).group(1)
