"""What `init` reads of a project: which packages its tests need, by which tool, and what setup hangs on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.sets.projects import lay

from interlock.core.pipeline import Setup
from interlock.pipelinefile import load_pipeline
from interlock.pipelinefile.scaffold import InitOptions, Scaffold, plan_files, write
from interlock.pipelinefile.scaffold.setups.python import NOTE_FOLDER, SETTLE

TEST = {"tests/test_a.py": "def test_a():\n    pass\n"}
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
PROJECT = '[project]\nname = "p"\nversion = "1"\n'
EXTRAS = "[project.optional-dependencies]\n"
PACKAGE = {"pyproject.toml": BUILD + PROJECT, "p/__init__.py": "", **TEST}


def machine(*names: str) -> Callable[[str], str | None]:
    there = ("python3", "node", "npm", "make", *names)
    return lambda name: f"/usr/bin/{name}" if name in there else None


def planned(root: Path, files: dict[str, str], *programs: str, tag: str = "") -> Scaffold:
    return plan_files(lay(root, files), {}, machine(*programs), InitOptions(tag=tag))


def setup_of(root: Path, files: dict[str, str], *programs: str, tag: str = "") -> Setup:
    """The one item of setup that is written for these files."""
    write(planned(root, files, *programs, tag=tag), root, force=False)
    (found,) = load_pipeline(root / ".interlock/pipelines/quick.yaml", root).pipeline.setup
    return found


def installed(setup: Setup) -> str:
    """What pip is given, in one line."""
    words = [line.partition("install -q ")[2] for line in setup.command.shell.splitlines() if "install -q " in line]
    return " / ".join(word for word in words if not word.startswith("-U pip"))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": BUILD + PROJECT + EXTRAS + 'tests = ["pytest"]\n'}, "-e '.[tests]'"),
        ({"pyproject.toml": BUILD + PROJECT + EXTRAS + 'qa = ["pytest"]\ndocs = ["x"]\n'}, "-e '.[qa]'"),
        ({"setup.py": "", "setup.cfg": "[options.extras_require]\ntests =\n  pytest\n"}, "-e '.[tests]'"),
        ({"setup.py": "NEED = ['pytest']\nsetup(extras_require={'test': NEED})\n"}, "-e '.[test]'"),
        ({"pyproject.toml": PROJECT + '[dependency-groups]\ntest = ["pytest"]\nlint = ["ruff"]\n'},
         "-r .venv/needed.txt --group test"),
        ({"requirements-dev.txt": "pytest\n"}, "-r requirements-dev.txt"),
        ({"requirements/test.txt": "pytest\n", "requirements/base.txt": "attrs\n"}, "-r requirements/test.txt"),
        ({"requirements/base.txt": "attrs\n", **TEST}, "pytest -r requirements/base.txt"),
        ({"tests/requirements.txt": "pytest\n"}, "-r tests/requirements.txt"),
        ({"test-requirements.txt": "pytest\n"}, "-r test-requirements.txt"),
        ({**PACKAGE, "requirements.txt": "-e .[brotli]\npytest\n"}, "-r requirements.txt"),
        ({"tox.ini": "[testenv]\ndeps =\n  -rtests/need.txt\n  pytest\n  py38: old\n", "tests/need.txt": "a\n"},
         "-r tests/need.txt pytest"),
        ({"tox.ini": "[base]\ndeps =\n  pytest\n  mock\n[testenv]\ndeps = {[base]deps}\n"}, "pytest mock"),
        ({"tox.toml": '[env_run_base]\ndeps = ["pytest", "mock>=5"]\n', "setup.cfg": ""}, "pytest 'mock>=5'"),
        ({"noxfile.py": "def tests(session):\n    session.install('pytest', 'mock')\n"}, "pytest mock"),
        ({"pyproject.toml": '[tool.hatch.envs.default]\ndependencies = ["pytest", "anyio"]\n'}, "pytest anyio"),
        ({"pyproject.toml": '[tool.poetry.group.dev.dependencies]\npytest = "^8.1"\n'}, "'pytest>=8.1'"),
        ({"pyproject.toml": '[tool.pdm.dev-dependencies]\ntest = ["pytest>=8"]\n'}, "'pytest>=8'"),
        ({"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--cov=p"\n', "requirements.txt": "a\n"},
         "-r requirements.txt pytest-cov"),
    ],
)  # fmt: skip
def test_what_pip_is_given(tmp_path: Path, files: dict[str, str], expected: str):
    assert installed(setup_of(tmp_path, {**TEST, **files})) == expected


def test_a_project_is_installed_as_editable_where_it_is_asked_for_as_installed(tmp_path: Path):
    files = {**PACKAGE, "p/__init__.py": "import importlib.metadata\n", "requirements.txt": "pytest\n"}
    found = setup_of(tmp_path, files)
    assert installed(found) == "-r requirements.txt / -e ."
    assert found.settle is not None


def test_a_requirement_file_that_installs_a_copy_of_the_project_is_told(tmp_path: Path):
    said = "requirements.txt installs a copy of the project"
    copies = planned(tmp_path / "copy", {**PACKAGE, "requirements.txt": "pytest\n.[all]\n"}).notes
    assert any(said in note for note in copies)
    editable = planned(tmp_path / "editable", {**PACKAGE, "requirements.txt": "pytest\n-e .[all]\n"}).notes
    assert not any(said in note for note in editable)


def test_dependencies_of_what_is_no_package_are_read_when_setup_runs(tmp_path: Path):
    content = PROJECT + 'dependencies = ["attrs>=20"]\n[project.optional-dependencies]\ntest = ["pytest"]\n'
    found = setup_of(tmp_path, {"pyproject.toml": content, **TEST})
    assert installed(found) == "-r .venv/needed.txt"
    assert found.key == ("pyproject.toml",)
    reads = found.command.shell[found.command.shell.index(".venv/bin/python3 -c") :].partition("\n.venv/bin/python3 -m")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python3").symlink_to(sys.executable)
    subprocess.run(["bash", "-euo", "pipefail", "-c", reads[0]], cwd=tmp_path, check=True)
    assert (tmp_path / ".venv/needed.txt").read_text().split() == ["attrs>=20", "pytest"]


def test_a_project_that_needs_nothing_yet_can_get_its_first_dependency(tmp_path: Path):
    found = setup_of(tmp_path, {**TEST, "pyproject.toml": PROJECT}, "pytest")
    first, *_ = found.command.shell.splitlines()
    assert first.startswith("python3 -m venv --system-site-packages .venv  # nothing is needed yet")
    assert installed(found) == "-r .venv/needed.txt"
    assert found.key == ("pyproject.toml",)


def test_dependencies_that_are_not_there_yet_are_read_when_setup_runs(tmp_path: Path):
    assert installed(setup_of(tmp_path, {**PACKAGE})) == "pytest -r .venv/needed.txt"


@pytest.mark.parametrize(
    ("lock", "program", "content", "expected"),
    [
        ("uv.lock", "uv", "[tool.uv.workspace]\nmembers = []\n", "uv sync --frozen --all-packages"),
        ("uv.lock", "uv", '[dependency-groups]\ntest = ["pytest"]\n', "uv sync --frozen --group test"),
        ("poetry.lock", "poetry", "[tool.poetry.group.test]\noptional = true\n", "--no-interaction --with test"),
        ("pdm.lock", "pdm", '[dependency-groups]\ntest = ["pytest"]\n', "pdm sync -G test"),
        ("Pipfile.lock", "pipenv", "", "pipenv sync --dev"),
    ],
)  # fmt: skip
def test_a_lock_file_is_for_its_own_program(tmp_path: Path, lock: str, program: str, content: str, expected: str):
    files = {**PACKAGE, lock: "pytest", "pyproject.toml": BUILD + PROJECT + content}
    found = setup_of(tmp_path / "with", files, program)
    assert expected in found.command.shell
    assert {lock, "pyproject.toml"} <= set(found.key)
    assert found.settle is not None
    without = planned(tmp_path / "without", {**files, "requirements.txt": "pytest\n"})
    assert any(f"there is a {lock}, but {program} is not on PATH" in note for note in without.notes)


def test_what_includes_others_hangs_on_them(tmp_path: Path):
    files = {
        **PACKAGE,
        "requirements/test.txt": "-r base.txt\n-c ../pins.txt\npytest\n",
        "requirements/base.txt": "attrs\n",
        "setup.py": "open('VERSION')\n",
        "VERSION": "1\n",
        "p/__init__.py": "import pkg_resources\n",
    }
    found = setup_of(tmp_path, files)
    assert set(found.key) == {
        "pyproject.toml", "setup.py", "VERSION", "requirements/test.txt", "requirements/base.txt",
    }  # fmt: skip


def test_the_key_names_no_code_of_the_product(tmp_path: Path):
    """It would run in setup, as the candidate left it."""
    versioned = '[tool.setuptools.dynamic]\nversion = {attr = "p.__version__"}\n[tool.hatch.version]\npath = "p/v.py"\n'
    files = {**PACKAGE, "p/__init__.py": "import pkg_resources\n", "p/v.py": "", "requirements.txt": "pytest\n"}
    found = setup_of(tmp_path, {**files, "pyproject.toml": BUILD + PROJECT + versioned, "setup.py": "open('p/v.py')\n"})
    assert set(found.key) == {"pyproject.toml", "setup.py", "requirements.txt"}


@pytest.mark.parametrize(
    ("files", "variable"),
    [
        ({"pyproject.toml": '[build-system]\nrequires = ["setuptools", "setuptools-scm"]\n' + PROJECT},
         "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ({"pyproject.toml": '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n' + PROJECT},
         "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ({"setup.py": "setup(setup_requires=['pbr'], pbr=True)\n"}, "PBR_VERSION"),
        ({"pyproject.toml": '[build-system]\nrequires = ["poetry-core", "poetry-dynamic-versioning"]\n' + PROJECT},
         "POETRY_DYNAMIC_VERSIONING_BYPASS"),
        ({"pyproject.toml": BUILD + PROJECT + '[tool.pdm.version]\nsource = "scm"\n'}, "PDM_BUILD_SCM_VERSION"),
    ],
)  # fmt: skip
def test_a_version_that_comes_from_tags_is_told(tmp_path: Path, files: dict[str, str], variable: str):
    files = {**TEST, "requirements.txt": "pytest\n", "p.py": "import importlib.metadata\n", **files}
    assert f"export {variable}=1.2.0\n" in setup_of(tmp_path / "tag", files, tag="v1.2.0").command.shell
    files["PKG-INFO"] = "Name: p\nVersion: 3.4\n"
    assert f"export {variable}=3.4\n" in setup_of(tmp_path / "metadata", files).command.shell


def test_a_version_file_that_git_does_not_keep_comes_with_the_packages(tmp_path: Path):
    scm = '[build-system]\nrequires = ["setuptools-scm"]\n[tool.setuptools_scm]\nversion_file = "p/_version.py"\n'
    files = {**PACKAGE, "pyproject.toml": scm + PROJECT, "requirements.txt": "pytest\n"}
    assert setup_of(tmp_path / "away", files).paths == (".venv", "p/_version.py")
    kept = setup_of(tmp_path / "kept", {**files, "p/_version.py": "", "p/a.py": "import importlib.metadata\n"})
    assert kept.paths == (".venv",)


def test_the_python_that_is_named_is_taken_where_it_is_there(tmp_path: Path):
    files = {"requirements.txt": "pytest\n", ".python-version": "3.12.4\n", **TEST}
    assert "python3.12 -m venv" in setup_of(tmp_path / "there", files, "python3.12").command.shell
    found = setup_of(tmp_path / "not", files)
    assert "python3 -m venv" in found.command.shell
    assert ".python-version" in found.key


def test_settling_leads_scripts_and_links_to_the_checkout_they_lie_in(tmp_path: Path):
    made, here = tmp_path / "made there", tmp_path / "here"
    site = made / ".venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (made / ".venv/bin").mkdir()
    (made / ".venv/bin/tool").write_text(f"#!{made}/.venv/bin/python3\n")
    (made / ".venv/bin/python3").symlink_to(sys.executable)
    (site / "p.pth").write_text(f"{made}/src\n")
    (site / "binary.so").write_bytes(b"\0" + str(made).encode())
    subprocess.run(["bash", "-euo", "pipefail", "-c", NOTE_FOLDER], cwd=made, check=True)
    made.rename(here)
    subprocess.run(["bash", "-euo", "pipefail", "-c", SETTLE], cwd=here, check=True)
    site = here / ".venv/lib/python3.11/site-packages"
    assert (here / ".venv/bin/tool").read_text() == f"#!{here}/.venv/bin/python3\n"
    assert (site / "p.pth").read_text() == f"{here}/src\n"
    assert (site / "binary.so").read_bytes() == b"\0" + str(made).encode()


# --- Node ----------------------------------------------------------------------------------------


def package(**more: object) -> dict[str, str]:
    return {"package.json": json.dumps({"name": "x", "devDependencies": {"vitest": "1"}, **more})}


@pytest.mark.parametrize(
    ("files", "programs", "expected"),
    [
        ({**package(packageManager="yarn@4.1.0"), "yarn.lock": ""}, ["yarn"],
         "YARN_NODE_LINKER=node-modules yarn install --immutable"),
        ({**package(), "yarn.lock": "", ".yarnrc.yml": ""}, ["yarn"],
         "YARN_NODE_LINKER=node-modules yarn install --immutable"),
        ({**package(packageManager="yarn@1.22.0"), "yarn.lock": ""}, ["yarn"], "yarn install --frozen-lockfile"),
        ({**package(), "pnpm-lock.yaml": ""}, ["corepack"], "corepack pnpm install --frozen-lockfile"),
        ({**package(), "package-lock.json": "{}"}, [], "npm ci --no-audit --no-fund"),
        ({**package(), "bun.lock": ""}, ["bun"], "bun install --frozen-lockfile"),
    ],
)  # fmt: skip
def test_node_packages_come_by_the_lock_file(tmp_path: Path, files: dict[str, str], programs: list[str], expected: str):
    found = setup_of(tmp_path, files, *programs)
    assert found.command.shell == expected
    assert found.paths == ("node_modules",)


@pytest.mark.parametrize(
    "workspace",
    [
        {**package(workspaces=["packages/*"]), "package-lock.json": "{}"},
        {**package(), "pnpm-lock.yaml": "", "pnpm-workspace.yaml": "packages:\n  - 'packages/*'\n"},
    ],
)
def test_each_package_of_a_workspace_has_packages_of_its_own(tmp_path: Path, workspace: dict[str, str]):
    found = setup_of(tmp_path, {**workspace, "packages/a/package.json": "{}", "packages/b/package.json": "{}"}, "pnpm")
    assert found.paths == ("node_modules", "packages/a/node_modules", "packages/b/node_modules")
    assert {"package.json", "packages/a/package.json", "packages/b/package.json"} <= set(found.key)
    assert "mkdir -p node_modules packages/a/node_modules packages/b/node_modules" in found.command.shell


# --- parts of a repository, and targets ----------------------------------------------------------

MONO = {
    "backend/pyproject.toml": PROJECT + 'dependencies = ["httpx"]\n',
    "backend/tests/test_a.py": "def test_a():\n    pass\n",
    "frontend/package.json": json.dumps({"scripts": {"test": "node --test"}, "devDependencies": {"a": "1"}}),
    "frontend/a.test.js": "",
}


def test_a_repository_of_several_parts_has_a_gate_for_each_in_its_folder(tmp_path: Path):
    scaffold = planned(tmp_path, MONO)
    write(scaffold, tmp_path, force=False)
    pipeline = load_pipeline(tmp_path / ".interlock/pipelines/quick.yaml", tmp_path).pipeline
    gates = {gate.id: (gate.used, gate.dir) for gate in pipeline.stage("code").gates if gate.used}
    backend, frontend = ("python.test", "backend"), ("node.test", "frontend")
    assert gates == {
        "backend-base_tests": backend, "backend-test": backend,
        "frontend-base_tests": frontend, "frontend-test": frontend,
    }  # fmt: skip
    adds = pipeline.stage("code").scope.adds
    assert {"backend/**/tests/**", "backend/**/test_*.py", "frontend/**/*.test.*"} < set(adds)
    assert all(glob.startswith(("backend/", "frontend/")) for glob in adds)
    assert scaffold.found.folders == ("backend", "frontend")
    python, node = pipeline.setup
    assert python.paths == (".venv",)
    assert python.key == ("backend/pyproject.toml",)
    assert 'open("backend/pyproject.toml", "rb")' in python.command.shell
    assert node.command.shell.startswith("cd frontend\nnpm install")
    assert node.paths == ("frontend/node_modules",)


def test_python_of_several_parts_shares_one_environment(tmp_path: Path):
    files = {f"{part}/requirements.txt": "pytest\n" for part in ("api", "worker")}
    found = setup_of(tmp_path, {**files, "api/test_a.py": "import pytest\n", "worker/test_b.py": "import pytest\n"})
    assert installed(found) == "-r api/requirements.txt -r worker/requirements.txt"
    assert found.paths == (".venv",)


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"Makefile": "CC := cc\ntest: all\n\ttrue\n"}, "make test"),
        ({"Makefile": "check:\n\ttrue\n"}, "make check"),
        ({"justfile": "test *args:\n  true\n"}, "just test"),
        ({"Makefile": "test:\n\ttrue\n", "a.py": "", "setup.cfg": ""}, "make test"),
    ],
)
def test_a_target_that_tests_is_a_gate_where_nothing_better_is_found(tmp_path: Path, files: dict[str, str], run: str):
    write(planned(tmp_path, files, "just"), tmp_path, force=False)
    gates = load_pipeline(tmp_path / ".interlock/pipelines/quick.yaml", tmp_path).pipeline.stage("code").gates
    assert [gate.command.shell for gate in gates if gate.command] == [run]


def test_a_makefile_adds_nothing_where_tests_are_found(tmp_path: Path):
    write(planned(tmp_path, {**PACKAGE, "Makefile": "test:\n\tpytest\n"}, "pytest"), tmp_path, force=False)
    gates = load_pipeline(tmp_path / ".interlock/pipelines/quick.yaml", tmp_path).pipeline.stage("code").gates
    assert {gate.used for gate in gates if gate.command} == {"python.test"}


def test_a_test_gate_that_cannot_tell_tests_apart_is_said_loudly(tmp_path: Path):
    ava = {"package.json": json.dumps({"scripts": {"test": "ava"}, "devDependencies": {"ava": "6"}}), "test.js": ""}
    said = "WARNING: {} is judged only by its exit code"
    assert any(note.startswith(said.format("node.test")) for note in planned(tmp_path / "ava", ava).notes)
    make = planned(tmp_path / "make", {"Makefile": "test:\n\ttrue\n"}).notes
    assert any(note.startswith(said.format("make test")) for note in make)
    assert not any("only by its exit code" in note for note in planned(tmp_path / "python", PACKAGE, "pytest").notes)


def test_a_harness_of_its_own_is_said_loudly(tmp_path: Path):
    manifest = '[package]\nname = "a"\nversion = "1.0.0"\n\n[[test]]\nname = "h"\nharness = false\n'
    crate = {"Cargo.toml": manifest, "src/lib.rs": "", "tests/h.rs": "fn main() {}\n"}
    said = "WARNING: tests/h.rs has its own test harness"
    notes = planned(tmp_path / "own", crate, "cargo").notes
    assert any(note.startswith(said) and 'breaks: ["tests/h.rs"]' in note for note in notes), notes
    usual = planned(tmp_path / "usual", {**crate, "Cargo.toml": manifest.replace("false", "true")}, "cargo").notes
    assert not any(note.startswith(said) for note in usual)


def test_that_nothing_is_tested_is_said_loudly(tmp_path: Path):
    assert any(
        note.startswith("WARNING: only compilation is checked (python.build)")
        for note in planned(tmp_path, {"a.py": "", "setup.cfg": ""}).notes
    )
