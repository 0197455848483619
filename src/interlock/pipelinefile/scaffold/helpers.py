"""Files that only tests use and that are not protected by name: helpers, plugins, data.

Rule: what the product imports or names, what is in one of its packages, and what a manifest lists is the product:
protecting it would stop all work.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

from interlock.conventions.judge_files import MIXED, is_configuration, is_source, is_test
from interlock.pipelinefile import repo
from interlock.pipelinefile.repo import Part
from interlock.pipelinefile.runners import configuration_values, configured_tests, loaded_files
from interlock.text.globs import matches_any

TESTS_MAX = 400  # files that are read
SOURCES_MAX = 3_000
GLOBS_MAX = 20
_OF_TESTS = re.compile(
    r"(^|[^a-z])(tests?|testing|test(ing)?(data|lib|utils?|helpers?|support|kit)|specs?|fixtures?|mocks?|stubs?|fakes?"
    r"|helpers?|support|golden|snapshots?|cassettes)([^a-z]|$)",
    re.I,
)
_NOT_OURS = re.compile(r"(^|/)(src|lib|docs?|examples?|scripts|public|static|assets|migrations)/")
_ENDINGS = ("", ".js", ".ts", ".mjs", ".cjs", ".jsx", ".tsx", ".mts", ".cts", "/index.js", "/index.ts", "/index.tsx")
_MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "Cargo.toml")
_RUNNERS = frozenset({"jest", "mocha", "ava"})  # tables of package.json that list nothing of the product


def helpers_of(parts: Sequence[Part], root: Path, known: Sequence[str]) -> tuple[str, ...]:
    """Globs of helpers and data of tests, relative to the root, beyond the `known` globs. Only reads."""
    found: dict[str, None] = {}
    for folder in dict.fromkeys(part.folder for part in parts):
        project = _PartFiles(
            root / folder, tuple(glob.removeprefix(f"{folder}/") for glob in known) if folder else tuple(known)
        )
        found.update(dict.fromkeys(_from_root(folder, glob) for glob in _globs(project)))
    return tuple(found)[:GLOBS_MAX]


def _from_root(folder: str, path: str) -> str:
    joined = posixpath.join(folder, path)
    return joined if "/" in joined else f"/{joined}"


@dataclass(frozen=True)
class _PartFiles:
    """The files of one part of the repository, each read once."""

    root: Path
    known: tuple[str, ...]

    @cached_property
    def files(self) -> frozenset[str]:
        return frozenset(repo.files(self.root))

    @cached_property
    def configured(self) -> tuple[str, ...]:
        return (*self.known, *configured_tests(self.root))

    def is_judge(self, path: str) -> bool:
        return is_test(path) or is_configuration(path) or path in MIXED or matches_any(self.configured, path)

    def is_known(self, path: str) -> bool:
        """Whether the file, or everything below the folder, is protected by name."""
        return self.is_judge(path) or self.is_judge(f"{path}/-")

    @cached_property
    def tests(self) -> tuple[tuple[str, References], ...]:
        """The sources among the tests, each with what it refers to."""
        chosen = sorted(path for path in self.files if is_source(path) and self.is_judge(path))[:TESTS_MAX]
        return tuple((path, references_in(path, repo.text(self.root, path))) for path in chosen)

    @cached_property
    def product(self) -> str:
        """The text of all sources that may be the product, and of the manifests."""
        chosen = sorted(
            path for path in self.files if is_source(path) and not self.is_judge(path) and not _looks_like_tests(path)
        )
        package = repo.json_object(self.root, "package.json")
        listed = json.dumps({key: value for key, value in package.items() if key not in _RUNNERS})
        return "\n".join((repo.text(self.root, *chosen[:SOURCES_MAX], *_MANIFESTS), listed))


def _looks_like_tests(path: str) -> bool:
    """Whether its name, or that of a folder above it, is a usual name for files of tests."""
    return any(_OF_TESTS.search(part.removesuffix(".py")) for part in path.split("/"))


def _globs(project: _PartFiles) -> Iterator[str]:
    reached: dict[str, None] = {}
    loaded = [("", References(paths=frozenset({path}))) for path in loaded_files(project.root)]
    waiting = [*project.tests, *_mapped_modules(project), *loaded]
    while waiting and len(reached) < SOURCES_MAX:  # what helpers import are helpers too
        path, references = waiting.pop()
        direct = () if path else sorted(references.paths)
        for found in (*direct, *_modules(project, path, references), *_data(project, path, references)):
            if found not in reached and not project.is_known(found) and not _is_product(project, found):
                reached[found] = None
                if found in project.files and is_source(found):
                    waiting.append((found, references_in(found, repo.text(project.root, found))))
    shown = dict.fromkeys(_whole_folder(project, path) for path in sorted(reached))
    folders = tuple(glob.removesuffix("**") for glob in shown if glob.endswith("/**"))
    yield from (glob for glob in shown if not any(glob.startswith(each) and glob != f"{each}**" for each in folders))


def _mapped_modules(project: _PartFiles) -> Iterator[tuple[str, References]]:
    """The modules that the configuration of a JavaScript runner loads in place of others."""
    found = [
        word for keys, word in configuration_values(project.root, "jest.config.*", "vitest.config.*") if _maps(keys)
    ]
    package = repo.json_object(project.root, "package.json")
    found += [str(value) for value in repo.at(package, "jest", "moduleNameMapper").values()]
    names = (word.removeprefix("<rootDir>/").removeprefix("./") for word in found)
    yield "package.json", References(frozenset(f"./{name}" for name in names))


def _maps(keys: Sequence[str]) -> bool:
    return "moduleNameMapper" in keys or "alias" in keys


def _modules(project: _PartFiles, path: str, references: References) -> Iterator[str]:
    """The files of this part that are imported."""
    above = posixpath.dirname(path)
    for name in sorted(references.modules):
        if path.endswith(".py"):
            dots = len(name) - len(name.lstrip("."))
            parts = above.split("/")[: len(above.split("/")) - dots + 1] if dots else []
            stem = "/".join([*filter(None, parts), *name.lstrip(".").split(".")])
            yield from (each for each in (f"{stem}.py", f"{stem}/__init__.py") if each in project.files)
        elif name.startswith("."):
            stem = posixpath.normpath(posixpath.join(above, name))
            stems = (stem, re.sub(r"\.([cm]?)jsx?$", r".\1ts", stem))  # TypeScript imports the compiled name
            yield from (
                each for each in (f"{one}{ending}" for one in stems for ending in _ENDINGS) if each in project.files
            )


def _data(project: _PartFiles, path: str, references: References) -> Iterator[str]:
    """Files and folders that are named, relative to the folder of the test or to one above it."""
    folders = [posixpath.dirname(path)]
    while folders[-1]:
        folders.append(posixpath.dirname(folders[-1]))
    for name in sorted(references.paths):
        if not re.fullmatch(r"[\w.@+-]+(/[\w.@+ -]+)*/?", name) or name.startswith("/"):
            continue
        for folder in folders:
            found = posixpath.normpath(posixpath.join(folder, name))
            is_file = found in project.files and "/" in found and not is_source(found)
            if is_file or (
                found.split("/")[0] not in (".", "..") and _looks_like_tests(found) and (project.root / found).is_dir()
            ):
                yield found
                break


def _is_product(project: _PartFiles, path: str) -> bool:
    """Whether something other than tests may need it."""
    segments = path.split("/")
    if not _is_helpful(project, path) or not any(each == path or each.startswith(f"{path}/") for each in project.files):
        return True
    named = next((index for index, part in enumerate(segments) if _OF_TESTS.search(part)), len(segments) - 1)
    if path.endswith(".py"):
        module = r"\.".join(re.escape(part.removesuffix(".py")) for part in segments[: named + 1])
        if re.search(rf"^[ \t]*(from|import)[ \t]+{module}\b", project.product, re.M):
            return True
    stem = re.escape("/".join(segments[named:]).rpartition(".")[0] or segments[-1])
    return bool(re.search(rf"""["'`/]{stem}(\.\w+)*["'`/]|["'`/]{re.escape(segments[-1])}["'`]""", project.product))


def _is_helpful(project: _PartFiles, path: str) -> bool:
    """Whether it is where helpers and data of tests usually are: in no package of the product."""
    folders = path.split("/")[:-1]
    for index, folder in enumerate(folders):
        if _OF_TESTS.search(folder):
            break
        if "/".join((*folders[: index + 1], "__init__.py")) in project.files:
            return False
    if not is_source(path):
        return not _NOT_OURS.search(path) or _looks_like_tests(path)
    return _looks_like_tests(path) and not (path.endswith(".py") and re.match(r"(src|lib)/", path))


def _whole_folder(project: _PartFiles, path: str) -> str:
    """The glob of the folder above it whose name is one of tests, if nothing in it is the product's; else the path."""
    segments = path.split("/")
    for index, part in enumerate(segments):
        folder = "/".join(segments[: index + 1])
        if _OF_TESTS.search(part) and (project.root / folder).is_dir():
            below = [each for each in project.files if each.startswith(f"{folder}/") and not project.is_judge(each)]
            return f"{folder}/**" if not any(_is_product(project, each) for each in below) else path
    return path


_IMPORTED = re.compile(r"""(?:\bfrom|\brequire\s*\(|\bimport\s*\(|\bimport|\bmock\s*\()\s*['"`]([^'"`\n]+)['"`]""")
_PLACED = re.compile(r"#\[\s*path\s*=\s*\"([^\"\n]+)\"")
_QUOTED = re.compile(r"""["'`]([^"'`\n\\]{2,200})["'`]""")
_JOINS = frozenset({"join", "joinpath", "Path", "PurePath", "with_name"})


@dataclass(frozen=True, slots=True)
class References:
    """What a source refers to. `modules` are dotted names of Python (relative ones begin with dots) or the text in an
    import of JavaScript. `paths` are texts that may name a file or a folder."""

    modules: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


def references_in(path: str, text: str) -> References:
    if not path.endswith(".py"):
        placed = (f"./{name}" for name in (_PLACED.findall(text) if path.endswith(".rs") else ()))
        imported = frozenset((*_IMPORTED.findall(text), *placed))
        return References(imported, frozenset(_QUOTED.findall(text)) - imported)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return References()
    return References(frozenset(_imported(tree)), frozenset(_paths(tree)))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = f"{'.' * node.level}{node.module or ''}"
            yield above
            yield from (f"{above}{'' if above.endswith('.') else '.'}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Assign) and any(_is_named(target, "pytest_plugins") for target in node.targets):
            yield from (each.value for each in ast.walk(node.value) if _is_text(each) and isinstance(each.value, str))


def _paths(tree: ast.Module) -> Iterator[str]:
    """Single texts, and joined ones: `root / "a" / "b.json"`, `os.path.join(here, "a", "b.json")`."""
    for node in ast.walk(tree):
        if _is_text(node) and isinstance(node.value, str) and 1 < len(node.value) <= 200 and "\n" not in node.value:
            yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield _joined([*_divided(node)])
        elif isinstance(node, ast.Call) and _called(node.func) in _JOINS:
            yield _joined(list(node.args))


def _divided(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield from _divided(node.left)
        yield node.right
    else:
        yield node


def _joined(parts: list[ast.expr]) -> str:
    """The texts at the end of `parts`, joined with slashes."""
    found: list[str] = []
    for part in reversed(parts):
        if not (_is_text(part) and isinstance(part.value, str)):
            break
        found.insert(0, part.value)
    return "/".join(found)


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
