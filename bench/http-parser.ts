// How much CPU does an HTTP/1 exchange cost in the collector's parser, from two captured messages to the cells of a row?
// Beside it, in the same run, llhttp inside Node.js (what `node:http` parses with), which only parses: no pairing, no
// header JSON, no row. Each round interleaves both; the median and the spread of the rounds are printed.
import { createRequire } from 'node:module';
import { http } from '../src/collector/protocols/http/http.ts';
import type { ProtocolSink } from '../src/collector/protocols/protocol.ts';

const ROUNDS = 15;
const EXCHANGES = 100_000;
const CONNECTIONS = 16;
const NS_PER_SECOND = 1e9;

interface Workload {
  readonly name: string;
  readonly request: (i: number) => string;
  readonly response: (i: number) => string;
}

const second = (i: number): string => `${10 + (Math.floor(i / 20_000) % 50)}`;

const WORKLOADS: readonly Workload[] = [
  {
    name: 'wrk to nginx: equal requests, Date once a second',
    request: () => 'GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: wrk/4.2.0\r\nAccept: */*\r\n\r\n',
    response: (i) =>
      `HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nDate: Sat, 21 Nov 2026 08:00:${second(i)} GMT\r\nContent-Type: text/html\r\n` +
      'Content-Length: 13\r\nConnection: keep-alive\r\nETag: "65b8b0d4-d"\r\n\r\nHello, world\n',
  },
  {
    name: 'service to service: unique path, trace header, JSON bodies',
    request: (i) =>
      `POST /api/v1/orders/${i} HTTP/1.1\r\nHost: orders.shop.svc\r\nUser-Agent: node\r\nAccept: application/json\r\n` +
      `traceparent: 00-4bf92f3577b34da6a3ce929d0e${(i % 1_000_000).toString().padStart(6, '0')}-00f067aa0ba902b7-01\r\n` +
      'Content-Type: application/json\r\nContent-Length: 26\r\n\r\n{"item":"tea","count":1.0}',
    response: (i) =>
      `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Request-Id: ${i}\r\n` +
      `Date: Sat, 21 Nov 2026 08:00:${second(i)} GMT\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"status":"ok"}\r\n0\r\n\r\n`,
  },
];

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};

/** Exchanges as pairs of messages, made before the clock starts. */
function messagesOf({ request, response }: Workload): Buffer[] {
  return Array.from({ length: 2 * EXCHANGES }, (_, i) => {
    const exchange = i >> 1;
    return Buffer.from(i % 2 === 0 ? request(exchange) : response(exchange));
  });
}

function ours(messages: readonly Buffer[]): number {
  let rows = 0;
  const sink: ProtocolSink = {
    exchange: (_time, values) => (rows += values.length === 14 ? 1 : 0),
    lost: () => {
      throw new Error('the benchmark lost bytes');
    },
    stop: () => undefined,
  };
  const trackers = Array.from({ length: CONNECTIONS }, () => ({
    tracker: http.start('server', sink, true),
    positions: [0, 0] as [number, number],
  }));
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i] as Buffer;
    const { tracker, positions } = trackers[(i >> 1) % CONNECTIONS] as (typeof trackers)[number];
    const direction = (i & 1) as 0 | 1;
    tracker.message(direction === 1, positions[direction], message.length, message, i * 10_000);
    positions[direction] += message.length;
  }
  return rows;
}

interface LlHttp {
  initialize(kind: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: unknown;
}
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as {
  HTTPParser: (new () => LlHttp) & Readonly<Record<string, number>>;
};

function llhttp(messages: readonly Buffer[]): number {
  let count = 0;
  const parser = (kind: number): LlHttp => {
    const made = new HTTPParser();
    made.initialize(kind, {});
    made[HTTPParser['kOnHeaders'] ?? 0] = () => undefined;
    made[HTTPParser['kOnHeadersComplete'] ?? 1] = () => 0;
    made[HTTPParser['kOnBody'] ?? 2] = () => undefined;
    made[HTTPParser['kOnMessageComplete'] ?? 3] = () => {
      count++;
    };
    return made;
  };
  const parsers = Array.from({ length: CONNECTIONS }, () => [
    parser(HTTPParser['REQUEST'] ?? 1),
    parser(HTTPParser['RESPONSE'] ?? 2),
  ]);
  for (let i = 0; i < messages.length; i++) {
    const result = parsers[(i >> 1) % CONNECTIONS]?.[i & 1]?.execute(messages[i] as Buffer);
    if (typeof result !== 'number') throw new Error('llhttp refused a message', { cause: result });
  }
  return count / 2;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const spread = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return `${Math.round(sorted[0] ?? 0)}-${Math.round(sorted.at(-1) ?? 0)}`;
};

function measure(run: (messages: readonly Buffer[]) => number, messages: readonly Buffer[]): number {
  const start = cpuNs();
  const rows = run(messages);
  const ns = (cpuNs() - start) / EXCHANGES;
  if (rows !== EXCHANGES) throw new Error(`${rows} of ${EXCHANGES} exchanges`);
  return ns;
}

console.log(`${EXCHANGES} exchanges a round on ${CONNECTIONS} connections, ${ROUNDS} rounds, CPU of the whole process`);
for (const workload of WORKLOADS) {
  const messages = messagesOf(workload);
  const bytes = messages.reduce((sum, message) => sum + message.length, 0) / EXCHANGES;
  const sluice: number[] = [];
  const rival: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const a = measure(ours, messages);
    const b = measure(llhttp, messages);
    if (round < 0) continue;
    sluice.push(a);
    rival.push(b);
  }
  const ratios = sluice.map((ns, i) => ns / (rival[i] ?? 1));
  console.log(`\n${workload.name} (${Math.round(bytes)} bytes an exchange)`);
  console.log('  parser            ns/exchange   spread        exchanges/s');
  for (const [name, values] of [
    ['sluice, to a row', sluice],
    ['llhttp, parse only', rival],
  ] as const) {
    const ns = median(values);
    console.log(
      `  ${name.padEnd(18)}${Math.round(ns).toString().padStart(11)}   ${spread(values).padEnd(12)}  ${Math.round(NS_PER_SECOND / ns).toLocaleString('en')}`,
    );
  }
  console.log(
    `  ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`,
  );
}
