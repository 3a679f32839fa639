import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { UsageError, type CommandIo } from '../../src/cli/command.ts';
import { receive } from '../../src/cli/receive.ts';

interface Running {
  readonly httpUrl: string;
  /** Ends it as SIGTERM does; the exit status and all output. */
  end(): Promise<{ status: number; stdout: string; stderr: string }>;
}

const text = async (stream: PassThrough): Promise<string> => {
  stream.end();
  return Buffer.concat(await stream.toArray()).toString('utf8');
};

function io(): CommandIo & { stdout: PassThrough; stderr: PassThrough; stop: AbortController } {
  const stop = new AbortController();
  return { stdout: new PassThrough(), stderr: new PassThrough(), env: {}, signal: stop.signal, stop };
}

async function start(...argv: string[]): Promise<Running> {
  const world = io();
  const status = receive.run(['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0', ...argv], world);
  let stderr = '';
  const httpUrl = await new Promise<string>((resolve) => {
    world.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
      const match = /(http:\S+) for OTLP\/HTTP\n/.exec(stderr);
      if (match?.[1] !== undefined) resolve(match[1]);
    });
  });
  return {
    httpUrl,
    end: async () => {
      world.stop.abort();
      return { status: await status, stdout: await text(world.stdout), stderr };
    },
  };
}

const METRICS = {
  resourceMetrics: [
    {
      scopeMetrics: [
        { metrics: [{ name: 'm', gauge: { dataPoints: [{ timeUnixNano: '1767323045000000000', asInt: '5' }] } }] },
      ],
    },
  ],
};

const post = (url: string): Promise<Response> =>
  fetch(`${url}/v1/metrics`, {
    method: 'POST',
    body: JSON.stringify(METRICS),
    headers: { 'content-type': 'application/json' },
  });

test.each([
  ['text', '2026-01-02T03:04:05.000000000Z gauge m 5\n'],
  ['ndjson', `${JSON.stringify(METRICS)}\n`],
  ['json', `${JSON.stringify(METRICS, undefined, 2)}\n`],
])('prints what arrives as %s and ends with 0', async (format, expected) => {
  const running = await start('--format', format);
  expect((await post(running.httpUrl)).status).toBe(200);
  const { status, stdout, stderr } = await running.end();
  expect({ status, stdout }).toEqual({ status: 0, stdout: expected });
  expect(stderr).toMatch(
    /^listening on 127\.0\.0\.1:\d+ for OTLP\/gRPC\nlistening on http:\/\/127\.0\.0\.1:\d+ for OTLP\/HTTP\n$/,
  );
});

test('a port that is taken ends it with 1 and says which', async () => {
  const running = await start();
  const taken = running.httpUrl.replace('http://', '');
  const world = io();
  expect(await receive.run(['--grpc', 'none', '--http', taken], world)).toBe(1);
  expect(await text(world.stderr)).toBe(
    `sluice receive: cannot listen on ${taken} for OTLP/HTTP: the port is in use (EADDRINUSE)\n`,
  );
  await running.end();
});

test.each([
  [['--grpc', 'nowhere']],
  [['--http', '127.0.0.1:99999']],
  [['--format', 'xml']],
  [['--grpc', 'none', '--http', 'none']],
])('wrong usage is refused before anything listens: %j', async (argv) => {
  await expect(receive.run(argv, io())).rejects.toThrow(UsageError);
});

test('--help prints the usage', async () => {
  const world = io();
  expect(await receive.run(['--help'], world)).toBe(0);
  expect(await text(world.stdout)).toBe(receive.help);
});
