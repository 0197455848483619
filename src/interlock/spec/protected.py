"""What no stage may change unless it `authors` it. Rule: whatever decides how a repository is checked, built or read.

A candidate that edits one of these could pass here and do harm later: in CI, in a hook, in a checkout.
"""

from __future__ import annotations

NEVER = ".interlock/**"  # not even by a stage that authors it; its own artifacts aside

ALWAYS = (
    NEVER,
    "/interlock.yaml",
    "/interlock.yml",
    ".gitattributes",
    "/.gitmodules",
    "/.githooks/**",
    "/.husky/**",
    "/.pre-commit-config.yaml",
    "/.pre-commit-hooks.yaml",
    "/.github/workflows/**",
    "/.github/actions/**",
    "/.gitlab-ci.yml",
    "/.gitlab/ci/**",
    "/.forgejo/workflows/**",
    "/.gitea/workflows/**",
    "/.circleci/**",
    "/.buildkite/**",
    "/.woodpecker/**",
    "/.woodpecker.yml",
    "/.drone.yml",
    "/.travis.yml",
    "/Jenkinsfile",
    "/azure-pipelines.yml",
    "/bitbucket-pipelines.yml",
    "/appveyor.yml",
    "/.cirrus.yml",
)
