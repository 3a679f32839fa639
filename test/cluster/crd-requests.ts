// Our kinds on a real API server: requests as an administrator, with the answers as they are. A test of validation must
// not see the API through our own client.
import { Agent, request } from 'node:https';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { waitFor } from './instance.ts';

const ROOT = join(import.meta.dirname, '../..');
export const CRD_FILES: readonly string[] = ['otelplugins', 'exportscripts'].map((plural) =>
  join(ROOT, `config/crd/sluice.dev_${plural}.yaml`),
);

export interface Answer {
  /** HTTP status. */
  readonly status: number;
  readonly body: unknown;
  /** `message` of a metav1.Status; empty for anything else. */
  readonly message: string;
}

export type Requests = (method: string, path: string, body?: unknown, contentType?: string) => Promise<Answer>;

/** Applies our CRDs and waits until they are served. */
export async function installCrds({ kubectl }: ControlPlane): Promise<void> {
  await kubectl(['apply', ...CRD_FILES.flatMap((file) => ['-f', file])]);
  const wait = ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'];
  // it fails at once where an object has no conditions yet
  await waitFor('the CRDs to be served', () => kubectl(wait).then(() => true), 30_000);
}

export const pathOf = (kind: string, name = '', subresource = ''): string =>
  ['/apis/sluice.dev/v1alpha1/namespaces/default', `${kind.toLowerCase()}s`, name, subresource]
    .filter((part) => part !== '')
    .join('/');

export function openRequests({ url, authority, caFile }: ControlPlane): { ask: Requests; close: () => void } {
  const [ca, cert, key] = [caFile, join(authority.dir, 'admin.crt'), join(authority.dir, 'admin.key')].map((file) =>
    readFileSync(file),
  );
  const agent = new Agent({ ca, cert, key, keepAlive: true, maxSockets: 4 });
  const ask: Requests = (method, path, body, contentType = 'application/json') =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = { 'content-type': contentType, 'content-length': Buffer.byteLength(text) };
      const asked = request(`${url}${path}`, { method, headers, agent, timeout: 30_000 }, (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
        response.on('error', reject);
        response.on('end', () => {
          const parsed: unknown = JSON.parse(answer);
          const isStatus = typeof parsed === 'object' && parsed !== null && Reflect.get(parsed, 'kind') === 'Status';
          const message = isStatus ? String(Reflect.get(parsed, 'message')) : '';
          resolve({ status: response.statusCode ?? 0, body: parsed, message });
        });
      });
      asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)));
      asked.on('error', reject);
      asked.end(text);
    });
  return { ask, close: () => agent.destroy() };
}
