// The pages of a tiny shop. Customers' data passes through to the page that shows it and stays nowhere.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import express from 'express';
import * as pages from './pages.js';
import { call, Problem } from './strongroom.js';
import { openTable } from './table.js';

const PAGE = 50;

export function shop(table, staff) {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.urlencoded({ extended: false, limit: '20kb' }));
  app.use((request, response, next) => {
    response.set({ 'Cache-Control': 'no-store', 'Content-Security-Policy': "frame-ancestors 'none'" });
    // Another site's form comes with our visitor's password too; the browser says where it stood.
    if (request.method !== 'POST' || request.get('Sec-Fetch-Site') === 'same-origin') return next();
    response.status(403).send(pages.problem(403, { detail: 'This form did not come from one of our pages.' }));
  });
  const staffOnly = (request, response, next) => {
    const typed = Buffer.from((request.get('Authorization') ?? '').replace(/^Basic /, ''), 'base64').toString();
    [request.staff] = typed.split(':');
    const right = Object.hasOwn(staff, request.staff) && `${request.staff}:${staff[request.staff]}`;
    if (right && timingSafeEqual(sha(typed), sha(right))) return next();
    response.status(401).set('WWW-Authenticate', 'Basic realm="Harbour Books"').send(pages.staffOnly());
  };

  app.get('/sign-up', (_, response) => response.send(pages.signUp(randomUUID())));
  app.post('/sign-up', async ({ body: typed }, response) => {
    const body = { relations: [{ name: 'enquiry' }], fields: { name: typed.name, email: typed.email } };
    const made = await call('shop', 'POST', '/v1/customers', { body, 'Idempotency-Key': typed.once });
    if (!table.users.some(({ customer }) => customer === made.id)) table.add('users', { customer: made.id });
    table.save();
    response.send(pages.thanks());
  });

  app.get('/', staffOnly, async ({ query, staff }, response) => {
    const known = table.users.filter(({ forgotten }) => !forgotten).reverse();
    const number = Math.max(1, Number.parseInt(query.page, 10) || 1);
    const rows = known.slice((number - 1) * PAGE, number * PAGE);
    const body = { ids: rows.map(({ customer }) => customer), fields: ['name'] };
    const read = rows.length ? await call('desk', 'POST', '/v1/customers/read', { body, staff }) : { customers: [] };
    const names = new Map(read.customers.map(({ id, fields }) => [id, fields.name]));
    response.send(pages.customers(rows, names, number, Math.ceil(known.length / PAGE)));
  });

  app.use('/customers/:id', staffOnly, (request, _, next) => {
    request.row = table.users.find(({ id, forgotten }) => String(id) === request.params.id && !forgotten);
    next(request.row ? undefined : new Problem(404, { code: 'not_found' }));
  });
  const show = async ({ row, staff }, response, more = {}) => {
    const shown = await call('desk', 'GET', `/v1/customers/${row.customer}?fields=name,email,address`, { staff });
    const orders = table.orders.filter(({ user, record }) => user === row.id && record);
    response.send(pages.customer({ row, shown, orders, once: randomUUID(), ...more }));
  };
  app.get('/customers/:id', (request, response) => show(request, response));

  app.post('/customers/:id/change', async (request, response) => {
    const { row, staff, body: typed } = request;
    const fields = address(typed, 'address');
    for (const name of ['name', 'email']) if (typed[name]) fields[name] = typed[name];
    try {
      const asked = { body: { fields }, staff, 'If-Match': `"${typed.version}"` };
      await call('shop', 'PATCH', `/v1/customers/${row.customer}`, asked);
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      return show(request, response.status(412), { typed }); // somebody was faster: look again, nothing typed is lost
    }
    response.redirect(`/customers/${row.id}`);
  });

  app.post('/customers/:id/reveal', async (request, response) => {
    const asked = { body: { fields: ['name', 'email', 'address'], reason: request.body.reason }, staff: request.staff };
    const clear = await call('desk', 'POST', `/v1/customers/${request.row.customer}/reveal`, asked);
    await show(request, response, { clear: clear.fields });
  });

  app.post('/customers/:id/order', async ({ row, staff, body: { once, total, ...typed } }, response) => {
    const order = table.orders.find((one) => one.once === once) ?? table.add('orders', { once, user: row.id });
    table.save();
    const fields = { number: String(order.id), total, billing_name: typed.name, ...address(typed, 'billing_address') };
    const asked = { body: { kind: 'invoice', fields }, staff, 'Idempotency-Key': once };
    const record = await call('shop', 'POST', `/v1/customers/${row.customer}/records`, asked);
    Object.assign(order, { total: Number(total), record: record.id });
    table.save();
    response.redirect(`/customers/${row.id}`);
  });

  app.post('/customers/:id/forget', async ({ row, staff }, response) => {
    const said = await call('privacy', 'DELETE', `/v1/customers/${row.customer}`, { staff });
    row.forgotten = true;
    table.save();
    response.send(pages.forgotten(said));
  });

  // What was refused, or could not be asked, is a page that says so and gives back what was typed.
  app.use((error, request, response, _next) => {
    if (!(error instanceof Problem)) { // a fault of our own: its message may repeat what was typed, its place does not
      console.error(error.name, error.code ?? '', (error.stack ?? '').split('\n').filter((line) => /^ +at /.test(line)));
      return response.status(error.status ?? 500).send(pages.fault());
    }
    let { status, retryAfter, said } = error;
    if ([400, 401, 403].includes(status)) { // a key that ended, a changed policy: nothing the visitor can mend
      console.error('Strongroom refuses this program:', said.code);
      [status, retryAfter] = [503, '300'];
    }
    if (retryAfter) response.set('Retry-After', retryAfter);
    response.status(status).send(pages.problem(status, said, request.body));
  });
  return app;
}

function address({ street, town, postcode }, field) {
  return street ? { [field]: { lines: [street], city: town, postcode } } : {};
}

const sha = (text) => createHash('sha256').update(text).digest();

if (import.meta.url === `file://${process.argv[1]}`) {
  const staff = JSON.parse(readFileSync(process.env.SHOP_STAFF_FILE, 'utf8')); // {"17": "their password"}
  shop(openTable('shop.json'), staff).listen(3000, '127.0.0.1', () => console.log('http://127.0.0.1:3000/sign-up'));
}
