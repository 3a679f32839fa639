// Certificates made by openssl in a test's folder.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Leaf {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Leaf {
  /** A certificate for these names (`DNS:…`, `IP:…`). */
  issue(name: string, subjectAltName: string): Leaf;
}

const openssl = (dir: string, ...args: string[]): void => {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
};

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function makeAuthority(dir: string, name: string): Authority {
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8');
  openssl(
    dir,
    'req',
    '-x509',
    ...NEW_KEY,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  );
  return {
    certificate: read(`${name}.pem`),
    key: read(`${name}.key`),
    issue: (leaf, subjectAltName) => {
      writeFileSync(join(dir, `${leaf}.ext`), `subjectAltName=${subjectAltName}\n`);
      openssl(dir, 'req', ...NEW_KEY, '-subj', `/CN=${leaf}`, '-keyout', `${leaf}.key`, '-out', `${leaf}.csr`);
      const signer = ['-CA', `${name}.pem`, '-CAkey', `${name}.key`, '-CAcreateserial'];
      openssl(
        dir,
        'x509',
        '-req',
        '-in',
        `${leaf}.csr`,
        ...signer,
        '-days',
        '1',
        '-extfile',
        `${leaf}.ext`,
        '-out',
        `${leaf}.pem`,
      );
      return { certificate: read(`${leaf}.pem`), key: read(`${leaf}.key`) };
    },
  };
}
