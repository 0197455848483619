"""One module for each runner, found by its name: `written` makes new test files of which it must report failures."""
