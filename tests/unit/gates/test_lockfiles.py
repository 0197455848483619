"""Lock files: what was locked stays what it was, in each format, and what is new comes by its name."""

from __future__ import annotations

import json

import pytest

from interlock.gates import manifests
from interlock.gates.lockfiles import pins_of

NPM = json.dumps(
    {
        "packages": {
            "": {"name": "app"},
            "node_modules/a": {
                "version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "sha512-aa",
            },
            "node_modules/@s/b": {
                "version": "2.0.0", "resolved": "https://registry.npmjs.org/@s/b/-/b-2.0.0.tgz", "integrity": "sha512-bb",
            },
            "node_modules/old-a": {
                "name": "a", "version": "0.9.0", "resolved": "https://registry.npmjs.org/a/-/a-0.9.0.tgz",
                "integrity": "sha512-cc",
            },
        }
    }
)  # fmt: skip
TWO = NPM.replace("registry.npmjs.org/a/-/a-1", "corp.example/npm/a/-/a-1")
JSR = NPM.replace("registry.npmjs.org/a/-/a-1.0.0", "npm.jsr.io/~/11/a/1.0.0")
NPM_1 = json.dumps(
    {
        "dependencies": {
            "a": {
                "version": "1.0.0",
                "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz",
                "integrity": "sha512-aa",
            }
        }
    }
)
NEW_NPM = ', "node_modules/c": {"version": "3.0.0", "resolved": "https://registry.npmjs.org/c/-/c-3.0.0.tgz"}}}'
YARN_1 = """\
# yarn lockfile v1


a@^1.0.0, a@^1.0.1:
  version "1.0.1"
  resolved "https://registry.yarnpkg.com/a/-/a-1.0.1.tgz#00"
  integrity sha512-aa

"@s/b@^2":
  version "2.0.0"
  resolved "https://registry.yarnpkg.com/@s/b/-/b-2.0.0.tgz#01"
  integrity sha512-bb
"""
YARN_4 = """\
__metadata:
  version: 8
  cacheKey: 10c0

"a@npm:^1.0.0":
  version: 1.0.1
  resolution: "a@npm:1.0.1"
  checksum: 10c0/aa
  languageName: node
  linkType: hard

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft
"""
PNPM = """\
lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.1

packages:

  a@1.0.1:
    resolution: {integrity: sha512-aa}
    engines: {node: '>=4'}

  '@s/b@2.0.0':
    resolution: {integrity: sha512-bb}
"""
BUN = """\
{
  "lockfileVersion": 1,
  "packages": {
    "a": ["a@1.0.1", "", {}, "sha512-aa"],

    "c/a": ["a@2.0.0", "", { "dependencies": { "b": "1" } }, "sha512-cc"],
  }
}
"""
UV = """\
version = 1

[[package]]
name = "app"
source = { editable = "." }

[[package]]
name = "my-a"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.pythonhosted.org/packages/00/my_a-1.0.tar.gz", hash = "sha256:aa", size = 1 }
wheels = [
    { url = "https://files.pythonhosted.org/packages/01/my_a-1.0-py3-none-any.whl", hash = "sha256:ab", size = 1 },
]

[[package]]
name = "b"
version = "1.0"
source = { git = "https://github.com/x/b?rev=v1#0123" }
"""
POETRY = """\
[[package]]
name = "a"
version = "1.0"
files = [
    {file = "a-1.0-py3-none-any.whl", hash = "sha256:aa"},
]
"""
PIPFILE = '{"_meta": {}, "default": {"a": {"hashes": ["sha256:aa"], "index": "pypi", "version": "==1.0"}}}'
CARGO = """\
[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"

[[package]]
name = "app"
version = "0.1.0"
"""
GO = "example.org/a v1.0.0 h1:aa=\nexample.org/a v1.0.0/go.mod h1:ab=\n"


def said(path: str, old: str, swap: tuple[str, str]) -> str:
    assert swap[0] in old
    assert manifests.names_dependencies(path)
    return "; ".join(manifests.complaints(path, old.encode(), old.replace(*swap, 1).encode()))


@pytest.mark.parametrize(
    ("path", "old", "swap"),
    [
        ("package-lock.json", NPM, ("}}}", "}" + NEW_NPM)),
        ("package-lock.json", NPM, ('"1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"', '"1.2.0"')),
        ("package-lock.json", TWO, ('"1.0.0", "resolved": "https://corp.example/npm/a/-/a-1.0.0', '"1.1.0", "resolved": "https://corp.example/npm/a/-/a-1.1.0')),
        ("package-lock.json", JSR, ('"1.0.0", "resolved": "https://npm.jsr.io/~/11/a/1.0.0', '"1.1.0", "resolved": "https://npm.jsr.io/~/12/a/1.1.0')),
        ("package-lock.json", NPM, ('"node_modules/a"', '"node_modules/x/node_modules/a"')),
        ("yarn.lock", YARN_1, ("a@^1.0.0, ", "a@^1, a@^1.0.0, ")),
        ("yarn.lock", YARN_1, ('"@s/b@^2"', 'c@*:\n  version "3.0.0"\n  resolved "https://registry.yarnpkg.com/c/-/c-3.0.0.tgz#2"\n\n"@s/b@^2"')),
        ("yarn.lock", YARN_4, ('"app@', '"c@npm:^3":\n  version: 3.0.0\n  resolution: "c@npm:3.0.0"\n\n"app@')),
        ("pnpm-lock.yaml", PNPM, ("  '@s/b", "  c@3.0.0:\n    resolution: {integrity: sha512-dd}\n\n  '@s/b")),
        ("bun.lock", BUN, ('    "c/a"', '    "d": ["d@3.0.0", "", {}, "sha512-dd"],\n    "c/a"')),
        ("uv.lock", UV, ('[[package]]\nname = "b"', '[[package]]\nname = "c"\nversion = "3.0"\nsource = { registry = "https://pypi.org/simple" }\n\n[[package]]\nname = "b"')),
        ("uv.lock", UV, ("wheels = [\n", 'wheels = [\n    { url = "https://files.pythonhosted.org/p/02/my_a-1.0-cp314-x.whl", hash = "sha256:ad" },\n')),
        ("uv.lock", UV, ('"1.0"\nsource = { reg', '"1.1"\nsource = { reg')),
        ("poetry.lock", POETRY, ('"1.0"', '"1.1"')),
        ("Pipfile.lock", PIPFILE, ('"sha256:aa"', '"sha256:aa", "sha256:ab"')),
        ("Cargo.lock", CARGO, ('[[package]]\nname = "app"', '[[package]]\nname = "b"\nversion = "2.0.0"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "bb"\n\n[[package]]\nname = "app"')),
        ("Cargo.lock", CARGO, ('"0.1.0"', '"0.2.0"')),
        ("go.sum", GO, ("example.org/a v1.0.0 h1", "example.org/b v1.0.0 h1:bb=\nexample.org/a v1.0.0 h1")),
    ],
)  # fmt: skip
def test_what_is_new_by_its_name_is_fine(path: str, old: str, swap: tuple[str, str]):
    assert len(pins_of(path, old.encode())) > 0
    assert said(path, old, swap) == ""


HASH = "has a different hash than before"
PACKAGE = "which is another package"
NOT_BEFORE = "which it did not before"
RUST_LANG = '"registry+https://github.com/rust-lang/crates.io-index"'


@pytest.mark.parametrize(
    ("path", "old", "swap", "words"),
    [
        ("package-lock.json", NPM, ("sha512-aa", "sha512-zz"), HASH),
        ("package-lock.json", NPM, (', "integrity": "sha512-aa"', ""), "has lost its hashes"),
        ("package-lock.json", NPM, ("a/-/a-1.0.0", "evil/-/evil-1.0.0"), PACKAGE),
        ("package-lock.json", NPM, ("a/-/a-1.0.0", "a/-/a-0.9.0"), PACKAGE),
        ("package-lock.json", NPM, ("@s/b/-/b-2", "b/-/b-2"), PACKAGE),
        ("package-lock.json", NPM, ("}}}", "}" + NEW_NPM.replace("c/-/c-3", "evil/-/evil-3")), PACKAGE),
        ("package-lock.json", NPM, ('"version": "1.0.0"', '"name": "evil", "version": "1.0.0"'), "would be the package evil"),
        ("package-lock.json", NPM, ("}}}", '}, "node_modules/x/node_modules/a": {"name": "evil", "version": "1.0.0"}}}'), "would be the package evil"),
        ("package-lock.json", NPM, ("https://registry.npmjs.org/a/-/a-1.0.0.tgz", "https://registry.npmjs.org/a.tgz"), NOT_BEFORE),
        ("package-lock.json", NPM, ("https://registry.npmjs.org/a/-/a-1.0.0.tgz", "git+ssh://git@github.com/x/a.git#1"), NOT_BEFORE),
        ("package-lock.json", NPM, ("{", "{,"), "cannot be read"),
        ("package-lock.json", TWO, ("corp.example/npm/a/", "registry.npmjs.org/a/"), NOT_BEFORE),
        ("package-lock.json", TWO, ("corp.example/npm/a/-/a-1.0.0.tgz", "corp.example/npm/a/-/archive/a-1.0.0.tgz"), PACKAGE),
        ("package-lock.json", TWO, ("corp.example/npm/a/-/a-1.0.0.tgz", "corp.example/evil/a/releases/download/v1/a.tgz"), NOT_BEFORE),
        ("package-lock.json", NPM_1, ("sha512-aa", "sha512-zz"), HASH),
        ("package-lock.json", NPM_1, ('"version": "1.0.0"', '"version": "npm:evil@1.0.0"'), "would be the package evil"),
        ("yarn.lock", YARN_1, ("sha512-aa", "sha512-zz"), HASH),
        ("yarn.lock", YARN_1, ("a/-/a-1.0.1", "evil/-/evil-1.0.1"), PACKAGE),
        ("yarn.lock", YARN_1, ("a@^1.0.0,", "a@npm:evil@1, a@^1.0.0,"), "would be the package evil"),
        ("yarn.lock", YARN_1, ('"@s/b@^2":', 'a@^3:\n   resolved "https://registry.yarnpkg.com/evil/-/evil-1.0.0.tgz"\n\n"@s/b@^2":'), "cannot be read"),
        ("yarn.lock", YARN_4, ("10c0/aa", "10c0/zz"), HASH),
        ("yarn.lock", YARN_4, ('"a@npm:1.0.1"', '"evil@npm:1.0.1"'), "would be the package evil"),
        ("yarn.lock", YARN_4, ('"a@npm:1.0.1"', '"a@workspace:fake"'), NOT_BEFORE),
        ("pnpm-lock.yaml", PNPM, ("sha512-aa", "sha512-zz"), HASH),
        ("pnpm-lock.yaml", PNPM, ("specifier: ^1.0.0", "specifier: npm:evil@^1.0.0"), "would be the package evil"),
        ("pnpm-lock.yaml", PNPM, ("{integrity: sha512-aa}", "{integrity: sha512-aa, tarball: https://registry.npmjs.org/evil/-/evil-1.0.1.tgz}"), PACKAGE),
        ("pnpm-lock.yaml", PNPM, ("  '@s/b", "  ? c@3.0.0\n  : resolution: {integrity: sha512-dd}\n\n  '@s/b"), "cannot be read"),
        ("bun.lock", BUN, ("sha512-aa", "sha512-zz"), HASH),
        ("bun.lock", BUN, ("a@1.0.1", "evil@1.0.1"), "would be the package evil"),
        ("uv.lock", UV, ("sha256:ab", "sha256:zz"), HASH),
        ("uv.lock", UV, ("my_a-1.0-py3", "evil-1.0-py3"), PACKAGE),
        ("uv.lock", UV, ('registry = "https://pypi.org/simple"', 'directory = "fake"'), NOT_BEFORE),
        ("uv.lock", UV, ("github.com/x/b?", "github.com/evil/b?"), NOT_BEFORE),
        ("uv.lock", UV, ('"app"\nsource', '"c"\nsource = { git = "https://github.com/evil/c" }\n\n[[package]]\nname = "app"\nsource'), "a source that no dependency"),
        ("poetry.lock", POETRY, ("sha256:aa", "sha256:zz"), HASH),
        ("poetry.lock", POETRY, ("files =", 'source = {type = "directory", url = "fake"}\nfiles ='), NOT_BEFORE),
        ("Pipfile.lock", PIPFILE, ("sha256:aa", "sha256:zz"), HASH),
        ("Pipfile.lock", PIPFILE, ('"index": "pypi"', '"path": "fake"'), NOT_BEFORE),
        ("Cargo.lock", CARGO, ('checksum = "aa"', 'checksum = "zz"'), HASH),
        ("Cargo.lock", CARGO, (RUST_LANG, '"git+https://github.com/evil/a"'), NOT_BEFORE),
        ("Cargo.lock", CARGO, (f"source = {RUST_LANG}\n", ""), NOT_BEFORE),
        ("go.sum", GO, ("h1:aa=", "h1:zz="), HASH),
    ],
)  # fmt: skip
def test_another_package_under_the_same_name_is_told(path: str, old: str, swap: tuple[str, str], words: str):
    assert words in said(path, old, swap)


def test_a_package_of_a_workspace_may_be_added_where_there_are_some_but_no_judge():
    new = '[[package]]\nname = "%s"\nsource = { editable = "packages/c" }\n'
    old = UV.encode()
    assert list(manifests.complaints("uv.lock", old, old + (new % "c").encode())) == []
    (why,) = manifests.complaints("uv.lock", old, old + (new % "pytest-c").encode())
    assert "a folder of the checkout" in why
