// Replays recorded calls against Steady, a mock server that judges requests by an OpenAPI specification.
//
//   node steady.mjs STEADY SPEC RECORD
//
// STEADY is its program, SPEC the specification of the Messages API, RECORD a file of JSON lines: {"path", "betas", "body"}.
// Prints "ok PATH" or "FAILED PATH" with what is wrong, and ends with status 1 if anything failed or nothing was there. A
// specification older than the API finds fault with newer fields; whether that is so is for the reader to say.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';

const [program, spec, record] = process.argv.slice(2);

/** A port that was free a moment ago. */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function send(base, { path, betas, body }) {
  // The specification has the beta fields under the path that the SDKs' beta clients call.
  const query = betas ? '?beta=true' : '';
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'x-api-key': 'none' };
  if (betas) headers['anthropic-beta'] = betas;
  const answer = await fetch(base + path.split('?')[0] + query, { method: 'POST', headers, body: JSON.stringify(body) });
  await answer.arrayBuffer();
  const found = [];
  for (let n = 1; n <= Number(answer.headers.get('x-steady-error-count')); n += 1) {
    const part = (name) => answer.headers.get(`x-steady-error-${n}-${name}`);
    found.push(`${part('path')}: ${part('message')} (${part('code')})`);
  }
  if (answer.headers.get('x-steady-request-valid') !== 'true' && found.length === 0) found.push(`status ${answer.status}`);
  return found;
}

const port = await freePort();
const base = `http://127.0.0.1:${port}`;
const steady = spawn(program, ['--host', '127.0.0.1', '--port', `${port}`, '--quiet', spec], { stdio: 'ignore' });
let failed = 0;
let read = 0;
try {
  for (let attempt = 0; ; attempt += 1) {
    if (steady.exitCode !== null || attempt === 300) throw new Error(`${program} did not start with ${spec}`);
    if (await fetch(base).then(() => true, () => false)) break;
    await wait(100);
  }
  for (const line of readFileSync(record, 'utf8').split('\n').filter(Boolean)) {
    const call = JSON.parse(line);
    const found = await send(base, call);
    read += 1;
    failed += found.length > 0;
    console.log([`${found.length > 0 ? 'FAILED' : 'ok'} ${call.path}`, ...found].join('\n  '));
  }
} finally {
  steady.kill();
}
if (failed > 0 || read === 0) {
  console.log(`${failed} of ${read} calls failed`);
  process.exitCode = 1;
}
