"""Two packages of the index that nobody here wrote, at two neighbouring versions each, and what goes wrong in them.

Rule: the digests are those that the index publishes; nothing but them decides what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    version: str
    sha256: str


@dataclass(frozen=True)
class Package:
    """`broken` replaces old text by new in a file of the package; `edited` does in a test, and hides it."""

    name: str
    older: Release
    newer: Release
    tests: str  # folder
    broken: tuple[str, str, str]
    named: str  # the test that the broken code fails
    edited: tuple[str, str, str]
    learned: str  # the newer version's test that the older fails
    proof: tuple[str, str]  # a line of Python that prints something, and what the newer version prints


SQLPARSE = Package(
    name="sqlparse",
    older=Release("0.5.1", "bb6b4df465655ef332548e24f08e205afc81b9ab86cb1c45657a7ff173a3a00e"),
    newer=Release("0.5.2", "9e37b35e16d1cc652a2545f0997c1deb23ea28fa1f3eefe609eee3063c3b105f"),
    tests="tests",
    broken=(
        "sqlparse/__init__.py",
        "[str(stmt).strip() for stmt in stack.run(sql, encoding)]",
        "[str(stmt) for stmt in stack.run(sql, encoding)]",
    ),
    named="tests.test_split::test_split_simple",
    edited=("tests/test_split.py", "def test_split_simple", "def unwanted_split_simple"),
    learned="test_strip_comments_preserves_hint",
    proof=(
        "import sqlparse; print(sqlparse.format('SELECT /*+ full(t) */ 1 /* gone */', strip_comments=True))",
        "SELECT /*+ full(t) */ 1",
    ),
)

TOOLZ = Package(
    name="toolz",
    older=Release("1.0.0", "2c86e3d9a04798ac556793bced838816296a2f085017664e4995cb40a1047a02"),
    newer=Release("1.1.0", "27a5c770d068c110d9ed9323f24f1543e83b2f300a687b7891c1a6d56b697b5b"),
    tests="toolz/tests",
    broken=("toolz/itertoolz.py", "yield prev[:len(seq) % n]", "yield prev"),
    named="toolz.tests.test_itertoolz::test_partition_all",
    edited=("toolz/tests/test_itertoolz.py", "def test_partition_all", "def unwanted_partition_all"),
    learned="test_partition_all",
    proof=("import toolz; print(toolz.__version__)", "1.1.0"),
)

PACKAGES = (SQLPARSE, TOOLZ)
