// The other end: `sluice receive`, or a real OpenTelemetry Collector whose file exporter is read as it grows.
import { start } from './processes.ts';

export interface DemoReceiver {
  readonly name: string;
  stop(): Promise<void>;
}

/** `kind`: `receive` or `otelcol`. `onLine` gets OTLP/JSON, a request a line. */
export async function startReceiver(
  kind: string,
  port: number,
  folder: string,
  onLine: (line: string) => void,
): Promise<DemoReceiver> {
  if (kind === 'otelcol') {
    const { startOtelCollector } = await import('../../test/servers/otelcol.ts');
    const collector = await startOtelCollector({ dir: folder, grpcPort: port });
    const read = setInterval(() => collector.newLines().forEach(onLine), 200);
    return {
      name: 'OpenTelemetry Collector',
      async stop() {
        clearInterval(read);
        await collector.stop();
      },
    };
  }
  if (kind !== 'receive') throw new Error(`RECEIVER is receive or otelcol, not '${kind}'`);
  const ready = Promise.withResolvers<void>();
  const receiver = start(
    'bin/sluice',
    ['receive', '--grpc', `127.0.0.1:${port}`, '--http', 'none', '--format', 'ndjson'],
    onLine,
    // it says on standard error where it listens
    () => ready.resolve(),
  );
  const early = receiver.ended.then((how) => {
    throw new Error(`sluice receive ended with ${how}`);
  });
  await Promise.race([ready.promise, early]);
  early.catch(() => undefined);
  return {
    name: 'sluice receive',
    async stop() {
      receiver.stop();
      await receiver.ended;
    },
  };
}
