// Certificates of a minute, renewed three times in it, and an authority of minutes that hands over to the next one, under load:
// no run fails and no pod begins anew. Begins before other suites and is judged after them, because time has to pass.
import { X509Certificate } from 'node:crypto';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { changeSettings, NAMESPACE, until, type Product } from '../product.ts';

/**
 * What the cluster is installed with. The next authority is made when `leafValidity` and `caOverlap` are left of the first one,
 * 100 s after the installation, and signs 40 s later.
 */
export const SHORT_LIVED = { caValidity: '200s', caOverlap: '40s', leafValidity: '60s', renewEvery: '20s' } as const;
const LEAF_VALIDITY_S = 50;
/** A leaf begins that much before it is made. */
const BACKDATE_S = 300;
const ROLES = ['operator', 'runtime', 'collector'];

export interface CertificateSuites {
  readonly begin: () => void;
  readonly judge: () => void;
}

export function certificateSuites(getProduct: () => Product, { test }: Checks): CertificateSuites {
  const certificateOf = async (secret: string): Promise<X509Certificate> => {
    const args = ['get', 'secret', `sluice-${secret}`, '-n', NAMESPACE, '-o', 'jsonpath={.data.tls\\.crt}'];
    return new X509Certificate(Buffer.from(await getProduct().cluster.kubectl(args), 'base64'));
  };
  /** Lives of containers, by pod. */
  const lives = (): Promise<string> => {
    const path = 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{"\\n"}{end}';
    return getProduct().cluster.kubectl(['get', 'pods', '-n', NAMESPACE, '-o', path]);
  };
  let failures = 0;
  let pods = '';
  let first: X509Certificate;
  const counted = (): number =>
    [...getProduct().statuses.scripts.values()].reduce((sum, { status }) => sum + (status?.totals.failures ?? 0), 0);
  return {
    begin: () =>
      describe('certificates', () => {
        test('are made when it is installed', async () => {
          failures = counted();
          pods = await lives();
          first = await certificateOf('ca');
          for (const role of ROLES) expect((await certificateOf(`${role}-tls`)).checkIssued(first)).toBe(true);
          await changeSettings(getProduct().cluster, { leafValidity: `${LEAF_VALIDITY_S}s` });
        });
      }),
    judge: () =>
      describe('certificates', () => {
        test('changed settings are in force without a restart', async () => {
          const validityS = async (): Promise<number> => {
            const { validFromDate, validToDate } = await certificateOf('runtime-tls');
            return (validToDate.getTime() - validFromDate.getTime()) / 1000;
          };
          await until(
            'certificates of less than a minute',
            async () => (await validityS()) === BACKDATE_S + LEAF_VALIDITY_S,
            60_000,
          );
        }, 70_000);

        test('another authority signs, all were renewed by it, and no run failed', async () => {
          const second = await until(
            'another authority',
            async () => {
              const now = await certificateOf('ca');
              return now.fingerprint256 !== first.fingerprint256 && now;
            },
            240_000,
          );
          // the old one's leaves are renewed in their turn
          await until(
            'leaves of the new authority',
            async () => {
              const leaves = await Promise.all(ROLES.map((role) => certificateOf(`${role}-tls`)));
              return leaves.every((leaf) => leaf.checkIssued(second) && leaf.verify(second.publicKey));
            },
            60_000,
          );
          const after = Date.now();
          const { scripts } = getProduct().statuses;
          await until(
            'windows that ended after that',
            () => [...scripts.values()].some(({ status }) => Date.parse(status?.deliveredUntil ?? '') > after),
            60_000,
          );
          expect(counted()).toBe(failures);
          const now = await lives();
          expect(pods.split('\n').filter((line) => !now.includes(line))).toEqual([]);
        }, 380_000);
      }),
  };
}
