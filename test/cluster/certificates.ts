// A certificate authority and leaves for a cluster's servers, by openssl: P-256, some 10 ms each, side by side.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = '30';

export interface CertificateAuthority {
  readonly dir: string;
  readonly caFile: string;
  /** `<dir>/<name>.crt` and `.key`, good for both ends of TLS. `subject` as openssl takes it (`/O=…/CN=…`), `names` as `DNS:…`, `IP:…`. */
  issue(name: string, subject: string, names?: readonly string[]): Promise<void>;
}

const newKey = (file: string): string[] => [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  file,
];

/** Also makes `<dir>/sa.key`, `sa.pub`, which sign and check service account tokens. */
export async function createCertificateAuthority(dir: string): Promise<CertificateAuthority> {
  mkdirSync(dir, { recursive: true });
  const [caFile, caKey, saKey] = ['ca.crt', 'ca.key', 'sa.key'].map((file) => join(dir, file)) as [
    string,
    string,
    string,
  ];
  const openssl = (args: readonly string[]): Promise<unknown> => run('openssl', args, { timeout: 30_000 });
  const authority = openssl(['req', '-x509', ...newKey(caKey), '-subj', '/CN=test-ca', '-days', DAYS, '-out', caFile]);
  const serviceAccounts = openssl(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', saKey]).then(() =>
    openssl(['ec', '-in', saKey, '-pubout', '-out', join(dir, 'sa.pub')]),
  );
  await Promise.all([authority, serviceAccounts]);
  return {
    dir,
    caFile,
    async issue(name, subject, names = []) {
      const extensions = [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature,keyEncipherment',
        'extendedKeyUsage=clientAuth,serverAuth',
        ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
      ].flatMap((extension) => ['-addext', extension]);
      const signer = ['-CA', caFile, '-CAkey', caKey, '-days', DAYS];
      const out = ['-out', join(dir, `${name}.crt`)];
      await openssl([
        'req',
        '-x509',
        ...newKey(join(dir, `${name}.key`)),
        '-subj',
        subject,
        ...signer,
        ...extensions,
        ...out,
      ]);
    },
  };
}
