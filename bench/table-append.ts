// What does it cost to append a row, and what does a row take in memory? http_events, 22 columns, traffic of a service
// with a few clients: paths with ids, headers with a date that changes every second, bodies that differ.
//   node --expose-gc bench/table-append.ts [rows]
import { createTableStore } from '../src/tables/store.ts';
import type { Cell } from '../src/model/types.ts';

const rows = Number(process.argv[2] ?? 400_000);
const upid = { high: (1n << 32n) | 4242n, low: 123_456n };
const requests = Array.from({ length: 4096 }, (_, i): Cell[] => [
  0n,
  upid,
  `10.0.${i % 7}.${i % 200}`,
  30_000 + (i % 20_000),
  '10.0.0.1',
  8080,
  2,
  false,
  1,
  1,
  1,
  `{"Accept":"*/*","Host":"shop.example.org","User-Agent":"client/${i % 5}.0","X-Request-Id":"${(i * 2654435761) % 4294967296}-${i}"}`,
  i % 3 === 0 ? 'POST' : 'GET',
  `/api/cart/${i % 1500}?page=${i % 10}`,
  i % 3 === 0 ? `{"item":${i},"count":2}` : '',
  24,
  `{"Content-Type":"application/json","Date":"Sat, 21 Nov 2026 08:00:${i % 60} GMT","Server":"nginx/1.25","Content-Length":"${i % 900}"}`,
  i % 50 === 0 ? 500 : 200,
  i % 50 === 0 ? 'Internal Server Error' : 'OK',
  `{"items":[{"id":${i},"name":"thing ${i}","price":${i * 3}}]}`,
  90,
  1_000_000 + i,
]);

/** Cells as a parser makes them: texts fresh from bytes, never seen by the store before. */
const bytes = requests.map((cells) => cells.map((cell) => (typeof cell === 'string' ? Buffer.from(cell) : cell)));
const fresh = (i: number): Cell[] =>
  (bytes[i % bytes.length] ?? []).map((cell) =>
    cell instanceof Uint8Array ? (cell as Buffer).toString('utf8') : cell,
  );

const store = createTableStore();
const timings: number[] = [];
let time = 1_790_000_000_000_000_000n;
const chunk = 10_000;
globalThis.gc?.();
const before = process.memoryUsage();
for (let done = 0; done < rows; done += chunk) {
  const cells = Array.from({ length: chunk }, (_, i) => fresh(done + i));
  const times = cells.map(() => (time += 10_000n));
  const start = process.hrtime.bigint();
  for (let i = 0; i < chunk; i++) store.append('http_events', times[i] ?? 0n, cells[i] ?? []);
  timings.push(Number(process.hrtime.bigint() - start) / chunk);
}
timings.sort((a, b) => a - b);
globalThis.gc?.();
const stats = store.stats('http_events');
const after = process.memoryUsage();
const quantile = (q: number): string => (timings[Math.floor((timings.length - 1) * q)] ?? 0).toFixed(0);
console.log(
  `append http_events, ${rows} rows in chunks of ${chunk}: ns/row p50 ${quantile(0.5)}, p90 ${quantile(0.9)}, best ${quantile(0)}`,
);
console.log(
  `held: ${stats.rows} rows, ${(stats.bytes / 2 ** 20).toFixed(1)} MiB, ${(stats.bytes / stats.rows).toFixed(0)} bytes/row, ${stats.segments} segments, ${stats.rowsExpired} expired`,
);
console.log(
  `array buffers ${((after.arrayBuffers - before.arrayBuffers) / 2 ** 20).toFixed(1)} MiB more, rss ${(after.rss / 2 ** 20).toFixed(0)} MiB`,
);

const read = process.hrtime.bigint();
let seen = 0;
for (const batch of store.snapshot('http_events')) seen += batch.length;
console.log(`snapshot of all: ${seen} rows in ${(Number(process.hrtime.bigint() - read) / 1e6).toFixed(2)} ms`);
