"""The requirements of a Python project's tests: extras, groups, requirement files, and the environments of its test
runners. Rule: they are read from files; nothing of the project is run.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.pipelinefile import repo

FOR_TESTS = ("test", "tests", "testing", "unittest", "unittests", "dev", "develop", "development")
_WORDS = r"(dev|develop|development|test|tests|testing|unittests?|ci)"
_REQUIREMENTS = (
    re.compile(rf"requirements([-_.]{_WORDS})?\.(txt|in)|{_WORDS}[-_.]requirements\.(txt|in)"),
    re.compile(rf"requirements/([a-z]+[-_])?{_WORDS}([-_][a-z]+)?\.(txt|in)"),
    re.compile(r"tests?/([a-z]+[-_])?requirements([-_][a-z]+)?\.(txt|in)"),
)
_PLAIN_REQUIREMENTS = re.compile(r"requirements/(requirements|base|common|main|all|local)\.(txt|in)")
_WITH_TESTS = re.compile(r"\bpytest\b", re.I)
_ITSELF = re.compile(r"^\s*(?:-e|--editable)[ =]?\s*['\"]?(?:file:)?\./?(?:\[([^\]]*)\])?['\"]?\s*(?:#.*)?$", re.M)
_INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)", re.M)
_PLUGINS = (  # a setting of pytest, and the plugin that it belongs to
    (r"--cov\b", "pytest-cov"),
    (r"\basyncio_mode\b|asyncio_default", "pytest-asyncio"),
    (r"(?<!\S)-n[ =]?(auto|\d)|--dist\b", "pytest-xdist"),
    (r"--timeout\b|^\s*timeout\s*=", "pytest-timeout"),
    (r"--randomly|randomly_", "pytest-randomly"),
    (r"\bDJANGO_SETTINGS_MODULE\b", "pytest-django"),
    (r"--mypy\b", "pytest-mypy"),
    (r"--benchmark", "pytest-benchmark"),
)


@dataclass(frozen=True, slots=True)
class TestNeeds:
    """`files` are those of requirements, `extras` and `groups` names, `packages` requirements written elsewhere.
    `read`: what is installed from, for the key. `text`: all requirements as text, to search for a tool."""

    files: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    text: str = ""

    @property
    def any(self) -> bool:
        return bool(self.files or self.extras or self.groups or self.packages)


def needs_of(root: Path) -> TestNeeds:
    """What the tests of the project in `root` need beyond its own dependencies."""
    extras, groups = extras_of(root), groups_of(root)
    files = tuple(_requirement_files(root))
    texts = [repo.text(root, name) for name in files]
    chosen = tuple(dict.fromkeys((*_for_tests(extras), *_extras_of_itself(texts))))
    grouped = _for_tests(groups)
    said = [*texts, *(extras.get(name, "") for name in chosen), *(groups.get(name, "") for name in grouped)]
    packages = list(_of_tools(root))
    said += packages
    if not any(_WITH_TESTS.search(text) for text in said):
        found = runner_needs(root)
        chosen = tuple(dict.fromkeys((*chosen, *(name for name in found.extras if name in extras))))
        grouped = tuple(dict.fromkeys((*grouped, *(name for name in found.groups if name in groups))))
        files = tuple(dict.fromkeys((*files, *found.files)))
        packages += found.packages
        said += [*found.packages, *(extras[name] for name in chosen), *(repo.text(root, name) for name in found.files)]
    packages += _plugins(root, "\n".join(said))
    read = tuple(dict.fromkeys(_with_included(root, files)))
    return TestNeeds(files, chosen, grouped, tuple(dict.fromkeys(packages)), read, "\n".join([*said, *packages]))


def extras_of(root: Path) -> Mapping[str, str]:
    """The extras by name, with their requirements as text."""
    content = repo.toml(root, "pyproject.toml")
    project = repo.at(content, "project", "optional-dependencies")
    poetry, flit = repo.at(content, "tool", "poetry", "extras"), repo.at(content, "tool", "flit", "metadata")
    tables = (project, poetry, repo.at(flit, "requires-extra"), _setup_cfg(root), _setup_py(root))
    return {name: str(value) for table in tables for name, value in table.items()}


def groups_of(root: Path) -> Mapping[str, str]:
    """The dependency groups by name, as text, with the groups that they include."""
    groups = repo.at(repo.toml(root, "pyproject.toml"), "dependency-groups")

    def text(name: str, depth: int = 0) -> str:
        value = groups.get(name)
        items = value if isinstance(value, list) and depth < 10 else []
        return "\n".join(
            text(str(item.get("include-group")), depth + 1) if isinstance(item, dict) else str(item) for item in items
        )

    return {name: text(name) for name in groups}


def installs_itself(root: Path, files: Iterable[str]) -> bool:
    """Whether a requirement file installs the project itself as editable."""
    return any(_ITSELF.search(repo.text(root, name)) for name in files)


def _for_tests(tables: Mapping[str, str]) -> tuple[str, ...]:
    """The names that refer to tests; if none of these has pytest, also the first other one that has it."""
    named = [name for name in tables if name.lower().replace("_", "-") in FOR_TESTS]
    if not any(_WITH_TESTS.search(tables[name]) for name in named):
        others = (name for name, said in tables.items() if name not in named and re.search(r"\bpytest\b", said))
        named += [name for name in [next(others, "")] if name]
    return tuple(named)


def _requirement_files(root: Path) -> Iterable[str]:
    """Requirement files for tests, and plain ones; of a folder `requirements` a plain one only if none is for tests."""
    places = (".", "requirements", "tests", "test")
    names = [
        f"{place}/{path.name}".removeprefix("./")
        for place in places
        if (root / place).is_dir()
        for path in sorted((root / place).iterdir())
        if path.suffix in (".txt", ".in") and path.is_file()
    ]
    found = [name for name in names if any(pattern.fullmatch(name) for pattern in _REQUIREMENTS)]
    if not any(name.startswith("requirements/") for name in found):
        found += [name for name in names if _PLAIN_REQUIREMENTS.fullmatch(name)][:1]
    compiled = {name.removesuffix(".txt") for name in found if name.endswith(".txt")}
    kept = [name for name in found if not (name.endswith(".in") and name.removesuffix(".in") in compiled)]
    return [name for name in kept if repo.text(root, name).strip()]


def _extras_of_itself(texts: Iterable[str]) -> list[str]:
    return [
        extra.strip() for text in texts for said in _ITSELF.findall(text) for extra in said.split(",") if extra.strip()
    ]


def _with_included(root: Path, files: Iterable[str]) -> Iterable[str]:
    """The files and those that they include, up to ten deep."""
    waiting = [(name, 0) for name in files]
    while waiting:
        name, depth = waiting.pop(0)
        yield name
        parent = Path(name).parent
        for included in _INCLUDED.findall(repo.text(root, name)):
            path = (parent / included).as_posix()
            if depth < 10 and (root / path).is_file() and ".." not in Path(path).parts:
                waiting.append((path, depth + 1))


def _setup_cfg(root: Path) -> Mapping[str, str]:
    return ini(root, "setup.cfg").get("options.extras_require", {})


def _setup_py(root: Path) -> Mapping[str, str]:
    """`extras_require` of the call of setup(), with values from names at the top of the file."""
    try:
        tree = ast.parse(repo.text(root, "setup.py"))
    except (SyntaxError, ValueError):
        return {}
    tops = [node for node in tree.body if isinstance(node, ast.Assign)]
    known = {target.id: node.value for node in tops for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "extras_require":
            value = known.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            return _keys(value, known)
    return {}


def _keys(value: ast.expr, known: Mapping[str, ast.expr]) -> Mapping[str, str]:
    if not isinstance(value, ast.Dict):
        return {}
    pairs = zip(value.keys, value.values, strict=True)
    return {
        key.value: ast.unparse(known.get(said.id, said) if isinstance(said, ast.Name) else said)
        for key, said in pairs
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _of_tools(root: Path) -> Iterable[str]:
    """The development dependencies in the tables of Poetry and PDM."""
    content = repo.toml(root, "pyproject.toml")
    poetry = repo.at(content, "tool", "poetry")
    groups = {"dev": poetry.get("dev-dependencies")} | {
        name: repo.table(group).get("dependencies") for name, group in repo.at(poetry, "group").items()
    }
    for name in _for_tests({name: str(value) for name, value in groups.items() if value}):
        for package, wanted in repo.table(groups[name]).items():
            yield from _of_poetry(package, wanted)
    pdm = repo.at(content, "tool", "pdm", "dev-dependencies")
    for name in _for_tests({name: str(value) for name, value in pdm.items()}):
        items = pdm[name]
        yield from (str(item) for item in items if " " not in str(item)) if isinstance(items, list) else ()


def _of_poetry(package: str, wanted: object) -> Iterable[str]:
    """A requirement of Poetry in the syntax of pip, if pip can express it."""
    table = repo.table(wanted)
    version = table.get("version", "*") if table else wanted
    if not isinstance(version, str) or any(key in table for key in ("path", "git", "url")):
        return
    extras = table.get("extras")
    brackets = f"[{','.join(map(str, extras))}]" if isinstance(extras, list) else ""
    bounds = re.sub(r"[\^~](?=\d)", ">=", version.split("||")[0].strip())
    bounds = "" if bounds == "*" else bounds if re.match(r"[<>=!~]", bounds) else f"=={bounds}"
    yield f"{package}{brackets}{bounds}".replace(" ", "")


def _plugins(root: Path, said: str) -> Iterable[str]:
    """Plugins that the configuration of pytest needs."""
    content = repo.at(repo.toml(root, "pyproject.toml"), "tool", "pytest")
    options = [str(value) for value in (content.get("ini_options"), content.get("addopts")) if value]
    text = "\n".join([*options, repo.text(root, "pytest.ini"), *map(str, _sections(root))])
    for pattern, plugin in _PLUGINS:
        if re.search(pattern, text, re.M) and plugin not in said:
            yield plugin


def _sections(root: Path) -> Iterable[Mapping[str, str]]:
    yield ini(root, "setup.cfg").get("tool:pytest", {})
    yield ini(root, "tox.ini").get("pytest", {})


_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w, -]*\])?\s*([<>=!~][^;#]*)?")
_OF_TESTS = re.compile(r"(^|[^a-z])(unit)?tests?([^a-z]|$)|^py\d|^default$|^dev$")
_HATCH_TEST = ("pytest", "pytest-mock", "pytest-randomly", "pytest-rerunfailures", "pytest-xdist")


@dataclass(frozen=True, slots=True)
class RunnerNeeds:
    files: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def runner_needs(root: Path) -> RunnerNeeds:
    """The needs according to the first of tox, nox and hatch that has any."""
    for find in (_tox, _nox, _hatch):
        found = find(root)
        if found != RunnerNeeds():
            return found
    return RunnerNeeds()


def ini(root: Path, name: str) -> Mapping[str, Mapping[str, str]]:
    """The sections of an INI file; empty if it is absent or broken."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(repo.text(root, name))
    except configparser.Error:
        return {}
    return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _tox(root: Path) -> RunnerNeeds:
    content = repo.toml(root, "pyproject.toml")
    table = repo.toml(root, "tox.toml") or repo.at(content, "tool", "tox")
    if base := repo.at(table, "env_run_base") or repo.at(table, "env", "test"):
        return _sorted_needs(
            root, map(str, _items(base, "deps")), _strings(base, "extras"), _strings(base, "dependency_groups")
        )
    sections = ini(root, "tox.ini") or _legacy(table)
    for name in ("testenv", "testenv:test", "testenv:tests", "testenv:py3", "testenv:unit"):
        section = sections.get(name, {})
        lines = _lines(section.get("deps", ""), sections)
        found = _sorted_needs(
            root, lines, _lines(section.get("extras", "")), _lines(section.get("dependency_groups", ""))
        )
        if found != RunnerNeeds():
            return found
    return RunnerNeeds()


def _legacy(table: Mapping[str, object]) -> Mapping[str, Mapping[str, str]]:
    said = table.get("legacy_tox_ini")
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(said if isinstance(said, str) else "")
    except configparser.Error:
        return {}
    return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _lines(value: str, sections: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """The lines of a setting without those for other environments; `{[section]key}` is looked up once."""
    found = []
    for line in re.split(r"[\n,]" if sections is None else r"\n", value):
        words = re.sub(r"\s#.*|^#.*", "", line).strip()
        if other := re.fullmatch(r"\{\[([^\]]+)\](\w+)\}", words):
            found += _lines((sections or {}).get(other[1], {}).get(other[2], ""))
        elif not re.match(r"!?[\w.{},!-]+:\s", words):
            found.append(words.replace("{toxinidir}/", "").replace("{tox_root}/", ""))
    return [words for words in found if words]


def _sorted_needs(root: Path, lines: Iterable[str], extras: Iterable[str], groups: Iterable[str]) -> RunnerNeeds:
    files, packages, own = [], [], list(extras)
    for line in lines:
        if included := re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", line):
            files += [included[1].removeprefix("./")] if (root / included[1]).is_file() else []
        elif itself := re.fullmatch(r"(?:-e\s*)?\.\[([^\]]*)\]", line):
            own += [name.strip() for name in itself[1].split(",")]
        elif _REQUIREMENT.fullmatch(line):
            packages.append(line.replace(" ", ""))
    return RunnerNeeds(tuple(files), tuple(own), tuple(groups), tuple(packages))


def _nox(root: Path) -> RunnerNeeds:
    """The arguments of `session.install` in sessions whose names refer to tests."""
    try:
        tree = ast.parse(repo.text(root, "noxfile.py"))
    except (SyntaxError, ValueError):
        return RunnerNeeds()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        if not _OF_TESTS.search(function.name):
            continue
        words = [
            word.value
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "install"
            for word in call.args
            if isinstance(word, ast.Constant) and isinstance(word.value, str)
        ]
        paired = " ".join(words).replace("-r ", "-r").replace("--group ", "--group=").split()
        groups = [word.removeprefix("--group=") for word in paired if word.startswith("--group=")]
        found = _sorted_needs(root, (word for word in paired if not word.startswith("--")), (), groups)
        if found != RunnerNeeds():
            return found
    return RunnerNeeds()


def _hatch(root: Path) -> RunnerNeeds:
    content = repo.toml(root, "hatch.toml") or repo.at(repo.toml(root, "pyproject.toml"), "tool", "hatch")
    envs = repo.at(content, "envs")
    for name in ("hatch-test", "test", "tests", "default", "dev"):
        env = repo.at(envs, name)
        base = [] if name != "hatch-test" or "dependencies" in env or not env else list(_HATCH_TEST)
        lines = [*base, *map(str, (*_items(env, "dependencies"), *_items(env, "extra-dependencies")))]
        found = _sorted_needs(root, lines, _strings(env, "features"), _strings(env, "dependency-groups"))
        if any("pytest" in package for package in found.packages) or found.extras or found.groups:
            return found
    return RunnerNeeds()


def _items(table: Mapping[str, object], key: str) -> list[object]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _strings(table: Mapping[str, object], key: str) -> list[str]:
    return [item for item in _items(table, key) if isinstance(item, str)]
