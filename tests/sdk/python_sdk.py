"""Drives the fake Anthropic API with the official Python SDK, unchanged.

ANTHROPIC_BASE_URL is the address of a running `nightshift-fake-anthropic`. Every check prints one "ok" line; the first
that fails prints why and ends the script with status 1. Run it on a fake of its own: it sets scripts and counts calls.
"""

import json
import os
import sys
import time
import urllib.request
from datetime import timedelta

import anthropic

BASE = os.environ["ANTHROPIC_BASE_URL"].rstrip("/")
MODEL = "claude-opus-5-5"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def control(method, path, body=None):
    """Calls a control route of the fake, past the SDK."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + "/_fake/" + path, data=data, method=method)
    with OPENER.open(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def check(name, passed, detail=""):
    if not passed:
        print(f"FAILED {name}: {detail}")
        sys.exit(1)
    print(f"ok {name}", flush=True)


def raises(name, kind, call, error_type=None):
    """Checks that `call` raises `kind`, and, for an answered error, its `error.type`."""
    try:
        call()
    except kind as error:
        found = error.body["error"]["type"] if error_type else None
        check(name, found == error_type, f"{found} is not {error_type}")
        return error
    except Exception as error:  # noqa: BLE001  the wrong kind is what is reported
        check(name, False, f"raised {error!r}")
    check(name, False, "nothing was raised")


def client(**options):
    return anthropic.Anthropic(api_key="sk-ant-api03-python", base_url=BASE, **options)


def params(text, **more):
    return {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}


def row(custom_id, text="hello", **more):
    return {"custom_id": custom_id, "params": params(text, **more)}


def until_ended(api, batch_id):
    for _ in range(200):
        batch = api.messages.batches.retrieve(batch_id)
        if batch.processing_status == "ended":
            return batch
        time.sleep(0.05)
    check("batch ends", False, batch_id)


def messages(api):
    answer = api.messages.create(**params("# Title\n\nA first sentence. And more.\n\n## Part\n\nText."))
    check("messages.create answers", answer.stop_reason == "end_turn" and answer.content[0].text.startswith("Here is"))
    check("messages.create counts tokens", answer.usage.input_tokens > 0 and answer.usage.service_tier == "standard")
    check("every answer has a request id", (answer._request_id or "").startswith("req_"))
    count = api.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hello there"}])
    check("messages.count_tokens counts", count.input_tokens > 0)
    raises("sampling parameters are refused", anthropic.BadRequestError,
           lambda: api.messages.create(**params("x"), extra_body={"temperature": 1}), "invalid_request_error")
    raises("an unknown model is refused", anthropic.NotFoundError,
           lambda: api.messages.create(**{**params("x"), "model": "claude-opus-9"}), "not_found_error")
    wire = control("GET", "requests")[0]["headers"]
    check("the SDK sends a bearer token and the new version",
          wire.get("authorization") == "[redacted]" and "x-api-key" not in wire
          and wire["anthropic-version"] == "2026-10-21" and "idempotency-key" not in wire, wire)


def tool_turn(api):
    control("POST", "script", {"replies": [
        {"match": "weather", "content": [{"type": "tool_use", "name": "look", "input": {"at": "sky"}}]},
        {"match": "blue", "text": "It is fine."},
    ]})
    tools = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]
    first = api.messages.create(**params("weather", tools=tools))
    check("a tool_use turn arrives", first.stop_reason == "tool_use" and first.content[0].input == {"at": "sky"})
    history = [{"role": "user", "content": "weather"}, {"role": "assistant", "content": first.content}]
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "blue"}
    second = api.messages.create(model=MODEL, max_tokens=500, tools=tools,
                                 messages=[*history, {"role": "user", "content": [result]}])
    check("a tool result is answered", second.content[0].text == "It is fine.")
    raises("a missing tool result is refused", anthropic.BadRequestError,
           lambda: api.messages.create(model=MODEL, max_tokens=500, tools=tools,
                                       messages=[*history, {"role": "user", "content": "never mind"}]))


THINKS = {"type": "thinking", "thinking": "The sky is where weather is. " * 5}
CALLS = {"type": "tool_use", "id": "toolu_sdk", "name": "look", "input": {"at": "sky", "deep": [1, {"ü": None}]}}


def plain(model):
    """A message as JSON, without what differs from call to call."""
    found = json.loads(model.to_json())
    found.pop("id")
    return found


def streams(api):
    control("POST", "script", {"replies": [
        {"match": "weather", "content": [THINKS, {"type": "text", "text": "I look. " * 40}, CALLS],
         "usage": {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}},
        {"match": "blue", "text": "It is fine."},
        {"match": "break", "text": "words " * 50,
         "streamError": {"type": "overloaded_error", "message": "Overloaded", "after": 5}},
    ]})
    tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
    whole = api.messages.create(**params("weather", tools=tools))
    with api.messages.stream(**params("weather", tools=tools)) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    check("messages.stream assembles the message of a plain answer", plain(streamed) == plain(whole),
          (plain(streamed), plain(whole)))
    for kind in ["text", "thinking", "signature", "input_json"]:
        check(f"messages.stream brings {kind} events", kind in kinds, kinds)
    with api.messages.stream(**params("weather", tools=tools)) as stream:
        pieces = list(stream.text_stream)
    check("text comes in several deltas", "".join(pieces) == "I look. " * 40 and len(pieces) > 5, pieces)
    events = list(api.messages.create(**params("weather", tools=tools), stream=True))
    check("create(stream=True) starts and stops",
          (events[0].type, events[-1].type) == ("message_start", "message_stop"))
    check("usage is split between the ends of a stream",
          events[0].message.usage.output_tokens == 1 and events[0].message.usage.server_tool_use is None
          and events[-2].usage.output_tokens == whole.usage.output_tokens
          and events[-2].usage.server_tool_use.web_search_requests == 2, events[-2])
    history = [{"role": "user", "content": "weather"}, {"role": "assistant", "content": streamed.content}]
    result = {"type": "tool_result", "tool_use_id": CALLS["id"], "content": "blue"}
    again = {"model": MODEL, "max_tokens": 500, "tools": tools,
             "messages": [*history, {"role": "user", "content": [result]}]}
    with api.messages.stream(**again) as stream:
        check("streamed thinking may be sent back", stream.get_final_text() == "It is fine.")
    raises("thinking behind a changed prefix is refused", anthropic.BadRequestError,
           lambda: api.messages.create(**again, system="new"), "invalid_request_error")
    error = raises("an error in a stream is raised", anthropic.APIStatusError,
                   lambda: list(api.messages.create(**params("break"), stream=True)), "overloaded_error")
    check("an error in a stream comes after its beginning", error.response.status_code == 200)
    control("POST", "script", {"faults": [{"on": "messages", "do": "cut_answer"}]})
    raises("a stream that breaks off raises", Exception,
           lambda: list(client(max_retries=0).messages.create(**params("x"), stream=True)))


def connector(api):
    """The MCP connector in the SDK's beta types; the server is nowhere, so its result is an error."""
    call = {"type": "mcp_tool_use", "name": "list", "server_name": "jobs", "input": {"all": True}}
    control("POST", "script", {"replies": [{"hop": 0, "content": [call]}, {"afterTool": "list", "text": "Sorry."}]})
    request = {**params("jobs?"), "betas": ["mcp-client-2025-11-20"],
               "mcp_servers": [{"type": "url", "name": "jobs", "url": "https://jobs.example/mcp"}],
               "tools": [{"type": "mcp_toolset", "mcp_server_name": "jobs"}]}
    for name, answer in [("create", api.beta.messages.create(**request)),
                         ("stream", api.beta.messages.stream(**request).__enter__().get_final_message())]:
        kinds = [block.type for block in answer.content]
        check(f"beta.messages.{name} loops over an MCP call", kinds == ["mcp_tool_use", "mcp_tool_result", "text"])
        check(f"beta.messages.{name} shows the failed MCP result",
              answer.content[0].input == {"all": True} and answer.content[1].is_error
              and answer.content[1].tool_use_id == answer.content[0].id)
        check(f"beta.messages.{name} adds usage up", len(answer.usage.iterations) == 2
              and sum(one.input_tokens for one in answer.usage.iterations) == answer.usage.input_tokens)


def models(api):
    ids = [model.id for model in api.models.list(limit=4)]
    check("models.list pages through all", len(ids) == len(set(ids)) and len(ids) >= 12, ids)
    model = api.models.retrieve(MODEL)
    check("models.retrieve shows capabilities",
          model.capabilities.batch.supported and model.capabilities.thinking.types.adaptive.supported
          and not model.capabilities.thinking.types.disabled.supported and model.max_tokens == 128000)
    raises("models.retrieve of an unknown model is 404", anthropic.NotFoundError,
           lambda: api.models.retrieve("claude-opus-9"), "not_found_error")


def life_of_a_batch(api):
    control("POST", "script", {"batchDurationMs": 300, "replies": [
        {"match": "use a tool", "content": [{"type": "tool_use", "name": "look", "input": {}}]},
        {"match": "expire", "row": "expired"},
    ]})
    batches = api.messages.batches
    tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
    created = batches.create(requests=[
        row("plain"), row("tool", "use a tool", tools=tools), row("late", "expire"),
        {"custom_id": "wrong", "params": {**params("x"), "max_tokens": 0}},
    ])
    check("batches.create answers in_progress",
          created.id.startswith("msgbatch_") and created.processing_status == "in_progress")
    check("all requests are processing", created.request_counts.processing == 4
          and created.request_counts.succeeded == 0)
    check("a batch expires after 24 hours", created.expires_at - created.created_at == timedelta(hours=24))
    check("a running batch has no results_url", created.results_url is None and created.ended_at is None)
    raises("results before the end raise", anthropic.AnthropicError, lambda: batches.results(created.id))
    ended = until_ended(api, created.id)
    counts = ended.request_counts
    check("counts are final at the end", (counts.processing, counts.succeeded, counts.errored, counts.canceled,
                                          counts.expired) == (0, 2, 1, 0, 1), counts)
    check("results_url is absolute", ended.results_url.startswith(BASE + "/v1/messages/batches/"), ended.results_url)
    found = {line.custom_id: line.result for line in batches.results(created.id)}
    check("batches.results has every row", set(found) == {"plain", "tool", "late", "wrong"}, found)
    check("a succeeded row is billed as batch", found["plain"].message.usage.service_tier == "batch")
    check("a tool_use stop comes through a batch", found["tool"].message.stop_reason == "tool_use")
    check("bad parameters error their row", found["wrong"].type == "errored"
          and found["wrong"].error.error.type == "invalid_request_error")
    check("an expired row has no message", found["late"].type == "expired")
    return created.id


def lists(api, first):
    batches = api.messages.batches
    newer = [batches.create(requests=[row("a")]).id for _ in range(4)]
    ids = [batch.id for batch in batches.list(limit=2)]
    check("batches.list is newest first and pages", ids == [*reversed(newer), first], ids)
    page = batches.list(limit=2, before_id=first)
    check("batches.list pages backwards", [batch.id for batch in page.data] == [newer[1], newer[0]])
    other = anthropic.Anthropic(api_key="sk-ant-api03-other", base_url=BASE)
    check("another key's workspace is empty", other.messages.batches.list().data == [])
    raises("a limit over 1000 is refused", anthropic.BadRequestError, lambda: batches.list(limit=1001))


def cancel_and_delete(api, first):
    batches = api.messages.batches
    control("POST", "script", {"batchDurationMs": 60000, "cancelDurationMs": 200})
    running = batches.create(requests=[row("a"), row("b")])
    raises("a running batch cannot be deleted", anthropic.BadRequestError, lambda: batches.delete(running.id))
    canceling = batches.cancel(running.id)
    check("batches.cancel answers canceling",
          canceling.processing_status == "canceling" and canceling.cancel_initiated_at is not None)
    ended = until_ended(api, running.id)
    check("a cancelled batch ends canceled", ended.request_counts.canceled == 2)
    check("canceled rows say so", all(line.result.type == "canceled" for line in batches.results(running.id)))
    deleted = batches.delete(first)
    check("batches.delete answers", (deleted.id, deleted.type) == (first, "message_batch_deleted"))
    raises("a deleted batch is 404", anthropic.NotFoundError, lambda: batches.retrieve(first), "not_found_error")


def errors(api):
    batches = api.messages.batches
    raises("an unknown batch is 404", anthropic.NotFoundError,
           lambda: batches.retrieve("msgbatch_unknown"), "not_found_error")
    for name, requests in [
        ("an empty batch is 400", []),
        ("a bad custom_id is 400", [row("run:1")]),
        ("a long custom_id is 400", [row("a" * 65)]),
        ("a duplicate custom_id is 400", [row("a"), row("a")]),
    ]:
        raises(name, anthropic.BadRequestError, lambda requests=requests: batches.create(requests=requests),
               "invalid_request_error")
    unsigned = anthropic.Anthropic(auth_token="sk-ant-oat01-x", base_url=BASE)
    raises("a subscription token is refused", anthropic.AuthenticationError,
           lambda: unsigned.messages.create(**params("x")), "authentication_error")
    oauth = anthropic.Anthropic(auth_token="sk-ant-oat01-x", base_url=BASE,
                                default_headers={"anthropic-beta": "oauth-2025-04-20"})
    raises("a subscription token may not batch", anthropic.PermissionDeniedError,
           lambda: oauth.messages.batches.create(requests=[row("a")]), "permission_error")


def faults(api):
    before = len(control("GET", "batches"))
    control("POST", "script", {"faults": [{"on": "create", "do": "lose_answer"}]})
    raises("a lost answer is a connection error", anthropic.APIConnectionError,
           lambda: client(max_retries=0).messages.batches.create(requests=[row("a")]))
    check("the batch of a lost answer exists", len(control("GET", "batches")) == before + 1)
    control("POST", "script", {"faults": [{"on": "create", "times": 2, "do": "lose_answer"}]})
    api.messages.batches.create(requests=[row("a")])
    check("a client that retries a create makes duplicates", len(control("GET", "batches")) == before + 4)
    control("POST", "script", {"faults": [{"on": "create", "do": "lose_request"}]})
    raises("a lost request is a connection error", anthropic.APIConnectionError,
           lambda: client(max_retries=0).messages.batches.create(requests=[row("a")]))
    check("a lost request makes no batch", len(control("GET", "batches")) == before + 4)
    control("POST", "script", {"faults": [
        {"on": "messages", "do": "status", "status": 529, "headers": {"retry-after": "0.05"}}]})
    check("an overloaded answer is retried by the SDK", api.messages.create(**params("x")).stop_reason == "end_turn")
    control("POST", "script", {"batchDurationMs": 0, "faults": [{"on": "results", "do": "cut_answer"}]})
    cut = api.messages.batches.create(requests=[row("a"), row("b")])
    raises("results that break off raise", Exception, lambda: list(api.messages.batches.results(cut.id)))
    check("results can be read again", len(list(api.messages.batches.results(cut.id))) == 2)


def main():
    control("POST", "script", {})
    control("DELETE", "requests")
    api = client()
    messages(api)
    tool_turn(api)
    streams(api)
    connector(api)
    models(api)
    first = life_of_a_batch(api)
    lists(api, first)
    cancel_and_delete(api, first)
    errors(api)
    faults(api)


main()
