"""Tiny projects, one for each language and tool, and a way to run a ready gate's line on them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from interlock.pipelinefile.sets import ResolvedGate

PYTEST = {
    "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
    "src/adder.py": "def add(a: int, b: int) -> int:\n    return a + b\n",
    "tests/test_adder.py": "from adder import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}
UNITTEST = {
    "adder.py": "def add(a, b):\n    return a + b\n",
    "tests/__init__.py": "",
    "tests/test_adder.py": (
        "import unittest\n\nfrom adder import add\n\n\nclass Adds(unittest.TestCase):\n"
        "    def test_adds(self):\n        self.assertEqual(add(1, 2), 3)\n\n"
        "    @unittest.skip('not today')\n    def test_later(self):\n        pass\n\n"
        "    def test_each(self):\n        for number in (1, 2):\n            with self.subTest(number=number):\n"
        "                self.assertEqual(add(number, 0), number)\n"
    ),
}
NODE = {
    "package.json": '{"name": "adder", "type": "module", "scripts": {"test": "node --test"}}\n',
    "adder.js": "export const add = (a, b) => a + b;\n",
    "test/adder.test.js": (
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add } from '../adder.js';\n\n"
        "test('adds', () => assert.equal(add(1, 2), 3));\n"
    ),
}
GO = {
    "go.mod": "module example.com/adder\n\ngo 1.22\n",
    "adder.go": "package adder\n\nfunc Add(a, b int) int { return a + b }\n",
    "adder_test.go": (
        'package adder\n\nimport "testing"\n\nfunc TestAdd(t *testing.T) {\n'
        "\tif Add(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n}\n"
    ),
}
RUST = {
    "Cargo.toml": '[package]\nname = "adder"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": "pub fn add(a: i64, b: i64) -> i64 {\n    a + b\n}\n",
    "tests/adds.rs": "#[test]\nfn adds() {\n    assert_eq!(adder::add(1, 2), 3);\n}\n",
}
JAVA = {
    "pom.xml": (
        "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId>"
        "<artifactId>adder</artifactId><version>1</version></project>\n"
    ),
    "src/main/java/Adder.java": "class Adder { static int add(int a, int b) { return a + b; } }\n",
    "src/test/java/AdderTest.java": "class AdderTest { }\n",
}


def lay(folder: Path, files: dict[str, str]) -> Path:
    """Write the files, and give the folder back."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    report: Path

    def cases(self) -> dict[str, str]:
        """Each test of a JUnit report with how it ended: passed, failure, error or skipped."""
        root = ElementTree.fromstring(self.report.read_bytes())
        return {
            f"{case.get('classname')}::{case.get('name')}": next(
                (child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed"
            )
            for case in root.iter("testcase")
        }


def run(ready: ResolvedGate, folder: Path, tmp: Path, path: str | None = None) -> Ran:
    """Run the line as a gate would: an environment of its own, this test's Python first on PATH."""
    tmp.mkdir(exist_ok=True)
    report = tmp / "report"
    report.unlink(missing_ok=True)
    for kept in [*folder.rglob("__pycache__")]:  # a gate's checkout is fresh; here a file may change within a second
        shutil.rmtree(kept)
    env = {
        "PATH": os.environ["PATH"] if path is None else path,
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "REPORT": str(report),
    }
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", ready.run],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout + done.stderr, report)
