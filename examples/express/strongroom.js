// The only way to customers' data. What goes through here is never logged and never kept.
import { readFileSync } from 'node:fs';

// Why it was refused, or that Strongroom does not answer (503). `said` has codes and words, never a value.
export class Problem extends Error {
  constructor(status, said, retryAfter) {
    super(said.code);
    Object.assign(this, { status, said, retryAfter });
  }
}

// One call with a role's key. Personal data belongs into the body, never into the path.
export async function call(role, method, path, { body, staff, ...headers } = {}) {
  const key = readFileSync(process.env[`STRONGROOM_${role.toUpperCase()}_KEY_FILE`], 'utf8').trim();
  Object.assign(headers, { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' });
  headers['Strongroom-Purpose'] ??= 'support';
  if (staff) headers['Strongroom-On-Behalf-Of'] = `staff-${staff}`;
  let answer, said;
  try {
    const signal = AbortSignal.timeout(10_000);
    const asked = { method, headers, body: body && JSON.stringify(body), redirect: 'error', signal };
    answer = await fetch(process.env.STRONGROOM_URL + path, asked);
    said = JSON.parse((await answer.text()) || 'null');
  } catch { // refused, cut off, too slow, or not Strongroom's answer
    throw new Problem(503, { code: 'unreachable' }, '30');
  }
  if (!answer.ok) throw new Problem(answer.status, said, answer.headers.get('Retry-After'));
  return said;
}
