# SPDX-License-Identifier: MIT OR Apache-2.0
"""Components of keys and their file names, by the words of fuse/tree/name.h and nothing else: the other
opinion beside fuse/tree/name.c. Slow and plain: each rule is one function."""
import re

NAME_MAX = 255
VALUE = b"\\value"
ESCAPES = {b"\0": b"\\x00", b"/": b"\\x2f", b"\\": b"\\x5c"}
FULL_FORM = re.compile(rb"(?:[^\\]|\\x00|\\x2f|\\x5c)*\Z", re.S)
NOT_A_COMPONENT = re.compile(rb"[^/]/.", re.S)  # it would be cut there


def fnv1a_128(data):
    number = 0x6c62272e07bb014262b821756295c58d
    for byte in data:
        number = (number ^ byte) * (2**88 + 2**8 + 0x3b) % 2**128
    return number


def cannot_be_shown(raw, first=True):
    """No file name, or one that means something else."""
    return (not raw or b"\0" in raw or b"/" in raw or raw in (b".", b"..") or raw.endswith(VALUE)
            or (first and raw == b".log"))


def full_form(raw, first=True):
    if raw == b"":
        return b"\\empty"
    if raw in (b".", b"..") or (first and raw == b".log"):
        return b"\\x2e" + raw[1:]
    return re.sub(rb"[\0/\\]", lambda found: ESCAPES[found[0]], raw)


def undo(name, first=True):
    """The component whose full form this is, or None."""
    if first and name == b"\\empty":
        return b""
    if name in (b"\\x2e", b"\\x2e.") or (first and name == b"\\x2elog"):
        return b"." + name[4:]
    if not FULL_FORM.match(name):
        return None
    raw = re.sub(rb"\\x(..)", lambda found: bytes.fromhex(found[1].decode()), name)
    return None if raw == name or NOT_A_COMPONENT.search(raw) else raw


def shows_in_full_form(raw, first=True):
    while raw is not None and not cannot_be_shown(raw, first):
        raw = undo(raw, first)
    return raw is not None


def form_of(raw, first=True):
    return full_form(raw, first) if shows_in_full_form(raw, first) else raw


def units(raw, first):
    """The form in pieces that a long name may be cut between."""
    form = form_of(raw, first)
    escapes = rb"\\x00|\\x2e|\\x2f|\\x5c" if form != raw else rb"(?!)"
    at = 0
    while at < len(form):
        size = 4 if re.compile(escapes).match(form, at) else next(
            (n for n in (1, 2, 3, 4) if is_character(form[at:at + n])), 1)
        yield form[at:at + size]
        at += size


def is_character(data):
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def name_of(raw, first=True, value=False):
    """The file name of a component; value: with the suffix of a key beside a directory."""
    form = form_of(raw, first) + (VALUE if value else b"")
    if len(form) <= NAME_MAX:
        return form
    end = b"\\long-%032x" % fnv1a_128(form)
    prefix = b""
    for unit in units(raw, first):
        if len(prefix + unit + end) > NAME_MAX:
            break
        prefix += unit
    return prefix + end


def key_of_name(name, first=True, directory=False):
    """What a program makes that creates this name: (component, is it a value beside a directory), or
    None where it cannot be created."""
    if not directory and name.endswith(VALUE):
        made = key_of_name(name[:-len(VALUE)], first, True)
        return made and (made[0], True)
    if cannot_be_shown(name, first):
        return None
    raw = undo(name, first) if shows_in_full_form(name, first) else name
    return None if directory and (not raw or raw.endswith(b"/")) else (raw, False)


def components(key):
    """The raw components of a key."""
    cuts = [at for at in range(1, len(key) - 1) if key[at] == ord("/") and key[at - 1] != ord("/")]
    return [key[start:end] for start, end in zip([0] + [at + 1 for at in cuts], cuts + [len(key)])]


def path_of(key):
    """The path of a key that is in conflict with no directory."""
    return b"/".join(name_of(raw, at == 0) for at, raw in enumerate(components(key)))


def paths_of(keys):
    """path -> key of a whole store."""
    directories = {tuple(parts[:depth]) for parts in map(components, keys)
                   for depth in range(1, len(parts))}
    paths = {}
    for key in keys:
        parts = components(key)
        names = [name_of(raw, at == 0) for at, raw in enumerate(parts)]
        if tuple(parts) in directories:
            names[-1] = name_of(parts[-1], len(parts) == 1, True)
        path = b"/".join(names)
        assert path not in paths, (path, key, paths[path])
        paths[path] = key
    return paths
