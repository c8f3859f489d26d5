// The pages. Whatever is put into `html` is escaped, unless it is `html` itself.
class Html {
  constructor(text) {
    this.text = text;
  }
}

const escaped = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function html(parts, ...values) {
  const put = (value) => {
    if (value instanceof Html) return value.text;
    if (Array.isArray(value)) return value.map(put).join('');
    return String(value ?? '').replace(/[&<>"']/g, (letter) => escaped[letter]);
  };
  return new Html(parts.reduce((text, part, at) => text + put(values[at - 1]) + part));
}

function page(title, body) {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Harbour Books</title>
<style>
  body { font: 1rem/1.5 system-ui; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
  label { display: block; margin: .5rem 0 } input { font: inherit } td { padding-right: 2rem }
</style>
<h1>${title}</h1>
${body}
</html>`.text;
}

const field = (label, name, value = '', type = 'text') =>
  html`<label>${label} <input name="${name}" type="${type}" value="${value}"></label>\n`;

const where = (typed = {}) =>
  [['Street', 'street'], ['Town', 'town'], ['Postcode', 'postcode']].map(([label, name]) => field(label, name, typed[name]));

export const signUp = (once) => page('Become a customer', html`
<form method="post"><input type="hidden" name="once" value="${once}">
${field('Your name', 'name')} ${field('E-mail address', 'email', '', 'email')}
<button>Sign up</button></form>`);

export const thanks = () => page('Thank you', html`<p>We know you now, and keep what you told us in a strongroom.`);

export const staffOnly = () => page('For those who work here', html`<p>Please sign in.`);

export const fault = () => page('That did not work', html`<p role="alert">This is our fault, not yours. Please try again later.`);

export const customers = (rows, names, number, pages) => page('Customers', html`
<table><tr><th>Number<th>Name
${rows.map((row) => html`<tr><td><a href="/customers/${row.id}">${row.id}</a><td>${names.get(row.customer) ?? '(cannot be shown)'}\n`)}
</table>
<p>Page ${number} of ${Math.max(pages, 1)}
${number > 1 ? html`<a href="?page=${number - 1}">newer</a>` : ''}
${number < pages ? html`<a href="?page=${number + 1}">older</a>` : ''}`);

export const customer = ({ row, shown, orders, once, typed, clear }) => page(`Customer ${row.id}`, html`
<p><a href="/">All customers</a>
${typed ? html`<p role="alert">Somebody else has just changed this customer. Please look again, then save what you typed,
or leave it.` : ''}
<p>${Object.entries(shown.fields).map(([name, value]) => html`${name}: ${value}<br>`)}
${clear ? html`<p><strong>${Object.entries(clear).map(([name, value]) => html`${name}: ${words(value)}<br>`)}</strong>` : ''}

<form method="post" action="/customers/${row.id}/reveal">
<label>Show all of it, because
<select name="reason"><option>customer called<option>wrong address<option>return</select></label>
<button>Show</button></form>

<h2>Change</h2>
<p>What stays empty here stays as it is. An address can be kept once they have bought something.
<form method="post" action="/customers/${row.id}/change"><input type="hidden" name="version" value="${shown.version}">
${field('Name', 'name', typed?.name)} ${field('E-mail address', 'email', typed?.email, 'email')} ${where(typed)}
<button>Save</button></form>

<h2>Orders</h2>
<ul>${orders.map((order) => html`<li>${order.id}: ${order.total}`)}</ul>
<form method="post" action="/customers/${row.id}/order"><input type="hidden" name="once" value="${once}">
${field('Total', 'total')} ${field('Invoice to', 'name')} ${where()}
<button>Order</button></form>

<h2>Forget</h2>
<form method="post" action="/customers/${row.id}/forget"><button>Forget this customer</button></form>`);

const words = (value) => (value?.lines ? [...value.lines, value.postcode, value.city].join(', ') : value);

export const forgotten = ({ due, goes, kept }) => page('Forgotten', html`
<p>Nobody sees this customer from now on. Until ${due} it can be taken back; then the keys are destroyed.
${goes.length ? html`<p>What goes: ${goes.join(', ')}.` : ''}
${kept.map((one) => html`<p>What stays until ${one.last_day}, because of ${one.basis}: ${one.fields.join(', ')}.`)}
${kept.length ? '' : html`<p>Nothing stays.`}
<p>Tell the customer just that. <a href="/">All customers</a>`);

const said = {
  404: ['Not here', 'There is no such customer, or not any more.'],
  429: ['Enough for today', 'You have looked at as many customers as your work needs on one day. If today needs more, ask whoever looks after Strongroom.'],
  503: ['One moment, please', 'We cannot reach our customer data just now. It is safe; we just cannot read or change it. Please try again in a minute.'],
};

export const problem = (status, { detail, errors = [] }, typed = {}) => page(said[status]?.[0] ?? 'That did not work', html`
<p role="alert">${said[status]?.[1] ?? (errors.length ? errors.map((one) => html`${one.field}: ${one.detail}<br>`) : detail)}
${Object.keys(typed).length ? html`<p>What you typed is still here, and nowhere else:
<form method="post">
${Object.entries(typed).map(([name, value]) => field(hidden(name) ? '' : name, name, value, hidden(name) ? 'hidden' : 'text'))}
<button>Try again</button></form>` : html`<p><a href="">Try again</a>`}`);

const hidden = (name) => name === 'once' || name === 'version';
