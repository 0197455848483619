"""Mixed files: which tables differ, and which of them judge."""

import pytest

from interlock.gates import manifests

PYPROJECT = """\
[project]
name = "x"
dependencies = []
[tool.pytest.ini_options]
testpaths = ["tests"]
[tool.ruff.lint]
select = ["F"]
"""
SETUP = "[metadata]\nname = x\n[options]\ninstall_requires =\n    a\n[tool:pytest]\naddopts = -q\n"
PACKAGE = '{"name": "x", "scripts": {"test": "mocha", "start": "node ."}, "dependencies": {"a": "1"}}'
CARGO = '[package]\nname = "x"\n[dependencies]\na = "1"\n[lints.rust]\nunused = "deny"\n'
POM = "<project><version>1</version><properties><a.version>1</a.version></properties><build><p/></build></project>"


def differing(path: str, old: str | None, new: str | None) -> dict[str, bool]:
    content = (text.encode() if text is not None else None for text in (old, new))
    return {table.name: table.judges for table in manifests.changed_tables(path, *content)}


@pytest.mark.parametrize(
    ("path", "old", "swap", "expected"),
    [
        ("pyproject.toml", PYPROJECT, ("dependencies = []", 'dependencies = ["a"]'), {"project.dependencies": False}),
        ("pyproject.toml", PYPROJECT, ('"F"', '"E"'), {"tool.ruff.lint": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff.lint]", "[tool.mypy]\nstrict = false\n[tool.ruff.lint]"),
         {"tool.mypy.strict": True}),
        ("pyproject.toml", PYPROJECT, ("[project]", "[tool.poetry.dependencies]\na = '1'\n[project]"),
         {"tool.poetry.dependencies": False}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[project.scripts]\nx = 'x:main'\n[tool.ruff"),
         {"project.scripts.x": False}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[project.scripts]\npytest = 'x:main'\n[tool.ruff"),
         {"project.scripts.pytest": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[project.entry-points.pytest11]\nx = 'x'\n[tool.ruff"),
         {"project.entry-points.pytest11": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.uv.sources]\npytest = {path = 'x'}\n[tool.ruff"),
         {"tool.uv.sources": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.hatch.build.hooks.custom]\npath = 'x.py'\n[tool.ruff"),
         {"tool.hatch.build": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.poetry.build]\nscript = 'x.py'\n[tool.ruff"),
         {"tool.poetry.build": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.setuptools.cmdclass]\nbuild = 'x'\n[tool.ruff"),
         {"tool.setuptools.cmdclass": True}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.setuptools.packages.find]\nwhere = ['src']\n[tool.ruff"),
         {"tool.setuptools.packages": False}),
        ("pyproject.toml", PYPROJECT, ("[tool.ruff", "[tool.coverage.run]\nomit = ['*']\n[tool.ruff"),
         {"tool.coverage.run": True}),
        ("pyproject.toml", PYPROJECT, ("[project]", "[build-system]\nbackend-path = ['x']\n[project]"),
         {"build-system": True}),
        ("setup.cfg", SETUP, ("    a\n", "    a\n    b\n"), {"options": False}),
        ("setup.cfg", SETUP, ("-q", "-q --deselect x"), {"tool:pytest": True}),
        ("setup.cfg", SETUP, ("[options]", "[flake8]\nignore = E\n[options]"), {"flake8": True}),
        ("setup.cfg", SETUP, ("[options]", "[options.entry_points]\npytest11 =\n  x = x\n[options]"),
         {"options.entry_points.pytest11.x": True}),
        ("setup.cfg", SETUP, ("[metadata]", "[DEFAULT]\naddopts = -x\n[metadata]"), {"DEFAULT": True}),
        ("package.json", PACKAGE, ('"a": "1"', '"a": "2", "b": "1"'), {"dependencies": False}),
        ("package.json", PACKAGE, ('"mocha"', '"true"'), {"scripts.test": True}),
        ("package.json", PACKAGE, ('"node ."', '"node x"'), {"scripts.start": False}),
        ("package.json", PACKAGE, ('"scripts": {', '"scripts": {"pretest": "x", "seed": "y",'),
         {"scripts.pretest": True, "scripts.seed": False}),
        ("package.json", PACKAGE, ('"name"', '"jest": {"bail": 1}, "name"'), {"jest": True}),
        ("package.json", PACKAGE, ('"name"', '"imports": {"#a": "./b.js"}, "name"'), {"imports": True}),
        ("package.json", PACKAGE, ('"name"', '"overrides": {"mocha": "file:x"}, "name"'), {"overrides": True}),
        ("Cargo.toml", CARGO, ('a = "1"', 'a = "2"'), {"dependencies": False}),
        ("Cargo.toml", CARGO, ('"deny"', '"allow"'), {"lints": True}),
        ("Cargo.toml", CARGO, ('name = "x"', 'name = "x"\nautotests = false'), {"package.autotests": True}),
        ("pom.xml", POM, ("<a.version>1", "<a.version>2"), {"properties.a.version": False}),
        ("pom.xml", POM, ("<a.version>1</a.version>", "<a.version>1</a.version><skipTests>true</skipTests>"),
         {"properties.skipTests": True}),
        ("pom.xml", POM, ("<p/>", "<q/>"), {"build": True}),
        ("sub/PyProject.toml", PYPROJECT, ('"F"', '"E"'), {"tool.ruff.lint": True}),
    ],
)  # fmt: skip
def test_the_tables_that_differ_and_whether_they_judge(path: str, old: str, swap, expected):
    assert swap[0] in old
    assert differing(path, old, old.replace(*swap)) == expected


def test_a_new_file_and_a_deleted_one_differ_in_all_their_tables():
    assert differing("package.json", None, '{"jest": {}}') == {"jest": True}
    assert differing("package.json", '{"jest": {}}', None) == {"jest": True}


def test_order_and_spaces_are_no_difference():
    assert differing("package.json", '{"a": 1, "b": {"c": 2}}', '{ "b":{"c":2},"a":1 }') == {}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pyproject.toml", "[tool"),
        ("package.json", "[1]"),
        ("package.json", '{"jest": 1, "jest": 2}'),
        ("setup.cfg", "x = 1"),
        ("pom.xml", "<project>"),
        ("pom.xml", "<!DOCTYPE a []><project/>"),
        ("package.json", "[" * 100_000),
    ],
)
def test_a_file_that_cannot_be_read_is_told(path: str, content: str):
    with pytest.raises(manifests.Unparsable):
        manifests.changed_tables(path, b"", content.encode())


def test_an_older_file_that_could_not_be_read_has_no_tables():
    assert differing("package.json", "{", '{"jest": {}}') == {"jest": True}
