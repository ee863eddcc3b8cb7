# SPDX-License-Identifier: MIT OR Apache-2.0
"""Where things are: the source tree, the build directory, the programs in it."""
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build_dir() -> Path:
    """DATAWAL_BUILD, or build/, or what contrib/check leaves."""
    given = os.environ.get("DATAWAL_BUILD")
    if given:
        return Path(given).resolve()
    for place in (ROOT / "build", ROOT / "build" / "gcc"):
        if (place / "build.ninja").exists():
            return place
    return ROOT / "build"


def program(name: str) -> Path:
    """A built program by its path in the build directory."""
    path = build_dir() / name
    if not path.exists():
        pytest.fail(f"{path} is not built: meson setup build && meson compile -C build, "
                    "or name a build directory in DATAWAL_BUILD", pytrace=False)
    return path
