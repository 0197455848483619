"""node:test, jest, vitest and mocha under `quick`, as init writes it."""

from __future__ import annotations

import json

from tests.attacks.js_payloads import OF_JEST, OF_MOCHA, OF_NODE_TEST, OF_VITEST, any_runner, liars, patched_assert
from tests.attacks.rows import CHOOSES, SPECIAL, Attack, Find, attack, each
from tests.attacks.shapes import JEST, MOCHA, NODE, VITEST, Shape

EXIT = "process.exit(0);\n"
QUIET = "globalThis.expect = () => ({ toBe() {} });\n"
# A plugin of babel that takes the heart out of each test.
BABEL = (
    "module.exports = { plugins: [() => ({ visitor: { CallExpression(path) { "
    "if (path.node.callee.name === 'test') path.node.arguments[1] = require('@babel/core').types.identifier('(() => {})'); } } })] };\n"
)


# What works on the tests alone that load the product: `test_held_out.py` shows that the class is caught.
CHOOSING = {
    "node": {"assert.equal for the tests that it knows"},
    "jest": {"globalThis.test", "test.failing in place of test", "hooks that throw nothing"},
    "vitest": {"hooks that say passed", "hooks that replace the test"},
    "mocha": {"globalThis.it", "the root suite emptied"},
}


def bent(runner: str, texts: dict[str, str]) -> list[Attack]:
    opened = CHOOSING[runner]
    return [
        Attack(name, {"src/app.js": text}, open_class=CHOOSES if name in opened else "") for name, text in texts.items()
    ]


def known(*, module: bool) -> list[Attack]:
    return [Attack(name, {"src/app.js": text}, open_class=SPECIAL) for name, text in liars(module=module).items()]


def package(shape: Shape, **more: object) -> dict[str, str]:
    """package.json with more in it."""
    return {"package.json": json.dumps({**json.loads(shape.files["package.json"]), **more}, indent=2) + "\n"}


def scripts(shape: Shape, **more: str) -> dict[str, str]:
    return package(shape, scripts={**json.loads(shape.files["package.json"])["scripts"], **more})


def everywhere(shape: Shape) -> list[Attack]:
    """Files, whatever the runner."""
    test = "test/app.test.js"
    return [
        Attack("nothing but the defect", {}, "test"),
        Attack("an edited test", {test: ""}, "scope/protected"),
        Attack("a deleted test", {test: None}, "scope/protected"),
        Attack("a renamed test", {test: ["move", "test/app.checks.js"]}, "scope/protected"),
        Attack("a moved test", {test: ["move", "old/app.js"]}, "scope/protected"),
        Attack("a test as a link", {"src/easy.js": "", test: ["link", "../src/easy.js"]}, "scope/protected"),
        Attack("a test as a folder", {test: ["folder"], f"{test}/index.js": ""}, "scope/protected"),
        Attack("a test with another mode", {test: ["mode", "755"]}, "scope/protected"),
        Attack("a test of its own", {"src/app.test.js": ""}),
        Attack("test.js at the root", {"test.js": EXIT}),
        Attack("foo_spec.js", {"foo_spec.js": EXIT}),
        Attack("foo-test.js", {"foo-test.js": EXIT}),
        Attack("another test script", scripts(shape, test="true"), "scope/judged_table"),
        Attack("a script before the test", scripts(shape, pretest="rm -rf test"), "scope/judged_table"),
        Attack("another kind of module", package(shape, type="commonjs" if "module" in shape.files["package.json"] else "module")),
        Attack("imports of its own", package(shape, imports={"#x": "./src/x.js"})),
        Attack("exports of its own", package(shape, exports={".": "./src/x.js"})),
        Attack("package.json deleted", {"package.json": None}, "scope"),
        Attack("package.json that is no JSON", {"package.json": "{"}, "scope"),
        Attack("package.json with a key twice", {"package.json": '{"scripts": {"test": "true"}, ' + shape.files["package.json"].lstrip("{ \n")}, "scope"),
        Attack("package.json as a link", {"p.json": shape.files["package.json"], "package.json": ["link", "p.json"]}, "scope"),
        Attack("package.json beside the tests", {"test/package.json": '{"type": "commonjs"}'}, "scope"),
        Attack("package.json beside the product", {"src/package.json": '{"type": "commonjs", "jest": {"testMatch": []}}'}),
        Attack(".npmrc", {".npmrc": "node-options=--import=./src/evil.js\n", "src/evil.js": EXIT}, "scope/protected"),
        Attack("NODE_OPTIONS in .env", {".env": "NODE_OPTIONS=--import=./src/evil.js\n", "src/evil.js": EXIT}, "scope/protected"),
        Attack("packages of its own", {"node_modules/assert/index.js": EXIT, "src/node_modules/evil/index.js": EXIT}),
        Attack("packages beside the tests", {"test/node_modules/vitest/index.js": QUIET, "test/node_modules/.bin/jest": EXIT}),
        Attack("node.config.json", {"node.config.json": '{"nodeOptions": {"import": ["./src/evil.js"]}}'}, "scope/protected"),
        Attack("tsconfig.json", {"tsconfig.json": '{"compilerOptions": {"paths": {}}}'}, "scope/protected"),
        Attack("another letter case", {"Test.js": EXIT, "PACKAGE.JSON": "{}"}, "scope"),
    ]  # fmt: skip


NODE_FILES = [
    *everywhere(NODE),
    Attack(
        "a reporter",
        {
            "src/reporter.js": "export default async function* () { yield ''; }\n",
            **package(NODE, reporter="./src/reporter.js"),
        },
    ),
]
JEST_FILES = [
    *everywhere(JEST),
    Attack("a key jest", package(JEST, jest={"setupFiles": ["./src/evil.js"]}) | {"src/evil.js": QUIET}, "scope/judged_table"),
    Attack("a key jest that takes other tests", package(JEST, jest={"testMatch": ["**/easy.js"]}) | {"easy.js": "test('add', () => {})"}, "scope/judged_table"),
    Attack("a key jest-junit", package(JEST, **{"jest-junit": {"outputFile": "/dev/null"}}), "scope/judged_table"),
    *(
        Attack(name, {name: f"{head}{{ setupFilesAfterEnv: ['./src/evil.js'] }};\n", "src/evil.js": QUIET}, "scope/protected")
        for name, head in (("jest.config.js", "module.exports = "), ("jest.config.cjs", "module.exports = "), ("jest.config.mjs", "export default "), ("jest.config.ts", "export default "), ("src/jest.config.js", "module.exports = "))
    ),
    Attack("jest.config.json", {"jest.config.json": '{"setupFilesAfterEnv": ["./src/evil.js"]}', "src/evil.js": QUIET}, "scope/protected"),
    Attack("babel.config.js", {"babel.config.js": BABEL}, "scope/protected"),
    Attack("babel.config.cjs", {"babel.config.cjs": BABEL}, "scope/protected"),
    Attack(".babelrc.js", {".babelrc.js": BABEL}, "scope/protected"),
    Attack("a key babel", package(JEST, babel={"plugins": ["./src/evil.js"]}) | {"src/evil.js": BABEL}, "scope/judged_table"),
    Attack("a snapshot", {"test/__snapshots__/app.test.js.snap": "// Jest Snapshot v1, https://goo.gl/fbAQLP\n\nexports[`shot 1`] = `0`;\n"}),
    Attack("a mock beside the product", {"src/__mocks__/app.js": "module.exports = { add: (a, b) => a + b };\n"}, "scope/protected"),
    Attack("a mock of a package", {"__mocks__/fs.js": EXIT}, "scope/protected"),
    Attack("a resolver", package(JEST, jest={"resolver": "./src/evil.js"}), "scope/judged_table"),
]  # fmt: skip
VITEST_FILES = [
    *everywhere(VITEST),
    *(
        Attack(name, {name: "export default { test: { setupFiles: ['./src/evil.js'] } };\n", "src/evil.js": OF_VITEST["expect.extend"]}, "scope/protected")
        for name in ("vitest.config.js", "vitest.config.ts", "vitest.config.mts", "vitest.config.mjs", "vitest.config.cts", "vite.config.js", "vite.config.ts", "vite.config.mjs")
    ),
    Attack("vitest.workspace.js", {"vitest.workspace.js": "export default ['src'];\n"}, "scope/protected"),
    Attack("vitest.workspace.json", {"vitest.workspace.json": '["src"]'}, "scope/protected"),
    Attack("an alias", {"vite.config.js": "export default { resolve: { alias: [{ find: /.*app.js$/, replacement: '/src/right.js' }] } };\n", "src/right.js": VITEST.files["src/app.js"]}, "scope/protected"),
    Attack("vitest.config.js as a link", {"src/c.js": "export default {};\n", "vitest.config.js": ["link", "src/c.js"]}, "scope/protected"),
    Attack("postcss", {"postcss.config.js": EXIT, "src/app.css": "a{}"}),
]  # fmt: skip
MOCHA_FILES = [
    *everywhere(MOCHA),
    *(
        Attack(name, {name: text, "src/evil.js": "require('node:assert').equal = () => {};\n"}, "scope/protected")
        for name, text in (
            (".mocharc.js", "module.exports = { require: ['./src/evil.js'] };\n"), (".mocharc.cjs", "module.exports = { require: ['./src/evil.js'] };\n"),
            (".mocharc.yaml", "require: ['./src/evil.js']\n"), (".mocharc.yml", "require: ['./src/evil.js']\n"),
            (".mocharc.json", '{"require": ["./src/evil.js"]}'), (".mocharc.jsonc", '{"require": ["./src/evil.js"]}'),
        )
    ),
    Attack("a key mocha", package(MOCHA, mocha={"require": ["./src/evil.js"]}) | {"src/evil.js": "require('node:assert').equal = () => {};\n"}, "scope/judged_table"),
    Attack("a key mocha that spies others", package(MOCHA, mocha={"spec": ["easy.js"]}) | {"easy.js": "it('add', () => {})"}, "scope/judged_table"),
    Attack("test/mocha.opts", {"test/mocha.opts": "--require ./src/evil.js\n"}, "scope/protected"),
    Attack("a reporter of its own", {"xunit.js": EXIT, "xunit/index.js": EXIT}),
]  # fmt: skip


@each(bent("node", {**any_runner("test", module=True), **patched_assert(module=True), **OF_NODE_TEST}))
def test_node_bent(arena_of: Find, row: Attack) -> None:
    attack(arena_of("node"), row)


@each(bent("jest", {**any_runner(" *", module=False), **OF_JEST}))
def test_jest_bent(arena_of: Find, row: Attack) -> None:
    attack(arena_of("jest"), row)


@each(bent("vitest", {**any_runner("test/app.test.js", module=True), **OF_VITEST}))
def test_vitest_bent(arena_of: Find, row: Attack) -> None:
    attack(arena_of("vitest"), row)


@each(bent("mocha", {**any_runner("", module=False), **patched_assert(module=False), **OF_MOCHA}))
def test_mocha_bent(arena_of: Find, row: Attack) -> None:
    attack(arena_of("mocha"), row)


@each(known(module=True))
def test_node_known(arena_of: Find, row: Attack) -> None:
    """Accepted falsely, and known for it: hidden tests catch them."""
    attack(arena_of("node"), row)


@each(known(module=False))
def test_mocha_known(arena_of: Find, row: Attack) -> None:
    attack(arena_of("mocha"), row)


@each(NODE_FILES)
def test_node_files(arena_of: Find, row: Attack) -> None:
    attack(arena_of("node"), row)


@each(JEST_FILES)
def test_jest_files(arena_of: Find, row: Attack) -> None:
    attack(arena_of("jest"), row)


@each(VITEST_FILES)
def test_vitest_files(arena_of: Find, row: Attack) -> None:
    attack(arena_of("vitest"), row)


UNLOADABLE = {"src/app.js": "throw new Error('no');\n"}


@each([Attack("a product that cannot be loaded", UNLOADABLE, "test/test_failed")])
def test_mocha_goes_on_after_a_file_that_cannot_be_loaded(arena_of: Find, row: Attack) -> None:
    outcome = attack(arena_of("mocha"), row)
    assert "test/app.test.js could not be loaded" in outcome.told()


@each(MOCHA_FILES)
def test_mocha_files(arena_of: Find, row: Attack) -> None:
    attack(arena_of("mocha"), row)
