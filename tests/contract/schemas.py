"""What is wrong with a document by the schema that other programs read it with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import xmlschema
import yaml

_FOLDER = Path(__file__).parent.parent / "schemas"


def sarif_mistakes(document: Path) -> list[str]:
    return _mistakes("sarif-schema-2.1.0.json", json.loads(document.read_text(encoding="utf-8")))


def action_mistakes(document: Path) -> list[str]:
    return _mistakes("github-action.json", yaml.safe_load(document.read_text(encoding="utf-8")))


def junit_mistakes(document: Path) -> list[str]:
    schema = xmlschema.XMLSchema(str(_FOLDER / "junit-10.xsd"))
    return [f"{error.path}: {error.reason}" for error in schema.iter_errors(str(document))]


def _mistakes(name: str, document: Any) -> list[str]:
    schema = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
