"""The published JSON Schemas follow from the contracts, and the stored examples from both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

import dualrun.contracts.schemas
from dualrun.contracts import event_from_message
from dualrun.contracts.schemas import DOCUMENTS, rendered

FOLDER = Path(dualrun.contracts.schemas.__file__).parent
EXAMPLES = sorted((FOLDER / "examples").glob("*.json"))


def _document_of(example: Path) -> str:
    """`outcome.failed-shadow.json` is another example of `outcome`."""
    return example.stem.partition(".")[0]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_stored_schema_is_what_the_contract_says(name: str) -> None:
    stored = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert stored == rendered()[name], "the contract has changed: `make schema`, and read the difference before committing it"


def test_no_schema_is_left_of_a_contract_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(rendered()[name]))


def test_every_document_has_an_example() -> None:
    assert {_document_of(example) for example in EXAMPLES} == set(DOCUMENTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits_its_schema_and_its_contract(example: Path) -> None:
    name = _document_of(example)
    body = example.read_bytes()
    jsonschema.Draft202012Validator(json.loads(rendered()[name])).validate(json.loads(body))
    decoded = msgspec.json.decode(body, type=DOCUMENTS[name])
    again: object = msgspec.json.decode(msgspec.json.encode(decoded), type=DOCUMENTS[name])
    assert again == decoded


@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if _document_of(path) in {"outcome", "submission-record"}], ids=lambda path: path.stem
)
def test_an_example_without_a_required_member_is_refused(example: Path) -> None:
    whole = json.loads(example.read_bytes())
    del whole["submission_id" if "submission_id" in whole else "decision"]
    name = _document_of(example)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(rendered()[name])).validate(whole)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(whole, DOCUMENTS[name])


def test_the_example_of_event_headers_is_an_event() -> None:
    event = event_from_message(json.loads((FOLDER / "examples" / "event-headers.json").read_bytes()), b"{}")
    assert event.type == "order.send_order_confirmation"
    assert event.headers["dualrun-role"] == "shadow"


def test_the_command_writes_what_is_stored() -> None:
    before = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    subprocess.run([sys.executable, "-m", "dualrun.contracts.schemas"], check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in FOLDER.glob("*.json")} == before
