// Writes a JUnit report of a run of jest: one case for each test, and one for a file that could not be loaded.
const fs = require('fs');
const path = require('path');

const clean = (text) => String(text).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?');
const quoted = (text) => clean(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const write = fs.writeFileSync;

module.exports = class {
  constructor(config) {
    this.root = config.rootDir;
    this.target = process.env.INTERLOCK_JEST_REPORT;
    delete process.env.INTERLOCK_JEST_REPORT;
  }

  onRunComplete(_contexts, results) {
    const cases = results.testResults.flatMap((file) => this.cases(file));
    write(this.target, `<testsuites><testsuite name="jest">\n${cases.join('')}</testsuite></testsuites>\n`);
  }

  cases(file) {
    const name = path.relative(this.root, file.testFilePath);
    const cases = file.testResults.map((test) => {
      const group = [name, ...test.ancestorTitles].join(' ');
      return this.one(group, test.title, name, this.ending(test.status, test.failureMessages || []));
    });
    if (!file.testExecError && !(file.failureMessage && !file.testResults.length)) return cases;
    const message = file.failureMessage || (file.testExecError && file.testExecError.message) || '';
    return [...cases, this.one('', name, name, `<error>${quoted(message)}</error>`)];
  }

  ending(status, messages) {
    if (status === 'passed') return '';
    if (status === 'failed') return `<failure>${quoted(messages.join('\n'))}</failure>`;
    return '<skipped/>';
  }

  one(group, name, file, ending) {
    const attributes = `classname="${quoted(group)}" name="${quoted(name)}" file="${quoted(file)}"`;
    return `<testcase ${attributes}>${ending}</testcase>\n`;
  }
};
