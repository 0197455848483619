// A module for mocha's --require: a test file that cannot be loaded becomes a test that fails and is named by the file,
// so that the others run, and there is a report. Without it mocha ends before its first test.
'use strict';
const path = require('path');

let utils = {};
try {
  utils = require(path.resolve('node_modules/mocha/lib/nodejs/esm-utils.js'));
} catch (error) {
  // an older mocha: it ends as it always did
}
const load = utils.requireOrImport;
if (load) {
  utils.requireOrImport = async (file, ...more) => {
    try {
      return await load(file, ...more);
    } catch (error) {
      const add = globalThis.it || globalThis.test; // there as soon as test files are loaded
      if (typeof add !== 'function') throw error;
      add(path.relative('', file), () => {
        throw error;
      });
    }
  };
}
