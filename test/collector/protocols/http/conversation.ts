// Drives the HTTP tracker with a conversation and collects what it says. A conversation is text, one message a line:
//   > bytes        the client's side sends        < bytes        the server's side answers
//   >5 bytes       with 5 more bytes that were not captured
//   >!bytes        this message is lost: its bytes pass unseen
//   +7             7 ms pass                      . tick         a timer tick       . close   the connection closes
// with \r \n \t \\ \xHH as escapes. Messages are 1 ms apart, the first at 1 ms.
import type { Cell } from '../../../../src/model/types.ts';
import { http } from '../../../../src/collector/protocols/http/http.ts';
import type { LossReason, ProtocolSink, Role } from '../../../../src/collector/protocols/protocol.ts';

export const MS = 1_000_000;

export interface Row {
  readonly time: number;
  readonly minor: number;
  readonly contentType: number;
  readonly reqHeaders: string;
  readonly method: string;
  readonly path: string;
  readonly reqBody: string;
  readonly reqSize: number;
  readonly respHeaders: string;
  readonly status: number;
  readonly reason: string;
  readonly respBody: string;
  readonly respSize: number;
  readonly latency: number;
}

export interface Heard {
  readonly rows: Row[];
  readonly losses: { readonly exchanges: number; readonly bytes: number; readonly reason: LossReason }[];
  stopped: string | undefined;
}

const textOf = (cell: Cell | undefined): string =>
  typeof cell === 'string' ? cell : cell instanceof Uint8Array ? `bytes ${Buffer.from(cell).toString('hex')}` : '?';

export function listen(): { readonly heard: Heard; readonly sink: ProtocolSink } {
  const heard: Heard = { rows: [], losses: [], stopped: undefined };
  const sink: ProtocolSink = {
    exchange(time, v) {
      expectShape(v);
      heard.rows.push({
        time,
        minor: Number(v[1]),
        contentType: Number(v[2]),
        reqHeaders: textOf(v[3]),
        method: textOf(v[4]),
        path: textOf(v[5]),
        reqBody: textOf(v[6]),
        reqSize: Number(v[7]),
        respHeaders: textOf(v[8]),
        status: Number(v[9]),
        reason: textOf(v[10]),
        respBody: textOf(v[11]),
        respSize: Number(v[12]),
        latency: Number(v[13]),
      });
    },
    lost: (_time, exchanges, bytes, reason) => heard.losses.push({ exchanges, bytes, reason }),
    stop: (reason) => (heard.stopped = reason),
  };
  return { heard, sink };
}

const KINDS = 'nnnssscnsnscnn';

/** Every row has its cells in the table's order and types: n number, s text, c text or bytes. */
function expectShape(values: readonly Cell[]): void {
  const kinds = values.map((cell) =>
    typeof cell === 'number' && Number.isSafeInteger(cell) ? 'n' : typeof cell === 'string' ? 's' : 'c',
  );
  const isRight =
    kinds.length === KINDS.length && kinds.every((kind, i) => kind === KINDS[i] || (KINDS[i] === 'c' && kind === 's'));
  if (!isRight || values[0] !== 1) throw new Error(`cells ${kinds.join('')} are not ${KINDS}`);
}

export const lostExchanges = ({ losses }: Heard): number => losses.reduce((sum, { exchanges }) => sum + exchanges, 0);
export const lostBytes = ({ losses }: Heard): number => losses.reduce((sum, { bytes }) => sum + bytes, 0);

const ESCAPES: Record<string, string> = { r: '\r', n: '\n', t: '\t', '\\': '\\' };

export const unescape = (text: string): Buffer =>
  Buffer.from(
    text.replaceAll(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (ESCAPES[code] ?? code),
    ),
    'latin1',
  );

export interface Options {
  readonly role?: Role;
  readonly fromOpen?: boolean;
}

export function converse(conversation: string, { role = 'server', fromOpen = true }: Options = {}): Heard {
  const { heard, sink } = listen();
  const tracker = http.start(role, sink, fromOpen);
  const position = { '>': 0, '<': 0 };
  let time = 0;
  for (const line of conversation.split('\n').map((text) => text.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const direction = line.startsWith('>') ? '>' : '<';
    const sent = (direction === '>') === (role === 'client');
    if (line.startsWith('+')) {
      time += Number(line.slice(1)) * MS;
    } else if (line === '. tick') {
      tracker.tick(time);
    } else if (line === '. close') {
      const [request, response] = [position['>'], position['<']];
      tracker.close(role === 'client' ? request : response, role === 'client' ? response : request, time);
    } else {
      time += MS;
      const [, mark = '', text = ''] = /^[<>](!|[0-9]*) ?(.*)$/.exec(line) ?? [];
      const bytes = unescape(text);
      const size = bytes.length + (mark === '!' ? 0 : Number(mark));
      if (mark !== '!') tracker.message(sent, position[direction], size, bytes, time);
      position[direction] += size;
    }
  }
  return heard;
}
