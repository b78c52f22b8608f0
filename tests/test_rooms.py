"""The house holds: rooms import from below only and say what they are for; files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import suiren

HOUSE = Path(suiren.__file__).parent
#: From the ground up; a room imports only what lies on a lower floor.
FLOORS = (
    {"units", "dtype", "starting"},
    {"hw", "trace", "events"},
    {"core"},
    {"kernels"},
    {"mapper"},
    {"fleet"},
    {"advise", "truth", "centre"},
    {"report", "history", "live"},
    {"torch"},
    {"conformance", "numerics", "port", "plan", "view"},
    {"commands"},
    {"cli"},
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
WEAK_NAMES = ("utils", "util", "helper", "helpers", "manager", "base", "common", "misc")


@cache
def sources() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(HOUSE.rglob("*.py"))}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def targets(node: ast.stmt, path: Path) -> Iterator[str]:
    """Full names of what an import names, relative ones resolved."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = ["suiren", *path.relative_to(HOUSE).parent.parts]
        start = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        yield from (f"{base}.{name.name}" for name in node.names)


def imports() -> Iterator[tuple[Path, int, str]]:
    """(file, line, room) of every import from another room, those inside functions included."""
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            for target in targets(node, path):
                top, _, rest = target.partition(".")
                room = rest.partition(".")[0]
                if top == "suiren" and room in FLOOR and room != room_of(path):
                    yield path, node.lineno, room


def test_every_room_has_a_floor() -> None:
    rooms = {p.name for p in HOUSE.iterdir() if (p / "__init__.py").exists()}
    files = {p.stem for p in HOUSE.glob("*.py")} - {"__init__", "__main__"}
    assert sorted((rooms | files) ^ set(FLOOR)) == []


def test_rooms_import_from_lower_floors_only() -> None:
    upward = [
        f"{path.relative_to(HOUSE)}, line {line}: {room_of(path)} stands on floor "
        f"{FLOOR[room_of(path)]} and imports {room} of floor {FLOOR[room]}"
        for path, line, room in imports()
        if room_of(path) in FLOOR and FLOOR[room] >= FLOOR[room_of(path)]
    ]
    assert upward == []


def test_the_rooms_do_import_each_other() -> None:
    """Guards the test above: it must see imports at all."""
    seen = {(room_of(path), room) for path, _, room in imports()}
    assert {
        ("mapper", "hw"),
        ("report", "advise"),
        ("commands", "torch"),
        ("cli", "commands"),
    } <= seen


def test_hardware_program_and_time_know_nothing_of_torch() -> None:
    knowing = [
        f"{path.relative_to(HOUSE)}, line {node.lineno} imports {target}"
        for path, tree in sources().items()
        if FLOOR.get(room_of(path), 0) < FLOOR["torch"]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for target in targets(node, path)
        if target.split(".")[0] in ("torch", "torch_gcu")
    ]
    assert knowing == []


def test_every_file_says_what_it_is_for() -> None:
    silent = [
        f"{path.relative_to(HOUSE)} has no docstring"
        for path, tree in sources().items()
        if not ast.get_docstring(tree)
    ]
    assert silent == []


def test_files_are_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    long = [
        f"{path.relative_to(HOUSE)} has {lines} lines; {MOST_LINES} is the most"
        for path, lines in lengths.items()
        if lines > MOST_LINES
    ]
    assert long == []


def test_functions_are_small() -> None:
    long = [
        f"{path.relative_to(HOUSE)}, line {node.lineno}: {node.name} has "
        f"{node.end_lineno - node.lineno + 1} lines; {MOST_LINES_OF_A_FUNCTION} is the most"
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    weak = [
        f"{path.relative_to(HOUSE)}: {word} says nothing of what is inside"
        for path in sources()
        for word in path.stem.split("_")
        if word in WEAK_NAMES
    ]
    assert weak == []


@pytest.mark.parametrize("work", [
    "import suiren.cli",
    "import suiren.cli; suiren.cli.suiren.main(['chips'], standalone_mode=False)",
    "import suiren.cli; suiren.cli.suiren.main(['chips', 't21'], standalone_mode=False)",
    "import suiren.report.answer, suiren.report.screen, suiren.report.document",
])  # fmt: skip
def test_what_needs_no_torch_does_not_load_it(work: str) -> None:
    code = f"import sys; {work}; sys.exit('torch' in sys.modules and 'torch was loaded' or 0)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_no_two_test_files_have_one_name() -> None:
    """Tests are no packages: pytest tells files apart by their names alone."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(n for n in set(names) if names.count(n) > 1) == []
