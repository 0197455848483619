"""Projects that nobody here wrote, as they were published, and what `init` makes of them.

Rule: small, with different build tools and test runners; the digests are those that the index publishes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Project:
    """`setup` is a part of what setup has to run, empty where none is needed. `tests`: how many pass, 0 where the gate
    goes by the exit code alone. `told`: what is said of a project that is not green as it was published."""

    name: str
    version: str
    sha256: str
    kind: str
    language: str
    setup: str = ""
    tests: int = 0
    told: str = ""


PROJECTS = (  # the first one is tried at every push
    # setup.py, one file of unittest at the root
    Project("jsonpointer", "3.0.0", "2b2d729f2091522d61c3b31f82e11870f60b68f43fbc705cb76bf4b832af59ef", "pip", "python",
            tests=25),
    # setuptools, setup.cfg with extras
    Project("asgiref", "3.8.1", "c343bd80a0bec947a9860adb4c432ffa7db769836c64238fc34bdc3fec84d590", "pip", "python",
            "-e '.[tests]'", 60),
    # hatch, its version from tags, src layout
    Project("termcolor", "2.5.0", "998d8d27da6d48442e8e1f016119076b690d962507531df4890fcd2db2ef8a6f", "pip", "python",
            "export SETUPTOOLS_SCM_PRETEND_VERSION=2.5.0", 60),
    # Poetry, its groups, without its lock file
    Project("cleo", "2.1.0", "0b2c880b5d13660a7ea651001fb4acb527696c01f15c9ee650f377aa543fd523", "pip", "python",
            "pytest-mock", 250),
    # PDM, dependency groups; one of its tests fails for root
    Project("findpython", "0.9.0", "497c6b5eb13734be2542dfb6a93267946339601cbc2f1138c8cd4d40311fefe5", "pip", "python",
            "--group tests", 40),
    # flit, unittest alone
    Project("ptyprocess", "0.7.0", "5c5d0a3b48ceee0b48485e0c26037c0acd7d29765ca3fbb5cb3831d347423220", "pip", "python",
            tests=10),
    # setup.py, unittest in a folder
    Project("pycparser", "2.22", "491c8be9c040f5390f5bf44a5b07752bd07f56edf992381b05c701439eec10f6", "pip", "python",
            tests=100),
    # mocha by its own options
    Project("sprintf-js", "1.0.3", "3afb26bcc328dc90f516515acf2783ad35b08dbfe9e0ada18264c3c4ddaa1a83", "npm", "node",
            "npm install", 3),
    # mocha without a script; today's `should` has left it behind
    Project("delegates", "1.0.0", "bfefdbf411ed50a94c7befbdd75fc49c4ff53b063d481e05bbac2f670acf6461", "npm", "node",
            "npm install", told="Cannot read properties of undefined"),
    # tape, started by a loop of the shell
    Project("through", "2.3.8", "16b27a8c0fb13e5727356b328d72dbbc5f20bd909252f14d19da344e9354573e", "npm", "node",
            "npm install"),
    # tap
    Project("text-table", "0.2.0", "d883f6704c060373991701894931dd859f73938dd159c66092247a403f88c772", "npm", "node",
            "npm install"),
    # two scripts of assertions
    Project("pump", "3.0.2", "abe6ae59926dc551476eda2661153186bd357f4ef110da55b7f27d09f5ea0a7e", "npm", "node",
            "npm install"),
    # published without the file that its own script runs
    Project("json-stringify-safe", "5.0.1", "b7fbbf65c0bff6d47f516c98638229dff0e981d0edfffecbcf971d7fe361928a", "npm",
            "node", "npm install", told="Cannot find module"),
    Project("librust-fnv-dev", "", "", "apt", "rust", "cargo fetch", 3),
    Project("librust-scopeguard-dev", "", "", "apt", "rust", "cargo fetch", 10),
)  # fmt: skip
