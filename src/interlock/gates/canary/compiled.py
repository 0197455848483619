"""Compiled languages: tests that must fail for Go, Java (JUnit 4 and 5, as Maven and Gradle run them) and Rust.

Rule: Go gets a test file in each package with tests, and Rust a module at the end of each test program, since each is a
process of its own; else an integration test. Java gets a class in the package of another test.

Rule: of Rust, only in what `cargo test --workspace` builds: a target that its manifest disables, or builds with some
features only, gets none. The tests need nothing of the standard library but its macros.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interlock.gates.canary import Words
from interlock.gates.canary.planting import NewContent, Siblings

# --- Go -----------------------------------------------------------------------------------------


_PACKAGES_MAX = 100
_GO = """\
package {package}

import "testing"

func Test{one}(t *testing.T) {{
	if found := "{left}"; found != "{right}" {{
		t.Errorf("%s is not {right}", found)
	}}
}}

func Test{two}(t *testing.T) {{
	var found []string
	if len(found) == 0 {{
		t.Fatal("{left}")
	}}
}}

func Test{three}(t *testing.T) {{
	t.Log("{right}")
	t.FailNow()
}}

func Test{four}(t *testing.T) {{
	if "{left}"+"{right}" != "{left}{right}" {{
		t.Fail()
	}}
}}
"""


def go(siblings: Siblings, words: Words) -> Mapping[str, str]:
    """A file with a build constraint is not always built, and so it is no model."""
    files: dict[str, str] = {}
    for path in siblings.tests:
        folder = path.rpartition("/")[0]
        target = f"{folder}/{words.name}_test.go".lstrip("/")
        package = re.search(r"^package (\w+)", siblings.text(path), re.M)
        if package is None or target in files or re.search(r"^//( \+build|go:build)", siblings.text(path), re.M):
            continue
        names = dict(zip(("one", "two", "three", "four"), (*words.failing, *words.passing), strict=True))
        titles = {key: word.title() for key, word in names.items()}
        files[target] = _GO.format(package=package[1], left=words.left, right=words.right, **titles)
    return dict(list(files.items())[:_PACKAGES_MAX])


# --- Java ---------------------------------------------------------------------------------------


_JAVA = """\
{package}import static {asserts}.assertEquals;
import static {asserts}.assertTrue;

import {annotation};

public class {title} {{
    @Test
    public void {one}() {{
        assertEquals("{left}", "{right}");
    }}

    @Test
    public void {two}() {{
        assertTrue("{left}".isEmpty());
    }}

    @Test
    public void {three}() {{
        throw new IllegalStateException("{right}");
    }}

    @Test
    public void {four}() {{
        assertEquals("{left}" + "{right}", "{left}{right}");
    }}
}}
"""
_ASSERTIONS = {
    "org.junit.jupiter.api.Test": "org.junit.jupiter.api.Assertions",
    "org.junit.Test": "org.junit.Assert",
}


def junit(siblings: Siblings, words: Words) -> Mapping[str, str]:
    for path in siblings.tests[:200]:
        text = siblings.text(path)
        annotation = next((name for name in _ASSERTIONS if f"import {name};" in text), "")
        if not path.endswith(".java") or not annotation:
            continue
        folder, slash, name = path.rpartition("/")
        title = words.name.title() + ("IT" if name.endswith("IT.java") else "Test")
        package = re.search(r"^package [\w.]+;", text, re.M)
        one, two, three = words.failing
        content = _JAVA.format(
            package=f"{package[0]}\n\n" if package else "", asserts=_ASSERTIONS[annotation], annotation=annotation,
            title=title, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        )  # fmt: skip
        return {f"{folder}{slash}{title}.java": content}
    return {}


# --- Rust ---------------------------------------------------------------------------------------


_PROGRAMS_MAX = 100
_RUST = """\
{indent}#[test]
{indent}fn {one}() {{
{indent}    assert_eq!("{left}", "{right}");
{indent}}}

{indent}#[test]
{indent}fn {two}() {{
{indent}    assert!("{left}".is_empty());
{indent}}}

{indent}#[test]
{indent}fn {three}() {{
{indent}    let found: Option<&str> = None;
{indent}    found.expect("{right}");
{indent}}}

{indent}#[test]
{indent}fn {four}() {{
{indent}    assert_ne!("{left}", "{right}");
{indent}}}
"""
_IN_SOME_CASES = re.compile(r"^\s*#!\[cfg\(", re.M)
_OFF = (("test", False), ("harness", False))


def cargo(siblings: Siblings, words: Words) -> Mapping[str, str]:
    module = f"\n#[cfg(test)]\nmod {words.name} {{\n{_rust_tests(words, '    ')}}}\n"
    programs = [path for path in _programs(siblings) if not _IN_SOME_CASES.search(siblings.text(path))]
    if programs:
        return {path: NewContent(siblings.text(path) + module) for path in programs[:_PROGRAMS_MAX]}
    for path in siblings.tests:
        folder, _, _ = path.rpartition("/")
        if folder.rpartition("/")[2] == "tests" and "#[test]" in siblings.text(path):
            return {f"{folder}/{words.name}.rs": _rust_tests(words, "")}
    return {f"tests/{words.name}.rs": _rust_tests(words, "")} if "[package]" in siblings.text("Cargo.toml") else {}


def _rust_tests(words: Words, indent: str) -> str:
    names = dict(zip(("one", "two", "three", "four"), (*words.failing, *words.passing), strict=True))
    return _RUST.format(indent=indent, left=words.left, right=words.right, **names)


def _programs(siblings: Siblings) -> Iterator[str]:
    """The main files of the test programs, of the workspace and of all its members."""
    root = _manifest(siblings, "")
    workspace = root.get("workspace", {})
    members = [] if "package" not in root else [""]
    for pattern in _texts(workspace.get("members")):
        if not pattern.startswith(("/", "..")):
            members += sorted(path.relative_to(siblings.folder).as_posix() for path in siblings.folder.glob(pattern))
    excluded = {word.strip("/") for word in _texts(workspace.get("exclude"))}
    for member in dict.fromkeys(members):
        if member not in excluded:
            yield from _of_package(siblings, "" if member in ("", ".") else f"{member}/")


def _of_package(siblings: Siblings, below: str) -> Iterator[str]:
    manifest = _manifest(siblings, below)
    package = manifest.get("package")
    if not isinstance(package, dict):
        return
    library = manifest.get("lib", {})
    paths = [str(library.get("path", "src/lib.rs"))] if _is_on(library) else []
    paths += [] if manifest.get("bin") or package.get("autobins") is False else ["src/main.rs"]
    if package.get("autotests") is not False:
        off = {str(test.get("name")) for test in manifest.get("test", []) if not _is_on(test)}
        found = sorted((siblings.folder / below / "tests").glob("*.rs"))
        paths += [f"tests/{path.name}" for path in found if path.stem not in off]
    for path in paths:
        target = siblings.folder / below / path
        if target.is_file() and not target.is_symlink():
            yield below + path


def _is_on(target: Mapping[str, Any]) -> bool:
    """Whether it is always built, as a program of the usual kind."""
    return not target.get("required-features") and all(target.get(key) is not value for key, value in _OFF)


def _manifest(siblings: Siblings, below: str) -> dict[str, Any]:
    try:
        return tomllib.loads(siblings.text(f"{below}Cargo.toml"))
    except tomllib.TOMLDecodeError:
        return {}


def _texts(value: object) -> list[str]:
    return [str(Path(str(each))) for each in value] if isinstance(value, list) else []
