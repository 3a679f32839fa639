// A real OpenTelemetry Collector in a pod: Deployment and Service `otel-collector` in `default`, where the samples send to.
// What it received is read from its volume, which is a folder of the node and so of this machine.
import { existsSync, openSync, closeSync, fstatSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { programImage } from '../cluster/test-images.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { otelCollectorBinary } from '../servers/otelcol.ts';
import { deployment, service } from './objects.ts';

const CONFIG = '/etc/otelcol.yaml';
const FOLDER = '/out';
const FILE = 'telemetry.jsonl';
const GRPC = 4317;

const config = `
receivers:
  otlp:
    protocols:
      grpc: { endpoint: '0.0.0.0:${GRPC}' }
exporters:
  file: { path: ${FOLDER}/${FILE}, flush_interval: 50ms, append: true }
service:
  telemetry:
    logs: { level: info, encoding: console }
    metrics: { level: none }
  pipelines:
    metrics: { receivers: [otlp], exporters: [file] }
    traces: { receivers: [otlp], exporters: [file] }
    logs: { receivers: [otlp], exporters: [file] }
`;

/** The image's archive. */
export const receiverImage = (): Promise<string> =>
  programImage('otelcol', [otelCollectorBinary()], { [CONFIG]: config });

export const RECEIVER = 'otel-collector';

/** Deployment and Service; the pod stays on `node`, with its volume. */
export const receiverObjects = (node: string, name = RECEIVER, namespace = 'default'): object[] => [
  deployment({
    name,
    namespace,
    nodeName: node,
    // a file has one writer
    strategy: { type: 'Recreate' },
    volumes: [{ name: 'out', emptyDir: {} }],
    container: {
      name: 'otelcol',
      image: 'localhost/otelcol:1',
      args: ['--config', CONFIG],
      command: [otelCollectorBinary()],
      ports: [{ containerPort: GRPC }],
      readinessProbe: { tcpSocket: { port: GRPC }, periodSeconds: 1 },
      volumeMounts: [{ name: 'out', mountPath: FOLDER }],
    },
  }),
  service({ name, namespace, ports: [GRPC] }),
];

export interface Receiver {
  /** Path of the file on this machine. */
  readonly file: string;
  /** Every request that it received, OTLP/JSON. */
  requests(): readonly unknown[];
}

/** The receiver's pod that is there now. */
export async function openReceiver(cluster: Cluster, name = RECEIVER, namespace = 'default'): Promise<Receiver> {
  const path = 'jsonpath={.items[0].spec.nodeName} {.items[0].metadata.uid}';
  const question = ['get', 'pods', '--namespace', namespace, '--selector', `app=${name}`, '-o', path];
  const [node = '', uid = ''] = (await cluster.kubectl(question)).split(' ');
  const volumes = join(cluster.dir, node, 'lib-kubelet/pods', uid, 'volumes/kubernetes.io~empty-dir');
  const file = join(volumes, 'out', FILE);
  const requests: unknown[] = [];
  let [position, rest] = [0, ''];
  return {
    file,
    requests() {
      const text = existsSync(file) ? readFrom(file, position) : Buffer.alloc(0);
      position += text.length;
      // a line that is being written is read when it is whole; OTLP/JSON of ours is never cut inside a character by the writer
      const lines = (rest + text.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) requests.push(...requestsOf(line));
      return requests;
    },
  };
}

/** A Collector that was killed may have cut a line off, and its next life goes on behind it: what is whole counts. */
function requestsOf(line: string): unknown[] {
  try {
    return [JSON.parse(line)];
  } catch {
    const parts = line.split(/(?=\{"resource(?:Metrics|Spans|Logs)":)/);
    if (parts.length < 2) throw new Error(`the receiver wrote no JSON: ${line.slice(0, 200)}`);
    return parts.flatMap((part) => {
      try {
        return [JSON.parse(part)];
      } catch {
        return [];
      }
    });
  }
}

function readFrom(file: string, position: number): Buffer {
  const handle = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(handle).size - position));
    return bytes.subarray(0, bytes.length === 0 ? 0 : readSync(handle, bytes, 0, bytes.length, position));
  } finally {
    closeSync(handle);
  }
}
