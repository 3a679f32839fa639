// kubectl as a test calls it, and kubeconfigs for it.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

export interface KubectlOptions {
  /** On its standard input: text, or what is sent as JSON (`apply -f -`). */
  readonly input?: string | object;
  /** After which it is killed; 60 s. */
  readonly timeoutMs?: number;
}

/** Runs kubectl and gives its standard output; rejects with `KubectlError`. */
export type Kubectl = (args: readonly string[], options?: KubectlOptions) => Promise<string>;

export class KubectlError extends Error {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  constructor(args: readonly string[], code: number | null, stdout: string, stderr: string) {
    super(`kubectl ${args.join(' ')}: exit ${code ?? 'by signal'}\n${stderr}${stdout}`);
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** `binary` with this kubeconfig. `cacheDir` holds what kubectl learns of the API (by default it would be in $HOME). */
export const kubectlWith =
  (binary: string, kubeconfig: string, cacheDir: string): Kubectl =>
  (args, { input, timeoutMs = 60_000 } = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(binary, ['--kubeconfig', kubeconfig, '--cache-dir', cacheDir, ...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.stdin.on('error', () => {}); // it may end before it has read all
      child.stdin.end(typeof input === 'object' ? JSON.stringify(input) : (input ?? ''));
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve(stdout);
        else reject(new KubectlError(args, code, stdout, stderr));
      });
    });

export interface Credentials {
  readonly server: string;
  readonly caFile: string;
  readonly user: { 'client-certificate': string; 'client-key': string } | { token: string };
  readonly namespace?: string;
}

/** Writes a kubeconfig with one context, called `test`. JSON is YAML. */
export function writeKubeconfig(file: string, { server, caFile, user, namespace }: Credentials): string {
  const context = { cluster: 'test', user: 'test', ...(namespace === undefined ? {} : { namespace }) };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context }],
    'current-context': 'test',
  };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return file;
}
