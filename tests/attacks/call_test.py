"""Calls one test, without any test runner: `python -I -S call_test.py SOURCE FILE NAME`. Says `passed: NAME` at its end.

NAME is a function, or CLASS.METHOD of a unittest.TestCase. SOURCE is where the product lies; it comes last on
the path, so that nothing in it stands before the standard library.
"""

import importlib.util
import sys
import unittest
from pathlib import Path


def main(source: str, file: str, name: str) -> None:
    sys.path += [source, str(Path(file).parent)]
    spec = importlib.util.spec_from_file_location("the_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    owner, _, method = name.rpartition(".")
    if owner:
        case = getattr(module, owner)(method)
        assert isinstance(case, unittest.TestCase)
        case.debug()
    else:
        getattr(module, name)()
    sys.stdout.write(f"passed: {name}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
