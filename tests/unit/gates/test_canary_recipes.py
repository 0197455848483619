"""How tests that must fail are written beside others: names, kinds of modules, packages. Texts alone, nothing runs."""

from pathlib import Path

import pytest

from interlock.conventions.commands import RECIPES
from interlock.core.pipeline import CommandLine
from interlock.gates.canary import Words, is_failure_exit
from interlock.gates.canary.planting import NewContent, Siblings, recipe

WORDS = Words("name", ("one", "two", "three"), ("four",), "left", "right")


def written(runner: str, folder: Path, files: dict[str, str], shell: str = "") -> dict[str, str]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    siblings = Siblings(folder, tuple(name for name in files if name != "Cargo.toml"), CommandLine(shell=shell))
    return dict(recipe(runner)(siblings, WORDS))


NODE = "import test from 'node:test';\n"
BESIDE = {
    ("pytest", "tests/test_a.py", ""): "tests/test_name.py",
    ("pytest", "a_test.py", ""): "name_test.py",
    ("unittest", "app/tests.py", ""): "app/test_name.py",
    ("node", "test/a.test.js", NODE): "test/name.test.js",
    ("node", "test/a.mjs", NODE): "test/name.mjs",
    ("node", "test-a.js", NODE): "test-name.js",
    ("node", "test.js", NODE): "name.test.js",
    ("vitest", "src/a.spec.tsx", "test('a', f);"): "src/name.spec.tsx",
    ("jest", "__tests__/a.js", "test('a', f);"): "__tests__/name.js",
    ("mocha", "test/a_test.cjs", "it('a', f);"): "test/name_test.cjs",
    ("go", "a/b_test.go", "package a\n"): "a/name_test.go",
    ("go", "b_test.go", "package b_test\n"): "name_test.go",
    ("cargo", "crates/a/tests/it.rs", "#[test]\nfn a() {}\n"): "crates/a/tests/name.rs",
    ("junit", "src/test/java/a/BTest.java", "package a;\nimport org.junit.Test;\n"): "src/test/java/a/NameTest.java",
    ("junit", "src/test/java/BIT.java", "import org.junit.jupiter.api.Test;\n"): "src/test/java/NameIT.java",
}


@pytest.mark.parametrize(("recipe", "path", "text"), BESIDE)
def test_a_file_beside_another_one(tmp_path: Path, recipe: str, path: str, text: str) -> None:
    ((name, content),) = written(recipe, tmp_path, {path: text}).items()
    assert name == BESIDE[recipe, path, text]
    assert all(word in content.lower() for word in (*WORDS.failing, *WORDS.passing))
    assert not any(word in (name + content).lower() for word in ("canary", "interlock", "referee"))


def test_a_program_of_rust_fails_at_its_end(tmp_path: Path) -> None:
    text = "// fn main() {\nfn main() -> Result<(), String> {\n    run()\n}\n"
    (content,) = written("script", tmp_path, {"tests/h.rs": text}).values()
    assert content.index("impl Drop") > content.index("-> Result")
    assert content.endswith("    let _at_end = name;\n\n    run()\n}\n")
    assert written("script", tmp_path, {"tests/i.rs": "pub fn help() {}\n"}) == {}


def test_every_recipe_is_there() -> None:
    assert {recipe for recipe, *_ in BESIDE} == set(RECIPES)


@pytest.mark.parametrize(
    ("recipe", "path", "text"),
    [
        ("go", "a_test.go", "//go:build never\n\npackage a\n"),
        ("junit", "ATest.java", "import org.testng.annotations.Test;\n"),
        ("junit", "ATest.kt", "import org.junit.Test\n"),
        ("node", "a.test.js", "import { test } from 'vitest';\n"),
        ("mocha", "test/a.js", "export default 1;\n"),
        ("cargo", "src/lib.rs", "pub fn a() {}\n"),
    ],
)
def test_none_is_written_where_the_style_is_not_known(tmp_path: Path, recipe: str, path: str, text: str) -> None:
    assert written(recipe, tmp_path, {path: text}) == {}


def test_each_package_of_go_has_one(tmp_path: Path) -> None:
    files = {"a/x_test.go": "package a\n", "a/y_test.go": "package a\n", "b/z_test.go": "package b\n"}
    assert sorted(written("go", tmp_path, files)) == ["a/name_test.go", "b/name_test.go"]


def test_each_program_of_a_workspace_has_one(tmp_path: Path) -> None:
    some = "[package]\n[lib]\ntest = false\n[[test]]\nname = 'slow'\nrequired-features = ['slow']\n"
    files = {
        "src/lib.rs": "#[test]\nfn a() {}\n", "tests/it.rs": "", "tests/common/mod.rs": "",
        "Cargo.toml": "[package]\n[workspace]\nmembers = ['crates/*']\nexclude = ['crates/out']\n",
        "crates/some/Cargo.toml": some, "crates/some/src/lib.rs": "", "crates/some/tests/slow.rs": "",
        "crates/some/tests/quick.rs": "", "crates/some/tests/linux.rs": "#![cfg(linux)]\n",
        "crates/out/Cargo.toml": "[package]\n", "crates/out/src/lib.rs": "",
    }  # fmt: skip
    found = written("cargo", tmp_path, files)
    assert sorted(found) == ["crates/some/tests/quick.rs", "src/lib.rs", "tests/it.rs"]
    assert all(isinstance(text, NewContent) for text in found.values())
    assert found["src/lib.rs"].startswith("#[test]\nfn a() {}\n\n#[cfg(test)]\nmod name {\n    #[test]\n")


def test_a_crate_whose_programs_are_all_switched_off(tmp_path: Path) -> None:
    files = {"src/lib.rs": "#[test]\nfn a() {}\n", "Cargo.toml": "[package]\n[lib]\nharness = false\n"}
    assert list(written("cargo", tmp_path, files)) == ["tests/name.rs"]


@pytest.mark.parametrize(
    ("recipe", "test", "loads"),
    [
        ("node", "import test from 'node:test';\nimport { a } from '../src/a.js';\n", '"../src/a.js"'),
        ("vitest", "test('a');\nconst b = await import('./b');\n", 'import("./b")'),
        ("jest", "test('a');\nconst { c } = require('../c');\n", 'require("../c")'),
    ],
)
def test_it_loads_what_the_others_load(tmp_path: Path, recipe: str, test: str, loads: str) -> None:
    (content,) = written(recipe, tmp_path, {"test/x.test.js": test}, "jest --forceExit").values()
    assert loads in content


def test_jest_is_not_kept_from_its_end(tmp_path: Path) -> None:
    files = {"x.test.js": "test('a');\nconst { c } = require('./c');\n"}
    (content,) = written("jest", tmp_path, files, "jest").values()
    assert "require" not in content


def test_exit_codes_that_say_that_tests_failed_and_no_more() -> None:
    assert is_failure_exit("pytest", 1, b"")
    assert not is_failure_exit("pytest", 2, b"")
    assert is_failure_exit("mocha", 3, b"")
    assert is_failure_exit("cargo", 101, b"")
    assert is_failure_exit("vitest", 1, b"3 failed")
    assert not is_failure_exit("vitest", 1, b"Vitest caught 1 unhandled error during the test run.")


def test_each_case_of_django_that_the_tests_use(tmp_path: Path) -> None:
    imports = "import unittest\nfrom django.test import (\n    Client,\n    SimpleTestCase,\n)\n"
    other = f"{imports}\nclass A(unittest.TestCase):\n    pass\n"
    (text,) = written("unittest", tmp_path, {"shop/tests.py": other}).values()
    compile(text, "x", "exec")
    assert text.count("\nimport django.test\n") == text.count("(django.test.SimpleTestCase):") == 1
    assert "django.test.TestCase" not in text
    (plain,) = written("unittest", tmp_path, {"tests/test_a.py": "import unittest\n"}).values()
    assert "django" not in plain
