// Random but valid HTTP/1 traffic of one connection, as the events that a capture would give, for property tests. Every
// response names its request (X-Id), so a wrong pair shows.
import fc from 'fast-check';

export interface Event {
  readonly isRequest: boolean;
  readonly position: number;
  readonly bytes: Buffer;
  readonly time: number;
}

interface Exchange {
  readonly method: string;
  readonly requestBody: number;
  readonly status: number;
  readonly responseBody: number;
  readonly isRequestChunked: boolean;
  readonly isResponseChunked: boolean;
  readonly isInterim: boolean;
  readonly type: string;
}

/** Bursts of exchanges: the requests of a burst are all sent before its responses, and those before the next burst. */
export type Bursts = readonly (readonly Exchange[])[];

const exchange: fc.Arbitrary<Exchange> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'POST', 'PUT', 'HEAD', 'DELETE'),
  requestBody: fc.constantFrom(0, 1, 17, 600, 3000),
  status: fc.constantFrom(200, 200, 200, 201, 204, 304, 404, 500),
  responseBody: fc.constantFrom(0, 2, 40, 513, 1500, 5000),
  isRequestChunked: fc.boolean(),
  isResponseChunked: fc.boolean(),
  isInterim: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  type: fc.constantFrom('text/plain', 'application/json', 'image/png'),
});

export const bursts = (burstMax: number): fc.Arbitrary<Bursts> =>
  fc.array(fc.array(exchange, { minLength: 1, maxLength: burstMax }), { minLength: 1, maxLength: 6 });

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

function bodyOf(size: number, isChunked: boolean): string {
  const body = LETTERS.repeat(Math.ceil(size / 26)).slice(0, size);
  if (!isChunked) return body;
  let text = '';
  for (let at = 0; at < size; at += 700) {
    const chunk = body.slice(at, at + 700);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

const framing = (size: number, isChunked: boolean): string =>
  isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${size}\r\n`;

function requestOf(id: number, { method, requestBody, isRequestChunked }: Exchange): string {
  const hasBody = method === 'POST' || method === 'PUT';
  const fields = hasBody ? framing(requestBody, isRequestChunked) : '';
  const body = hasBody ? bodyOf(requestBody, isRequestChunked) : '';
  return `${method} /${id} HTTP/1.1\r\nHost: shop\r\n${fields}\r\n${body}`;
}

function responseOf(
  id: number,
  { method, status, responseBody, isResponseChunked, isInterim, type }: Exchange,
): string {
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
  const interim = isInterim ? 'HTTP/1.1 100 Continue\r\n\r\n' : '';
  const fields = `Content-Type: ${type}\r\nX-Id: ${id}\r\n${framing(responseBody, isResponseChunked)}`;
  return `${interim}HTTP/1.1 ${status} Because\r\n${fields}\r\n${hasBody ? bodyOf(responseBody, isResponseChunked) : ''}`;
}

/** One event a message, each `stepNs` after the one before. */
export function eventsOf(conversation: Bursts, stepNs: number): Event[] {
  const events: Event[] = [];
  const positions = [0, 0];
  let time = 0;
  let id = 0;
  const add = (isRequest: boolean, text: string): void => {
    const bytes = Buffer.from(text);
    const direction = isRequest ? 0 : 1;
    events.push({ isRequest, position: positions[direction] ?? 0, bytes, time: (time += stepNs) });
    positions[direction] = (positions[direction] ?? 0) + bytes.length;
  };
  for (const burst of conversation) {
    burst.forEach((one, i) => add(true, requestOf(id + i, one)));
    burst.forEach((one, i) => add(false, responseOf(id + i, one)));
    id += burst.length;
  }
  return events;
}

/** Cuts events where `cuts` (fractions of an event's length, one list an event, used in turn) say; times stay. */
export const cut = (events: readonly Event[], cuts: readonly (readonly number[])[]): Event[] =>
  events.flatMap((event, i) => {
    const length = event.bytes.length;
    const at = [...new Set((cuts[i % cuts.length] ?? []).map((part) => Math.floor(part * length)))];
    const bounds = [0, ...at.filter((n) => n > 0 && n < length).sort((a, b) => a - b), length];
    return bounds.slice(1).map((end, j) => {
      const start = bounds[j] ?? 0;
      return { ...event, position: event.position + start, bytes: event.bytes.subarray(start, end) };
    });
  });

export const fractions: fc.Arbitrary<number[][]> = fc.array(
  fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 4 }),
  { minLength: 1, maxLength: 8 },
);
