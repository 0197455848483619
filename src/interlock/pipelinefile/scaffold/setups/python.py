"""Python: uv, Poetry, PDM and Pipenv by their lock files, else pip, each into a `.venv` in the checkout.

Rule: the project itself is installed as editable or not at all. `settle` rewrites the paths in the copied environment
to the checkout that it is in: it builds nothing and needs no network.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from interlock.conventions.judge_files import is_code
from interlock.pipelinefile import repo
from interlock.pipelinefile.repo import Which
from interlock.pipelinefile.scaffold.setups.python_needs import (
    TestNeeds,
    extras_of,
    groups_of,
    installs_itself,
    needs_of,
)
from interlock.pipelinefile.scaffold.setups.recipes import Recipe, in_folder

NOTE_FOLDER = "pwd > .venv/made-in"
SETTLE = """\
made=$(cat .venv/made-in)  # its scripts and links contain the path where it was created: replace it with this path
find .venv/bin .venv/lib/python*/site-packages -maxdepth 1 -type f -exec grep -lIF "$made" {} + |
  xargs sed -i.made "s|$made|$PWD|g\""""
DEPENDENCIES = """\
.venv/bin/python3 -c 'import tomllib; project = tomllib.load(open("%s", "rb"))["project"]
extras = project.get("optional-dependencies", {})
said = [*project.get("dependencies", []), *(each for name in %s for each in extras[name])]
print(*said, sep="\\n")' > .venv/%s"""
EMPTY_VENV = "--system-site-packages .venv  # nothing is needed yet: the packages of today's environment are visible"
COPY = re.compile(r"^\s*\./?(\[[^\]]*\])?\s*(#.*)?$", re.M)
COMPILES = re.compile(r"\bext_modules\b|\bExtension\(|\bcythonize\b|cffi_modules|rust_extensions")
COMPILERS = ("maturin", "scikit_build_core", "mesonpy", "setuptools_rust")
USES_METADATA = re.compile(r"importlib[._]metadata|pkg_resources|entry_points")
READ_MAX = 200  # files that are looked through
KEYS = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder with Python code. `editable`: the project itself is installed; if not, only its dependencies are."""

    name: str
    root: Path
    needs: TestNeeds
    editable: bool
    static: bool  # dependencies are read from pyproject.toml when setup runs, even if there are none yet

    def at(self, path: str) -> str:
        return f"{self.name}/{path}" if self.name else path


def recipes(root: Path, parts: Sequence[str], which: Which, tag: str) -> tuple[Recipe, ...]:
    """One recipe for each part with the lock file of an installed manager, and one with pip for all other parts."""
    found, others = [], []
    for name in parts:
        locked = _locked(root / name, which, tag)
        if locked is not None:
            found.append(in_folder(locked, name))
        else:
            others.append(_part(root, name))
    pip = _pip(others, which, tag, root)
    made = (*found, *((pip,) if pip else ()))
    if len(made) > 1:
        note = "several environments of Python are created, and gates find the first: give the others one"
        made = (replace(made[0], note=f"{made[0].note} {note}".strip()), *made[1:])
    return made


def installs(tool: str, root: Path, which: Which) -> bool:
    """Whether the recipe installs `tool` in the version that the project requires. Entries of a lock file that are not
    installed, such as other groups, do not count."""
    content = repo.toml(root, "pyproject.toml")
    said = [needs_of(root).text, str(repo.at(content, "project").get("dependencies"))]
    program = next((program for lock, program, _ in _MANAGERS if repo.has(root, lock) and which(program)), "")
    if program in _REQUIREMENTS:
        said += _REQUIREMENTS[program](root)
    plugin = r"(-[\w-]+)?" if tool in ("flake8", "pylint") else ""  # plugins depend on their tool
    return bool(re.search(rf"(?<![\w-]){re.escape(tool)}{plugin}(?![\w-])", "\n".join(said)))


def _locked(root: Path, which: Which, tag: str) -> Recipe | None:
    """The recipe of the manager whose lock file exists, if that manager is installed."""
    for lock, program, make in _MANAGERS:
        if repo.has(root, lock) and which(program):
            exported = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in version_variables(root, tag))
            key = (lock, *(name for name in KEYS if repo.has(root, name)), *read_files(root))
            written = written_file(root)
            paths = (".venv", *((written,) if written else ()))
            return Recipe(f"{exported}{make(root)}\n{NOTE_FOLDER}", key, paths, SETTLE)
    return None


def _uv(root: Path) -> str:
    content = repo.at(repo.toml(root, "pyproject.toml"), "tool", "uv")
    defaults = content.get("default-groups", ["dev"])
    needs = needs_of(root)
    words = ["--all-packages"] if "workspace" in content else []
    words += [f"--extra {name}" for name in needs.extras]
    words += [f"--group {name}" for name in needs.groups if isinstance(defaults, list) and name not in defaults]
    return " ".join(["uv sync --frozen", *words])


def _poetry(root: Path) -> str:
    content = repo.at(repo.toml(root, "pyproject.toml"), "tool", "poetry")
    optional = [name for name, group in repo.at(content, "group").items() if repo.table(group).get("optional")]
    wanted = [name for name in optional if re.search("test|dev", name)]
    extras = [name for name in needs_of(root).extras if name in extras_of(root)]
    words = ["--with " + ",".join(wanted)] if wanted else []
    words += [f"--extras {shlex.quote(' '.join(extras))}"] if extras else []
    return " ".join(["POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-interaction", *words])


def _pdm(root: Path) -> str:
    content = repo.at(repo.toml(root, "pyproject.toml"), "tool", "pdm", "dev-dependencies")
    needs = needs_of(root)
    names = [*needs.extras, *(name for name in (*content, *groups_of(root)) if re.search("test|dev", name))]
    words = [f"-G {name}" for name in dict.fromkeys(names)]
    return " ".join(["PDM_IGNORE_ACTIVE_VENV=1 pdm sync", *words])


def _pipenv(_root: Path) -> str:
    return "PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev"


_MANAGERS: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
    ("uv.lock", "uv", _uv),
    ("poetry.lock", "poetry", _poetry),
    ("pdm.lock", "pdm", _pdm),
    ("Pipfile.lock", "pipenv", _pipenv),
)


def _uv_requirements(root: Path) -> list[str]:
    content, groups = repo.at(repo.toml(root, "pyproject.toml"), "tool", "uv"), groups_of(root)
    defaults = content.get("default-groups", ["dev"])
    named = defaults if isinstance(defaults, list) else list(groups)
    return [str(content.get("dev-dependencies")), *(groups.get(str(name), "") for name in named)]


def _poetry_requirements(root: Path) -> list[str]:
    content = repo.at(repo.toml(root, "pyproject.toml"), "tool", "poetry")
    groups = [repo.table(group) for group in repo.at(content, "group").values()]
    required = [str(group.get("dependencies")) for group in groups if not group.get("optional")]
    return [str(content.get("dependencies")), str(content.get("dev-dependencies")), *required]


def _pdm_requirements(root: Path) -> list[str]:
    content = repo.toml(root, "pyproject.toml")
    return [str(repo.at(content, "tool", "pdm", "dev-dependencies")), *groups_of(root).values()]


# What each manager installs beyond the needs of tests, as text.
_REQUIREMENTS: dict[str, Callable[[Path], list[str]]] = {
    "uv": _uv_requirements,
    "poetry": _poetry_requirements,
    "pdm": _pdm_requirements,
    "pipenv": lambda root: [repo.text(root, "Pipfile")],
}


def _part(root: Path, name: str) -> _Part:
    folder = root / name
    needs = needs_of(folder)
    content = repo.toml(folder, "pyproject.toml")
    package = bool(repo.has(folder, "setup.py") or "build-system" in content or "[metadata]" in _cfg(folder))
    wanted = _has_dependencies(folder) or bool(needs.extras) or _is_asked_for_as_installed(folder, content)
    editable = package and wanted and not installs_itself(folder, needs.files)
    static = "project" in content and not editable and not installs_itself(folder, needs.files)
    return _Part(name, folder, needs, editable, static)


def _pip(parts: Sequence[_Part], which: Which, tag: str, root: Path) -> Recipe | None:
    """One environment for all parts: gates use one."""
    arguments = [word for part in parts for word in _arguments(part)]
    projects = [_editable(part) for part in parts if part.editable]
    wants_pytest = any(_mentions_pytest(part.root) for part in parts)
    needed = projects or any(part.needs.any or _has_dependencies(part.root) for part in parts)
    later = not needed and (not wants_pytest or bool(which("pytest")))
    if later and [(part.name, part.static) for part in parts] != [("", True)]:
        return None
    if wants_pytest and not later and not any(re.search(r"\bpytest\b", part.needs.text) for part in parts):
        arguments.insert(0, "pytest")
    lines = [f"{_interpreter(root, which)} -m venv {EMPTY_VENV if later else '.venv'}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in _version_variables(parts, tag)]
    if any(part.needs.groups for part in parts):
        lines.append(".venv/bin/python3 -m pip install -q -U pip  # dependency groups need a recent pip")
    lines += [_read_dependencies(part) for part in parts if part.static]
    compiled = [part for part in parts if part.editable and _compiles(part.root)]
    if compiled:
        lines.append(f".venv/bin/python3 -m pip install -q {_build_requirements(compiled)}")
    # The project comes last, in a line of its own: other requirements may pin another version of it.
    installed = (" ".join(dict.fromkeys(arguments)), *projects)
    lines += [*(f".venv/bin/python3 -m pip install -q {words}" for words in installed if words), NOTE_FOLDER]
    settle = [SETTLE, *(_rebuild_line(part) for part in compiled)]
    written = [part.at(name) for part in parts if part.editable and (name := written_file(part.root))]
    note = _note(root, parts)
    return Recipe("\n".join(lines), _key(parts), (".venv", *written), "\n".join(settle), note, brings=not later)


def _arguments(part: _Part) -> list[str]:
    needs = part.needs
    words = [f"-r {part.at(name)}" for name in needs.files]
    words += [f"-r .venv/{_needed(part)}"] if part.static else []
    words += [f"--group {part.name}/pyproject.toml:{name}" if part.name else f"--group {name}" for name in needs.groups]
    return words + [shlex.quote(package) for package in needs.packages]


def _editable(part: _Part) -> str:
    """The argument that installs the part as editable. Requirement files may do so themselves: then it is not used."""
    extras = f"[{','.join(part.needs.extras)}]" if part.needs.extras else ""
    place = f"./{part.name}" if part.name else "."
    return f"-e {shlex.quote(place + extras) if extras else place}"


def _read_dependencies(part: _Part) -> str:
    extras = json.dumps(part.needs.extras)
    return DEPENDENCIES % (part.at("pyproject.toml"), extras, _needed(part))


def _needed(part: _Part) -> str:
    return f"needed{'-' + part.name.replace('/', '-') if part.name else ''}.txt"


def _version_variables(parts: Sequence[_Part], tag: str) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(pair for part in parts for pair in version_variables(part.root, tag)))


def _build_requirements(parts: Sequence[_Part]) -> str:
    """The build requirements: they are installed so that the project can be built again without the network."""
    named = [repo.at(repo.toml(part.root, "pyproject.toml"), "build-system").get("requires") for part in parts]
    words = [str(word) for each in named if isinstance(each, list) for word in each] or ["setuptools", "wheel"]
    return " ".join(shlex.quote(word) for word in dict.fromkeys(words))


def _rebuild_line(part: _Part) -> str:
    return f".venv/bin/python3 -m pip install -q --no-deps --no-build-isolation --no-index -e {part.name or '.'}"


def _key(parts: Sequence[_Part]) -> tuple[str, ...]:
    names = []
    for part in parts:
        built = (*KEYS, *read_files(part.root)) if part.editable else KEYS
        names += [part.at(name) for name in (*built, *part.needs.read) if repo.has(part.root, name)]
    if repo.has(parts[0].root, ".python-version"):
        names.append(parts[0].at(".python-version"))
    return tuple(dict.fromkeys(names))


def _note(root: Path, parts: Sequence[_Part]) -> str:
    said = []
    if found := next((found for found in _MANAGERS if repo.has(root, found[0])), None):
        lock, program, _ = found
        what = f"there is a {lock}, but {program} is not on PATH: pip is used, without the lock file"
        said.append(f"{what}: install {program}, then `interlock init --force` writes its setup")
    copied = [part.at(name) for part in parts for name in part.needs.files if COPY.search(repo.text(part.root, name))]
    if copied:
        said.append(f"{', '.join(copied)} installs a copy of the project, not the checkout: write `-e .` there")
    if any(part.editable and _compiles(part.root) for part in parts):
        said.append("the project has compiled parts, which are built again in each checkout")
    return "; ".join(said)


def _interpreter(root: Path, which: Which) -> str:
    """The Python that `.python-version` names, if it is on PATH under that name; else python3."""
    said = re.match(r"(\d+\.\d+)", repo.text(root, ".python-version").strip())
    name = f"python{said[1]}" if said else ""
    return name if name and which(name) else "python3"


def _compiles(root: Path) -> bool:
    build = str(repo.at(repo.toml(root, "pyproject.toml"), "build-system"))
    return bool(COMPILES.search(repo.text(root, "setup.py"))) or any(name in build for name in COMPILERS)


def _is_asked_for_as_installed(root: Path, content: object) -> bool:
    """Whether something needs the project installed, not only its sources: entry points, metadata, a version file."""
    project = repo.at(repo.table(content), "project")
    if any(key in project for key in ("scripts", "entry-points", "gui-scripts")) or "entry_points" in _cfg(root):
        return True
    if written_file(root) or re.search(r"entry_points|package_dir|package-dir", repo.text(root, "setup.py")):
        return True
    files = [name for name in repo.files(root) if name.endswith(".py") and name != "setup.py"][:READ_MAX]
    return any(USES_METADATA.search(repo.text(root, name)) for name in files)


def _has_dependencies(root: Path) -> bool:
    content = repo.toml(root, "pyproject.toml")
    project = repo.at(content, "project")
    dynamic = project.get("dynamic")
    if project.get("dependencies") or len(repo.at(content, "tool", "poetry", "dependencies").keys() - {"python"}):
        return True
    from_elsewhere = isinstance(dynamic, list) and "dependencies" in dynamic
    flit = repo.at(content, "tool", "flit", "metadata").get("requires")
    return from_elsewhere or bool(flit) or "install_requires" in repo.text(root, "setup.py", "setup.cfg")


def _mentions_pytest(root: Path) -> bool:
    declared = repo.text(root, "pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "conftest.py", "noxfile.py")
    tests = [name for name in repo.files(root) if re.search(r"(^|/)(test_[^/]*|conftest)\.py$", name)][:50]
    said = f"{declared}\n{needs_of(root).text}"
    return bool(re.search(r"\bpytest\b", said)) or any(
        re.search(r"\bpytest\b|^def test_", repo.text(root, name), re.M) for name in tests
    )


def _cfg(root: Path) -> str:
    return repo.text(root, "setup.cfg")


_VARIABLES = (  # the build tool, and the variable that sets the version for it
    (r"setuptools[-_]scm|hatch-vcs|flit[-_]scm|vcs-versioning", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    (r"\bpbr\b", "PBR_VERSION"),
    (r"poetry-dynamic-versioning", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
    (r"uv-dynamic-versioning", "UV_DYNAMIC_VERSIONING_BYPASS"),
)
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*")


def version_variables(root: Path, tag: str) -> tuple[tuple[str, str], ...]:
    """The variables that set a version: that of `tag` (such as v1.2.0), else that in PKG-INFO, else 0.0.0. Empty if no
    tool is configured that takes the version from git."""
    content = repo.toml(root, "pyproject.toml")
    build = str(repo.at(content, "build-system"))
    said = f"{build} {repo.text(root, 'setup.py')} {'pbr' if re.search(r'^pbr *=', _setup_cfg(root), re.M) else ''}"
    names = [variable for pattern, variable in _VARIABLES if re.search(pattern, said)]
    if repo.at(content, "tool", "pdm", "version").get("source") == "scm":
        names.append("PDM_BUILD_SCM_VERSION")
    version = _of_tag(tag) or _of_metadata(root) or "0.0.0"
    return tuple((name, version) for name in names)


def written_file(root: Path) -> str:
    """The file that the build writes the version to, if git does not track it; else an empty string."""
    content = repo.toml(root, "pyproject.toml")
    scm = repo.at(content, "tool", "setuptools_scm")
    hook = repo.at(content, "tool", "hatch", "build", "hooks", "vcs")
    found = next((str(said) for said in (*_named(scm), hook.get("version-file")) if said), "")
    if not found and (
        said := re.search(r"""["']?(?:write_to|version_file)["']?\s*[=:]\s*["']([^"']+)""", _setup_py(root))
    ):
        found = said[1]
    ignored = repo.text(root, ".gitignore")
    kept = (root / found).is_file() and not (found in ignored or Path(found).name in ignored)
    return "" if kept or ".." in Path(found).parts else found


def read_files(root: Path) -> tuple[str, ...]:
    """The files without code that the build reads the version from. Code in `key` would run in setup, so it is left
    out."""
    content = repo.toml(root, "pyproject.toml")
    names = [repo.at(content, "tool", tool, "version").get("path") for tool in ("hatch", "pdm")]
    names += re.findall(r"""["']([\w./-]+\.(?:txt|cfg)|VERSION)["']""", _setup_py(root))
    found = (str(name) for name in names if name and not is_code(str(name)))
    return tuple(dict.fromkeys(name for name in found if (root / name).is_file()))


def _named(table: object) -> list[object]:
    found = repo.table(table)
    return [found.get("version_file"), found.get("write_to")]


def _of_tag(tag: str) -> str:
    found = _VERSION.search(tag)
    return found[0] if found else ""


def _of_metadata(root: Path) -> str:
    """The version of an unpacked source distribution."""
    found = re.search(r"^Version: (\S+)$", repo.text(root, "PKG-INFO"), re.M)
    return found[1] if found else ""


def _setup_cfg(root: Path) -> str:
    return repo.text(root, "setup.cfg")


def _setup_py(root: Path) -> str:
    return repo.text(root, "setup.py")
