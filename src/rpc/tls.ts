// Where a role's certificate, key and trust bundle come from, and how they change under a running process: a mounted
// Secret (kubelet swaps a symbolic link), or memory (the operator reads its own Secret through the API).
import { X509Certificate } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureVersion } from 'node:tls';
import { identityOf, type Identity } from './identity.ts';

/** PEM. `ca` may be several certificates: the bundle of old and new. */
export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

export interface TlsSource {
  current(): TlsMaterial;
  /** Called after each change, with material that has been checked. Returns how to stop. */
  subscribe(listener: (material: TlsMaterial) => void): () => void;
}

/** Certificates that cannot be used; the message says which and why. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** TLS 1.3 only: both sides are ours. */
export const TLS_VERSION: SecureVersion = 'TLSv1.3';

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Whether certificate, key and bundle fit together, and who they say we are. An expired certificate is not refused here:
 * the clock of this host may be the one that is wrong.
 * @throws TlsError
 */
export function checkMaterial({ certificate, key, ca }: TlsMaterial): {
  readonly identity: Identity;
  readonly expiresMs: number;
} {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificate);
    createSecureContext({ cert: certificate, key, ca });
  } catch (error) {
    throw new TlsError(`certificate, key and CA do not fit together: ${textOf(error)}`, { cause: error });
  }
  const identity = identityOf({ subjectaltname: leaf.subjectAltName ?? '' });
  if (identity === undefined)
    throw new TlsError('the certificate has no single URI SAN of the form spiffe://sluice/ns/NAMESPACE/…');
  return { identity, expiresMs: leaf.validToDate.getTime() };
}

function emitter(): { add: TlsSource['subscribe']; tell(material: TlsMaterial): void } {
  const listeners = new Set<(material: TlsMaterial) => void>();
  return {
    add(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell: (material) => {
      for (const listener of listeners) listener(material);
    },
  };
}

/**
 * A source that the caller changes by `set`.
 * @throws TlsError, here and in `set`, for material that does not fit together.
 */
export function tlsInMemory(first: TlsMaterial): TlsSource & { set(material: TlsMaterial): void } {
  checkMaterial(first);
  const listeners = emitter();
  let material = first;
  return {
    current: () => material,
    subscribe: (listener) => listeners.add(listener),
    set(next) {
      checkMaterial(next);
      material = next;
      listeners.tell(next);
    },
  };
}

export interface FolderOptions {
  /** A change that cannot be used, a folder that cannot be read; the last good material stays. */
  readonly onFault: (error: Error) => void;
  readonly onChange?: (material: TlsMaterial) => void;
  /** Beside the watch, which some file systems do not support. Default 10 s. */
  readonly pollMs?: number;
}

export interface TlsFolder extends TlsSource {
  close(): void;
}

const SETTLE_MS = 100;

const isSame = (a: TlsMaterial, b: TlsMaterial): boolean =>
  a.certificate === b.certificate && a.key === b.key && a.ca === b.ca;

async function readFolder(folder: string): Promise<TlsMaterial> {
  const read = async (name: string): Promise<string> => {
    try {
      return await readFile(join(folder, name), 'utf8');
    } catch (error) {
      throw new TlsError(`${join(folder, name)} cannot be read: ${textOf(error)}`, { cause: error });
    }
  };
  // One after the other: where several are missing, the same one is always named.
  return { certificate: await read('tls.crt'), key: await read('tls.key'), ca: await read('ca.crt') };
}

/**
 * `tls.crt`, `tls.key` and `ca.crt` of a folder, followed. A set that is half old and half new does not fit together and
 * is left until it does.
 * @throws TlsError where the first set cannot be read or used.
 */
export async function tlsFromFolder(folder: string, options: FolderOptions): Promise<TlsFolder> {
  let material = await readFolder(folder);
  checkMaterial(material);
  const listeners = emitter();
  let reading = Promise.resolve();
  let lastFault = '';

  const readAgain = async (): Promise<void> => {
    try {
      const next = await readFolder(folder);
      if (isSame(next, material)) return;
      checkMaterial(next);
      material = next;
      lastFault = '';
      listeners.tell(next);
      options.onChange?.(next);
    } catch (error) {
      const fault = error instanceof Error ? error : new TlsError(String(error));
      // polled: the same once
      if (fault.message !== lastFault) options.onFault(fault);
      lastFault = fault.message;
    }
  };
  const look = (): void => {
    reading = reading.then(readAgain);
  };
  let settling: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, { persistent: false }, () => {
      clearTimeout(settling);
      settling = setTimeout(look, SETTLE_MS);
    });
    watcher.on('error', (error) => options.onFault(error));
  } catch (error) {
    options.onFault(new TlsError(`${folder} cannot be watched, it is only polled: ${textOf(error)}`, { cause: error }));
  }
  const poll = setInterval(look, options.pollMs ?? 10_000).unref();
  return {
    current: () => material,
    subscribe: (listener) => listeners.add(listener),
    close() {
      clearTimeout(settling);
      clearInterval(poll);
      watcher?.close();
    },
  };
}
