"""One module for each language, with the functions `build`, `lint`, `types` and `test`: folder -> Ready."""
