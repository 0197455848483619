"""What a project's configuration of test runners names: tests in other folders or by other patterns, and the files that
runners load beside the tests (set-up, plugins, environments, reporters).

Rule: such a file decides verdicts, so it is protected; it is found by reading, and nothing is run. A folder with more
product than tests is left out: protecting it would stop all work. A plugin that the project publishes is the product.
"""

from __future__ import annotations

import configparser
import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from interlock.conventions.judge_files import PYTHON, is_test
from interlock.pipelinefile import repo
from interlock.text.globs import matches_any

_FILES_MAX = 2_000
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile", "justfile", ".justfile", "Justfile")
_CASES = re.compile(r"\bunittest\b|\bTestCase\b|^(async )?def test_", re.M)


def configured_tests(folder: Path) -> tuple[str, ...]:
    """Globs of tests relative to `folder`, beyond the names that `judge_files` knows. Only reads."""
    of_makefiles = (
        glob for command in commands_of(repo.text(folder, *_MAKEFILES)) for glob in command_tests(folder, command)
    )
    return tuple(dict.fromkeys((*_python(folder), *node_tests(folder), *rust_tests(folder), *of_makefiles)))


def python_files(folder: Path) -> list[str]:
    """Patterns of test files that pytest is configured with, except for those that match every file."""
    return [word for word in _pytest(folder, "python_files") if word not in ("*", "*.py")]


def _python(folder: Path) -> Iterator[str]:
    patterns = python_files(folder)
    yield from patterns
    for name in _pytest(folder, "testpaths"):
        path = name.strip("/").removeprefix("./")
        if path not in ("", ".") and _holds_tests(folder, path, (*PYTHON.named, *patterns)):
            yield f"/{path}/**" if (folder / path).is_dir() else f"/{path}"


def _pytest(folder: Path, key: str) -> list[str]:
    """The words of a setting, from the file in which pytest would find it."""
    content = repo.toml(folder, "pyproject.toml")
    for table in (repo.at(content, "tool", "pytest", "ini_options"), repo.at(content, "tool", "pytest")):
        if value := table.get(key):
            return [str(item) for item in value] if isinstance(value, list) else str(value).split()
    for name, section in (
        ("pytest.ini", "pytest"), (".pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"),
    ):  # fmt: skip
        parser = configparser.RawConfigParser(strict=False, default_section="")
        try:
            parser.read_string(repo.text(folder, name))
        except configparser.Error:
            continue
        if parser.has_option(section, key):
            return parser.get(section, key).split()
    return []


def _holds_tests(folder: Path, path: str, names: tuple[str, ...]) -> bool:
    """Whether at least half of the folder's Python files are tests."""
    root = folder / path
    if root.is_file():
        return True
    files = [name for name in repo.files(root) if name.endswith(".py")][:_FILES_MAX] if root.is_dir() else []
    tests = sum(matches_any(names, name) or bool(_CASES.search(repo.text(root, name))) for name in files)
    return 2 * tests >= len(files) > 0


_SOURCES_MAX = 2_000
_MODULE = re.compile(
    r"((?:^[ \t]*#\[[^\n]*\]\s*)*)^[ \t]*(?:#\[[^\n]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.M
)
_FOR_TESTS = re.compile(r"#\[\s*cfg\s*\(\s*(?:all\s*\(\s*(?:[^()]*,\s*)?)?test\b")
_PATH_ATTRIBUTE = re.compile(r"#\[\s*path\s*=\s*\"([^\"]+)\"\s*\]")
_ROOTS = ("lib.rs", "main.rs", "mod.rs")


def rust_tests(folder: Path) -> Iterator[str]:
    """Globs of tests that Cargo.toml or `#[cfg(test)] mod` names, relative to `folder`."""
    if not repo.has(folder, "Cargo.toml"):
        return
    paths = list(repo.files(folder))
    for manifest in (path for path in paths if posixpath.basename(path) == "Cargo.toml"):
        targets = repo.toml(folder, manifest).get("test")
        for target in targets if isinstance(targets, list) else ():
            if path := repo.table(target).get("path"):
                yield f"/{posixpath.normpath(posixpath.join(posixpath.dirname(manifest), str(path)))}"
    there = frozenset(paths)
    for source in [path for path in paths if path.endswith(".rs") and not is_test(path)][:_SOURCES_MAX]:
        for module in _modules(source, repo.text(folder, source)):
            below = module.removesuffix("/mod.rs").removesuffix(".rs")
            yield from [f"/{module}"] if module in there else []
            yield from [f"/{below}/**"] if module in there and (folder / below).is_dir() else []


def _modules(source: str, text: str) -> Iterator[str]:
    """The files that may be modules of the source for tests only."""
    above, name = posixpath.split(source)
    inside = above if name in _ROOTS else posixpath.join(above, name.removesuffix(".rs"))
    for found in _MODULE.finditer(text):
        said = found[0]
        if not _FOR_TESTS.search(said):
            continue
        if placed := _PATH_ATTRIBUTE.search(said):
            yield posixpath.normpath(posixpath.join(above, placed[1]))
            continue
        for folder in dict.fromkeys((inside, above)):  # beside it, if it is the root of a target
            yield from (posixpath.join(folder, end) for end in (f"{found[2]}.rs", f"{found[2]}/mod.rs"))


MOCHA = (
    ".mocharc.js",
    ".mocharc.cjs",
    ".mocharc.mjs",
    ".mocharc.json",
    ".mocharc.jsonc",
    ".mocharc.yml",
    ".mocharc.yaml",
)
_CONFIGURATIONS = (  # by file, with the last keys of the value that lists tests
    (("jest.config.*",), ("testMatch",)),
    (("vitest.config.*", "vite.config.*", "vitest.workspace.*", "vitest.projects.*"), ("test", "include")),
    (("ava.config.*",), ("files",)),
)
_ENDINGS = ("js", "cjs", "mjs", "ts", "cts", "mts", "json")


def node_tests(folder: Path) -> Iterator[str]:
    """Globs of tests that package.json, the configuration of a runner or a test script names, relative to `folder`."""
    package = repo.json_object(folder, "package.json")
    for table, key in (("jest", "testMatch"), ("ava", "files"), ("mocha", "spec")):
        for word in as_texts(repo.at(package, table).get(key)):
            yield from runner_globs(word.removeprefix("<rootDir>/"))
    for keys, word in mocha_values(folder):
        if keys[-1:] == ("spec",):
            yield from (runner_globs(word) if "*" in word else globs_of_word(folder, word))
    for names, wanted in _CONFIGURATIONS:
        for keys, word in configuration_values(folder, *names):
            if keys[-len(wanted) :] == wanted:
                yield from runner_globs(word.removeprefix("<rootDir>/"))
    scripts = repo.at(package, "scripts")
    for name in ("pretest", "test"):
        for command in commands_of(str(scripts.get(name, ""))):
            yield from command_tests(folder, command, runs_tests=True)


def configuration_values(folder: Path, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text in the configuration files that exist, with the keys that lead to it."""
    for path in sorted(path for name in names for path in folder.glob(name)):
        if path.suffix.removeprefix(".") in _ENDINGS:
            yield from string_values(repo.text(folder, path.name))


def mocha_values(folder: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text in the configuration file that mocha would find first, with its key."""
    name = repo.has(folder, *MOCHA)
    if not name.endswith((".yml", ".yaml")):
        yield from string_values(repo.text(folder, name)) if name else ()
        return
    import yaml  # lazy: most projects have no such file

    try:
        content = repo.table(yaml.safe_load(repo.text(folder, name)))
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    for key, value in content.items():
        yield from (((key,), word) for word in as_texts(value))


def as_texts(value: object) -> list[str]:
    """The texts of `value`, which is a text or a list of them."""
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str) and each]


_TEXT_MAX = 200_000
_TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
    r"""|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[{}()\[\]:,])""",
    re.S,
)
_KEY = re.compile(r"\s*:")


def string_values(source: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text in a JavaScript source that is a value, with the keys that lead to it. The texts in one call are joined
    to one path, as in `join(here, "support", "setup.js")`."""
    source = source[:_TEXT_MAX]
    inside: list[tuple[str, str]] = []  # the open brackets, each with its key
    called: list[list[str]] = []
    key = ""
    for token in _TOKENS.finditer(source):
        word, mark = (token["text"] or "")[1:-1] or token["name"] or "", token["mark"]
        if word and _KEY.match(source, token.end()):
            key = word
        elif token["text"] and inside and inside[-1][0] == "(":
            called[-1].append(word)
        elif token["text"]:
            yield _path(inside, key), word
        elif mark in ("{", "[", "("):
            called += [[]] if mark == "(" else []
            inside.append((mark, key))
            key = ""
        elif mark in ("}", "]", ")") and inside:
            opened, key = inside.pop()
            if opened == "(" and (joined := "/".join(called.pop())):
                yield _path(inside, key), joined
        elif mark == "," and inside and inside[-1][0] == "{":
            key = ""


def _path(inside: list[tuple[str, str]], key: str) -> tuple[str, ...]:
    return tuple(name for name in (*(name for _, name in inside), key) if name)


_RUNNERS = frozenset({"mocha", "_mocha", "ava", "tape", "tap", "jasmine", "uvu"})
_PROGRAMS = frozenset({"node", "tsx", "ts-node", "bun", "deno"})  # these can run anything
_WRAPPERS = frozenset({"c8", "nyc", "cross-env", "npx", "env"})
_LOADS = re.compile(r"--(?:require|import|file|loader)=(.+)")
_OPTIONS = {"-s": "s", "--start-directory": "s", "-p": "p", "--pattern": "p", "-t": "t", "--top-level-directory": "t"}
_DISCOVERS = re.compile(r"\bpython[\d.]*\b.*\s-m\s*unittest\s+discover\b")


def commands_of(text: str) -> list[str]:
    """The simple commands of a line, or of the lines of a Makefile."""
    joined = text.replace("\\\n", " ")
    return [part.strip().lstrip("@-+") for part in re.split(r"&&|\|\||;|\n", joined) if part.strip()]


def command_tests(folder: Path, command: str, *, runs_tests: bool = False) -> Iterator[str]:
    """Globs relative to `folder` of the tests that the command names. `runs_tests`: the command is known to run tests,
    even if its program can run anything."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    if _DISCOVERS.search(command):
        yield from _discovery_globs(folder, words[words.index("discover") + 1 :] if "discover" in words else [])
        return
    while words and (words[0] in _WRAPPERS or words[0].startswith("-") or re.fullmatch(r"\w+=.*", words[0])):
        words = words[1:]
    program = words[0].rpartition("/")[2] if words else ""
    runs_tests = runs_tests or "--test" in words or "test" in words[1:2]
    if program in _RUNNERS or (program in _PROGRAMS and runs_tests):
        for word in words[1:]:
            loads = _LOADS.fullmatch(word)
            if loads or not word.startswith("-"):
                yield from globs_of_word(folder, loads[1] if loads else word)


def globs_of_word(folder: Path, word: str) -> Iterator[str]:
    """The glob of the file, folder or pattern that a word names; none for a folder that holds the product."""
    path = word.removeprefix("./").rstrip("/")
    if path in ("", ".", "src", "lib", "run", "test") or path.startswith(("/", "..")):
        return
    if "*" in path:
        yield from runner_globs(path)
    elif (folder / path).is_dir():
        yield f"/{path}/**"
    elif (folder / path).is_file():
        yield f"/{path}"


def runner_globs(pattern: str) -> Iterator[str]:
    """A runner's pattern as globs of ours, with its braces expanded; none for a pattern that matches everything."""
    if pattern.startswith("!") or (re.fullmatch(r"[*/.{},\w]*\*\*/\*(\.\w+)?", pattern) and pattern.count("/") <= 1):
        return
    if re.fullmatch(r"(\./)?(src|lib)/\*\*(/\*(\.[\w{},]+)?)?", pattern):
        return  # the product is there
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found:
        for choice in found[1].split(","):
            yield from runner_globs(pattern[: found.start()] + choice + pattern[found.end() :])
    elif not re.search(r"[@?!+]\(", pattern):
        yield f"/{pattern.removeprefix('./').lstrip('/')}"


def _discovery_globs(folder: Path, words: list[str]) -> Iterator[str]:
    """Globs of `unittest discover`: its start folder and pattern, by option or by position."""
    given, plain = dict[str, str](), list[str]()
    rest = iter(words)
    for word in rest:
        option, sign, value = word.partition("=")
        if option in _OPTIONS:
            given[_OPTIONS[option]] = value if sign else next(rest, "")
        elif re.fullmatch(r"-[spt].+", word):
            given[word[1]] = word[2:]
        elif not word.startswith("-"):
            plain.append(word)
    start = given.get("s", plain[0] if plain else ".").removeprefix("./").strip("/")
    pattern = given.get("p", plain[1] if len(plain) > 1 else "test*.py")
    above = "" if start in ("", ".") else f"/{start.replace('.', '/') if not (folder / start).is_dir() else start}"
    if pattern not in ("*", "*.py"):
        yield from [f"{above}/**/{pattern}"] if above else [pattern] if pattern != "test*.py" else []
    elif above not in ("", "/src", "/lib"):
        yield f"{above}/**"


_JEST = frozenset(
    {
        "setupFiles", "setupFilesAfterEnv", "setupTestFrameworkScriptFile", "globalSetup", "globalTeardown", "filter",
        "testEnvironment", "environment", "preset", "reporters", "resolver", "runner", "testRunner", "transform",
        "snapshotSerializers", "snapshotResolver", "snapshotEnvironment", "testResultsProcessor", "testSequencer",
        "sequencer", "customProviderModule",
    }
)  # fmt: skip
_MOCHA = frozenset({"require", "import", "file", "loader", "reporter", "ui"})
_LOADING = ("jest.config.*", "jest.*.config.*", "vitest.*", "vite.config.*")
_RESOLVED_AS = ("", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".jsx", ".tsx", "/index.js", "/index.ts")
_PYTEST_PLUGINS = re.compile(r"^pytest_plugins\b[^=\n]*=\s*(\[[^\]]*\]|\([^)]*\)|[^\n]*)", re.M)
_ADDOPTS = re.compile(r"^\s*addopts\b.*?(?=^\s*\w+\s*=|^\[|\Z)", re.M | re.S)
_FOR_PYTEST = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")


def loaded_files(folder: Path) -> tuple[str, ...]:
    """Paths relative to `folder` of existing files that runners load beside the tests. Only reads."""
    return tuple(dict.fromkeys((*_loaded_in_node(folder), *_loaded_by_pytest(folder))))


def _loaded_in_node(folder: Path) -> Iterator[str]:
    package = repo.json_object(folder, "package.json")
    jest, mocha = (repo.at(package, name) for name in ("jest", "mocha"))
    named = [
        *(word for keys, word in string_values(json.dumps(jest)) if _JEST.intersection(keys)),
        *(word for key in sorted(_MOCHA) for word in as_texts(mocha.get(key))),
        *(word for key in ("require",) for word in as_texts(repo.at(package, "ava").get(key))),
        *(word for keys, word in mocha_values(folder) if _MOCHA.intersection(keys)),
        *(word for keys, word in configuration_values(folder, *_LOADING) if _JEST.intersection(keys)),
    ]
    for name in named:
        path = posixpath.normpath(name.removeprefix("<rootDir>/"))
        found = (f"{path}{ending}" for ending in _RESOLVED_AS if not path.startswith(("/", "..", "node_modules/")))
        yield from [each for each in found if (folder / each).is_file()][:1]


def _loaded_by_pytest(folder: Path) -> Iterator[str]:
    """The files of plugins that a conftest.py or an option of pytest names."""
    published = _published(folder)
    files = (path for path in repo.files(folder) if posixpath.basename(path) == "conftest.py")
    named = [("", name) for name in _by_option(folder)]
    for path in files:
        said = "\n".join(_PYTEST_PLUGINS.findall(repo.text(folder, path)))
        named += [(posixpath.dirname(path), name) for name in re.findall(r"[\"']([\w.]+)[\"']", said)]
    for above, name in named:
        stem = name.replace(".", "/")
        places = (posixpath.join(place, stem) for place in ("", "src", above))
        found = [f"{place}{end}" for place in places for end in (".py", "/__init__.py")]
        if name not in published:
            yield from [each for each in found if (folder / each).is_file()][:1]


def _by_option(folder: Path) -> list[str]:
    said = repo.text(folder, *_FOR_PYTEST)
    return [name for text in _ADDOPTS.findall(said) for name in re.findall(r"-p[\s\"',]*([A-Za-z_][\w.]*)", text)]


def _published(folder: Path) -> frozenset[str]:
    """Modules that the project publishes as plugins of pytest."""
    content = repo.toml(folder, "pyproject.toml")
    tables = (
        repo.at(content, "project", "entry-points", "pytest11"),
        repo.at(content, "tool", "poetry", "plugins", "pytest11"),
    )
    found = {str(value).partition(":")[0].strip() for table in tables for value in table.values()}
    for section in re.findall(
        r"pytest11[\"']?\s*[:=]([^\]\[]*(?:\[[^\]]*\])?)", repo.text(folder, "setup.py", "setup.cfg")
    ):
        found.update(re.findall(r"=\s*([\w.]+)", section))
    return frozenset(found)
