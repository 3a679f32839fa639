// One runtime as the only target: `sluice local`, and tests of the loop alone. It is in this process, so it is always up,
// and whoever owns it reads its deliveries.
import type { RunContract } from '../../model/run.ts';
import type { TimeNs } from '../../model/time.ts';
import type { RunTargets } from './contract.ts';

const ONLY: readonly number[] = [0];

export function oneRuntime(
  runtime: Pick<RunContract, 'run' | 'skip' | 'ledger'>,
  oldestData: () => TimeNs | undefined = () => undefined,
): RunTargets {
  return {
    ordinals: () => ONLY,
    ordinalOf: () => 0,
    ledgersOf: () => ONLY,
    ledger: (_, uids) => runtime.ledger(uids),
    run: (_, request, signal) => runtime.run(request, signal),
    skip: (_, request) => runtime.skip(request),
    oldestData,
    listen: (listener) => listener.up(0, false),
  };
}
