"""Values and places out of YAML, and the bounds that no file can pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.pipelinefile.mistakes import InvalidPipeline, Mark, Mistake, Mistakes
from interlock.pipelinefile.shape import Where
from interlock.pipelinefile.yaml import BYTES_MAX, Mapping, Node, Scalar, Sequence, read_yaml


def read(text: str) -> tuple[object, list[str]]:
    mistakes = Mistakes()
    tree = read_yaml(text.encode(), "f.yaml", mistakes)
    return plain(tree), [str(mistake) for mistake in mistakes.listed()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-12", -12), ("+3", 3), ("0.5", 0.5), ("'010'", "010"), ('"yes"', "yes"), ("y", "y"),
        ("1.2.3", "1.2.3"), ("2026-01-31", "2026-01-31"), ("90s", "90s"),
        ("-", [None]), ("./x", "./x"), ("- -x", ["-x"]),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert read(text) == (value, [])


@pytest.mark.parametrize(
    "text", ["yes", "No", "ON", "off", "010", "0o17", "1:30", "1_000", "0x1f", "1e3", ".5", "5.", ".inf", "9" * 30]
)
def test_what_readers_disagree_on_is_told(text: str) -> None:
    _, said = read(f"key: {text}")
    assert len(said) == 1
    assert said[0].startswith(f"f.yaml:1:6: {text} ")


def test_anchors_and_places() -> None:
    tree = read_yaml(b"\xef\xbb\xbfone: &a\r\n  - x: 1\r\n    y: [2, 3]\r\ntwo: *a\r\n", "f.yaml", Mistakes())
    assert isinstance(tree, Mapping)
    where = Where(tree)
    assert plain(tree) == {"one": [{"x": 1, "y": [2, 3]}], "two": [{"x": 1, "y": [2, 3]}]}
    assert where.value("one", 0, "y", 1) == Mark("f.yaml", 3, 12)
    assert where.key("one", 0, "y") == Mark("f.yaml", 3, 5)
    assert where.value("one", 0, "z", "deeper") == Mark("f.yaml", 2, 5), "the nearest thing above"
    assert where.key("two") == Mark("f.yaml", 4, 1)


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(InvalidPipeline, match="1,000,001 bytes"):
        read_yaml(b"#" * (BYTES_MAX + 1), "f.yaml", Mistakes())


def test_deep_nesting_ends_early() -> None:
    with pytest.raises(InvalidPipeline, match="more than 30 levels"):
        read("[" * 400_000)


def test_a_long_row_of_aliases_ends_early() -> None:
    with pytest.raises(InvalidPipeline, match="expands to more than"):
        read("a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 100 + "]")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*#|>'\"!%@`, \n\t?<=1.~"), max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    found: tuple[Mistake, ...] = ()
    try:
        read(text)
    except InvalidPipeline as error:
        found = error.mistakes
    assert all(mistake.line >= 1 and mistake.column >= 1 and mistake.hint for mistake in found)


def plain(node: Node) -> object:
    """The tree as dicts, lists and scalars."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries}
