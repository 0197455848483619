"""What runs and is hidden from type checkers, and what only names types."""

import pytest

from interlock.gates.suppressions import hidden


@pytest.mark.parametrize(
    "text",
    [
        "if TYPE_CHECKING:\n    from a import B\n",
        "if typing.TYPE_CHECKING:\n    class B(Protocol):\n        def f(self) -> int: ...\nelse:\n    B = object\n",
        "if TYPE_CHECKING:\n    Alias = dict[str, int]\n    def f() -> int: ...\n",
        "if not TYPE_CHECKING:\n    from a import B\n",
        "if TYPE_CHECKING:\n    import a\nelse:\n    try:\n        import a\n    except E:\n        a = 0\n",
        "if TYPE_CHECKING or sys.version_info >= (3, 11):\n    from a import B\nelse:\n    from c import B\n",
        "from typing import TYPE_CHECKING, no_type_check\n",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import a\n",
        "if sys.platform == 'win32':\n    def f(): ...\nelse:\n    def f(): ...\n",
        "def f(x):\n    if TYPE_CHECKING:\n        assert x is not None\n",
        "if TYPE_CHECKING:\n    T = A\nelse:\n    T = TypeVar('T', bound=int)\n    U: int = a if a else b\n",
        "if not TYPE_CHECKING:\n    def __getattr__(name): ...\n",
        "if TYPE_CHECKING:\n",  # it does not compile: that is told elsewhere
    ],
)
def test_what_names_types_is_fine(text: str):
    assert hidden(text) == ()


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("if not TYPE_CHECKING:\n    def f(): ...\n", 2, "def f(): ..."),
        ("if TYPE_CHECKING:\n    f: int\nelse:\n    class A: ...\n", 4, "class A: ..."),
        ("if TYPE_CHECKING:\n    f: int\nelif x:\n    f = lambda: 1\n", 3, "elif x:"),
        ("def f():\n    if TYPE_CHECKING:\n        if x:\n            raise E\n    g()\n", 4, "raise E"),
        ("if TYPE_CHECKING:\n    f: int\nelse:\n    f = g()\n", 4, "f = g()"),
        ("if not (not typing.TYPE_CHECKING):\n    pass\nelse:\n    exec(x)\n", 4, "exec(x)"),
        ("def f():\n    if TYPE_CHECKING:\n        return 0\n    return 'a'\n", 3, "return 0"),
        ("def f():\n    if not TYPE_CHECKING:\n        return 'a'\n    return 0\n", 3, "return 'a'"),
        ("if MYPY:\n    raise SystemExit\n", 2, "raise SystemExit"),
        ("if TYPE_CHECKING:\n    assert False\n", 2, "assert False"),
        ("if TYPE_CHECKING:\n    sys.exit()\n", 2, "sys.exit()"),
        ("if PY2:\n    def f(): ...\n", 2, "def f(): ..."),
        ("if PY3:\n    pass\nelse:\n    def f(): ...\n", 4, "def f(): ..."),
        ("if x and TYPE_CHECKING:\n    pass\nelse:\n    def f(): ...\n", 4, "def f(): ..."),
        ("assert not TYPE_CHECKING\n", 1, "assert not TYPE_CHECKING"),
        ("f = a if TYPE_CHECKING else b\n", 1, "f = a if TYPE_CHECKING else b"),
        ("while not TYPE_CHECKING:\n    pass\n", 1, "while not TYPE_CHECKING:"),
        ("from typing import TYPE_CHECKING as T\n", 1, "from typing import TYPE_CHECKING as T"),
        ("from typing import no_type_check as n\n", 1, "from typing import no_type_check as n"),
        ("@no_type_check\ndef f(): ...\n", 1, "@no_type_check f"),
        ("@typing.no_type_check\nclass A: ...\n", 1, "@typing.no_type_check A"),
        ("f = no_type_check(g)\n", 1, "f = no_type_check(g)"),
    ],
)
def test_what_is_hidden_is_told_with_its_line(text: str, line: int, shown: str):
    assert [(item.line, item.text) for item in hidden(text)] == [(line, shown)]
