// Connections to the runtimes: by the names that the headless Service gives their pods, or by fixed addresses.
import type { RunClient } from '../../rpc/run-client.ts';
import { openRunClient } from '../../rpc/run-client.ts';
import { isRole } from '../../rpc/identity.ts';
import { tlsInMemory, type TlsMaterial, type TlsSource } from '../../rpc/tls.ts';

export interface RuntimeClientsOptions {
  /** The operator's own. */
  readonly namespace: string;
  readonly port: () => number;
  /** By ordinal, instead of the pods' names. */
  readonly fixed: readonly string[];
  readonly isInsecure: boolean;
  readonly version: string;
}

export interface RuntimeClients {
  connect(ordinal: number): RunClient;
  /** Certificates, at first and whenever they change. */
  setTls(material: TlsMaterial): void;
  useTls(source: TlsSource): void;
}

export function createRuntimeClients(options: RuntimeClientsOptions): RuntimeClients {
  const { namespace, fixed } = options;
  let tls: TlsSource | undefined;
  let memory: ReturnType<typeof tlsInMemory> | undefined;

  const addressOf = (ordinal: number): string =>
    fixed.length > 0
      ? (fixed[ordinal] ?? '')
      : `sluice-runtime-${ordinal}.sluice-runtime.${namespace}.svc:${options.port()}`;

  return {
    connect(ordinal) {
      if (tls === undefined && !options.isInsecure) return unreachable('the operator has no certificate yet');
      return openRunClient({
        address: addressOf(ordinal),
        tls: options.isInsecure ? undefined : tls,
        isServer: (identity) => isRole(identity, namespace, 'runtime'),
        peer: `sluice-runtime-${ordinal}`,
        version: options.version,
      });
    },
    setTls(material) {
      if (memory === undefined) {
        memory = tlsInMemory(material);
        tls = memory;
      } else memory.set(material);
    },
    useTls(source) {
      tls = source;
    },
  };
}

/** Answers nothing, as a runtime that is not there. */
function unreachable(why: string): RunClient {
  const reject = (): Promise<never> => Promise.reject(new Error(why));
  return {
    hello: reject,
    compile: reject,
    putDestination: reject,
    removeDestination: reject,
    ledger: reject,
    run: reject,
    skip: reject,
    deliveries: () => ({ [Symbol.asyncIterator]: () => ({ next: reject }) }),
    status: reject,
    oldestData: reject,
    close: () => undefined,
  };
}
