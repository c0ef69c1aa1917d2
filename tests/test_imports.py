"""Which room of the package may import which, and what an import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ecg_lib

PACKAGE = Path(ecg_lib.__file__).parent

LEVELS = (
    {"errors", "progress", "text"},
    {"files"},
    {"models", "pages"},
    {"data", "drawing"},
    {"runs"},
    {"evaluation"},
    {"serving", "training"},
    {"cli"},
)
"""A room may import rooms of lower levels; two rooms of one level do not know each other."""

LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FRONT_DOOR = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
HEAVY = {"tensorflow", "keras", "pandas", "cv2", "sklearn", "scipy", "matplotlib"}


def room_of(path):
    """The room of a module: the folder below the package, or the module itself at its top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(source):
    """Yield `(line, module)` of every import in a module, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            # `from ecg_lib import training` names a room, `from ecg_lib.training import x` has one.
            names = [alias.name for alias in node.names] if node.module == "ecg_lib" else [""]
            yield from ((node.lineno, f"{node.module}.{name}".rstrip(".")) for name in names)


def breaches(path, source):
    """The imports of a module that its room does not allow, each as one line of text."""
    room = room_of(path)
    found = []
    for line, module in imported_modules(source):
        top, *rest = module.split(".")
        if top in ("benchmarks", "tests"):
            found.append(f"{path.relative_to(PACKAGE)}:{line}: {room} imports {module}")
        other = rest[0] if top == "ecg_lib" and rest else room
        if other != room and LEVEL_OF.get(other, -1) >= LEVEL_OF[room]:
            found.append(f"{path.relative_to(PACKAGE)}:{line}: {room} imports {module}")
    return found


def test_every_room_has_its_level():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py") if path not in FRONT_DOOR}
    assert rooms == set(LEVEL_OF)


def test_imports_go_one_way():
    modules = [path for path in PACKAGE.rglob("*.py") if path not in FRONT_DOOR]
    found = [line for path in modules for line in breaches(path, path.read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pages/image.py", "from ecg_lib.data.classes import CLASSES"),
        ("models/lstm.py", "import ecg_lib.pages.leads"),
        ("training/train.py", "from ecg_lib import serving"),
        ("serving/explain.py", "def f():\n    from ecg_lib.training.devices import f"),
        ("data/prepared.py", "import benchmarks.speed"),
        ("errors.py", "from ecg_lib.pages.leads import LEADS"),
    ],
)
def test_a_breach_is_found(module, source):
    assert len(breaches(PACKAGE / module, source)) == 1


def heavy_modules_after(statements):
    """Which of the heavy libraries another process has imported after some statements."""
    code = f"import sys\n{statements}\nprint(*(sys.modules.keys() & {HEAVY!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_is_light():
    assert heavy_modules_after("import ecg_lib\ndir(ecg_lib)") == set()


def test_help_is_light():
    statements = "from ecg_lib.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert heavy_modules_after(statements) == set()


def test_a_page_is_read_without_a_deep_learning_library():
    used = heavy_modules_after("from ecg_lib import read_luma, detect, crop_leads")
    assert used <= {"cv2", "scipy"}


def test_the_front_door_shows_its_names_and_they_are_there():
    assert set(ecg_lib.__all__) <= set(dir(ecg_lib))
    for name in ecg_lib.__all__:
        assert getattr(ecg_lib, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'bulid'"):
        _ = ecg_lib.bulid
