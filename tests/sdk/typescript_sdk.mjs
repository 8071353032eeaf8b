// Drives the fake Anthropic API with the official TypeScript SDK, unchanged.
//
// ANTHROPIC_BASE_URL is the address of a running `nightshift-fake-anthropic`. Every check prints one "ok" line; the
// first that fails prints why and ends the script with status 1. Run it on a fake of its own: it sets scripts and
// counts calls.

import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';

import Anthropic from '@anthropic-ai/sdk';

const BASE = process.env.ANTHROPIC_BASE_URL.replace(/\/$/, '');
const MODEL = 'claude-opus-5-5';

/** Calls a control route of the fake, past the SDK. */
async function control(method, path, body) {
  const response = await fetch(`${BASE}/_fake/${path}`, { method, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text ? JSON.parse(text) : null;
}

function check(name, passed, detail = '') {
  if (!passed) {
    console.log(`FAILED ${name}: ${typeof detail === 'string' ? detail : JSON.stringify(detail)}`);
    process.exit(1);
  }
  console.log(`ok ${name}`);
}

/** Checks that `call` rejects with a `Kind`, and, for an answered error, its `error.type`. */
async function rejects(name, Kind, call, type) {
  try {
    await call();
  } catch (error) {
    const found = type && error.error?.error?.type;
    check(name, error instanceof Kind && found === type, `${error} ${found}`);
    return;
  }
  check(name, false, 'nothing was thrown');
}

const client = (options = {}) => new Anthropic({ apiKey: 'sk-ant-api03-typescript', baseURL: BASE, ...options });
const params = (text, more = {}) => ({
  model: MODEL, max_tokens: 500, messages: [{ role: 'user', content: text }], ...more,
});
const row = (custom_id, text = 'hello', more = {}) => ({ custom_id, params: params(text, more) });

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function untilEnded(api, id) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const batch = await api.messages.batches.retrieve(id);
    if (batch.processing_status === 'ended') return batch;
    await wait(50);
  }
  return check('batch ends', false, id);
}

async function messages(api) {
  const answer = await api.messages.create(params('# Title\n\nA first sentence. And more.\n\n## Part\n\nText.'));
  check('messages.create answers', answer.stop_reason === 'end_turn' && answer.content[0].text.startsWith('Here is'));
  check('messages.create counts tokens', answer.usage.input_tokens > 0 && answer.usage.service_tier === 'standard');
  check('every answer has a request id', answer._request_id.startsWith('req_'));
  const count = await api.messages.countTokens({ model: MODEL, messages: [{ role: 'user', content: 'hello there' }] });
  check('messages.countTokens counts', count.input_tokens > 0);
  await rejects('sampling parameters are refused', Anthropic.BadRequestError,
    () => api.messages.create(params('x', { temperature: 1 })), 'invalid_request_error');
  await rejects('an unknown model is refused', Anthropic.NotFoundError,
    () => api.messages.create(params('x', { model: 'claude-opus-9' })), 'not_found_error');
  const wire = (await control('GET', 'requests'))[0].headers;
  check('the SDK sends a bearer token and the new version',
    wire.authorization === '[redacted]' && !('x-api-key' in wire)
      && wire['anthropic-version'] === '2026-10-21' && !('idempotency-key' in wire), wire);
}

async function toolTurn(api) {
  await control('POST', 'script', { replies: [
    { match: 'weather', content: [{ type: 'tool_use', name: 'look', input: { at: 'sky' } }] },
    { match: 'blue', text: 'It is fine.' },
  ] });
  const tools = [{ name: 'look', description: 'Looks.', input_schema: { type: 'object', properties: {} } }];
  const first = await api.messages.create(params('weather', { tools }));
  check('a tool_use turn arrives', first.stop_reason === 'tool_use' && first.content[0].input.at === 'sky');
  const history = [{ role: 'user', content: 'weather' }, { role: 'assistant', content: first.content }];
  const result = { type: 'tool_result', tool_use_id: first.content[0].id, content: 'blue' };
  const answered = { tools, messages: [...history, { role: 'user', content: [result] }] };
  const second = await api.messages.create(params('', answered));
  check('a tool result is answered', second.content[0].text === 'It is fine.');
  const ignored = { tools, messages: [...history, { role: 'user', content: 'never mind' }] };
  await rejects('a missing tool result is refused', Anthropic.BadRequestError,
    () => api.messages.create(params('', ignored)), 'invalid_request_error');
}

const THINKS = { type: 'thinking', thinking: 'The sky is where weather is. '.repeat(5) };
const CALLS = { type: 'tool_use', id: 'toolu_sdk', name: 'look', input: { at: 'sky', deep: [1, { ü: null }] } };

/** A message as JSON, without what differs from call to call and what the SDK adds to a streamed one. */
const plain = ({ id, parsed_output, ...message }) => JSON.parse(JSON.stringify(message));

/** JSON text with its fields in order, to compare by. */
const sorted = (value) => JSON.stringify(value, (_, inner) => (inner && inner.constructor === Object
  ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner));

async function streams(api) {
  await control('POST', 'script', { replies: [
    { match: 'weather', content: [THINKS, { type: 'text', text: 'I look. '.repeat(40) }, CALLS],
      usage: { server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 } } },
    { match: 'blue', text: 'It is fine.' },
    { match: 'break', text: 'words '.repeat(50),
      streamError: { type: 'overloaded_error', message: 'Overloaded', after: 5 } },
  ] });
  const tools = [{ name: 'look', input_schema: { type: 'object', properties: {} } }];
  const whole = await api.messages.create(params('weather', { tools }));
  const stream = api.messages.stream(params('weather', { tools }));
  const seen = { text: 0, thinking: 0, inputJson: 0, signature: 0 };
  for (const name of Object.keys(seen)) stream.on(name, () => { seen[name] += 1; });
  const streamed = await stream.finalMessage();
  check('messages.stream assembles the message of a plain answer', sorted(plain(streamed)) === sorted(plain(whole)),
    { streamed, whole });
  check('messages.stream brings pieces of text, thinking and input',
    seen.text > 5 && seen.thinking > 1 && seen.inputJson > 2 && seen.signature === 1, seen);
  const events = await all(await api.messages.create(params('weather', { tools, stream: true })));
  check('create with stream starts and stops',
    events[0].type === 'message_start' && events.at(-1).type === 'message_stop');
  check('usage is split between the ends of a stream',
    events[0].message.usage.output_tokens === 1 && events[0].message.usage.server_tool_use === null
      && events.at(-2).usage.output_tokens === whole.usage.output_tokens
      && events.at(-2).usage.server_tool_use.web_search_requests === 2, events.at(-2));
  const result = { type: 'tool_result', tool_use_id: CALLS.id, content: 'blue' };
  const again = params('', { tools, messages: [{ role: 'user', content: 'weather' },
    { role: 'assistant', content: streamed.content }, { role: 'user', content: [result] }] });
  check('streamed thinking may be sent back', (await api.messages.stream(again).finalText()) === 'It is fine.');
  await rejects('thinking behind a changed prefix is refused', Anthropic.BadRequestError,
    () => api.messages.create({ ...again, system: 'new' }), 'invalid_request_error');
  await rejects('an error in a stream is thrown', Anthropic.APIError,
    async () => all(await api.messages.create(params('break', { stream: true }))), 'overloaded_error');
  await control('POST', 'script', { faults: [{ on: 'messages', do: 'cut_answer' }] });
  await rejects('a stream that breaks off throws', Error,
    async () => all(await client({ maxRetries: 0 }).messages.create(params('x', { stream: true }))));
}

/** The MCP connector in the SDK's beta types; the server is nowhere, so its result is an error. */
async function connector(api) {
  const call = { type: 'mcp_tool_use', name: 'list', server_name: 'jobs', input: { all: true } };
  await control('POST', 'script', { replies: [{ hop: 0, content: [call] }, { afterTool: 'list', text: 'Sorry.' }] });
  const request = params('jobs?', { betas: ['mcp-client-2025-11-20'],
    mcp_servers: [{ type: 'url', name: 'jobs', url: 'https://jobs.example/mcp' }],
    tools: [{ type: 'mcp_toolset', mcp_server_name: 'jobs' }] });
  for (const [name, answer] of [['create', await api.beta.messages.create(request)],
    ['stream', await api.beta.messages.stream(request).finalMessage()]]) {
    check(`beta.messages.${name} loops over an MCP call`,
      answer.content.map((block) => block.type).join() === 'mcp_tool_use,mcp_tool_result,text', answer.content);
    check(`beta.messages.${name} shows the failed MCP result`, answer.content[0].input.all === true
      && answer.content[1].is_error && answer.content[1].tool_use_id === answer.content[0].id, answer.content);
  }
}

async function models(api) {
  const ids = (await all(api.models.list({ limit: 4 }))).map((model) => model.id);
  check('models.list pages through all', new Set(ids).size === ids.length && ids.length >= 12, ids);
  const model = await api.models.retrieve(MODEL);
  check('models.retrieve shows capabilities',
    model.capabilities.batch.supported && model.capabilities.thinking.types.adaptive.supported
      && !model.capabilities.thinking.types.disabled.supported && model.max_tokens === 128000);
  await rejects('models.retrieve of an unknown model is 404', Anthropic.NotFoundError,
    () => api.models.retrieve('claude-opus-9'), 'not_found_error');
}

async function lifeOfABatch(api) {
  await control('POST', 'script', { batchDurationMs: 300, replies: [
    { match: 'use a tool', content: [{ type: 'tool_use', name: 'look', input: {} }] },
    { match: 'expire', row: 'expired' },
  ] });
  const { batches } = api.messages;
  const tools = [{ name: 'look', input_schema: { type: 'object', properties: {} } }];
  const created = await batches.create({ requests: [
    row('plain'), row('tool', 'use a tool', { tools }), row('late', 'expire'), row('wrong', 'x', { max_tokens: 0 }),
  ] });
  check('batches.create answers in_progress',
    created.id.startsWith('msgbatch_') && created.processing_status === 'in_progress');
  check('all requests are processing',
    created.request_counts.processing === 4 && created.request_counts.succeeded === 0);
  check('a batch expires after 24 hours',
    Date.parse(created.expires_at) - Date.parse(created.created_at) === 24 * 60 * 60 * 1000);
  check('a running batch has no results_url', created.results_url === null && created.ended_at === null);
  await rejects('results before the end are refused', Anthropic.AnthropicError, () => batches.results(created.id));
  const ended = await untilEnded(api, created.id);
  const counts = ended.request_counts;
  check('counts are final at the end', counts.processing === 0 && counts.succeeded === 2 && counts.errored === 1
    && counts.canceled === 0 && counts.expired === 1, counts);
  check('results_url is absolute', ended.results_url.startsWith(`${BASE}/v1/messages/batches/`), ended.results_url);
  const found = {};
  for await (const line of await batches.results(created.id)) found[line.custom_id] = line.result;
  check('batches.results has every row', Object.keys(found).sort().join() === 'late,plain,tool,wrong', found);
  check('a succeeded row is billed as batch', found.plain.message.usage.service_tier === 'batch');
  check('a tool_use stop comes through a batch', found.tool.message.stop_reason === 'tool_use');
  check('bad parameters error their row',
    found.wrong.type === 'errored' && found.wrong.error.error.type === 'invalid_request_error');
  check('an expired row has no message', found.late.type === 'expired');
  return created.id;
}

async function lists(api, first) {
  const { batches } = api.messages;
  const newer = [];
  for (let n = 0; n < 4; n += 1) newer.push((await batches.create({ requests: [row('a')] })).id);
  const ids = (await all(batches.list({ limit: 2 }))).map((batch) => batch.id);
  check('batches.list is newest first and pages', ids.join() === [...newer.toReversed(), first].join(), ids);
  const page = await batches.list({ limit: 2, before_id: first });
  check('batches.list pages backwards', page.data.map((batch) => batch.id).join() === [newer[1], newer[0]].join());
  const other = await client({ apiKey: 'sk-ant-api03-other' }).messages.batches.list();
  check("another key's workspace is empty", other.data.length === 0);
  await rejects('a limit over 1000 is refused', Anthropic.BadRequestError, () => batches.list({ limit: 1001 }),
    'invalid_request_error');
}

async function cancelAndDelete(api, first) {
  const { batches } = api.messages;
  await control('POST', 'script', { batchDurationMs: 60000, cancelDurationMs: 200 });
  const running = await batches.create({ requests: [row('a'), row('b')] });
  await rejects('a running batch cannot be deleted', Anthropic.BadRequestError, () => batches.delete(running.id),
    'invalid_request_error');
  const canceling = await batches.cancel(running.id);
  check('batches.cancel answers canceling',
    canceling.processing_status === 'canceling' && canceling.cancel_initiated_at !== null);
  const ended = await untilEnded(api, running.id);
  check('a cancelled batch ends canceled', ended.request_counts.canceled === 2);
  const lines = await all(await batches.results(running.id));
  check('canceled rows say so', lines.length === 2 && lines.every((line) => line.result.type === 'canceled'));
  const deleted = await batches.delete(first);
  check('batches.delete answers', deleted.id === first && deleted.type === 'message_batch_deleted');
  await rejects('a deleted batch is 404', Anthropic.NotFoundError, () => batches.retrieve(first), 'not_found_error');
}

async function errors(api) {
  const { batches } = api.messages;
  await rejects('an unknown batch is 404', Anthropic.NotFoundError, () => batches.retrieve('msgbatch_unknown'),
    'not_found_error');
  for (const [name, requests] of [
    ['an empty batch is 400', []],
    ['a bad custom_id is 400', [row('run:1')]],
    ['a long custom_id is 400', [row('a'.repeat(65))]],
    ['a duplicate custom_id is 400', [row('a'), row('a')]],
  ]) {
    await rejects(name, Anthropic.BadRequestError, () => batches.create({ requests }), 'invalid_request_error');
  }
  const token = { apiKey: null, authToken: 'sk-ant-oat01-x' };
  await rejects('a subscription token is refused', Anthropic.AuthenticationError,
    () => client(token).messages.create(params('x')), 'authentication_error');
  const oauth = client({ ...token, defaultHeaders: { 'anthropic-beta': 'oauth-2025-04-20' } });
  await rejects('a subscription token may not batch', Anthropic.PermissionDeniedError,
    () => oauth.messages.batches.create({ requests: [row('a')] }), 'permission_error');
}

async function faults(api) {
  const count = async () => (await control('GET', 'batches')).length;
  const once = client({ maxRetries: 0 });
  const create = (from) => from.messages.batches.create({ requests: [row('a'), row('b')] });
  const before = await count();
  await control('POST', 'script', { faults: [{ on: 'create', do: 'lose_answer' }] });
  await rejects('a lost answer is a connection error', Anthropic.APIConnectionError, () => create(once));
  check('the batch of a lost answer exists', (await count()) === before + 1);
  await control('POST', 'script', { faults: [{ on: 'create', times: 2, do: 'lose_answer' }] });
  await create(api);
  check('a client that retries a create makes duplicates', (await count()) === before + 4);
  await control('POST', 'script', { faults: [{ on: 'create', do: 'lose_request' }] });
  await rejects('a lost request is a connection error', Anthropic.APIConnectionError, () => create(once));
  check('a lost request makes no batch', (await count()) === before + 4);
  await control('POST', 'script', { faults: [
    { on: 'messages', do: 'status', status: 529, headers: { 'retry-after': '0.05' } },
  ] });
  check('an overloaded answer is retried by the SDK',
    (await api.messages.create(params('x'))).stop_reason === 'end_turn');
  await control('POST', 'script', { batchDurationMs: 0, faults: [{ on: 'results', do: 'cut_answer' }] });
  const { id } = await create(api);
  await rejects('results that break off throw', Error, async () => all(await api.messages.batches.results(id)));
  check('results can be read again', (await all(await api.messages.batches.results(id))).length === 2);
}

await control('POST', 'script', {});
await control('DELETE', 'requests');
const api = client();
await messages(api);
await toolTurn(api);
await streams(api);
await connector(api);
await models(api);
const first = await lifeOfABatch(api);
await lists(api, first);
await cancelAndDelete(api, first);
await errors(api);
await faults(api);
