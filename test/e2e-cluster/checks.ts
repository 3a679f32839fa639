// jest's `test` and `beforeAll` for suites on a cluster: the first that fails shows what the cluster says.
import { beforeAll, test } from '@jest/globals';
import { diagnose } from './diagnose.ts';
import type { Product } from './product.ts';

type Body = () => void | Promise<void>;

export interface Checks {
  readonly test: (name: string, body: Body, timeoutMs?: number) => void;
  readonly beforeAll: (body: Body, timeoutMs?: number) => void;
}

/** Later failures are mostly consequences: their cluster is not shown again. */
export function checksOn(getProduct: () => Product): Checks {
  let isShown = false;
  const shown = (what: string, body: Body) => async (): Promise<void> => {
    try {
      await body();
    } catch (error) {
      if (!isShown) {
        isShown = true;
        process.stderr.write(`\n${what} failed: ${String(error)}\n`);
        process.stderr.write(await diagnose(getProduct().cluster.kubectl));
      }
      throw error;
    }
  };
  return {
    // oxlint-disable-next-line jest/valid-title
    test: (name, body, timeoutMs) => test(name, shown(name, body), timeoutMs),
    beforeAll: (body, timeoutMs) => beforeAll(shown('the preparation', body), timeoutMs),
  };
}
