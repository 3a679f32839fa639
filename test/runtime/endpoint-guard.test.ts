import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http2';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeOtlp } from '../../src/exporters/otlp/encode.ts';
import { grpcSender } from '../../src/exporters/otlp/grpc-send.ts';
import {
  addressBytes,
  createEndpointGuard,
  isWithin,
  parseAddressRange,
  refusalOf,
} from '../../src/runtime/endpoint-guard.ts';
import { destination } from '../exporters/otlp/destination.ts';
import { metric } from '../exporters/telemetry.ts';

const given = {
  seed: Number(process.env['SLUICE_FUZZ_SEED'] ?? Date.now() % 1_000_000),
  numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 300),
};

test.each([
  ['127.0.0.1', 'a loopback address'],
  ['127.255.255.254', 'a loopback address'],
  ['::1', 'a loopback address'],
  ['0.0.0.0', 'an unspecified address'],
  ['0.1.2.3', 'an unspecified address'],
  ['::', 'an unspecified address'],
  ['169.254.1.1', 'a link-local address'],
  ['fe80::1', 'a link-local address'],
  ['fe80::1%eth0', 'a link-local address'],
  ['febf::1', 'a link-local address'],
  ['224.0.0.1', 'a multicast address'],
  ['ff02::1', 'a multicast address'],
  ['255.255.255.255', 'a reserved address'],
  ['169.254.169.254', "the cloud's metadata service"],
  ['fd00:ec2::254', "the cloud's metadata service"],
  ['100.100.100.200', "the cloud's metadata service"],
  ['192.0.0.192', "the cloud's metadata service"],
  ['168.63.129.16', "the cloud's metadata service"],
  ['fd00:ec2::23', "the cloud's metadata service"],
  ['fd20:ce::254', "the cloud's metadata service"],
  ['::ffff:127.0.0.1', 'a loopback address'],
  ['::ffff:7f00:1', 'a loopback address'],
  ['::127.0.0.1', 'a loopback address'],
  ['::ffff:0:169.254.169.254', "the cloud's metadata service"],
  ['64:ff9b::169.254.169.254', "the cloud's metadata service"],
  ['64:ff9b:1::a9fe:a9fe', "the cloud's metadata service"],
  ['2002:7f00:1::', 'a loopback address'],
  ['2002:a9fe:a9fe::1', "the cloud's metadata service"],
  ['2001:0:808:808::5601:5601', "the cloud's metadata service"],
  ['fd12:3456::5efe:7f00:1', 'a loopback address'],
  ['2001:db8::200:5efe:7f00:1', 'a loopback address'],
])('X17: %s is %s', (address, what) => {
  expect(refusalOf(address)).toBe(what);
});

test.each(['10.0.0.1', '192.168.1.1', '8.8.8.8', '2001:db8::1', 'fd12::1', '::ffff:10.0.0.1', '64:ff9b::8.8.8.8'])(
  '%s may be connected to',
  (address) => {
    expect(refusalOf(address)).toBeUndefined();
  },
);

test('addresses mean what the system takes them for', () => {
  // an oracle that shares no code with us
  const cases = fc.sample(fc.oneof(fc.ipV4(), fc.ipV6()), { ...given, numRuns: 400 });
  const program = `
import sys, ipaddress
for line in sys.stdin.read().split():
    address = ipaddress.ip_address(line)
    print(address.packed.hex() if address.version == 6 else '0' * 20 + 'ffff' + address.packed.hex())
`;
  const packed = execFileSync('python3', ['-c', program], { input: cases.join('\n'), encoding: 'utf8' }).split('\n');
  cases.forEach((text, i) => {
    expect([text, Buffer.from(addressBytes(text) ?? []).toString('hex')]).toEqual([text, packed[i]]);
  });
});

const hex = (value: number): string => value.toString(16);
/** Every way to write an IPv4 address inside of an IPv6 one. */
const disguises = (
  [a, b, c, d]: readonly [number, number, number, number],
  [x, y]: readonly [number, number],
): string[] => {
  const [high, low] = [a * 256 + b, c * 256 + d];
  const dotted = `${a}.${b}.${c}.${d}`;
  return [
    dotted,
    `::ffff:${dotted}`,
    `::FFFF:${hex(high)}:${hex(low)}`,
    `0:0:0:0:0:ffff:${dotted}`,
    `64:ff9b::${dotted}`,
    `64:ff9b:1:${hex(x)}:${hex(y)}::${dotted}`,
    `::ffff:0:${dotted}`,
    `2002:${hex(high)}:${hex(low)}:${hex(x)}::${hex(y)}`,
    `2001:0:${hex(high)}:${hex(low)}:${hex(x)}::${hex(y)}`,
    `2001:0:808:808:${hex(x)}:${hex(y)}:${hex(high ^ 0xffff)}:${hex(low ^ 0xffff)}`,
    `fd00:${hex(x)}::5efe:${hex(high)}:${hex(low)}`,
  ];
};

test('X17: an IPv4 address that is refused is refused in every disguise', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const group = fc.integer({ min: 1, max: 0xfffe });
  const bad = fc.oneof(
    fc.tuple(fc.constant(127), byte, byte, byte),
    fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
    fc.tuple(fc.integer({ min: 224, max: 255 }), byte, byte, byte),
  );
  fc.assert(
    fc.property(bad, fc.tuple(group, group), (address, more) => {
      for (const text of disguises(address, more)) expect([text, refusalOf(text)]).toEqual([text, expect.any(String)]);
    }),
    given,
  );
  const apiServer = (): string[] => ['10.96.0.1', 'fd00:10::1'];
  for (const text of disguises([10, 96, 0, 1], [1, 2]))
    expect([text, refusalOf(text, { apiServer })]).toEqual([text, "the API server's address"]);
  expect(refusalOf('fd00:10:0::1', { apiServer })).toBe("the API server's address");
  expect(refusalOf('10.96.0.2', { apiServer })).toBeUndefined();
});

test('whatever the text, a refusal or none, and no text that is no address passes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4()), (text) => {
      const bytes = addressBytes(text);
      if (bytes === undefined) expect(refusalOf(text)).toBe('no address');
      else expect(bytes).toHaveLength(16);
    }),
    given,
  );
});

test('ranges that the settings allow are allowed, and nothing beside them', () => {
  const allow = (...texts: string[]) => ({ allowed: texts.flatMap((text) => parseAddressRange(text) ?? []) });
  expect(refusalOf('127.0.0.1', allow('127.0.0.0/8'))).toBeUndefined();
  expect(refusalOf('::ffff:127.0.0.1', allow('127.0.0.1'))).toBeUndefined();
  expect(refusalOf('::1', allow('::1'))).toBeUndefined();
  expect(refusalOf('127.0.0.2', allow('127.0.0.1/32'))).toBe('a loopback address');
  // a network's translator is no way to what lies behind it
  expect(refusalOf('64:ff9b::169.254.169.254', allow('64:ff9b::/96'))).toBe("the cloud's metadata service");
  expect(refusalOf('64:ff9b::169.254.169.254', allow('169.254.0.0/16'))).toBeUndefined();
  for (const bad of ['', '10.0.0.0/33', 'x', '10.0.0.0/', '::/129', '1.2.3.4/5/6', 'fe80::1%a/64', '10.0.0.0/-1'])
    expect(parseAddressRange(bad)).toBeUndefined();
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (base, bits, other) => {
      const range = parseAddressRange(`${base}/${bits}`);
      const number = (text: string): bigint =>
        BigInt(
          `0b${text
            .split('.')
            .map((part) => Number(part).toString(2).padStart(8, '0'))
            .join('')}`,
        );
      const same = number(base) >> BigInt(32 - bits) === number(other) >> BigInt(32 - bits);
      expect(range !== undefined && isWithin(addressBytes(other)!, range)).toBe(same);
    }),
    given,
  );
});

test('X17: a name is resolved once, refused if any of its addresses is, and what was looked at is what is used', async () => {
  const answers = [
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.1', '127.0.0.1'],
  ];
  const guard = createEndpointGuard({ resolve: () => Promise.resolve(answers.shift() ?? []) });
  expect(await guard('backend.example')).toEqual({ addresses: ['10.0.0.1', '10.0.0.2'] });
  expect(await guard('backend.example')).toEqual({
    forbidden:
      'backend.example (127.0.0.1) is a loopback address: nothing is sent there unless the settings allow the range',
  });
  const system = createEndpointGuard();
  expect(await system('localhost')).toEqual({ forbidden: expect.stringContaining('a loopback address') });
  // forms that only the system's resolver reads as addresses
  for (const odd of ['127.1', '2130706433', '0x7f.1', '0177.0.0.1'])
    expect([odd, await system(odd).catch((error: unknown) => error)]).toEqual([
      odd,
      expect.objectContaining({ forbidden: expect.stringContaining('a loopback address') }),
    ]);
  await expect(system('no-such-name.invalid')).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/);
});

test('X17: nothing connects to a forbidden endpoint; an allowed one is reached by its name', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  let connections = 0;
  server.on('session', () => connections++);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const [request] = encodeOtlp([metric(1)]).requests;
  if (request === undefined) throw new Error('no request');
  const send = async (guard: ReturnType<typeof createEndpointGuard>) => {
    const sender = grpcSender(destination({ endpoint: `localhost:${port}`, timeoutMs: 5000 }), { lookup: guard });
    const outcome = await sender.send(request, new AbortController().signal);
    sender.close();
    return outcome;
  };
  expect(await send(createEndpointGuard())).toMatchObject({ status: 'retry', code: 'ENDPOINT_FORBIDDEN' });
  expect(connections).toBe(0);
  const allowed = ['127.0.0.0/8', '::1'].flatMap((text) => parseAddressRange(text) ?? []);
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true });
  });
  const resolve = (): Promise<string[]> => Promise.resolve(['127.0.0.1']);
  expect(await send(createEndpointGuard({ allowed, resolve }))).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(connections).toBe(1);
  server.close();
});
