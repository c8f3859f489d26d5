// Through a real Strongroom, one of its own for each test. STRONGROOM_BIN names the program.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
import { shop } from './shop.js';
import { call } from './strongroom.js';
import { openTable } from './table.js';

const SERVED = fileURLToPath(new URL('../shop/served.sh', import.meta.url));
const ADA = { name: 'Ada Quillfeather', email: 'ada.quillfeather@mail.example' };
const HOME = { street: '17 Lobster Pot Lane', town: 'Whitby', postcode: 'YO21 1AA' };
const SIGNED_IN = { Authorization: `Basic ${Buffer.from('17:a-long-enough-password').toString('base64')}` };
const log = [];
let folder, port, server, table, site;

async function serve() {
  const ready = join(folder, 'house', 'port');
  const output = openSync(join(folder, 'log'), 'a');
  server = spawn('sh', [SERVED, join(folder, 'house'), String(port)], { stdio: ['ignore', output, output] });
  for (let waited = 0; !existsSync(ready); waited += 50) {
    assert.ok(server.exitCode === null && waited < 60_000, readFileSync(join(folder, 'log'), 'utf8'));
    await pause(50);
  }
}

async function stop() {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill();
  await ended;
  rmSync(join(folder, 'house', 'port'), { force: true });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shop-'));
  port = await new Promise((resolve) => {
    const free = createServer().listen(0, '127.0.0.1', () => {
      const { port } = free.address();
      free.close(() => resolve(port));
    });
  });
  process.env.STRONGROOM_URL = `http://127.0.0.1:${port}`;
  for (const role of ['shop', 'desk', 'privacy']) {
    process.env[`STRONGROOM_${role.toUpperCase()}_KEY_FILE`] = join(folder, 'house', `${role}.key`);
  }
  await serve();
  table = openTable(join(folder, 'shop.json'));
  const listening = shop(table, { 17: 'a-long-enough-password' }).listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  site = { at: `http://127.0.0.1:${listening.address().port}`, listening };
  log.length = 0;
  console.error = (...words) => log.push(format(...words));
});

afterEach(async () => {
  site.listening.closeAllConnections();
  site.listening.close();
  if (server.exitCode === null && server.signalCode === null) await stop();
  rmSync(folder, { recursive: true });
});

async function get(path, headers = SIGNED_IN) {
  const answer = await fetch(site.at + path, { headers, redirect: 'manual' });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

async function post(path, typed, headers = SIGNED_IN) {
  const from = { 'Sec-Fetch-Site': 'same-origin', ...headers };
  const asked = { method: 'POST', headers: from, body: new URLSearchParams(typed), redirect: 'manual' };
  const answer = await fetch(site.at + path, asked);
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

const signUp = (more) => post('/sign-up', { ...ADA, once: randomUUID(), ...more }, {});
const order = (more) => post('/customers/1/order', { name: ADA.name, ...HOME, total: '12.50', once: randomUUID(), ...more });
const hidden = (name, { text }) => new RegExp(`name="${name}" type="hidden" value="([^"]+)"|name="${name}" value="([^"]+)"`).exec(text).slice(1).find(Boolean);

test('the table and the log hold nothing personal', async () => {
  assert.equal((await signUp()).status, 200);
  assert.equal((await order()).status, 302);
  const version = hidden('version', await get('/customers/1'));
  assert.equal((await post('/customers/1/change', { name: '', email: '', ...HOME, version })).status, 302);
  const revealed = await post('/customers/1/reveal', { reason: 'customer called' });
  assert.match(revealed.text, /17 Lobster Pot Lane/);
  assert.equal(revealed.headers.get('Cache-Control'), 'no-store');
  // A fault of our own, while a form is on its way: the key file is gone.
  renameSync(join(folder, 'house', 'shop.key'), join(folder, 'house', 'away'));
  const fault = await signUp();
  assert.equal(fault.status, 500);
  const kept = readFileSync(join(folder, 'shop.json'), 'utf8');
  assert.match(kept, /cus_.*rec_/s);
  assert.match(log.join('\n'), /ENOENT/);
  for (const value of [...Object.values(ADA), ...Object.values(HOME), 'Quillfeather']) {
    for (const text of [kept, log.join('\n'), fault.text]) {
      assert.ok(!text.toLowerCase().includes(value.toLowerCase()), value);
    }
  }
});

test('a form sent twice makes nobody twice', async () => {
  const once = randomUUID();
  for (const _ of [1, 2]) assert.equal((await signUp({ once })).status, 200);
  assert.equal(table.users.length, 1);
  const taken = await signUp();
  assert.equal(taken.status, 409);
  assert.match(taken.text, /value="ada\.quillfeather@mail\.example"/);
  const bought = randomUUID();
  for (const _ of [1, 2]) assert.equal((await order({ once: bought })).status, 302);
  const path = `/v1/customers/${table.users[0].customer}/records?fields=invoice.number,invoice.total`;
  const { items } = await call('shop', 'GET', path);
  assert.deepEqual(items.map(({ fields }) => fields), [{ number: '1', total: 12.5 }]);
});

test('the list is masked, and a budget spent is told kindly', async () => {
  assert.match((await get('/')).text, /Page 1 of 1/);
  const items = Array.from({ length: 230 }, (_, n) =>
    ({ ref: `t/${n}`, relations: [{ name: 'enquiry' }], fields: { name: `Nell Marsh${n}` } }));
  const made = await call('shop', 'POST', '/v1/customers:batch', { body: { items } });
  for (const { id } of made.items) table.add('users', { customer: id });
  for (const number of [1, 2, 3, 4]) {
    const { text } = await get(`/?page=${number}`);
    assert.equal(text.match(/N••••/g).length, 50);
    assert.doesNotMatch(text, /Marsh/);
  }
  const spent = await get('/?page=5');
  assert.equal(spent.status, 429);
  assert.match(spent.text, /Enough for today/);
  assert.ok(Number(spent.headers.get('Retry-After')) > 0);
});

test('who was slower looks again and loses nothing', async () => {
  await signUp();
  const version = hidden('version', await get('/customers/1'));
  assert.equal((await post('/customers/1/change', { email: 'ada@new.example', version })).status, 302);
  const slower = await post('/customers/1/change', { email: 'ada@newer.example', version });
  assert.equal(slower.status, 412);
  assert.match(slower.text, /value="ada@newer\.example"/);
  const again = { email: 'ada@newer.example', version: hidden('version', slower) };
  assert.equal((await post('/customers/1/change', again)).status, 302);
});

test('who is forgotten is gone, but for what the law keeps', async () => {
  await signUp();
  await order();
  const said = await post('/customers/1/forget', {});
  assert.match(said.text, /because of tax law: invoice\.billing_address/);
  assert.equal((await get('/customers/1')).status, 404);
  assert.doesNotMatch((await get('/')).text, /customers\/1"/);
  assert.equal(table.orders.length, 1); // the shop's own figures stay
});

test('when Strongroom is down nothing typed is lost and nothing is shown', async () => {
  await signUp();
  await stop();
  for (const path of ['/', '/customers/1']) {
    const asked = await get(path);
    assert.equal(asked.status, 503);
    assert.match(asked.text, /One moment/);
    assert.equal(asked.headers.get('Retry-After'), '30');
  }
  const typed = { name: 'Bo Marsh', email: 'bo@mail.example' };
  const down = await signUp(typed);
  assert.equal(down.status, 503);
  assert.match(down.text, /value="bo@mail\.example"/);
  assert.equal(table.users.length, 1);
  await serve();
  assert.equal((await signUp({ ...typed, once: hidden('once', down) })).status, 200);
});

test('what is typed is shown as text, never run', async () => {
  const refused = await signUp({ email: '"><script>alert(1)</script>' });
  assert.equal(refused.status, 422);
  assert.doesNotMatch(refused.text, /<script>/);
});

test('nothing is shown to strangers or changed by another site', async () => {
  await signUp();
  for (const headers of [{}, { Authorization: 'Basic MTc6d3Jvbmc=' }]) {
    assert.equal((await get('/', headers)).status, 401);
    assert.equal((await post('/customers/1/forget', {}, headers)).status, 401);
  }
  const elsewhere = await post('/customers/1/forget', { a: 1 }, { ...SIGNED_IN, 'Sec-Fetch-Site': 'cross-site' });
  assert.equal(elsewhere.status, 403);
  assert.doesNotMatch(elsewhere.text, /<form/); // which would come from our page
  assert.equal((await get('/customers/1')).status, 200);
});
