// A known number of HTTP requests over keep-alive connections.
import { Agent, request } from 'node:http';

/** Makes exactly `count` requests to `path`, `connections` at a time; resolves when every answer has been read. */
export async function load(port: number, path: string, count: number, connections = 4): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request({ agent, host: '127.0.0.1', port, path }, (response) => {
        response.resume().on('end', resolve).on('error', reject);
      })
        .on('error', reject)
        .end();
    });
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left--;
      await one();
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  agent.destroy();
}
