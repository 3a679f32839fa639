// Secrets of users: given by their owners, sent as headers, changed while exports go on, and to be found nowhere else.
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from '@jest/globals';
import type { Cluster } from '../../cluster/cluster.ts';
import { SLUICE_IMAGE } from '../../cluster/image.ts';
import { disguises } from '../../e2e/windows.ts';
import type { Checks } from '../checks.ts';
import { deployment, secret, service } from '../objects.ts';
import { NAMESPACE, ROOT, rolledOut, until, type Product } from '../product.ts';
import { COUNTS, plugin, script } from '../scripts.ts';
import { loadObjects, programsIn, PROGRAMS } from '../shops.ts';

/** Long enough to be found by chance nowhere. */
const FIRST = 'canary-first-8c1f6a0b9d2e47f3';
const SECOND = 'canary-second-51d7e9a3c4b80f62';
/** What the backend does not take. */
const WRONG = 'canary-wrong-e3b7c19d5f8a2046';
const PASSWORD = 'canary-password-0a9f/b7+c6=d5e4';
const SPACE = 'pay';
const SCRIPT = `${SPACE}/with-header`;

interface Seen {
  readonly atMs: number;
  readonly key: string;
  readonly taken: boolean;
}

const sniffer = (): object[] => [
  programsIn('default'),
  deployment({
    name: 'sniffer',
    namespace: 'default',
    nodeName: 'n1',
    volumes: [PROGRAMS, { name: 'key', secret: { secretName: 'accepted' } }],
    container: {
      name: 'sniffer',
      image: SLUICE_IMAGE,
      command: ['node', '/programs/sniffer.mts'],
      env: [{ name: 'KEY', value: '/key/token' }],
      readinessProbe: { tcpSocket: { port: 4317 }, periodSeconds: 1 },
      volumeMounts: [
        { name: 'programs', mountPath: '/programs' },
        { name: 'key', mountPath: '/key' },
      ],
    },
  }),
  service({ name: 'sniffer', namespace: 'default', ports: [4317] }),
];

export interface CredentialsSuites {
  readonly begin: () => void;
  readonly judge: () => void;
}

/** Judged after other suites: a right that was missing is asked for again every 30 s. */
export function credentialsSuites(getProduct: () => Product, { beforeAll, test }: Checks): CredentialsSuites {
  let product: Product;
  let address = '';
  const seen = async (): Promise<Seen[]> =>
    JSON.parse(await product.cluster.run(['socat', '-u', `TCP:${address}:8081,connect-timeout=5`, '-'])) as Seen[];
  const condition = async (kind: string, name: string, type: string): Promise<string> => {
    const path = `jsonpath={.status.conditions[?(@.type=="${type}")].status} {.status.conditions[?(@.type=="${type}")].reason} {.status.conditions[?(@.type=="${type}")].message}`;
    return product.cluster.kubectl(['get', kind, name, '-n', SPACE, '-o', path]);
  };

  return {
    begin: () =>
      describe('credentials', () => {
        beforeAll(async () => {
          product = getProduct();
          const { apply, cluster } = product;
          await apply([secret('accepted', 'default', { token: `${FIRST} ${SECOND}` }), ...sniffer()]);
          await rolledOut(cluster, 'default', 'Deployment', 'sniffer');
          const path = 'jsonpath={.items[0].status.podIP}';
          address = await cluster.kubectl(['get', 'pods', '-n', 'default', '-l', 'app=sniffer', '-o', path]);
          await apply([
            secret('backend', SPACE, { token: `${FIRST}\n`, user: 'someone', password: PASSWORD }),
            plugin({
              name: 'with-header',
              namespace: SPACE,
              endpoint: 'sniffer.default.svc.cluster.local:4317',
              destination: {
                headers: [{ name: 'api-key', valueFrom: { secretKeyRef: { name: 'backend', key: 'token' } } }],
                auth: {
                  basic: {
                    username: { secretKeyRef: { name: 'backend', key: 'user' } },
                    password: { secretKeyRef: { name: 'backend', key: 'password' } },
                  },
                },
              },
            }),
            script({ name: 'with-header', namespace: SPACE, plugin: 'with-header', text: COUNTS }),
            ...loadObjects(cluster.nodes, { name: 'load-credentials', requests: 3000, pauseMs: 100 }),
          ]);
        }, 120_000);

        test('a Secret that its owner has not allowed is not read; the message says what to do', async () => {
          const said = await until(
            'a word about the Secret',
            async () => {
              const text = await condition('otelplugin', 'with-header', 'CredentialsResolved');
              return text.startsWith('False SecretForbidden') && text;
            },
            30_000,
          );
          const commands = [...said.matchAll(/kubectl (-n \S+ create role(?:binding)? [^&]+)/g)].map(
            ([, command = '']) => command,
          );
          expect(commands).toHaveLength(2);
          for (const command of commands) await product.cluster.kubectl(command.trim().split(/\s+/));
        }, 60_000);
      }),
    judge: () =>
      describe('credentials', () => {
        test('its owner has allowed it by these commands', async () => {
          for (const kind of ['otelplugin', 'exportscript']) {
            const args = ['wait', '--for=condition=Ready', `${kind}/with-header`, '-n', SPACE, '--timeout=80s'];
            await product.cluster.kubectl(args, { timeoutMs: 90_000 });
          }
        }, 100_000);

        test('the header is sent as the Secret has it', async () => {
          await until('a request that was taken', async () => (await seen()).some(({ taken }) => taken), 60_000);
          expect(new Set((await seen()).map(({ key }) => key))).toEqual(new Set([FIRST]));
        }, 90_000);

        test('a changed Secret is in force for the next export, and nothing is lost', async () => {
          const before = product.statuses.of(SCRIPT)?.status?.totals.refused ?? 0;
          // the backend takes both, as those do that rotate keys
          await product.apply([secret('backend', SPACE, { token: SECOND, user: 'someone', password: PASSWORD })]);
          const changedMs = Date.now();
          await until(
            'a request with the new key',
            async () => (await seen()).some(({ key }) => key === SECOND),
            60_000,
          );
          const after = await seen();
          const first = after.findIndex(({ key }) => key === SECOND);
          expect(after.slice(first).every(({ key }) => key === SECOND)).toBe(true);
          expect(after[first]?.atMs).toBeGreaterThan(changedMs);
          expect(product.statuses.of(SCRIPT)?.status?.totals.refused ?? 0).toBe(before);
        }, 120_000);

        test('an error of the destination that quotes the key is masked where it is shown; a mended key mends it', async () => {
          await product.apply([secret('backend', SPACE, { token: WRONG, user: 'someone', password: PASSWORD })]);
          const said = await until(
            'the refusal is told',
            async () => {
              const text = await condition('exs', 'with-header', 'Delivered');
              return text.startsWith('False') && text;
            },
            90_000,
          );
          expect(said).toContain('who is ***');
          await product.apply([secret('backend', SPACE, { token: SECOND, user: 'someone', password: PASSWORD })]);
          const mended = async (): Promise<boolean> =>
            (await condition('exs', 'with-header', 'Delivered')).startsWith('True');
          await until('it is delivered again', mended, 90_000);
        }, 200_000);

        test('no log, event, status, checkpoint or metric has a value of a Secret', async () => {
          const { cluster } = product;
          const { kubectl } = cluster;
          const pods = (
            await kubectl([
              'get',
              'pods',
              '-n',
              NAMESPACE,
              '-o',
              'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}',
            ])
          )
            .trim()
            .split('\n')
            .map((line) => line.split(' '));
          const places = new Map<string, string>();
          for (const [pod = '', ip = ''] of pods) {
            places.set(`log of ${pod}`, await kubectl(['logs', pod, '-n', NAMESPACE, '--all-containers', '--tail=-1']));
            const { status, body } = await cluster.fetch(`http://${ip}:9090/metrics`);
            expect({ pod, status }).toEqual({ pod, status: 200 });
            places.set(`metrics of ${pod}`, body);
          }
          places.set('events', await kubectl(['get', 'events', '-A', '-o', 'json']));
          places.set(
            'resources',
            await kubectl(['get', 'exportscripts,otelplugins', '-A', '-o', 'json', '--show-managed-fields']),
          );
          places.set('ConfigMaps', await kubectl(['get', 'configmaps', '-n', NAMESPACE, '-o', 'json']));
          places.set(
            'workloads',
            await kubectl(['get', 'pods,statefulsets,daemonsets,leases', '-n', NAMESPACE, '-o', 'json']),
          );
          for (const [file, text] of await dumped(cluster)) places.set(`sluice dump, ${file}`, text);
          // of some containers there is no log yet
          expect([...places].filter(([place, text]) => !place.includes('dump') && text.length < 10)).toEqual([]);
          const found = [FIRST, SECOND, WRONG, PASSWORD]
            .flatMap(disguises)
            .flatMap((value) =>
              [...places].filter(([, text]) => text.includes(value)).map(([place]) => `${place}: ${value}`),
            );
          expect(found).toEqual([]);
        }, 120_000);
      }),
  };
}

/** What `sluice dump` writes, as people send it to others. */
async function dumped({ kubeconfig }: Cluster): Promise<[string, string][]> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-dump-'));
  try {
    await promisify(execFile)(join(ROOT, 'bin/sluice'), ['dump', join(folder, 'dump'), '--kubeconfig', kubeconfig]);
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    if (files.length < 5) throw new Error(`the dump has ${files.length} files only`);
    return files.map(({ parentPath, name }) => [
      relative(folder, join(parentPath, name)),
      readFileSync(join(parentPath, name), 'utf8'),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
