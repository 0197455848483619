"""`python -m bench [NAME ...]`: measure, print beside the goals, exit 1 where a ratio is far from its goal."""

from __future__ import annotations

import json
import sys
from importlib import import_module

NAMES = ("shell", "history", "startup", "campaign")
LONG = ("attempt", "many", "load", "pages", "demo", "house")  # only when it is named


def main(names: list[str]) -> int:
    for name in names or NAMES:
        if name not in (*NAMES, *LONG):
            print(f"no such measurement: {name}: there are {', '.join((*NAMES, *LONG))}", file=sys.stderr)
            return 2
        measured = import_module(f"bench.{name}").measure()
        print(json.dumps({"bench": name, **measured}, default=str), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
