// Bodies of success: one object, or a page of them. A big page is parsed object by object with turns for everybody else in
// between: JSON.parse of 33 MB would stop the process for half a second, and with it the renewal of the lease.
import { setImmediate } from 'node:timers/promises';
import type { KubeObject, ListPage, ResourceType } from './types.ts';

/** Up to here one JSON.parse takes at most some 5 ms. */
const AT_ONCE_BYTES = 524_288;
const TURN_MS = 8;

/** @throws where it is no JSON, or no object of the API server. */
export function parseObject<T extends KubeObject>(type: ResourceType<T>, body: Buffer): T {
  const value = parseJson(type, body.toString('utf8'));
  if (typeof value !== 'object' || value === null || !('metadata' in value)) {
    throw new Error(`the API server answered no ${type.kind}`);
  }
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the caller names the shape of its kind
  return value as T;
}

/** Undefined for an empty body, text for what is no JSON (`/livez` says `ok`). */
export function parseRaw(body: Buffer): unknown {
  const text = body.toString('utf8');
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}

/** Rejects where it is no JSON, or no list of the API server. */
export async function parseList<T extends KubeObject>(
  type: ResourceType<T>,
  body: Buffer,
  atOnceBytes = AT_ONCE_BYTES,
): Promise<ListPage<T>> {
  const items: T[] = [];
  const array = body.length > atOnceBytes ? findItems(body) : undefined;
  if (array === undefined) return page(type, body.toString('utf8'), items);
  let turnMs = performance.now();
  let end = array.start;
  for (let start = nextObject(body, end, true); start !== -1; start = nextObject(body, end, false)) {
    end = endOfValue(body, start);
    // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the caller names the shape of its kind
    items.push(parseJson(type, body.toString('utf8', start, end)) as T);
    if (performance.now() - turnMs < TURN_MS) continue;
    await setImmediate();
    turnMs = performance.now();
  }
  // what is around the objects, from the last one's end on: a list that was cut off fails here
  return page(type, `${body.toString('utf8', 0, array.start)}${body.toString('utf8', end)}`, items);
}

function page<T extends KubeObject>(type: ResourceType<T>, text: string, items: T[]): ListPage<T> {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- looked at field by field
  const list = parseJson(type, text) as {
    items?: T[] | null;
    metadata?: { resourceVersion?: string; continue?: string };
  } | null;
  const version = list?.metadata?.resourceVersion;
  if (version === undefined) throw new Error(`the API server answered no list of ${type.plural}`);
  const token = list?.metadata?.continue;
  const rest = list?.items ?? [];
  // two objects with no comma between them would leave the second one here
  if (items.length > 0 && rest.length > 0) throw noJson(type);
  return {
    items: items.length === 0 ? rest : items,
    resourceVersion: version,
    continue: token === '' ? undefined : token,
  };
}

function parseJson(type: ResourceType, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // without what JSON.parse says: it quotes the text, which may be a Secret
    throw noJson(type);
  }
}

const noJson = (type: ResourceType): Error => new Error(`the API server's answer about ${type.plural} is no JSON`);

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [BRACE, END_BRACE, BRACKET, END_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Where the array under the top object's `items` begins (after its bracket). */
function findItems(body: Buffer): { readonly start: number } | undefined {
  let at = 0;
  while (isSpace(body[at])) at++;
  if (body[at] !== BRACE) return undefined;
  at++;
  for (;;) {
    while (isSpace(body[at]) || body[at] === COMMA) at++;
    if (body[at] !== QUOTE) return undefined;
    const endOfKey = endOfString(body, at);
    const key = body.toString('latin1', at + 1, endOfKey - 1);
    at = endOfKey;
    while (isSpace(body[at]) || body[at] === 0x3a) at++;
    if (key === 'items' && body[at] === BRACKET) return { start: at + 1 };
    const end = endOfValue(body, at);
    if (end === at) return undefined;
    at = end;
  }
}

/** The next brace of an array of objects; -1 at its end, or where something else comes. */
function nextObject(body: Buffer, from: number, isFirst: boolean): number {
  let at = from;
  while (isSpace(body[at])) at++;
  if (!isFirst && body[at++] !== COMMA) return -1;
  while (isSpace(body[at])) at++;
  return body[at] === BRACE ? at : -1;
}

/** The byte after the string that begins with the quote at `from`. */
function endOfString(body: Buffer, from: number): number {
  for (let at = from + 1; at < body.length; at++) {
    const byte = body[at];
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) return at + 1;
  }
  return body.length;
}

/** The byte after the value that begins at `from`; JSON.parse judges later what is between. */
function endOfValue(body: Buffer, from: number): number {
  let depth = 0;
  for (let at = from; at < body.length;) {
    const byte = body[at];
    if (byte === QUOTE) {
      at = endOfString(body, at);
      if (depth === 0) return at;
      continue;
    }
    if (byte === BRACE || byte === BRACKET) depth++;
    else if (byte === END_BRACE || byte === END_BRACKET) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (byte === COMMA && depth === 0) return at;
    at++;
  }
  return body.length;
}
