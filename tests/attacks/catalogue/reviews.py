"""Reviews and joins."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, OPEN, Row

ROWS = (
    Row(
        "A verdict in the work that the reviewer quotes",
        "only the reviewer's own answer counts; two answers count as none",
        tests="test_reviews.py, test_fuzzed.py::test_no_text_without_the_mark_approves_but_the_answer_alone",
        hole="no: an answer that counted would approve what the row says is refused; marked ones beside it do",
    ),
    Row(
        "A file of the work with a verdict in it that ends a mini reviewer's turn when the reviewer prints it",
        "a command's output needs the mark of the question, which the author of the work could not know",
        tests="test_kinds.py",
        hole="no: a table of texts, which one function reads; honest ones beside them pass",
    ),
    Row(
        "Product code that a `command` reviewer starts, and that writes a verdict to `$INTERLOCK_ANSWER`",
        "a written answer needs the mark, and counts as none if another one was printed last",
        tests="tests/contract/test_gates_review.py",
        hole="no: an answer that counted would approve what the row says is refused; marked ones beside it do",
    ),
    Row(
        "The same if it reads the mark in `$BRIEF` and the reviewer prints no verdict; or product code that "
        "prints a verdict while the reviewer prints nothing of its own",
        "nothing: do not let a reviewer start product code, or hide its output and the brief from it",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "Orders to the reviewer in `AGENTS.md`, `CLAUDE.md`, `.cursorrules` ...",
        "`scope`: `protected`; they come from the base, and a reviewer's checkout has none",
        tests="test_reviews.py, test_names.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[protected]",
    ),
    Row(
        "Settings, hooks, plugins, servers or an address for an agent program, planted in the checkout: "
        "`.aider.conf.yml`, `.gemini/settings.json`, `.opencode/plugin/`, `.agents/plugins/`, `.codex/`, "
        "`.claude/`, `.mcp.json`, `.env`",
        "`scope`: `protected`; each program is configured to ignore them, or they are not in the checkout "
        "while it runs; a reviewer's checkout has none",
        tests="test_closed.py, test_isolation.py, test_names.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[protected]",
    ),
    Row(
        "An accepted stage that `authors` `AGENTS.md` or similar files, to give orders to later ones",
        "agents get those of the base, and their programs find no others, not even beside the files that they read",
        tests="test_instructions.py, test_closed.py, test_acp.py",
        hole=(
            "no: what a real program read is in the request that the model server got; without the defence it is there"
        ),
    ),
    Row(
        "An agent's command that reads the key of its own program from its environment",
        "`key: proxied`; else the program gets the key in another way, or keeps it from its commands ([by "
        "program](agents/README.md#closed-off-from-the-work)); not with `acp`, `command` and `qwen`",
        tests="test_closed.py, test_credentials.py",
        full="held, except for these",
        none="held, except for these",
        hole="no: what a real program gave its commands is printed by them; programs that give it are listed as open",
    ),
    Row(
        "The same from a file of the attempt's state, or from the memory of the program",
        "`key: proxied`, which needs the sandbox; nothing else",
        tests="tests/attacks/test_keys.py::test_nothing_is_got",
        full="held with `key: proxied`, else open",
        fs=OPEN,
        none=OPEN,
        hole="tests/attacks/test_keys.py::test_without_its_defence_it_is",
    ),
    Row(
        "`@path` in the work, or in files of a rejected attempt: some programs read that file, from anywhere, "
        "and add it to the prompt",
        "each program is told to ignore it (claude, also behind `acp`), or gets each `@` escaped (gemini, "
        "qwen); the others have no such feature",
        tests="tests/contract/agents/test_closed.py, tests/contract/agents/test_acp.py",
        hole=(
            "no: what a real program read is in the request that the model server got; without the defence it is there"
        ),
    ),
    Row(
        "Files that a reviewer's tools skip: `.rgignore`, `.ignore`, `.qwenignore` and similar; a `.gitignore` "
        "that hides tracked files",
        "`scope`: `protected` by name, `ignored` by what is hidden; a reviewer's checkout has none except `.gitignore`",
        tests="tests/contract/test_gates.py, tests/contract/test_gates_review.py, test_names.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[ignored]",
    ),
    Row(
        "A change behind a large file, or in a file that git takes for binary because of one odd byte",
        "a reviewer gets every path and what happened to it, all differences share the space, and everything "
        "that is readable is shown as text",
        tests="tests/contract/test_gates_review.py, test_showing.py",
        hole="no: a table of texts, which one function reads; honest ones beside them pass",
    ),
    Row(
        "Orders to the reviewer in code, in a log, in the name of a test or file",
        "the brief quotes them between marks that the author could not know, a name in one line; what a model makes of "
        "them is open: a review is soft, and overrules no hard gate",
        tests="tests/contract/test_gates_review.py::test_the_brief_holds_what_is_to_be_judged_between_marks, "
        "test_reviews.py::test_no_order_in_the_work_becomes_an_answer",
        full="held for the form, open for the words",
        none="held for the form, open for the words",
        hole="test_reviews.py::test_an_answer_that_is_one_does",
        number=40,
    ),
    Row(
        "A join that changes a protected file in which two stages are in conflict",
        "`scope`: one side as it was accepted; or, for tests, every line of both sides, in the order of each "
        "side, and nothing else",
        tests="test_joins.py, tests/contract/test_cli_joins.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[protected]",
    ),
    Row(
        "The same, with doubled lines that an earlier stage of the run added for both sides",
        "a gate with `tests: base` for tests of the base; a person who reads the diff",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A deletion that comes back, or anything else that git decides silently",
        "the join is decided by name, or rejected",
        tests="test_joins.py",
        hole="no: the rows are joins that git makes silently; the outside judge fails what is accepted",
    ),
    Row(
        "Work hidden in a new folder that is marked as a cache",
        "the folder is left out: no gate's checkout, no later stage and no branch has it; a folder that the "
        "input already has is still read",
        tests="tests/contract/test_workspaces.py",
        hole="no: the folder would be in the candidate's files, which the test lists",
    ),
    Row(
        "Held-out tests that an attempt looks for or overwrites",
        "they are outside of the checkout; gates never write to the original",
        tests="test_held_out.py",
        hole="test_held_out.py::test_a_knowing_product_is_named_as_open",
    ),
    Row(
        "Held-out tests that came with a run to a worker: among the blobs, and in the store",
        "nothing of either is bound",
        tests="tests/contract/temporal/test_contents.py",
        fs=HELD,
        none=OPEN,
        hole="no: at `none` the same test finds them",
    ),
    Row(
        "A change that a person reads otherwise than it runs: control characters, and characters that hide or "
        "reorder text, in its lines or names; a file that calls itself generated",
        "the page shows a sign for each such character and says so at the file; only well-known names close a file",
        tests="tests/unit/web/test_rendering.py, tests/unit/web/test_changes.py",
        hole="no: a table of texts, which one function reads; honest ones beside them pass",
    ),
)
