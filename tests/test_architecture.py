"""The rules of the house, held against the source: who may import whom, and what nobody may do."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pictact_actors
from pictact_actors import errors
from pictact_actors.model.commands import COMMANDS
from pictact_actors.model.records import RECORDS, AnsweredRequest

PACKAGE = Path(pictact_actors.__file__).parent
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
LAYERS = (
    {"errors", "config", "clock", "log", "ordered", "threads"},
    {"model"},
    {"storage"},
    {"runtime"},
    {
        "retrying",
        "verbs",
        "aio_verbs",
        "transaction",
        "aio_transaction",
        "store",
        "aio",
        "alarms",
        "archiving",
        "backups",
        "console",
        "janitor",
        "lifecycle",
        "metrics",
        "scrubbing",
        "services",
        "serving",
        "tracing",
        "testing",
    },
    {"cli"},
    {"__init__", "__main__"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
PURE = {"asyncio", "io", "logging", "os", "pathlib", "queue", "random", "socket", "subprocess", "threading"}
IMPORT_NAMES = {
    "google-crc32c": "google_crc32c",
    "hdrhistogram": "hdrh",
    "opentelemetry-api": "opentelemetry",
    "plyvel-next": "plyvel_next",
    "prometheus-client": "prometheus_client",
}
EXTRAS = {"otel"}
"""What a host may have; the store works without."""
TERMINAL = {"click", "rich"}
DATABASE = {"plyvel", "plyvel_next"}
FORBIDDEN = {
    "iterator": "it ends early and silently on a damaged block: read through raw_iterator, behind one function",
    "snapshot": "held across writes, deleted keys come back: a plain iterator pins a consistent view already",
    "repair_db": "it takes no lock, skips checksums and syncs nothing: rebuild the state from the journal",
    "stop_all": "it stops the host's actors too: stop your own by reference",
    "basicConfig": "the host's logging is the host's: emit through pictact_actors.log",
    "dictConfig": "the host's logging is the host's: emit through pictact_actors.log",
    "setswitchinterval": "the host's interpreter is the host's",
}
BLOCKING = {
    "ask": "actors never wait on actors: send with `tell` and answer through a Reply",
    "proxy": "actors never wait on actors: a proxy is an `ask` in disguise",
}
WAITS = {
    "runtime.committer": {"self._queue.get": "its own work", "self._thread.join": "who closes the store"},
    "runtime.feed": {"event.wait": "readers of the feed, for the next commit; in an actor it is refused"},
    "runtime.gate": {"self._room.wait_for": "senders, for room"},
    "runtime.incarnation": {"self._leaving.acquire": "the supervisor, for an actor to let go: a tenth of a second"},
    "runtime.reply": {"lock.acquire": "senders, for their answer; in an actor it is refused"},
    "runtime.shard": {"self.locks.acquire": "nobody: a lock table notes who waits"},
    "runtime.space": {
        "self._wake.wait": "its own work",
        "self._thread.join": "who closes the store",
        "notice.done.wait": "its own thread, for the committer",
    },
    "runtime.supervisor": {"self._called.wait": "its own work", "self._thread.join": "who closes the store"},
}
"""Every call in the runtime that may block, and who waits there for what: never an actor."""

each_module = pytest.mark.parametrize("module", MODULES)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def imports(module: str, *, at_run_time: bool = False) -> Iterator[str]:
    """Yield the dotted names a module imports, wherever in it; `at_run_time` leaves out what only types need."""
    nodes = list(ast.walk(tree(module)))
    for node in nodes if at_run_time else ():
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            typed = {id(inner) for statement in node.body for inner in ast.walk(statement)}
            nodes = [one for one in nodes if id(one) not in typed]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: import by the full name, not {ast.unparse(node)!r}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module: str, *, at_run_time: bool = False) -> set[str]:
    """Return the modules of this package that a module imports."""
    found = set()
    for name in imports(module, at_run_time=at_run_time):
        head, _, rest = name.partition(".")
        if head == "pictact_actors":
            of_module, of_name = rest, rest.rpartition(".")[0]
            found |= {next((one for one in (of_module, of_name, f"{of_name}.__init__") if one in MODULES), "__init__")}
    return found


def foreign_imports(module: str) -> set[str]:
    heads = {name.partition(".")[0] for name in imports(module)}
    return heads - sys.stdlib_module_names - {"pictact_actors"}


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


@each_module
def test_imports_go_down_only(module: str) -> None:
    top = module.partition(".")[0]
    assert top in LEVEL, f"{module}: give it a place in LAYERS of this test"
    upward = {name for name in own_imports(module) if LEVEL[name.partition(".")[0]] > LEVEL[top]}
    assert not upward, f"{module} imports {upward} from a layer above: move what it needs down, or pass it in"


def test_imports_make_no_cycle() -> None:
    waiting = {module: own_imports(module, at_run_time=True) - {module} for module in MODULES}
    while free := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in free}
    assert not waiting, f"these import each other in a circle: {sorted(waiting)}"


@pytest.mark.parametrize("library", sorted(set().union(*map(foreign_imports, MODULES)) - {"plyvel_next"}))
def test_a_library_has_one_importer(library: str) -> None:
    names = DATABASE if library in DATABASE else {library}
    importers = [module for module in MODULES if foreign_imports(module) & names]
    if library in TERMINAL:
        strays = [module for module in importers if not module.startswith("cli.")]
        assert not strays, f"{library} belongs to the command line, not to {strays}"
    else:
        assert len(importers) == 1, f"{library} is imported by {importers}: go through the one module that owns it"


def test_every_dependency_is_declared_and_used() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for name in EXTRAS for line in project["optional-dependencies"][name]]
    declared = {line.partition(">")[0].strip() for line in [*project["dependencies"], *extras]}
    used = set().union(*map(foreign_imports, MODULES))
    assert {IMPORT_NAMES.get(name, name) for name in declared} == used, "pyproject.toml and the imports disagree"


@each_module
def test_only_clock_reads_the_time(module: str) -> None:
    heads = {name.partition(".")[0] for name in imports(module)}
    readings = {ast.unparse(call.func) for _, call in calls(module)} & {
        f"{prefix}{cls}.{reading}"
        for prefix in ("", "datetime.")
        for cls in ("datetime", "date")
        for reading in ("now", "utcnow", "today")
    }
    assert module == "clock" or ("time" not in heads and not readings), f"{module}: take the time from clock.py"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("model.")])
def test_the_model_is_pure(module: str) -> None:
    heads = {name.partition(".")[0] for name in imports(module)}
    assert not heads & PURE, f"{module}: the model has no threads, no disk and no chance: move it to runtime or storage"


@each_module
def test_nobody_calls_what_harms_the_data_or_the_host(module: str) -> None:
    found = {name: FORBIDDEN[name] for name, _ in calls(module) if name in FORBIDDEN}
    assert not found, f"{module}: {found}"


@each_module
def test_only_the_command_line_prints_and_handles_signals(module: str) -> None:
    if not module.startswith("cli."):
        assert "print" not in {name for name, _ in calls(module)}, f"{module}: return it, or log an event"
        assert "signal" not in set(imports(module)), f"{module}: signals belong to the host"


def waits_in(source: ast.AST) -> set[str]:
    """Return the calls that may block, by what is called."""
    found = (node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return {ast.unparse(call.func) for call in found if blocks(call, call.func)}  # type: ignore[arg-type]  # it is one


def blocks(call: ast.Call, called: ast.Attribute) -> bool:
    """Whether a call may block, by its name and what is passed."""
    options = {option.arg: ast.unparse(option.value) for option in call.keywords}
    if options.get("block", options.get("blocking")) == "False":
        return False
    match called.attr:
        case "wait" | "wait_for" | "result" | "acquire" | "sleep":
            return True
        case "join":
            return not isinstance(called.value, ast.Constant | ast.JoinedStr)  # of strings
        case "get":
            by_place = [ast.unparse(one) for one in call.args]
            timed = any(re.fullmatch(r"True|[0-9.]+|.*(_s|timeout)", one) for one in by_place[:1])
            return not by_place or timed or bool({"timeout", "block"} & options.keys())
        case "stop":
            return ast.unparse(called.value).endswith("ref")  # an actor's, unless told not to block
    return False


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("runtime.")])
def test_actors_never_wait_on_actors(module: str) -> None:
    found = {name: BLOCKING[name] for name, _ in calls(module) if name in BLOCKING}
    assert not found, f"{module}: {found}"
    known = WAITS.get(module, {}).keys()
    assert waits_in(tree(module)) == known, (
        f"{module} waits: answer through a Reply, or say in WAITS who waits for what"
    )


@pytest.mark.parametrize(
    "line",
    [
        "future.get()",
        "reply.get(timeout=5)",
        "reply.get(5.0)",
        "self.call.get(timeout_s)",
        "answers.get(True)",
        "answers.get(block=True)",
        "future.result()",
        "done.wait()",
        "done.wait(1.0)",
        "room.wait_for(lambda: done)",
        "link.actor.thread.join()",
        "thread.join(5)",
        "lock.acquire()",
        "lock.acquire(timeout=1)",
        "actor_ref.stop()",
        "self._ref.stop(block=True)",
        "clock.sleep(1)",
    ],
)
def test_a_wait_is_found(line: str) -> None:
    assert waits_in(ast.parse(f"def apply(self, shard):\n    return [{line} for call in shard.calls]"))


@pytest.mark.parametrize(
    "line",
    [
        "cache.get(key)",
        "holders.get(group, None)",
        "', '.join(names)",
        "f'{sep}'.join(names)",
        "lock.acquire(blocking=False)",
        "answers.get(block=False)",
        "answers.get_nowait()",
        "self._ref.stop(block=False)",
        "link.mailbox.stop()",
    ],
)
def test_what_does_not_block_is_no_wait(line: str) -> None:
    assert not waits_in(ast.parse(line))


def test_the_public_names_are_sorted() -> None:
    assert pictact_actors.__all__ == sorted(pictact_actors.__all__), "sort __all__"


def test_the_public_names_are_complete() -> None:
    own_errors = {name for name, value in vars(errors).items() if isinstance(value, type) and name != "annotations"}
    records = {cls.__name__ for cls in RECORDS.values() if cls is not AnsweredRequest}
    messages = {cls.__name__ for cls in COMMANDS.values()}
    others = {"Store", "AsyncStore", "StoreConfig", "Standing", "Player"}
    missing = (own_errors | records | messages | others) - set(pictact_actors.__all__)
    assert not missing, f"the contract names {sorted(missing)}: export them in pictact_actors/__init__.py"


def test_everything_imported_by_the_package_itself_is_public() -> None:
    modules = {name.partition(".")[0] for name in MODULES}
    public = {name for name in vars(pictact_actors) if not name.startswith("_")} - modules
    assert public == set(pictact_actors.__all__), "what pictact_actors/__init__.py imports and __all__ disagree"
