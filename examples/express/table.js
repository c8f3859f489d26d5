// What the shop itself keeps: no name, no address, no e-mail. `customer` leads to those.
// A file here, so that the example needs no database; in your shop these are two tables:
// users { id, customer: 'cus_…', forgotten } and orders { id, once, user, total, record: 'rec_…' }.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export function openTable(file) {
  const rows = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { users: [], orders: [] };
  const save = () => {
    writeFileSync(`${file}.part`, JSON.stringify(rows));
    renameSync(`${file}.part`, file);
  };
  const add = (table, row) => rows[table][rows[table].push({ id: rows[table].length + 1, ...row }) - 1];
  return { ...rows, add, save };
}
