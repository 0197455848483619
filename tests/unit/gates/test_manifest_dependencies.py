"""Dependencies by name are fine, judges and places of their own are not."""

import pytest

from interlock.gates import manifests

PYPROJECT = '[project]\nname = "x"\ndependencies = ["a>=1"]\n[dependency-groups]\ndev = ["pytest>=8", "ruff==0.5.0"]\n'
PACKAGE = '{"dependencies": {"a": "^1.0.0"}, "devDependencies": {"mocha": "^10.0.0", "eslint": "9.1.0"}}'
REQUIREMENTS = "# all of it\na==1.0  # why\npytest>=8\n--index-url https://index.example/simple\n"
LOCK = (
    '{"packages": {"node_modules/a": {"resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "version": "1.0.0"}}}'
)
UV = '[[package]]\nname = "a"\nsource = { registry = "https://pypi.org/simple" }\n'


def said(path: str, old: str, swap: tuple[str, str]) -> str:
    assert swap[0] in old
    assert manifests.names_dependencies(path)
    return "; ".join(manifests.complaints(path, old.encode(), old.replace(*swap).encode()))


@pytest.mark.parametrize(
    ("path", "old", "swap"),
    [
        ("pyproject.toml", PYPROJECT, ('"a>=1"', '"a>=2,<3", "b[c]~=1.0; python_version < \'3.12\'"')),
        ("pyproject.toml", PYPROJECT, ("[dep", '[project.optional-dependencies]\nx = ["y"]\n[dep')),
        (
            "pyproject.toml",
            PYPROJECT,
            ("[dep", '[tool.poetry.dependencies]\npython = "^3.11"\nb = {version = "^1"}\n[dep'),
        ),
        ("pyproject.toml", PYPROJECT, ("[dep", '[project.urls]\nhome = "https://example.org/x"\n[dep')),
        ("pyproject.toml", PYPROJECT, ('"ruff==0.5.0"', '"ruff==0.5.0", "pytest-xdist"')),
        (
            "package.json",
            PACKAGE,
            ('"a": "^1.0.0"', '"a": "2.x", "b": ">=1 <2 || ~3.1", "c": "latest", "d": "workspace:*"'),
        ),
        ("sub/requirements-dev.txt", REQUIREMENTS, ("a==1.0", "a==1.1 --hash=sha256:00 \\\n  --hash=sha256:01\nb")),
        ("package-lock.json", LOCK, ("a-1.0.0.tgz", 'a-1.0.0.tgz", "funding": "https://money.example')),
        ("uv.lock", UV, ('"a"', '"b"')),
        (
            "yarn.lock",
            "# yarn lockfile v1\n",
            ("v1\n", 'v1\n\na@^1:\n  version "1.0.0"\n  dependencies:\n    replace-x "^1"\n'),
        ),
        ("Cargo.toml", '[dependencies]\na = "1"\n', ('"1"', '{version = "2", features = ["x"]}')),
    ],
)
def test_a_dependency_by_name_is_fine(path: str, old: str, swap: tuple[str, str]):
    assert said(path, old, swap) == ""


@pytest.mark.parametrize(
    ("path", "old", "swap", "words"),
    [
        (
            "pyproject.toml",
            PYPROJECT,
            ('"a>=1"', '"a @ file:///tmp/a"'),
            "a (@ file:///tmp/a) would come from a different source",
        ),
        ("pyproject.toml", PYPROJECT, ('"a>=1"', '"a>=1", "b @ git+https://x.example/b"'), "b (@ git+https"),
        ("pyproject.toml", PYPROJECT, ("pytest>=8", "pytest>=3"), "pytest judges, and its version was changed"),
        ("pyproject.toml", PYPROJECT, (', "ruff==0.5.0"', ""), "ruff judges, and was removed"),
        ("pyproject.toml", PYPROJECT, ("[dep", '[tool.poetry.dependencies]\nb = {path = "b"}\n[dep'), "b (/("),
        ("pyproject.toml", PYPROJECT, ("[dep", '[[tool.poetry.source]]\nurl = "https://x"\n[dep'), "source"),
        (
            "setup.cfg",
            "[options]\ninstall_requires =\n    a\n",
            ("    a", "    a\n    b @ https://x/b.whl"),
            "b (@ https",
        ),
        ("package.json", PACKAGE, ('"^1.0.0"', '"file:fake"'), "a (file:fake)"),
        ("package.json", PACKAGE, ('"^1.0.0"', '"npm:evil@1.0.0"'), "a (npm:evil@1.0.0)"),
        ("package.json", PACKAGE, ('"^1.0.0"', '"someone/a"'), "a (someone/a)"),
        ("package.json", PACKAGE, ('"^10.0.0"', '"^3.0.0"'), "mocha judges"),
        ("package.json", PACKAGE, (', "eslint": "9.1.0"', ""), "eslint judges, and was removed"),
        ("requirements.txt", REQUIREMENTS, ("a==1.0", "./a"), "./a"),
        ("requirements.txt", REQUIREMENTS, ("a==1.0", "-e ./a"), "-e ./a"),
        ("requirements.txt", REQUIREMENTS, ("index.example", "other.example"), "other.example"),
        ("requirements.txt", REQUIREMENTS, ("a==1.0", "-r deps/list"), "-r deps/list"),
        (
            "requirements/test.txt",
            "a\n",
            ("a", "fake/pytest-8.0-py3-none-any.whl"),
            "would come from a different source",
        ),
        ("package-lock.json", LOCK, ("https://registry.npmjs.org", "https://evil.example"), "evil.example"),
        ("package-lock.json", LOCK, ("https://registry.npmjs.org/a/-/a-1.0.0.tgz", "file:fake"), "file:fake"),
        ("uv.lock", UV, ("https://pypi.org/simple", "https://evil.example"), "evil.example"),
        ("go.mod", "module x\n", ("module x\n", "module x\nreplace y => ./z\n"), "replace y => ./z"),
        ("go.mod", "replace (\n)\n", ("(\n", "(\n  y => evil.example/y v1.0.0\n"), "=> evil.example/y v1.0.0"),
        ("Cargo.toml", '[dependencies]\na = "1"\n', ('"1"', '{path = "b"}'), "a (/("),
    ],
)
def test_a_place_of_its_own_and_another_judge_are_told(path: str, old: str, swap: tuple[str, str], words: str):
    assert words in said(path, old, swap)


def test_other_files_name_no_dependencies():
    assert not manifests.names_dependencies("src/package.py")
    assert not manifests.names_dependencies("docs/dependencies.md")
