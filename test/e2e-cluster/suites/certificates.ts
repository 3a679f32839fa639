// Certificates of a minute, renewed three times in it, under load: no run fails. Begins before other suites and is judged
// after them, because time has to pass.
import { X509Certificate } from 'node:crypto';
import { describe, expect } from '@jest/globals';
import type { Checks } from '../checks.ts';
import { changeSettings, NAMESPACE, until, type Product } from '../product.ts';

const LEAF_VALIDITY = '60s';
const RENEW_EVERY = '20s';
const ROLES = ['operator', 'runtime', 'collector'];

export interface CertificateSuites {
  readonly begin: () => void;
  readonly judge: () => void;
}

export function certificateSuites(getProduct: () => Product, { test }: Checks): CertificateSuites {
  const certificateOf = async (role: string): Promise<X509Certificate> => {
    const args = ['get', 'secret', `sluice-${role}-tls`, '-n', NAMESPACE, '-o', 'jsonpath={.data.tls\\.crt}'];
    return new X509Certificate(Buffer.from(await getProduct().cluster.kubectl(args), 'base64'));
  };
  let failures = 0;
  let beginMs = 0;
  const counted = (): number =>
    [...getProduct().statuses.scripts.values()].reduce((sum, { status }) => sum + (status?.totals.failures ?? 0), 0);
  return {
    begin: () =>
      describe('certificates', () => {
        test('changed settings are in force without a restart', async () => {
          failures = counted();
          await changeSettings(getProduct().cluster, { leafValidity: LEAF_VALIDITY, renewEvery: RENEW_EVERY });
          await until(
            'certificates of a minute',
            async () => (await certificateOf('runtime')).validToDate.getTime() < Date.now() + 120_000,
            120_000,
          );
          beginMs = Date.now();
        }, 150_000);
      }),
    judge: () =>
      describe('certificates', () => {
        test('were renewed again and again, and no run failed', async () => {
          // the first of a minute has ended: whoever used it still would fail now
          await until('the first one’s end', () => Date.now() > beginMs + 70_000, 120_000);
          for (const role of ROLES)
            expect((await certificateOf(role)).validFromDate.getTime() + 300_000).toBeGreaterThan(beginMs + 20_000);
          const after = Date.now();
          await until(
            'windows that ended after that',
            () =>
              [...getProduct().statuses.scripts.values()].some(
                ({ status }) => Date.parse(status?.deliveredUntil ?? '') > after,
              ),
            60_000,
          );
          expect(counted()).toBe(failures);
        }, 200_000);
      }),
  };
}
