// Connections to the runtimes: by the names that the headless Service gives their pods, or by fixed addresses.
import type { RunClient } from '../../rpc/run-client.ts';
import { openRunClient } from '../../rpc/run-client.ts';
import { isRole } from '../../rpc/identity.ts';
import { checkMaterial, TlsError, type TlsMaterial, type TlsSource } from '../../rpc/tls.ts';
import type { ConnectionListener } from '../../controllers/dispatch/contract.ts';

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
  connect(ordinal: number, listener: ConnectionListener): RunClient;
  /** Certificates, at first and whenever they change. Until then nothing is reached, and it is tried again. */
  setTls(material: TlsMaterial): void;
}

/** `tls`: certificates from elsewhere, instead of those that `setTls` gives. */
export function createRuntimeClients(options: RuntimeClientsOptions, tls?: TlsSource): RuntimeClients {
  const { namespace, fixed } = options;
  const own = lateTls();

  const addressOf = (ordinal: number): string =>
    fixed.length > 0
      ? (fixed[ordinal] ?? '')
      : `sluice-runtime-${ordinal}.sluice-runtime.${namespace}.svc:${options.port()}`;

  return {
    connect: (ordinal, listener) =>
      openRunClient({
        address: addressOf(ordinal),
        tls: options.isInsecure ? undefined : (tls ?? own),
        isServer: (identity) => isRole(identity, namespace, 'runtime'),
        peer: `sluice-runtime-${ordinal}`,
        version: options.version,
        onConnected: (incarnation) => listener.connected(incarnation),
        onDisconnected: (error) => listener.disconnected(error),
      }),
    setTls: (material) => own.set(material),
  };
}

/** A source whose certificates come later: the leader makes its own first. */
function lateTls(): TlsSource & { set(material: TlsMaterial): void } {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let current: TlsMaterial | undefined;
  return {
    current() {
      if (current === undefined) throw new TlsError('the operator has no certificate yet');
      return current;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    set(material) {
      checkMaterial(material);
      current = material;
      for (const listener of listeners) listener(material);
    },
  };
}
