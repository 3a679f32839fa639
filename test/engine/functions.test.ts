import { expect, test } from '@jest/globals';
import { IMPLEMENTATIONS, implementationKey } from '../../src/engine/functions/implementations.ts';
import { AGGREGATES } from '../../src/engine/aggregates/create.ts';
import type { Cell } from '../../src/model/types.ts';
import type { Expression, LiteralValue } from '../../src/plan/expression.ts';
import { SIGNATURES } from '../../src/plan/signatures/index-of-functions.ts';
import { call, column, identityOf, literal, NO_IDENTITY, valueOf } from './support.ts';

const signatures = [...SIGNATURES.values()];

test('every overload of an available scalar function has an implementation', () => {
  const missing = signatures
    .filter(({ kind, available }) => kind === 'scalar' && available)
    .flatMap(({ name, overloads }) => overloads.map(({ args }) => implementationKey(name, args)))
    .filter((key) => !IMPLEMENTATIONS.has(key));
  expect(missing).toEqual([]);
});

test('every implementation is of an available overload, but for the one that only the planner uses', () => {
  const known = new Set(
    signatures
      .filter(({ available }) => available)
      .flatMap(({ name, overloads }) => overloads.map(({ args }) => implementationKey(name, args))),
  );
  expect([...IMPLEMENTATIONS.keys()].filter((key) => !known.has(key))).toEqual(['_collector_start:']);
});

test('every available aggregate has an implementation, and no other', () => {
  const available = signatures
    .filter(({ kind, available }) => kind === 'aggregate' && available)
    .map(({ name }) => name);
  expect(Object.keys(AGGREGATES).sort()).toEqual(available.sort());
});

type Argument = string | number | bigint | boolean;

/** `12n` is INT64, `1.5` FLOAT64, text STRING. */
const toLiteral = (value: Argument): Expression => {
  const type = { bigint: 'INT64', number: 'FLOAT64', string: 'STRING', boolean: 'BOOLEAN' } as const;
  return literal(value, type[typeof value as keyof typeof type]);
};

const CASES: readonly (readonly [string, readonly Argument[], Cell])[] = [
  ['bin', [17n, 5n], 15n],
  ['bin', [-17n, 5n], -15n],
  ['bin', [-7n, 5n], -5n],
  ['bin', [17.9, 5n], 15n],
  ['modulo', [7n, -3n], 1n],
  ['modulo', [-7n, 3n], -1n],
  ['divide', [1n, 0n], Infinity],
  ['divide', [0n, 0n], NaN],
  ['divide', [7n, 2n], 3.5],
  ['add', [9223372036854775807n, 1n], -9223372036854775808n],
  ['subtract', [-9223372036854775808n, 1n], 9223372036854775807n],
  ['multiply', [9223372036854775807n, 2n], -2n],
  ['negate', [-9223372036854775808n], -9223372036854775808n],
  ['abs', [-9223372036854775808n], -9223372036854775808n],
  ['invert', [0n], -1n],
  ['floor', [-1.5], -2n],
  ['ceil', [-1.5], -1n],
  ['floor', [1e300], 9223372036854775807n],
  ['floor', [-Infinity], -9223372036854775808n],
  ['floor', [NaN], 0n],
  ['floor', [4611686018427387904], 4611686018427387904n],
  ['floor', [-9007199254740992], -9007199254740992n],
  ['add', [0.5, 9007199254740993n], 9007199254740992],
  ['pow', [1.0, NaN], 1],
  ['log', [2n, 8n], 3],
  ['round', [2.5, 0n], '2'],
  ['round', [1.005, 2n], '1.00'],
  ['round', [-0.4, 0n], '-0'],
  ['round', [1e22, 1n], '10000000000000000000000.0'],
  ['equal', ['a', 'b'], false],
  ['lessThan', [1n, 1.5], true],
  ['greaterThan', [2.5, 2n], true],
  ['lessThan', ['Z', 'a'], true],
  ['lessThan', ['é', 'z'], false],
  ['equal', [0.30000000000000004, 0.3], true],
  ['equal', [NaN, NaN], false],
  ['notEqual', [NaN, NaN], false],
  ['notEqual', [Infinity, Infinity], false],
  ['equal', [true, 1n], true],
  ['logicalAnd', [2n, 1n], true],
  ['logicalNot', [0n], true],
  ['select', [true, 'a', 'b'], 'a'],
  ['contains', ['abc', ''], true],
  ['length', ['é'], 2n],
  ['find', ['aébc', 'b'], 3n],
  ['find', ['abc', 'x'], -1n],
  ['find', ['abc', ''], 0n],
  ['substring', ['abcdef', 2n, 100n], 'cdef'],
  ['substring', ['abc', 3n, 1n], ''],
  ['substring', ['abc', 4n, 1n], ''],
  ['substring', ['abc', 0n, -1n], ''],
  ['substring', ['abc', 1n, 9223372036854775807n], 'bc'],
  ['toupper', ['aé'], 'Aé'],
  ['tolower', ['AÉ'], 'aÉ'],
  ['trim', ['\t a b \n'], 'a b'],
  ['strip_prefix', ['ab', 'abc'], 'c'],
  ['hex_to_ascii', ['48690'], ''],
  ['hex_to_ascii', ['4869'], 'Hi'],
  ['hex_to_ascii', ['0x48'], ''],
  ['bytes_to_hex', ['A\n'], '\\x41\\x0A'],
  ['atoi', [' 12 ', -1n], 12n],
  ['atoi', ['+12', -1n], 12n],
  ['atoi', ['12x', -1n], -1n],
  ['atoi', ['9223372036854775808', -1n], -1n],
  ['itoa', [-5n], '-5'],
  ['pluck', ['{"a":{"b":[1,2]}}', 'a'], '{"b":[1,2]}'],
  ['pluck', ['{"a": {"b" : [1, 2.50, 1e2, null]}}', 'a'], '{"b":[1,2.5,100.0,null]}'],
  ['pluck', ['{"a":null}', 'a'], ''],
  ['pluck', ['[1]', 'a'], ''],
  ['pluck', ['{"a":1,"a":2}', 'a'], '1'],
  ['pluck', ['{"a":"x\\u00e9\\n\\/"}', 'a'], 'xé\n/'],
  ['pluck', ['{"a":"\\ud83d\\ude00"}', 'a'], '😀'],
  ['pluck', ['{"a":"\\ud83d"}', 'a'], ''],
  ['pluck', ['{"a":1} x', 'a'], ''],
  ['pluck', ['{"a":1}\0 x', 'a'], '1'],
  ['pluck', ['{"a":["\\u0001/"]}', 'a'], '["\\u0001/"]'],
  ['pluck_float64', ['{"a":5}', 'a'], 0],
  ['pluck_float64', ['{"a":5.0}', 'a'], 5],
  ['pluck_float64', ['{"a":5e1}', 'a'], 50],
  ['pluck_float64', ['{"a":36893488147419103232}', 'a'], 36893488147419103232],
  ['pluck_int64', ['{"a":5.0}', 'a'], 0n],
  ['pluck_int64', ['{"a":-5}', 'a'], -5n],
  ['pluck_int64', ['{"a":18446744073709551615}', 'a'], 0n],
  ['pluck_array', ['["x",{"y":1}]', 1n], '{"y":1}'],
  ['pluck_array', ['["x"]', 1n], ''],
  ['pluck_array', ['["x"]', -1n], ''],
  ['split', ['a,,b', ','], '["a","","b"]'],
  ['split', ['', ';'], '[""]'],
  ['split', ['ab', ''], '["a","b"]'],
  ['_script_reference', ['l', 's', 'k', 'v"'], '{"label":"l","script":"s","args":{"k":"v\\""}}'],
  ['regex_match', ['ab', 'abc'], false],
  ['regex_match', ['ab.*', 'ab\nc'], true],
  ['regex_match', ['(', 'x'], false],
  ['regex_match', ['(a)\\1', 'aa'], false],
  ['regex_match', ['(?=a)a', 'a'], false],
  ['replace', ['([0-9]+)', 'id-42-x', '<\\1>'], 'id-<42>-x'],
  ['replace', ['a*', 'baac', 'x'], 'xbxcx'],
  ['replace', ['.', 'a\nb', '-'], '-\n-'],
  ['replace', ['(', 'x', 'y'], 'Invalid regex expr: missing closing )'],
  [
    'replace',
    ['a', 'a', '\\1'],
    'Invalid regex in substitution string: Rewrite schema requests 1 matches, but the regexp only has 0 parenthesized subexpressions.',
  ],
  ['_match_regex_rule', ['{"n":"[0-9]+","w":"[a-z]+"}', 'abc'], 'w'],
  [
    'uri_parse',
    ['grpc://10.1.1.1:9000/p/q?z=1'],
    '{"scheme":"grpc","host":"10.1.1.1","port":9000,"path":"p/q","query":"z=1"}',
  ],
  ['uri_parse', ['http://h'], '{"scheme":"http","host":"h"}'],
  ['uri_parse', ['http://h/community/'], '{"scheme":"http","host":"h","path":"community/"}'],
  ['uri_parse', ['http://h:/'], 'Port parsing failed.'],
  ['uri_parse', ['http://h:99999999999/'], 'Port parsing failed.'],
  ['uri_parse', ['not a uri'], 'Failed to parse URI'],
  ['uri_recompose', ['https', '', 'h.io', 0n, 'a/b', 'x=1', ''], 'https://h.io/a/b?x=1'],
  ['uri_recompose', ['grpc', '', '10.0.0.1', 0n, '', 'q=1', ''], 'grpc://10.0.0.1/?q=1'],
  ['uri_recompose', ['', '', 'h', -1n, '', '', ''], 'Failed to recompose URI'],
  ['_match_endpoint', ['/a/17/c?x=1', '/a/*/c'], true],
  ['_match_endpoint', ['/a/17', '/a/*/c'], false],
  ['http_route', ['/users/42/orders/deadbeef01?x=1#y'], '/users/{id}/orders/{id}'],
  ['http_route', ['/deadbeef/abc123/6f1ed002-ab5b-4e5b-9d2b-0d5b8c3c2f10'], '/deadbeef/abc123/{id}'],
  ['http_route', ['?x'], '/'],
  ['http_route', [''], '/'],
  ['cidrs_contain_ip', ['["10.0.0.0/8"]', '10.9.8.7'], true],
  ['cidrs_contain_ip', ['["bad","10.0.0.0/8"]', '11.9.8.7'], false],
  ['cidrs_contain_ip', ['["fd00::/8"]', 'fd12::1'], true],
  ['cidrs_contain_ip', ['["::ffff:10.0.0.0/104"]', '10.1.1.1'], true],
  ['cidrs_contain_ip', ['["0.0.0.0/0"]', '1.2.3.4'], true],
  ['cidrs_contain_ip', ['[5]', '10.9.8.7'], false],
  ['cidrs_contain_ip', ['x', '10.9.8.7'], false],
  ['nslookup', ['10.0.0.1'], '10.0.0.1'],
  ['protocol_name', [1n], 'HTTP'],
  ['protocol_name', [11n], 'Invalid (11)'],
  ['http_resp_message', [404n], 'Not Found'],
  ['http_resp_message', [299n], 'Unassigned'],
  ['kafka_api_key_name', [61n], 'DescribeProducers'],
  ['kafka_api_key_name', [62n], '62'],
  ['mysql_command_name', [23n], 'StmtExecute'],
  ['cql_opcode_name', [4n], '4'],
  ['dns_rcode_name', [3n], 'NXDOMAIN'],
  ['amqp_method_name', [60n, 40n], 'BasicPublish'],
  ['amqp_method_name', [60n, 0n], 'Basic'],
  ['amqp_method_name', [0n, 0n], 'Unknown'],
  ['amqp_frame_type_name', [8n], 'Heartbeat'],
  ['mux_frame_type_name', [-62n], 'Tdiscarded (legacy)'],
  ['mux_frame_type_name', [0n], 'Unknown (0)'],
  ['grpc_status_code_to_str', [-1n], 'DO_NOT_USE'],
  ['grpc_status_code_to_str', [99n], 'unknown code'],
  ['pod_name_to_namespace', ['shop/cart-0'], 'shop'],
  ['pod_name_to_namespace', ['cart-0'], ''],
  ['pod_name_to_namespace', ['a/b/c'], ''],
  ['has_service_name', ['["a/x","a/y"]', 'a/y'], true],
  ['has_service_name', ['a/x', 'a/x'], true],
  ['has_value', ['["a",1,"b"]', 'b'], false],
];

test.each(CASES)('px.%s(%j) is %j', async (name, args, expected) => {
  expect(await valueOf(call(name, ...args.map(toLiteral)))).toEqual(expected);
  // The same over columns instead of literals, where the function takes columns at all.
  const literals = SIGNATURES.get(name)?.overloads[0]?.literals ?? 0;
  const row = Object.fromEntries(args.map((value, i) => [`a${i}`, [toLiteral(value).type, value] as const]));
  const columns = args.map((value, i) => (i < literals ? toLiteral(value) : column(`a${i}`, toLiteral(value).type)));
  expect(await valueOf(call(name, ...columns), row)).toEqual(expected);
});

test.each(['modulo', 'bin'])('px.%s by 0 ends the query with a sentence', async (name) => {
  await expect(valueOf(call(name, toLiteral(1n), toLiteral(0n)))).rejects.toMatchObject({ code: 'DIVISION_BY_ZERO' });
});

const T = (value: LiteralValue): Expression => literal(value, 'TIME64NS');

test('times and integers mix as the overloads say', async () => {
  expect(await valueOf(call('subtract', T(10n), T(3n)))).toBe(7n);
  expect(call('subtract', T(10n), T(3n)).type).toBe('INT64');
  expect(await valueOf(call('bin', T(17n), toLiteral(5n)))).toBe(15n);
  expect(call('bin', T(17n), toLiteral(5n)).type).toBe('TIME64NS');
});

test('invalid UTF-8 goes through string functions byte by byte', async () => {
  const bad = { s: ['STRING', Uint8Array.of(0xc0, 0x41, 0xff)] as const };
  const s = column('s', 'STRING');
  expect(await valueOf(call('length', s), bad)).toBe(3n);
  expect(await valueOf(call('bytes_to_hex', call('tolower', s)), bad)).toBe('\\xC0\\x61\\xFF');
  const replaced = call('replace', toLiteral('A'), s, toLiteral('-'));
  expect(await valueOf(call('bytes_to_hex', replaced), bad)).toBe('\\xC0\\x2D\\xFF');
});

const CART = identityOf({
  cmdline: 'cart --port 80',
  pod: 'shop/cart-0',
  podId: 'pod-1',
  namespace: 'shop',
  services: ['shop/cart', 'shop/a"b'],
  serviceIds: ['svc-1'],
  node: 'n1',
  podIp: '10.0.0.5',
});
const identity = {
  ...NO_IDENTITY,
  process: ({ low }: { low: bigint }) => (low === 5n ? CART : undefined),
  podByIp: (address: string) => (address === '10.0.0.5' ? CART : undefined),
  podById: (id: string) => (id === 'pod-1' ? CART : undefined),
  podByName: (name: string) => (name === 'shop/cart-0' ? CART : undefined),
  serviceById: (id: string) => (id === 'svc-1' ? { id, name: 'shop/cart', clusterIp: '10.96.0.1' } : undefined),
  serviceByIp: (address: string) =>
    address === '10.96.0.1' ? { id: 'svc-1', name: 'shop/cart', clusterIp: address } : undefined,
};
const upid = (low: bigint) => literal({ high: (7n << 32n) | 100n, low }, 'UINT128');

const NAMES: readonly (readonly [string, Expression[], Cell])[] = [
  ['upid_to_string', [upid(5n)], '7:100:5'],
  ['upid_to_asid', [upid(5n)], 7n],
  ['upid_to_pid', [upid(5n)], 100n],
  ['upid_to_pod_name', [upid(5n)], 'shop/cart-0'],
  ['upid_to_pod_name', [upid(6n)], ''],
  ['upid_to_service_name', [upid(5n)], '["shop/cart","shop/a\\"b"]'],
  ['upid_to_service_id', [upid(5n)], 'svc-1'],
  ['upid_to_cmdline', [upid(5n)], 'cart --port 80'],
  ['_upid_to_podname_local_addr_fallback', [upid(6n), toLiteral('10.0.0.5'), T(1n)], 'shop/cart-0'],
  ['pod_id_to_node_name', [toLiteral('pod-1')], 'n1'],
  ['pod_name_to_pod_ip', [toLiteral('shop/cart-0')], '10.0.0.5'],
  ['pod_name_to_pod_ip', [toLiteral('cart-0')], ''],
  ['ip_to_pod_id', [toLiteral('10.0.0.5')], 'pod-1'],
  ['ip_to_pod_id', [toLiteral('')], ''],
  ['ip_to_service_id', [toLiteral('10.96.0.1')], 'svc-1'],
  ['ip_to_service_id', [toLiteral('10.0.0.5')], 'svc-1'],
  ['service_id_to_service_name', [toLiteral('svc-1')], 'shop/cart'],
  ['asid', [], 7n],
  ['_exec_hostname', [], 'node-a'],
  ['vizier_name', [], ''],
];

test.each(NAMES)('%s(…) of a known process, pod or service: case %#', async (name, args, expected) => {
  expect(await valueOf(call(name, ...args), {}, { identity })).toEqual(expected);
});

test('in a scope, objects of other namespaces have no names', async () => {
  for (const [scope, pod] of [
    ['shop', 'shop/cart-0'],
    ['other', ''],
  ] as const) {
    expect(await valueOf(call('upid_to_pod_name', upid(5n)), {}, { identity, scope })).toBe(pod);
    expect(await valueOf(call('service_id_to_service_name', toLiteral('svc-1')), {}, { identity, scope })).toBe(
      pod === '' ? '' : 'shop/cart',
    );
  }
});
