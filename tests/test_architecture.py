"""The shape of the package, read from its source: who imports whom, and which rooms are doors to the outside.

`docs/explanation/architecture.md` tells the rooms. Imports inside functions, and those that only a type checker reads,
count like the others.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.each import each

ROOT = Path(__file__).parents[1] / "claw_files"
ROOMS = (
    *("core", "formats", "config", "policy", "system", "storage", "processes", "integrations", "services"),
    *("presentation", "doctor", "app", "operations", "daemon", "http", "mcp", "demo", "cli", "__main__"),
)
PUBLISHED = "testing"  # for users' tests: it may import anything, and the package imports nothing of it
PURE = ("core", "formats", "config", "policy")
OUTSIDE = {"os", "time", "random", "secrets", "uuid", "subprocess", "socket", "shutil", "tempfile", "pathlib", "io"}
FEATURED = ("services", "integrations")  # their folders are features
LONGEST = 400

# What only some rooms may do. A room is named by itself; a single module by its path.
DOORS = {
    "open": {
        *("system", "storage", "processes", "integrations"),
        *("cli/base.py", "demo", "testing"),
    },
    "print": {"demo"},
    "input": {"cli"},
    "os.open": {
        *("system", "storage", "processes", "integrations", "doctor"),
        *("cli/entry_point.py", "demo", "daemon/log.py", "daemon/run_sockets.py", "mcp/stdio_transport.py"),
    },
    "os.replace": {"system", "processes/supervisor.py"},
    "os.rename": {"system", "storage", "processes", "demo"},
    "subprocess.run": {
        "cli/system_programs.py",
        "daemon/doctor_sync.py",
        "demo",
        "integrations/openclaw/installation.py",
        "processes/bubblewrap.py",
    },
    "subprocess.Popen": {"processes", "daemon/command_forwarder.py", "services/admin/cron_rounds.py"},
    "yaml.load": {"formats"},
    "os.system": set[str](),
    "eval": set[str](),
    "exec": set[str](),
}

MODULES = sorted(path for path in ROOT.rglob("*.py") if "_data" not in path.parts)


def name_of(path: Path) -> str:
    """ "policy.heartbeat_plan" for claw_files/policy/heartbeat_plan.py; "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def room_of(name: str) -> str:
    return name.partition(".")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """The full names of what the module imports: modules, and names that may be modules.

    `from package import module` names the module alone: that the package was imported for it says nothing.
    """
    found = set[str]()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner.removeprefix("claw_files.") in NAMES else node.module or "")
    return frozenset(found)


def ours(path: Path) -> set[str]:
    """Names of our own modules that it imports."""
    inside = {name.removeprefix("claw_files.") for name in imports(path) if name.startswith("claw_files.")}
    return {name for name in inside if name in NAMES}


@cache
def calls(path: Path) -> frozenset[str]:
    """The names of what the module calls: "open", "os.replace"."""
    called = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    of_modules = [it for it in called if isinstance(it, ast.Attribute) and isinstance(it.value, ast.Name)]
    return frozenset([ast.unparse(it) for it in of_modules] + [it.id for it in called if isinstance(it, ast.Name)])


def test_every_module_belongs_to_a_room() -> None:
    assert {room_of(name) for name in NAMES if name} <= {*ROOMS, PUBLISHED}


@each("name", [name for name in NAMES if name and room_of(name) != PUBLISHED])
def test_each_room_imports_only_from_rooms_before_it(name: str) -> None:
    mine = ROOMS.index(room_of(name))
    allowed = {*ROOMS[: mine + 1]}

    assert {other for other in ours(NAMES[name]) if room_of(other) not in allowed} == set()


@each("name", [name for name in NAMES if room_of(name) in PURE])
def test_pure_rooms_know_no_files_no_clock_and_no_chance(name: str) -> None:
    assert {module for module in imports(NAMES[name]) if module.partition(".")[0] in OUTSIDE} == set()


@each("name", [name for name in NAMES if room_of(name) in PURE])
def test_pure_rooms_do_not_read_the_clock(name: str) -> None:
    clocks = {f"{owner}.{call}" for owner in ("datetime", "date") for call in ("now", "utcnow", "today")}

    assert clocks.isdisjoint(calls(NAMES[name]))


@each("name", NAMES)
def test_no_module_is_longer_than_one_sitting(name: str) -> None:
    assert len(NAMES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST


def folder_of(name: str) -> str:
    """The room, or the folder of a room with features: "services.tasks"."""
    return ".".join(name.split(".")[: 2 if room_of(name) in FEATURED else 1])


@each("part_of", [str, folder_of])
def test_no_module_and_no_folder_imports_itself_in_a_circle(part_of: Callable[[str], str]) -> None:
    graph: dict[str, set[str]] = {}
    for name, path in NAMES.items():
        graph.setdefault(part_of(name), set()).update(map(part_of, ours(path)))
    TopologicalSorter({name: others - {name} for name, others in graph.items()}).prepare()  # raises for a circle


@each("call", DOORS)
def test_calls_to_the_outside_are_made_only_in_the_rooms_allowed_to(call: str) -> None:
    callers = {path.relative_to(ROOT).as_posix(): name for name, path in NAMES.items() if call in calls(path)}
    strangers = {file for file, name in callers.items() if not {file, room_of(name)} & DOORS[call]}

    assert strangers == set()


def runtime_tests(tree: ast.AST) -> Iterator[str]:
    """Each comparison, `match` and lookup that asks by name which runtime an agent or a session has."""
    for node in ast.walk(tree):
        asked: list[ast.AST] = []
        if isinstance(node, ast.Match):
            asked = [node.subject]
        elif isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators] if any(map(is_text, ast.walk(node))) else []
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            asked = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            asked = [node.func.value]
        if any("runtime" in (getattr(it, "attr", ""), getattr(it, "id", "")) for it in asked):
            yield ast.unparse(node)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@each("name", NAMES)
def test_no_module_asks_for_a_runtime_by_its_name(name: str) -> None:
    assert list(runtime_tests(tree_of(NAMES[name]))) == []


@each("text", ['a.runtime == "acp"', '"acp" == runtime', 's.runtime in ("acp", "x")', '{"acp": 1}[a.runtime]'])
def test_a_question_for_a_runtime_is_found_however_it_is_written(text: str) -> None:
    assert list(runtime_tests(ast.parse(text))) == [ast.unparse(ast.parse(text))]


def test_the_page_tells_every_room() -> None:
    page = (ROOT.parent / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    rooms = {room_of(name) for name in NAMES if name} - {"__main__"}

    assert {room for room in rooms if f"| `{room}" not in page} == set()


def is_private(node: ast.AST) -> bool:
    """Whether it is a constant that names something private: "_name", "module.Class._name"."""
    words = str(node.value).split(".") if isinstance(node, ast.Constant) else []
    return any(word.startswith("_") and not word.startswith("__") for word in words)


def private_patches(path: Path) -> Iterator[str]:
    """The lines in which something that begins with an underscore is replaced in another object: "file, line 3"."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = False
        match node:
            case ast.Call(func=ast.Attribute(attr="setattr" | "object") | ast.Name(id="setattr"), args=arguments):
                found = any(map(is_private, arguments[:2]))
            case ast.Tuple(elts=[ast.Name(), name, *_]):  # (module, "name") in a list of what is replaced
                found = is_private(name)
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name)]):
                found = owner != "self" and name.startswith("_") and not name.startswith("__")
        if found:
            yield f"{path.name}, line {getattr(node, 'lineno', 0)}"


def test_no_test_replaces_a_private_name() -> None:
    assert [line for path in (ROOT.parent / "tests").rglob("*.py") for line in private_patches(path)] == []


SUPPRESSION = re.compile(r"# (?:noqa|type: ignore)(?:: ?[A-Z0-9, ]+|\[[^]]*\])?(?P<why>.*)")


@each("folder", ["claw_files", "tests", "benchmarks"])
def test_each_suppression_says_why(folder: str) -> None:
    files = (ROOT.parent / folder).rglob("*.py")
    lines = ((path, line) for path in files if path != Path(__file__) for line in path.read_text().splitlines())
    found = ((path, line, SUPPRESSION.search(line)) for path, line in lines)
    silent = [f"{path.name}: {line.strip()}" for path, line, match in found if match and not match["why"].strip(" -#")]
    assert silent == []


def test_a_class_name_stands_once_in_the_package() -> None:
    places: dict[str, list[str]] = {}
    for name, path in NAMES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name)

    assert {name: where for name, where in places.items() if len(where) > 1} == {}


# The modules that know of compartments. Everybody else gets the workspace to act on, or asks the resolver for it.
COMPARTMENTS = {
    *("config.cross_checks", "config.settings", "config.table", "config.value_forms", "policy.visibility"),
    *("doctor.checks.compartments", "doctor.checks.names", "doctor.checkup", "doctor.codes"),
    *("doctor.repair_compartments", "storage.places", "system.file_owner", "daemon.watched_folders"),
    *("app.context", "app.resolver", "app.wiring", "services.compartments.compartments"),
    *("services.heartbeat.heartbeat", "operations.move_operations"),
}
_KNOWS = re.compile(r"compartment|^visibility$", re.IGNORECASE)


def words_of(path: Path) -> Iterator[str]:
    """The module's own name, the names that its code uses and imports, and its texts of one word, such as a path."""
    yield path.stem
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=str(name)) | ast.keyword(arg=str(name)):
                yield name
            case ast.ImportFrom(module=module, names=names):
                yield from ((module or "").rpartition(".")[2], *(alias.name for alias in names))
            case ast.Constant(value=str(text)) if " " not in text:
                yield text


def test_few_modules_know_of_compartments() -> None:
    knows = {name for name, path in NAMES.items() if any(_KNOWS.search(word) for word in words_of(path))}

    assert knows == COMPARTMENTS
