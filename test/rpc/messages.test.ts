import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TimeNs } from '../../src/model/time.ts';
import { WireError, type Codec } from '../../src/rpc/protobuf.ts';
import * as messages from '../../src/rpc/run-messages.ts';

// The oracle reads the .proto file; it shares no code with the codecs.
const RUN = loadSync(join('src/rpc', 'run.proto'), { longs: String, enums: String, defaults: true, oneofs: true });
const seed = Number(process.env['SLUICE_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const runs = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 150);
const check = (property: fc.IPropertyWithHooks<never[]> | fc.IProperty<never>): void =>
  fc.assert(property as fc.IProperty<never>, { seed, numRuns: runs });

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const count = fc.maxSafeInteger().map(Math.abs);
const time = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) as fc.Arbitrary<TimeNs>;
const flag = fc.boolean();
const record = fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true });
const optional = <T extends object>(required: { [K in keyof T]: fc.Arbitrary<T[K]> }, keys: readonly (keyof T)[]) =>
  fc.record(required, { requiredKeys: keys as never, noNullPrototype: true });
const whole = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true });

const interval = whole({ start: time, end: time, delivered: flag });
const blind = optional({ source: text, start: time, end: time, reason: text }, ['source', 'start', 'reason']);
const loss = whole({
  eventsDropped: count,
  exchangesLost: count,
  bytesNotUnderstood: count,
  rowsLate: count,
  rowsExpired: count,
  blind: fc.array(blind, { maxLength: 3 }),
});
const outcome = optional(
  {
    uid: text,
    start: time,
    end: time,
    outcome: fc.constantFrom('Complete', 'Partial', 'Skipped', 'Failed'),
    reason: text,
    rowsRead: count,
    rowsTruncated: count,
    itemsDropped: count,
    metricPoints: count,
    spans: count,
    logs: count,
    bytes: count,
    durationMs: count,
    nodes: whole({ expected: count, answered: count, missing: fc.array(text, { maxLength: 3 }) }),
    loss,
    error: optional(
      {
        stage: fc.constantFrom('Compile', 'Query', 'Encode', 'Export'),
        code: text,
        message: text,
        line: count,
        column: count,
      },
      ['stage', 'code', 'message'],
    ),
  },
  [
    'uid',
    'start',
    'end',
    'outcome',
    'rowsRead',
    'rowsTruncated',
    'metricPoints',
    'spans',
    'logs',
    'bytes',
    'durationMs',
    'nodes',
    'loss',
  ],
);
const destination = whole({
  type: fc.constantFrom('OTLPGRPC', 'OTLPHTTP', 'PrometheusRemoteWrite', 'Prometheus', 'Zipkin', 'Console'),
  endpoint: text,
  headers: fc.array(whole({ name: text, value: text }), { maxLength: 3 }),
  tls: optional(
    {
      mode: fc.constantFrom('TLS', 'Plaintext'),
      ca: text,
      clientCertificate: whole({ certificate: text, key: text }),
      serverName: text,
      insecureSkipVerify: flag,
    },
    ['mode', 'insecureSkipVerify'],
  ),
  compression: fc.constantFrom('gzip', 'none'),
  timeoutMs: count,
  resourceAttributes: record,
});

// oxlint-disable-next-line typescript/no-explicit-any -- each codec with values of its own type
const CASES: readonly (readonly [string, Codec<any>, fc.Arbitrary<object>])[] = [
  ['HelloRequest', messages.HELLO_REQUEST, whole({ epoch: count, version: text })],
  ['HelloReply', messages.HELLO_REPLY, whole({ incarnation: text, highestEpoch: count, version: text })],
  [
    'CompileRequest',
    messages.COMPILE_REQUEST,
    optional({ kind: fc.constantFrom('text', 'preset'), script: text, args: record, uid: text }, [
      'kind',
      'script',
      'args',
    ]),
  ],
  [
    'CompileReply',
    messages.COMPILE_REPLY,
    whole({
      scriptHash: text,
      outputs: fc.array(
        whole({
          kind: fc.constantFrom('table', 'metric', 'span'),
          name: text,
          columns: fc.array(whole({ name: text, type: text, semanticType: text }), { maxLength: 3 }),
        }),
        { maxLength: 3 },
      ),
      diagnostics: fc.array(
        optional(
          {
            code: text,
            severity: fc.constantFrom('error', 'warning'),
            message: text,
            line: count,
            column: count,
            suggestion: text,
          },
          ['code', 'severity', 'message', 'line', 'column'],
        ),
        { maxLength: 3 },
      ),
    }),
  ],
  ['PutDestinationRequest', messages.PUT_DESTINATION_REQUEST, whole({ pluginUid: text, revision: text, destination })],
  ['RemoveDestinationRequest', messages.REMOVE_DESTINATION_REQUEST, whole({ pluginUid: text, graceMs: count })],
  ['LedgerRequest', messages.LEDGER_REQUEST, whole({ uids: fc.array(text) })],
  [
    'LedgerReply',
    messages.LEDGER_REPLY,
    whole({ scripts: fc.array(whole({ uid: text, committed: fc.array(interval, { maxLength: 5 }) })) }),
  ],
  [
    'RunMessage',
    messages.RUN_MESSAGE,
    optional(
      {
        request: whole({
          runId: text,
          epoch: count,
          scriptHash: text,
          uid: text,
          scriptName: text,
          start: time,
          end: time,
          pluginUid: text,
          revision: text,
          scope: text,
          limits: whole({ timeoutMs: count, rowsMax: count, watermarkWaitMs: count }),
        }),
        cancel: flag,
      },
      ['cancel'],
    ),
  ],
  ['SkipRequest', messages.SKIP_REQUEST, whole({ epoch: count, uid: text, start: time, end: time, reason: text })],
  [
    'RunReply',
    messages.RUN_REPLY,
    optional(
      {
        status: fc.constantFrom('committed', 'failed', 'overlap', 'unknown'),
        outcome,
        delivered: flag,
        committed: fc.array(interval, { maxLength: 4 }),
        what: text,
      },
      ['status', 'delivered', 'committed', 'what'],
    ),
  ],
  ['DeliveriesMessage', messages.DELIVERIES_MESSAGE, optional({ epoch: count, taken: flag }, ['taken'])],
  [
    'DeliveriesPage',
    messages.DELIVERIES_PAGE,
    whole({
      incarnation: text,
      deliveries: fc.array(
        optional(
          {
            uid: text,
            start: time,
            end: time,
            batch: count,
            outcome: fc.constantFrom('acknowledged', 'refused', 'dropped'),
            metricPoints: count,
            spans: count,
            logs: count,
            rejected: count,
            bytes: count,
            attempts: count,
            windowDelivered: flag,
            windowRepeated: flag,
            code: text,
            message: text,
          },
          [
            'uid',
            'start',
            'end',
            'batch',
            'outcome',
            'metricPoints',
            'spans',
            'logs',
            'rejected',
            'bytes',
            'attempts',
            'windowDelivered',
            'windowRepeated',
          ],
        ),
        { maxLength: 4 },
      ),
    }),
  ],
  [
    'StateReply',
    messages.STATE_REPLY,
    whole({
      incarnation: text,
      version: text,
      activeRuns: count,
      waitingRuns: count,
      spoolBytes: count,
      spoolBytesMax: count,
      destinations: fc.array(
        optional(
          {
            name: text,
            batches: count,
            bytes: count,
            activity: fc.constantFrom('no-destination', 'idle', 'sending', 'backing-off', 'stopped'),
            consecutiveFailures: count,
            lastSuccessAt: time,
            lastError: whole({ code: text, message: text, at: time }),
            nextAttemptAt: time,
            oldestCommittedAt: time,
          },
          ['name', 'batches', 'bytes', 'activity', 'consecutiveFailures'],
        ),
        { maxLength: 3 },
      ),
      nodes: fc.array(
        optional(
          {
            name: text,
            answered: flag,
            why: text,
            startTime: time,
            oldest: time,
            blind: fc.array(whole({ source: text, reason: text, message: text }), { maxLength: 3 }),
          },
          ['name', 'answered', 'why', 'startTime', 'blind'],
        ),
        { maxLength: 3 },
      ),
      presets: fc.array(text, { maxLength: 4 }),
    }),
  ],
];

const serializer = (name: string) => {
  const [service] = Object.values(RUN).filter((one) => 'Hello' in one);
  for (const method of Object.values(service as unknown as Record<string, Record<string, unknown>>)) {
    for (const side of ['request', 'response'] as const) {
      const type = method[`${side}Type`] as MessageTypeDefinition<object, object>;
      if ((type.type as { name?: string }).name !== name) continue;
      return {
        encode: method[`${side}Serialize`] as (value: object) => Buffer,
        decode: method[`${side}Deserialize`] as (bytes: Buffer) => Record<string, unknown>,
      };
    }
  }
  throw new Error(`run.proto has no message ${name} in its service`);
};

const snake = (word: string): string => word.replaceAll(/[^A-Za-z0-9]|([a-z])(?=[A-Z])/g, '$1_').toUpperCase();

/** Ours as the oracle reads it: enum names without their prefix, times and counts as text, what is missing left out. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') return String(value);
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

/** Drops what the oracle adds: absent optional fields, `_name` of oneofs, and turns enum names into ours. */
function alike(theirs: unknown, ours: unknown): unknown {
  if (Array.isArray(ours) && Array.isArray(theirs)) return theirs.map((one, i) => alike(one, ours[i]));
  if (typeof ours === 'object' && ours !== null && typeof theirs === 'object' && theirs !== null) {
    const entries = Object.entries(theirs).filter(([key]) => !(key.startsWith('_') && !(key in ours)));
    return Object.fromEntries(entries.map(([key, one]) => [key, alike(one, Reflect.get(ours, key))]));
  }
  if (typeof theirs === 'string' && typeof ours === 'string' && theirs !== ours) {
    const short = snake(ours).replaceAll('_', '');
    if (theirs.replaceAll('_', '').endsWith(short)) return ours;
  }
  return theirs;
}

test.each(CASES)('%s is on the wire what run.proto says', (name, codec, arbitrary) => {
  const oracle = serializer(name);
  check(
    fc.property(arbitrary, (value) => {
      const bytes = codec.encode(value);
      expect(codec.decode(bytes)).toEqual(value);
      const theirs = oracle.decode(bytes);
      const ours = plain(value);
      expect(alike(theirs, ours)).toEqual(ours);
      // and back: their encoding of what they read is read by ours
      expect(codec.decode(oracle.encode(theirs))).toEqual(value);
    }) as never,
  );
});

test.each(CASES)('%s: any bytes are read or refused with a WireError', (_, codec, arbitrary) => {
  check(
    fc.property(arbitrary, fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = Buffer.from(codec.encode(value));
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      for (const garbled of [bytes, bytes.subarray(0, at % (bytes.length + 1))]) {
        try {
          codec.decode(garbled);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }
    }) as never,
  );
  check(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        codec.decode(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }) as never,
  );
});

test('unknown fields are ignored, of every wire type', () => {
  const known = messages.HELLO_REQUEST.encode({ epoch: 7, version: '1' });
  const unknown = Buffer.from([
    0xa0, 6, 0xff, 0xff, 3, 0xa1, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 6, 2, 9, 9, 0xa5, 6, 1, 2, 3, 4,
  ]);
  expect(messages.HELLO_REQUEST.decode(Buffer.concat([unknown, known, unknown]))).toEqual({ epoch: 7, version: '1' });
});

test('what is too long, too large or unknown is refused by its field', () => {
  const uids = Array.from({ length: 10_001 }, (_, i) => `${i}`);
  expect(() => messages.LEDGER_REQUEST.decode(messages.LEDGER_REQUEST.encode({ uids }))).toThrow(/uids: more than/);
  const script = (text: string) => ({ kind: 'text' as const, script: text, args: {} });
  // what a ConfigMap and an inline script can hold, and no more
  const inlineMax = script('\u{1f6b0}'.repeat(131_072));
  expect(messages.COMPILE_REQUEST.decode(messages.COMPILE_REQUEST.encode(inlineMax))).toEqual(inlineMax);
  const long = messages.COMPILE_REQUEST.encode(script('x'.repeat(2 ** 20 + 1)));
  expect(() => messages.COMPILE_REQUEST.decode(long)).toThrow(/script: 1048577 bytes/);
  expect(() => messages.COMPILE_REQUEST.decode(Buffer.from([8, 9]))).toThrow(/kind: 9 is none of text, preset/);
  expect(() => messages.COMPILE_REQUEST.decode(Buffer.alloc(0))).toThrow(/kind: missing/);
  expect(() => messages.HELLO_REQUEST.encode({ epoch: -1, version: '' })).toThrow(RangeError);
  expect(() => messages.HELLO_REQUEST.encode({ epoch: 1.5, version: '' })).toThrow(RangeError);
});
