# SPDX-License-Identifier: MIT OR Apache-2.0
"""What several writers do to one file: which of it may be there after a kill, by when each step began
and ended."""
import os

import kill9_log

FIRST_LINE = "first\n"


def steps(logs, key):
    """(when it began, when it ended or None, its line) of all steps of all logs that say so."""
    found = []
    for lines in logs:
        for at, line in enumerate(lines):
            if key in line:
                ended = at + 1 < len(lines) and "end" in lines[at + 1]
                found.append((line["at"], lines[at + 1]["at"] if ended else None, line))
    return found


def check_lines(path, logs):
    """Each line whose close had returned, none twice, none cut, and no other than were begun."""
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    said = steps(logs, "line")
    assert lines[:1] == [FIRST_LINE], f"{path} begins with {lines[:1]}"
    assert len(set(lines)) == len(lines), f"{path}: a line is there twice"
    lost = {line["line"] for _, ended, line in said if ended} - set(lines)
    assert not lost, f"{path}: lost {sorted(lost)}"
    strange = set(lines[1:]) - {line["line"] for _, _, line in said}
    assert not strange, f"{path}: who wrote {sorted(strange)}?"


def check_target(path, before, logs, happened):
    """What it is called now. happened: whether a rename that has not returned took place, by its line."""
    found = kill9_log.entry(path)[2] if os.path.lexists(path) else None
    done = [(began, ended, line["digest"]) for began, ended, line in steps(logs, "target")
            if os.path.basename(path) == f"t{line['target']}" and (ended or happened(line))]
    latest_begin = max((began for began, ended, _ in done if ended), default=None)
    allowed = {one for began, ended, one in done
               if ended is None or latest_begin is None or ended >= latest_begin}
    if latest_begin is None:
        allowed.add(before)
    # one that did take place and whose call has not returned may yet have been replaced by another
    assert found in allowed, f"{path} has {found}, not one of {sorted(map(str, allowed))}"
    return found
