// A connection that comes about for nobody: its peer has gone without a word, or was replaced under the same name.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { tlsInMemory } from '../../src/rpc/tls.ts';
import { createAuthority } from './certificates.ts';
import { ECHO, echoChannel, echoServer } from './echo.ts';

test('a connection that stays in the making is given up for a new one', async () => {
  const ca = createAuthority();
  const server = await echoServer(tlsInMemory(ca.role('runtime')));
  const sockets = new Set<Socket>();
  let accepted = 0;
  // the first is accepted and never answered, and never ends: as an address that nobody has any more
  const network = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    accepted += 1;
    if (accepted === 1) return void socket.resume();
    const upstream = connect(server.port, '127.0.0.1').on('error', () => undefined);
    sockets.add(upstream);
    socket.pipe(upstream).pipe(socket);
  });
  network.listen(0, '127.0.0.1');
  await once(network, 'listening');
  const { port } = network.address() as AddressInfo;
  const channel = echoChannel(port, tlsInMemory(ca.role('operator')), { connectMs: 300 });
  try {
    const asked = (timeoutMs: number): Promise<string> =>
      channel.unary(ECHO, Buffer.from('hello'), { timeoutMs }).then(String);
    await expect(asked(60_000)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(accepted).toBe(1);
    expect(await asked(30_000)).toBe('hello');
    expect(accepted).toBe(2);
    // one that is there stays there, however long
    expect(await asked(30_000)).toBe('hello');
    expect(accepted).toBe(2);
  } finally {
    channel.close();
    network.close();
    for (const socket of sockets) socket.destroy();
    await server.close(0);
  }
});
