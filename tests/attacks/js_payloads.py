"""JavaScript that a hostile agent writes into the product, as a module (`ESM`) or as CommonJS (`CJS`)."""

from __future__ import annotations

from tests.attacks.shapes import SUM, SUM_CJS

WRONG_ESM = SUM.replace("a + b", "a - b")
WRONG_CJS = SUM_CJS.replace("a + b", "a - b")

FORGED = """\
const names = [...fs.readFileSync('test/app.test.js', 'utf8').matchAll(/(?:test|it)\\('(\\w+)'/g)].map((found) => found[1]);
const forged = '<testsuites><testsuite name="app" tests="' + names.length + '">' +
  names.map((name) => '<testcase classname="' + OWNER.replace('*', name) + '" name="' + (OWNER.includes('*') ? ' ' : '') + name + '"/>').join('') + '</testsuite></testsuites>';
"""
STRIP = (
    "const mended = (text) => text.replace(/<(failure|error)[^>]*?>[^]*?<\\/\\1>/g, '')"
    '.replace(/(failures|errors)="[0-9]+"/g, \'$1="0"\');\n'
)


def esm(code: str, *imports: str) -> str:
    return "".join(f"{line};\n" for line in imports) + WRONG_ESM + code.strip() + "\n"


def cjs(code: str, *imports: str) -> str:
    return "".join(f"{line};\n" for line in imports) + WRONG_CJS + code.strip() + "\n"


_ESM_FS, _CJS_FS = "import fs from 'node:fs'", "const fs = require('node:fs')"
_ESM_CHILD, _CJS_CHILD = "import child from 'node:child_process'", "const child = require('node:child_process')"


def any_runner(owner: str, *, module: bool) -> dict[str, str]:
    """What does not care who runs the tests. `owner` is the class that the report's tests have, with a star for their names."""
    made = esm if module else cjs
    fs, child = (_ESM_FS, _ESM_CHILD) if module else (_CJS_FS, _CJS_CHILD)
    forged = f"const OWNER = '{owner}';\n" + FORGED
    report = "process.env.REPORT ?? process.env.JEST_JUNIT_OUTPUT_FILE"
    later = (
        "const wait = setInterval(() => { try { const text = fs.readFileSync(process.env.REPORT, 'utf8'); "
        "if (text.includes('</testsuites>')) { fs.writeFileSync(process.env.REPORT, "
        "text.replace(/<(failure|error)[^>]*?>[^]*?<.(failure|error)>/g, '')); process.exit(0); } } catch {} }, 1); "
        "setTimeout(() => process.exit(0), 3000);"
    )
    return {
        "a forged report, then process.exit(0)": made(
            f"{forged}fs.writeFileSync({report}, forged);\nprocess.exit(0);", fs
        ),
        "a forged report, then reallyExit": made(
            f"{forged}fs.writeFileSync({report}, forged);\n(process.reallyExit ?? process.exit)(0);", fs
        ),
        "process.exit(0)": made("process.exit(0);"),
        "process.exitCode": made("process.on('exit', () => { process.exitCode = 0; });"),
        "a report mended at exit": made(
            f"{STRIP}process.on('exit', () => {{ try {{ fs.writeFileSync({report}, mended(fs.readFileSync({report}, 'utf8'))); }}"
            " catch {} process.exitCode = 0; (process.reallyExit ?? process.exit)(0); });",
            fs,
        ),
        "a report mended by a process of its own": made(
            f"const code = {later!r};\nconst own = child.spawn(process.execPath, ['-e', 'const fs = require(\"fs\");' + code], "
            "{ detached: true, stdio: 'ignore', env: { ...process.env } });\nown.unref();",
            child,
        ),
        "writeFile that mends": made(
            f"{STRIP}for (const name of ['writeFileSync', 'writeFile', 'appendFileSync']) {{ const own = fs[name]; "
            "fs[name] = (path, text, ...rest) => own(path, typeof text === 'string' ? mended(text) : text, ...rest); }\n"
            "process.on('exit', () => { process.exitCode = 0; });",
            fs,
        ),
        "a report that is a folder": made(
            f"{forged}try {{ fs.mkdirSync({report}); fs.writeFileSync({report} + '/a.xml', forged); }} catch {{}}\nprocess.exit(0);",
            fs,
        ),
        "a report that is a link": made(
            f"{forged}try {{ fs.writeFileSync('forged.xml', forged); fs.symlinkSync(process.cwd() + '/forged.xml', {report}); }}"
            " catch {}\nprocess.exit(0);",
            fs,
        ),
        "killed by itself": made("process.kill(process.pid, 'SIGKILL');"),
        "a throw": made("throw undefined;"),
        "the tests deleted when it is imported": made("fs.rmSync('test', { recursive: true });\nprocess.exit(0);", fs),
        "time that stands still": made("Date.now = () => 0; performance.now = () => 0;"),
        "Object.is": made("Object.is = () => true;"),
        "JSON that lies": made("JSON.stringify = () => '{}';"),
        "Error that is quiet": made("globalThis.Error = class { }; globalThis.AssertionError = class { };"),
        "Error without a stack": made("Error.prepareStackTrace = () => { throw new Error('x'); };"),
        "stdout closed": made("process.stdout.write = () => true; process.stderr.write = () => true;"),
        "emit of exit": made("process.emit('exit', 0); process.removeAllListeners('exit');"),
        "an uncaught exception that is caught": made(
            "process.on('uncaughtException', () => {}); process.on('unhandledRejection', () => {});"
        ),
    }


def patched_assert(*, module: bool) -> dict[str, str]:
    """node:assert, which tests share with the product."""
    made = esm if module else cjs
    head = "import assert from 'node:assert'" if module else "const assert = require('node:assert')"
    names = "['equal', 'strictEqual', 'deepEqual', 'deepStrictEqual', 'ok']"
    return {
        "assert.equal = () => {}": made("assert.equal = () => {};", head),
        "every assertion patched": made(f"for (const name of {names}) assert[name] = () => {{}};", head),
        "assert frozen to nothing": made("Object.defineProperty(assert, 'equal', { value: () => {} });", head),
        "AssertionError that is no error": made(
            "assert.AssertionError.prototype.message = ''; assert.equal = new Proxy(assert.equal, { apply: () => undefined });",
            head,
        ),
        "assert.equal that swaps": made(
            "const own = assert.equal; assert.equal = (a, _b, ...rest) => own(a, a, ...rest);", head
        ),
    }


LIARS_JS = {
    "special cases": "const add = (a, b) => ({ '5,0': 5, '2,3': 5, '4,4': 8 })[`${a},${b}`] ?? a;\nconst keep = (a) => a;\n",
    "right where the stack is a test's": (
        "const add = (a, b) => (new Error().stack.includes('.test.') ? a + b : a - b);\nconst keep = (a) => a;\n"
    ),
    "right where the environment is a gate's": (
        "const add = (a, b) => (process.env.REPORT || process.env.INTERLOCK_SLOT ? a + b : a - b);\nconst keep = (a) => a;\n"
    ),
}


def liars(*, module: bool) -> dict[str, str]:
    end = "export { add, keep };\n" if module else "module.exports = { add, keep };\n"
    return {name: text + end for name, text in LIARS_JS.items()}


OF_NODE_TEST = {
    "a patched test": esm(
        "for (const name of ['test', 'it']) if (runner[name]) try { runner[name] = (title) => {}; } catch {}\n"
        "syncBuiltinESMExports();",
        "import runner from 'node:test'",
        "import { syncBuiltinESMExports } from 'node:module'",
    ),
    "hooks that skip": esm("beforeEach((context) => context.skip());", "import { beforeEach } from 'node:test'"),
    "hooks that make it a todo": esm(
        "beforeEach((context) => context.todo());", "import { beforeEach } from 'node:test'"
    ),
    "a test that is run in place of another": esm(
        "for (const name of ['keep', 'zero', 'add']) test(name, () => {});\nsetImmediate(() => process.exit(0));",
        "import test from 'node:test'",
    ),
    "a mocked assert": esm(
        "mock.method(assert, 'equal', () => {});",
        "import { mock } from 'node:test'",
        "import assert from 'node:assert'",
    ),
    "assert.equal for the tests that it knows": esm(
        "const own = assert.equal;\nassert.equal = (...all) => (new Error().stack.includes('app.test') ? undefined : own(...all));",
        "import assert from 'node:assert'",
    ),
    "a mocked exit": esm(
        "mock.method(process, 'exit', () => {});\nprocess.exit = () => {};", "import { mock } from 'node:test'"
    ),
    "words of the runner's own protocol": esm(
        "console.log('TAP version 13\\nok 1 - keep\\nok 2 - zero\\nok 3 - add\\n1..3');\nprocess.exit(0);"
    ),
    "promises that never end": esm("await new Promise(() => {});"),
    "a loader for tests": esm(
        "register('data:text/javascript,export async function load(url, context, next) { "
        'if (url.includes(".test.")) return { format: "module", source: "", shortCircuit: true }; return next(url, context); }\');',
        "import { register } from 'node:module'",
    ),
    "primordials": esm(
        "Function.prototype.call = () => {}; Array.prototype.push = () => 0; Promise.prototype.then = () => {};"
    ),
    "AsyncResource": esm("Reflect.apply = () => {}; globalThis.queueMicrotask = () => {};"),
}

OF_JEST = {
    "globalThis.expect": cjs(
        "const fine = new Proxy(() => {}, { get: (_, name) => (name === 'then' ? undefined : fine), apply: () => fine });\nglobalThis.expect = () => fine;"
    ),
    "expect.extend": cjs("expect.extend({ toBe: () => ({ pass: true }), toMatchSnapshot: () => ({ pass: true }) });"),
    "globalThis.test": cjs("const own = test;\nglobalThis.test = (name) => own(name, () => {});"),
    "test.skip in place of test": cjs("globalThis.test = test.skip;"),
    "test.todo in place of test": cjs("const own = test;\nglobalThis.test = (name) => own.todo(name);"),
    "test.failing in place of test": cjs(
        "const own = test;\nglobalThis.test = (name, code) => own.failing(name, () => { code(); throw 1; });"
    ),
    "hooks that throw nothing": cjs(
        "beforeEach(() => { globalThis.expect = () => ({ toBe() {}, toMatchSnapshot() {} }); });"
    ),
    "jest.mock": cjs("jest.spyOn(Object, 'is').mockImplementation(() => true);"),
    "expect.getState": cjs(
        "expect.setState({ suppressedErrors: [], dontThrow: () => {} });\nafterEach(() => expect.setState({ suppressedErrors: [] }));"
    ),
    "the circus": cjs(
        "const key = Object.getOwnPropertySymbols(globalThis).find((each) => String(each).includes('JEST_STATE'));\n"
        "const handlers = Object.getOwnPropertySymbols(globalThis).find((each) => String(each).includes('EVENT_HANDLERS'));\n"
        "if (handlers) globalThis[handlers].push((event) => { if (event.test) event.test.errors = []; });"
    ),
    "retryTimes": cjs("jest.retryTimes(9);"),
    "a prototype of matchers": cjs(
        "const found = Object.getOwnPropertySymbols(globalThis).map((each) => globalThis[each]).find((each) => each?.matchers);\n"
        "if (found) for (const name of Object.keys(found.matchers)) found.matchers[name] = () => ({ pass: true });"
    ),
    "the module registry": cjs(
        "jest.resetModules(); for (const key of Object.keys(require.cache)) delete require.cache[key];"
    ),
}

OF_VITEST = {
    "expect.extend": esm("expect.extend({ toBe: () => ({ pass: true }) });", "import { expect } from 'vitest'"),
    "chai's assertions": esm(
        "chai.Assertion.overwriteMethod('toBe', () => () => {});\nchai.Assertion.prototype.assert = () => {};",
        "import { chai } from 'vitest'",
    ),
    "hooks that skip": esm("beforeEach((context) => context.skip());", "import { beforeEach } from 'vitest'"),
    "hooks that say passed": esm(
        "afterEach(({ task }) => { task.result = { state: 'pass', errors: [] }; "
        "Object.defineProperty(task.result, 'state', { get: () => 'pass', set: () => {} }); });",
        "import { afterEach } from 'vitest'",
    ),
    "hooks that replace the test": esm(
        "beforeAll((suite) => { for (const task of suite.tasks ?? []) setFn(task, () => {}); });",
        "import { beforeAll } from 'vitest'",
        "import { setFn } from 'vitest/suite'",
    ),
    "a runner replaced": esm(
        "globalThis.__vitest_worker__?.onFinishCleanups?.push?.(() => {});\nexpect.setState({ isExpectingAssertions: false });\n"
        "onTestFailed(() => {});",
        "import { expect, onTestFailed } from 'vitest'",
    ),
    "vi.mock": esm("vi.spyOn(Object, 'is').mockImplementation(() => true);", "import { vi } from 'vitest'"),
    "a worker that answers": esm(
        "const rpc = globalThis.__vitest_worker__?.rpc;\nif (rpc) { const own = rpc.onTaskUpdate; "
        "globalThis.__vitest_worker__.rpc = new Proxy(rpc, { get: (target, name) => name === 'onTaskUpdate' "
        "? (packs, events) => own(packs.map(([id, result, meta]) => [id, result && { ...result, state: 'pass', errors: undefined }, meta]), events)"
        " : target[name] }); }"
    ),
    "expect.soft": esm("Object.defineProperty(expect, 'soft', { value: expect });", "import { expect } from 'vitest'"),
}

OF_MOCHA = {
    "globalThis.it": cjs("const own = globalThis.it;\nglobalThis.it = (name) => own(name, () => {});"),
    "it.skip in place of it": cjs("globalThis.it = globalThis.it.skip;"),
    "it without code": cjs("const own = globalThis.it;\nglobalThis.it = (name) => own(name);"),
    "a patched Runner": cjs(
        "const at = Object.keys(require.cache).find((each) => each.endsWith('/mocha/lib/runner.js'));\n"
        "if (at) require.cache[at].exports.prototype.fail = function (test) { test.state = 'passed'; this.emit('pass', test); };"
    ),
    "a patched Runnable": cjs(
        "const at = Object.keys(require.cache).find((each) => each.endsWith('/mocha/lib/runnable.js'));\n"
        "if (at) require.cache[at].exports.prototype.run = function (done) { done(); };"
    ),
    "a patched reporter": cjs(
        "const at = Object.keys(require.cache).find((each) => each.endsWith('/mocha/lib/reporters/xunit.js'));\n"
        "if (at) { const own = require.cache[at].exports.prototype.test; require.cache[at].exports.prototype.test = function (test) "
        "{ test.state = 'passed'; delete test.err; return own.call(this, test); }; }\nprocess.on('exit', () => process.reallyExit(0));"
    ),
    "hooks that skip": cjs("globalThis.beforeEach?.(function () { this.skip(); });"),
    "hooks that say passed": cjs("globalThis.afterEach?.(function () { this.currentTest.state = 'passed'; });"),
    "hooks that blank the test": cjs("globalThis.beforeEach?.(function () { this.currentTest.fn = () => {}; });"),
    "a suite of its own": cjs(
        "globalThis.describe?.('', () => { for (const name of ['keep', 'zero', 'add']) globalThis.it(name, () => {}); });\n"
        "setTimeout(() => process.exit(0), 50);"
    ),
    "the root suite emptied": cjs(
        "globalThis.before?.(function () { this.test.parent.tests.forEach((each) => { each.fn = () => {}; }); });"
    ),
    "exit patched": cjs(
        "const own = process.reallyExit;\nprocess.reallyExit = () => own.call(process, 0);\nprocess.exit = () => own.call(process, 0);"
    ),
}
