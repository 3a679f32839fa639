// A receiver as a process of its own, so that it can be killed: prints its port, then the metric names of each request
// it accepted, before it answers.
import { writeSync } from 'node:fs';
import { startReceiver } from '../../src/exporters/otlp/receiver.ts';

const receiver = await startReceiver({ grpc: `127.0.0.1:${process.argv[2] ?? 0}` });
receiver.onRequest(({ json }) => {
  const names = JSON.stringify(json).match(/"batch-\d+"/g) ?? [];
  writeSync(1, `got ${names.join(' ').replaceAll('"', '')}\n`);
});
writeSync(1, `port ${receiver.ports.grpc}\n`);
