"""Kinds of gates, one module each, named like the kind: it has `judge(bench, case, cancel) -> Judgement`."""
