import { expect, test } from '@jest/globals';
import { packUpid } from '../../src/model/upid.ts';
import {
  aggregateOf,
  call,
  column,
  contextOf,
  groupBy,
  identityOf,
  literal,
  map,
  NO_IDENTITY,
  rowsFrom,
  schema,
  source,
  tablesOf,
} from './support.ts';

const HTTP = schema({ time_: 'TIME64NS', upid: 'UINT128', req_path: 'STRING', latency: 'INT64' });

test('requests per second by pod, service and path, with the latest time of each group', async () => {
  const cart = packUpid(7, 100, 5n);
  const tables = tablesOf({
    http_events: {
      schema: HTTP,
      rows: [
        [1_000n, cart, '/a', 5n],
        [2_000n, cart, '/b', 5n],
        [3_000n, cart, '/a', 5n],
        [4_000n, packUpid(7, 101, 6n), '/a', 5n],
      ],
    },
  });
  const identity = {
    ...NO_IDENTITY,
    process: (upid: { high: bigint; low: bigint }) =>
      upid.low === 5n ? identityOf({ pod: 'shop/cart-0', services: ['shop/cart', 'shop/all'] }) : undefined,
  };
  const read = source('http_events', HTTP);
  const named = map(read, {
    time_: column('time_', 'TIME64NS'),
    req_path: column('req_path', 'STRING'),
    latency: column('latency', 'INT64'),
    pod: call('upid_to_pod_name', column('upid', 'UINT128')),
    service: call('upid_to_service_name', column('upid', 'UINT128')),
  });
  const grouped = groupBy(
    named,
    ['pod', 'service', 'req_path'],
    [
      aggregateOf('throughput', 'count', [column('latency', 'INT64')]),
      aggregateOf('time_', 'max', [column('time_', 'TIME64NS')]),
    ],
  );
  const rates = map(grouped, {
    pod: column('pod', 'STRING'),
    service: column('service', 'STRING'),
    req_path: column('req_path', 'STRING'),
    time_: column('time_', 'TIME64NS'),
    requests_per_s: call('divide', column('throughput', 'INT64'), literal(10n, 'INT64')),
  });
  const context = contextOf({ tables, identity });
  expect(await rowsFrom(rates, context)).toEqual([
    ['shop/cart-0', '["shop/cart","shop/all"]', '/a', 3_000n, 0.2],
    ['shop/cart-0', '["shop/cart","shop/all"]', '/b', 2_000n, 0.1],
    ['', '', '/a', 4_000n, 0.1],
  ]);
  expect(context.stats.rowsRead).toBe(4);
});
