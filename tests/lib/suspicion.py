# SPDX-License-Identifier: MIT OR Apache-2.0
"""Words on a program's stderr that fail a test whatever else it saw."""
import re

SUSPICIOUS = re.compile(
    r"ERROR: (Address|Leak|Undefined|Memory|Thread)\w*Sanitizer|SUMMARY: \w+Sanitizer|runtime error:"
    r"|LeakSanitizer|Assertion .* failed|^fuse: (bad|warning|failed)|double free|corrupted"
    r" (size|unsorted|top)|free\(\): invalid|stack smashing|Segmentation fault|Aborted", re.M)


def check(name: str, stderr) -> None:
    """Fails when stderr holds what no healthy program prints."""
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
    found = SUSPICIOUS.search(text)
    assert not found, f"{name} printed {found.group(0)!r}:\n{text[-8000:]}"
