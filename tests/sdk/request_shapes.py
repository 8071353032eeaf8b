"""Validates request bodies against the types of the official Python SDK.

Reads one JSON object a line on standard input: {"path", "body", …}, a call to POST /v1/messages or /v1/messages/batches with
the body as it was sent. Every body is judged by `message_create_params` or `batch_create_params` of the SDK's beta types,
with unknown fields forbidden wherever a type lists its fields, and no value converted. Prints "ok PATH" or "FAILED PATH:
what" a line, and ends with status 1 if anything failed or nothing was read.

What the types leave open stays open: a tool's input_schema, a call's input and a model's name may be anything of their
kind. What is a header on the wire (betas, workspace_id) may not be in a body.
"""

import importlib
import json
import pkgutil
import re
import sys
import typing
import warnings

import pydantic
import typing_extensions
from pydantic_core import core_schema

# pydantic checks an Iterable only while it is read, and takes a dictionary for one. In a body each is a list.
ITERABLE, typing.Iterable = typing.Iterable, typing.List
import anthropic.types  # noqa: E402  after the change above
import anthropic.types.beta.messages.batch_create_params as batches  # noqa: E402
import anthropic.types.beta.message_create_params as messages  # noqa: E402

CLOSED = pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
HEADERS = {"betas", "workspace_id"}


def close_types():
    """Forbids unknown fields in every TypedDict of the SDK, nested ones included, but those that say they take more."""
    warnings.simplefilter("ignore", pydantic.warnings.TypedDictExtraConfigWarning)
    for module in pkgutil.walk_packages(anthropic.types.__path__, "anthropic.types."):
        for value in vars(importlib.import_module(module.name)).values():
            if typing_extensions.is_typeddict(value):
                value.__pydantic_config__ = CLOSED
    # A caller may also hand over the blocks of an answer as the objects they are, which take any field. JSON is none.
    instance = classmethod(lambda kind, _source, _handler: core_schema.is_instance_schema(kind))
    anthropic.BaseModel.__get_pydantic_core_schema__ = instance


def problems(error):
    """The errors of the union members that were meant: those whose `type` is the one in the body."""
    found = error.errors(include_url=False, include_input=False)
    other = [one["loc"][:-1] for one in found if one["loc"][-1] == "type" and one["type"] == "literal_error"]
    other += [one["loc"] for one in found if one["type"] in ("is_instance_of", "string_type")]
    meant = [one for one in found if not any(one["loc"][:len(path)] == path for path in other)] or found
    said = []
    for one in meant:
        path = ".".join(str(part) for part in one["loc"] if isinstance(part, int) or re.fullmatch("[a-z_0-9]+", part))
        said.append(f"{path}: {one['msg']}")
    return "; ".join(dict.fromkeys(said[:8]))


def main():
    close_types()
    plain = pydantic.TypeAdapter(messages.MessageCreateParamsNonStreaming)
    streaming = pydantic.TypeAdapter(messages.MessageCreateParamsStreaming)
    batch = pydantic.TypeAdapter(batches.BatchCreateParams)
    typing.Iterable = ITERABLE
    read = failed = 0
    for line in sys.stdin:
        call = json.loads(line)
        path, body = call["path"].split("?")[0], call["body"]
        if path == "/v1/messages/batches":
            judge = batch
        elif path == "/v1/messages":
            judge = streaming if body.get("stream") else plain
        else:
            continue
        read += 1
        try:
            judge.validate_python(body)
            wrong = ", ".join(f"{field} is a header" for field in HEADERS & body.keys())
        except pydantic.ValidationError as error:
            wrong = problems(error)
        failed += bool(wrong)
        print(f"FAILED {path}: {wrong}" if wrong else f"ok {path}", flush=True)
    if failed or not read:
        print(f"{failed} of {read} bodies failed")
        sys.exit(1)


main()
