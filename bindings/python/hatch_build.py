"""A wheel with a library in it is for one platform, and for any Python 3. One without uses the system's library."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformTag(BuildHookInterface):
    def initialize(self, version, build_data):
        platform = os.environ.get("OBSABORT_WHEEL_PLATFORM")
        if platform:
            build_data.update(pure_python=False, tag=f"py3-none-{platform}")
