# SPDX-License-Identifier: MIT OR Apache-2.0
"""The order of the house: who may include whom, what every file opens with, which clause has which
test, and that documents say what the programs do."""
import ast
import json
import re
import subprocess
from graphlib import TopologicalSorter

import pytest

import paths

ROOT = paths.ROOT
LINES_OF_A_FILE = 500
LINES_OF_A_FUNCTION = 35  # between its braces; the longest that there was when this was written

TOP_LEVEL = {"meson.build", "meson_options.txt", "src", "fuse", "tests", "corpus", "contrib",
             "README.md", "LICENSE-MIT", "LICENSE-APACHE"}

# Who may include whom in src/: each module (log.c, log_open.c and log.h are one) with the modules
# whose headers it may name. Downwards only: a row names rows above it. Everybody may use util, and
# base, which sees itself alone.
MODULES = """
util:
error:
crc32c:
io:
usage:
history:
text:
file: io
reserve: file io
lock: file io
atomic: file io
frame: crc32c
header: text
horizon: text
tags: horizon
moves:
slabs:
facts: slabs
keydir: slabs usage moves frame
batch: frame header crc32c
segment: frame file io
scan: segment frame
index: segment frame file io
operation: scan segment header
report: segment io
remains: operation scan segment frame
recover: remains operation report index scan segment file io
iter: recover operation scan segment
log: recover iter batch lock report reserve index scan segment frame file io
reader: recover iter report scan segment io
kv: io batch log reader keydir horizon tags report segment
value: kv segment frame
cursor: kv keydir usage
keep: kv keydir log
scrub: kv log index scan segment
target: log file io
regroup: header text
salvage: reader target regroup remains report horizon log segment file io
gather: kv segment
compact: gather kv target log file segment frame io
export: gather kv file atomic
reclaim: kv log facts header horizon keydir index scan segment io
"""

# The same for fuse/, by rooms. Everybody may use what is in base.
MODULES_OF_FUSE = """
errmap:
errands:
compaction:
tree/name:
tree/listing:
tree/nodeid:
tree/ino:
tree/slab:
tree/shorttime:
tree/node: tree/nodeid tree/slab tree/shorttime
tree/children: tree/node
tree/treename: tree/children tree/node tree/name
tree/nodeattr: tree/node
tree/number: tree/treename tree/node tree/name tree/ino
tree/tree: tree/number tree/treename tree/children tree/node
tree/owntime:
tree/replay: tree/tree tree/number tree/owntime tree/treename tree/children tree/nodeattr
tree/replayer: tree/replay
tree/beside: tree/tree tree/treename tree/children tree/nodeattr tree/node
fs: errmap errands compaction tree/node
txn: fs tree/number tree/nodeattr
file/damage: fs tree/treename
file/area:
file/bytes: file/area
file/whole: file/bytes
file/stage: file/whole file/bytes file/damage txn fs tree/tree tree/treename tree/nodeattr
file/content: file/stage file/damage tree/nodeattr
file/publish: file/stage txn tree/beside tree/tree tree/number tree/treename tree/nodeattr
file/handle: file/publish file/content txn tree/tree tree/nodeattr
file/unfinished: file/stage txn tree/treename
file/rebase: file/stage fs tree/tree
file/rename_dir: file/publish file/damage txn fs tree/number tree/treename tree/nodeattr
file/pending: file/unfinished file/handle file/publish txn fs tree/tree tree/treename
log/logname:
log/lognumber: log/logname tree/ino
log/logfile: log/logname fs
log/compacttext: fs
log/logtext: log/compacttext file/damage file/pending file/unfinished fs
log/logdir: log/logtext log/lognumber log/logfile log/logname fs tree/listing
ops/ops: log/logdir file/stage txn fs tree/beside tree/tree tree/nodeattr
ops/ops_attr: ops/ops file/handle file/publish txn tree/tree tree/treename tree/nodeattr
ops/ops_dir: ops/ops file/pending txn tree/tree tree/children tree/nodeattr
ops/ops_file: ops/ops file/handle tree/nodeattr
ops/ops_name: ops/ops file/handle file/publish txn tree/beside tree/tree tree/treename tree/children tree/nodeattr
ops/ops_rename: ops/ops file/rename_dir file/publish txn tree/tree tree/treename tree/nodeattr
ops/ops_xattr: ops/ops file/publish txn tree/tree tree/treename tree/nodeattr
ops/table: ops/ops ops/ops_attr ops/ops_dir ops/ops_file ops/ops_name ops/ops_rename ops/ops_xattr txn tree/tree
mount/messages:
mount/refusal:
mount/confine:
mount/resources:
mount/options: mount/messages fs
mount/mounting: mount/options mount/messages log/logname
mount/remount: mount/options mount/messages
mount/spin:
mount/loop: mount/spin
mount/session: mount/loop mount/confine mount/options mount/refusal mount/messages ops/table fs
mount/background: mount/session mount/messages
mount/watcher: mount/loop mount/session mount/messages file/pending
mount/store: log/logdir file/damage file/handle file/publish file/unfinished txn fs tree/replayer tree/replay
mount/giveback: fs
mount/modest:
mount/pace:
mount/keeper: mount/pace file/area file/pending txn fs
mount/compactor: mount/giveback mount/modest file/rebase fs
mount/scrubber: mount/modest mount/pace file/damage fs
mount/daemon: mount/compactor mount/scrubber mount/confine mount/keeper mount/loop mount/store mount/watcher mount/background mount/session mount/options mount/resources mount/messages file/damage file/pending
main: mount/confine mount/daemon mount/background mount/remount mount/mounting mount/options mount/messages
"""


def table_of(text):
    rows = [row.split(":") for row in text.strip().splitlines()]
    return {module: set(others.split()) for module, others in rows}


MAY_INCLUDE, MAY_INCLUDE_IN_FUSE = table_of(MODULES), table_of(MODULES_OF_FUSE)
PURE_OF_FUSE = {"errands", "tree/name", "tree/nodeid", "tree/ino", "tree/slab", "tree/shorttime"}


def tracked():
    """The files of the source tree, by git where it is a checkout, or as they lie there."""
    done = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached",
                           "--others", "--exclude-standard"],
                          cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0 and (ROOT / ".git").exists():
        names = [n.decode() for n in done.stdout.split(b"\0") if n]
        return [ROOT / n for n in names if (ROOT / n).is_file()]
    ignored = {".git", "__pycache__", "build", "log", "files"}
    return [p for p in ROOT.rglob("*") if p.is_file() and not ignored & set(p.relative_to(ROOT).parts)]


FILES = tracked()


def relative(path):
    return path.relative_to(ROOT).as_posix()


def quoted_includes(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M)


def sources(directory, *suffixes):
    return [p for p in FILES if relative(p).startswith(directory + "/") and p.suffix in suffixes]


BASE = {p.name for p in sources("src/base", ".h")}  # what library, CLI and daemon share
BASE_OF_THE_LOG = {"findings", "logtime", "unfinished_head", "rawkind"}  # the only ones there that know datawal.h


def functions(path):
    """The functions that a file defines: each its head, in one line, and the lines of its body. As
    clang-format writes them: a brace alone at the start of a line, and its head above it."""
    lines = path.read_text().splitlines()
    for start in (number for number, line in enumerate(lines) if line == "{"):
        head = start - 1
        while lines[head][0].isspace():
            head -= 1
        yield " ".join(lines[head:start]), lines[start + 1:lines.index("}", start)]


def is_source(path):
    return path.suffix in {".c", ".h", ".py", ".sh", ".1", ".8", ".ini"} or \
        path.name in {"meson.build", "meson_options.txt", "check", "quickstart", "run", "bench"}


def test_the_top_level_holds_only_what_it_may():
    top = {relative(p).split("/")[0] for p in FILES}
    assert {n for n in top if not n.startswith(".")} <= TOP_LEVEL
    assert TOP_LEVEL <= top


@pytest.mark.parametrize("path", [p for p in FILES if is_source(p)], ids=relative)
def test_source_opens_with_its_licence(path):
    head = path.read_text().splitlines()[:3]
    assert any("SPDX-License-Identifier: MIT OR Apache-2.0" in line for line in head)


@pytest.mark.parametrize("path", sources("src", ".c", ".h") + sources("fuse", ".c", ".h")
                         + sources("tests", ".py", ".c"), ids=relative)
def test_file_is_one_file_long(path):
    limit = 2 * LINES_OF_A_FILE if path.name == "datawal.h" else LINES_OF_A_FILE
    assert len(path.read_text().splitlines()) <= limit


@pytest.mark.parametrize("path", sources("src", ".c", ".h") + sources("fuse", ".c", ".h"),
                         ids=relative)
def test_no_function_is_long(path):
    def counts(line):
        return not re.fullmatch(r'\s*".*"[,);]*', line)  # what is only printed is no code

    lengths = {head: sum(map(counts, body)) for head, body in functions(path)}
    assert {head: n for head, n in lengths.items() if n > LINES_OF_A_FUNCTION} == {}


def shown(path):
    """The names of the functions of a file that others can call."""
    heads = [re.sub(r"__attribute__\(\(\w+(\(.*?\))?\)\) ", "", head) for head, _ in functions(path)]
    return {re.search(r"(\w+)\(", head)[1] for head in heads if not head.startswith("static ")}


def declared(headers):
    """The names of functions that headers declare."""
    text = "".join(header.read_text() for header in headers if header.exists())
    return set(re.findall(r"(\w+)\(", re.sub(r"/\*.*?\*/", "", text, flags=re.S)))


# What has no header of its own: a part of the module that has one (and cli.h is that of all of cli/).
PART_OF = {"value": "kv", "error": "util"}


@pytest.mark.parametrize("path", sources("src", ".c"), ids=relative)
def test_library_declares_each_function_where_it_is_looked_for(path):
    """In the header of its file, of its module (log_open.c: log.h, log_state.h) or the public one."""
    module = module_of(path.name)
    headers = [path.with_suffix(".h")]
    if path.parent.name == "cli":
        headers += [path.parent / "cli.h"]
    elif path.parent.name != "base":
        headers += path.parent.glob(f"{PART_OF.get(module, module)}*.h")
        headers += [ROOT / "src/include/datawal.h"]
    assert sorted(shown(path) - declared(headers) - {"main"}) == []


@pytest.mark.parametrize("path", sources("src", ".c", ".h"), ids=relative)
def test_library_includes_go_downwards(path):
    name = relative(path)
    if name.startswith("src/include/"):
        assert quoted_includes(path) == []
    elif name.startswith("src/cli/"):
        headers = {p.name for p in sources("src/cli", ".h")}
        assert set(quoted_includes(path)) <= headers | BASE | {"datawal.h"}
    elif name.startswith("src/base/"):
        of_the_log = {"datawal.h"} if path.stem in BASE_OF_THE_LOG else set()
        assert set(quoted_includes(path)) <= BASE | of_the_log
    else:
        module = module_of(path.name)
        assert module in MAY_INCLUDE, f"{name} has no row in MODULES"
        known = {module_of(i) for i in set(quoted_includes(path)) - BASE - {"datawal.h"}}
        assert known <= MAY_INCLUDE[module] | {module, "util"}


def test_a_header_of_base_has_a_name_of_its_own():
    """Its directory is searched beside the one of who includes it."""
    names = [p.name for p in sources("src", ".h") + sources("fuse", ".h")]
    assert [n for n in BASE if names.count(n) > 1] == []


@pytest.mark.parametrize("table", [MAY_INCLUDE, MAY_INCLUDE_IN_FUSE], ids=["src", "fuse"])
def test_the_table_of_modules_goes_downwards(table):
    above = set()
    for module, others in table.items():
        assert others <= above
        above.add(module)


def module_of(file_name):
    return re.split(r"[_.]", file_name)[0]


def module_of_fuse(path):
    """tree/node.c and tree/node.h are the module tree/node."""
    return relative(path.with_suffix("")).removeprefix("fuse/")


def modules_included(path):
    return {name.removesuffix(".h") for name in quoted_includes(path) if name not in BASE | {"datawal.h"}}


@pytest.mark.parametrize("path", sources("fuse", ".c", ".h"), ids=relative)
def test_datawalfs_includes_go_downwards(path):
    module, included = module_of_fuse(path), modules_included(path)
    assert module in MAY_INCLUDE_IN_FUSE, "it has no row in MODULES_OF_FUSE"
    assert included <= MAY_INCLUDE_IN_FUSE[module] | {module}
    if module in PURE_OF_FUSE:
        assert included <= PURE_OF_FUSE
        assert "<fuse" not in path.read_text()


def room_of(module):
    """A directory is a room, and so is a file beside main.c."""
    return module.split("/")[0]


@pytest.mark.parametrize("part", [str, room_of], ids=["modules", "rooms"])
def test_no_part_of_datawalfs_needs_one_that_needs_it(part):
    graph = {}
    for path in sources("fuse", ".c", ".h"):
        one = part(module_of_fuse(path))
        graph.setdefault(one, set()).update({part(other) for other in modules_included(path)} - {one})
    TopologicalSorter(graph).prepare()  # CycleError names the cycle


def test_the_rooms_are_listed_from_top_to_bottom():
    text = (ROOT / "fuse/README.md").read_text().split("\n## ")[0]
    rows = [set(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\|( `.*?)\|", text, re.M)]
    row_of = {room: number for number, row in enumerate(rows) for room in row}
    files = sources("fuse", ".c", ".h")
    assert set(row_of) == {room_of(module_of_fuse(path)) for path in files}
    above = [(relative(path), other) for path in files for other in modules_included(path)
             if row_of[room_of(other)] < row_of[room_of(module_of_fuse(path))]]
    assert above == []


@pytest.mark.parametrize("path", sources("fuse", ".c"), ids=relative)
def test_datawalfs_has_a_header_for_each_file_with_what_it_shows(path):
    assert sorted(shown(path) - declared([path.with_suffix(".h")]) - {"main"}) == []


@pytest.mark.parametrize("path", sources("contrib/examples", ".c") + sources("tests/programs", ".c"),
                         ids=relative)
def test_examples_see_only_the_public_header(path):
    assert set(quoted_includes(path)) <= {"datawal.h"}
    assert "datawal.h" in path.read_text()


def listing_of(path):
    """The text of the meson.build that is responsible for a file: the nearest one upwards."""
    directory = path.parent
    while not (directory / "meson.build").exists():
        directory = directory.parent
    return (directory / "meson.build").read_text()


def test_every_c_file_is_built():
    files = [p for p in FILES if p.suffix == ".c"]
    assert [relative(p) for p in files
            if p.name not in listing_of(p) and f"'{p.stem}'" not in listing_of(p)] == []


def test_nothing_generated_is_in_the_tree():
    generated = {".o", ".a", ".so", ".pyc", ".log", ".tmp", ".orig", ".rej"}
    assert [relative(p) for p in FILES if p.suffix in generated or "__pycache__" in p.parts] == []


def clauses():
    """id -> its text, up to the next clause or heading, from both documents."""
    found = {}
    for document, letter in (("src/CANON.md", "C"), ("fuse/SEMANTICS.md", "S")):
        text = (ROOT / document).read_text()
        heads = list(re.finditer(rf"\*\*({letter}\d+[a-z]?)\.?\*\*", text))
        for head, following in zip(heads, heads[1:] + [None]):
            end = following.start() if following else len(text)
            assert head[1] not in found, f"{head[1]} twice"
            found[head[1]] = text[head.end():end].split("\n#")[0]
    return found


def marks():
    """id -> the tests that carry it; read from the source, so that nothing need be imported."""
    found = {}
    for path in sources("tests", ".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.clause"):
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{path}: not a plain clause number"
                    found.setdefault(argument.value, set()).add(relative(path))
    return found


def test_every_clause_has_a_test_or_is_not_yet():
    marked = marks()
    assert [c for c, text in clauses().items() if c not in marked and "not yet" not in text] == []


def test_every_mark_has_a_clause():
    assert sorted(set(marks()) - set(clauses())) == []


def test_the_design_names_clauses_that_there_are():
    named = set(re.findall(r"\b[CS]\d+[a-z]?\b", (ROOT / "corpus/DESIGN.md").read_text()))
    assert sorted(named - set(clauses())) == []


def test_version_is_the_same_everywhere(build, datawal):
    header = (ROOT / "src/include/datawal.h").read_text()
    version = ".".join(re.findall(r"^#define DWAL_VERSION_[A-Z]+ (\d+)$", header, re.M))
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert version not in (ROOT / "meson.build").read_text()
    # without the log that meson keeps of each call, as tests run beside each other
    about = json.loads((build / "meson-info/intro-projectinfo.json").read_text())
    assert about["version"] == version
    assert version in datawal("--version").stdout.decode()
    daemon = subprocess.run([paths.program("fuse/datawalfs"), "--version"], capture_output=True,
                            text=True, check=True, timeout=10)
    assert version in daemon.stdout


def test_a_warning_is_an_error_in_contrib_check_only():
    assert "werror" not in (ROOT / "meson.build").read_text()
    assert "-Dwerror=true" in (ROOT / "contrib/check").read_text()
