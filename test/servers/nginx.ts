// A real nginx on a free port of 127.0.0.1, with its own count of requests as the oracle.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

/** Why nginx cannot run here; undefined where it can. */
export const nginxMissing: string | undefined =
  spawnSync('nginx', ['-v']).status === 0 ? undefined : 'nginx is not installed (apt-get install nginx-light)';

export interface Nginx {
  readonly port: number;
  /** Requests that nginx itself has counted, those of this method left out. */
  requests(): Promise<number>;
  stop(): Promise<void>;
}

/** Serves `/hello` (a short text), `/file` (64 KiB by sendfile) and `/status`. */
export async function startNginx(dir: string): Promise<Nginx> {
  const port = await freePort();
  mkdirSync(join(dir, 'html'), { recursive: true });
  writeFileSync(join(dir, 'html', 'file'), 'x'.repeat(65_536));
  const config = join(dir, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process on; worker_processes 1; pid ${dir}/nginx.pid; error_log stderr error; user root;
events { worker_connections 512; }
http {
  access_log off; sendfile on; keepalive_requests 10000000; default_type text/plain;
  client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
  server {
    listen 127.0.0.1:${port};
    root ${dir}/html;
    location /hello { return 200 "hello\\n"; }
    location /missing { return 404; }
    location = /status { stub_status; }
  }
}
`,
  );
  const child = spawn('nginx', ['-c', config, '-p', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines: string[] = [];
  child.stderr.on('data', (text) => lines.push(String(text)));
  let asked = 0;
  const status = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}/status`, { headers: { connection: 'close' } });
    asked++;
    const [, requests = '0'] = /\n\s*\d+ \d+ (\d+)/.exec(await response.text()) ?? [];
    return Number(requests);
  };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${lines.join('')}`);
    try {
      await status();
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return {
    port,
    requests: async () => (await status()) - asked,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
