// How progress is written into a checkpoint ConfigMap. Format 1, all values text:
//
//   format    1
//   epoch     <decimal>              the leader's that wrote it
//   writer    <text>                 its lease identity
//   runtimes  {"least":1,"most":2,"ledgers":{"0":"<id>"}}      shard 0 only; see RuntimesNote
//   scripts   one line per script:   <uid> <deliveredUntil, seconds of UTC[.fraction]>[ <name>=<value>]…
//             names: s=1 suspended when last seen; g=<seconds> its ExportScript is gone since
//
// For newer and older versions (T14): the first two fields of a line never change their meaning, names and keys that are
// not known are kept as they are. What cannot be read is told and treated as absent, entry by entry.
import { timeNs, type TimeNs } from '../../model/time.ts';
import type { RuntimesNote } from './contract.ts';

export interface CheckpointEntry {
  readonly deliveredUntil: TimeNs;
  readonly isSuspended: boolean;
  /** Seconds of UTC since when its ExportScript is gone. */
  readonly goneAt: number | undefined;
  /** Fields that this version does not know, as they were. */
  readonly more: string;
}

export interface ShardContent {
  readonly epoch: number;
  readonly writer: string;
  readonly runtimes: RuntimesNote | undefined;
  readonly entries: ReadonlyMap<string, CheckpointEntry>;
  /** Keys that this version does not know. */
  readonly others: Readonly<Record<string, string>>;
  /** What could not be read, for people. */
  readonly faults: readonly string[];
}

type Data = Readonly<Record<string, string>>;

const NS_PER_SECOND = 1_000_000_000n;
/** Nothing was delivered before Kubernetes was; an epoch in milliseconds or nanoseconds is no time in seconds. */
const EARLIEST = 1_400_000_000n * NS_PER_SECOND;
/** Further ahead of the clock no delivered window ends. */
const AHEAD_NS_MAX = 86_400n * NS_PER_SECOND;
const UID = /^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/;
const TIME = /^(\d{1,12})(?:\.(\d{1,9}))?$/;
const ORDINALS_MAX = 1000;

export function timeText(time: TimeNs): string {
  const fraction = time % NS_PER_SECOND;
  const seconds = String(time / NS_PER_SECOND);
  return fraction === 0n ? seconds : `${seconds}.${fraction.toString().padStart(9, '0').replace(/0+$/, '')}`;
}

function timeOf(text: string, now: TimeNs): TimeNs | undefined {
  const [, seconds, fraction = ''] = TIME.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const time = timeNs(BigInt(seconds) * NS_PER_SECOND + BigInt(fraction.padEnd(9, '0')));
  return time < EARLIEST || time > now + AHEAD_NS_MAX ? undefined : time;
}

function entryOf(line: string, now: TimeNs): readonly [string, CheckpointEntry] | undefined {
  const [uid = '', time = '', ...fields] = line.split(' ');
  const deliveredUntil = timeOf(time, now);
  if (!UID.test(uid) || deliveredUntil === undefined) return undefined;
  const gone = fields.find((field) => field.startsWith('g='))?.slice(2);
  const goneAt = gone !== undefined && /^\d{1,12}$/.test(gone) ? Number(gone) : undefined;
  const more = fields.filter((field) => field !== '' && !/^[sg]=/.test(field)).map((field) => ` ${field}`);
  return [uid, { deliveredUntil, isSuspended: fields.includes('s=1'), goneAt, more: more.join('') }];
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= ORDINALS_MAX;

function runtimesOf(text: string): RuntimesNote | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('least' in value) || !('most' in value)) return undefined;
  const { least, most } = value;
  if (!isCount(least) || !isCount(most) || least > most) return undefined;
  const ledgers =
    'ledgers' in value && typeof value.ledgers === 'object' && value.ledgers !== null ? value.ledgers : {};
  const known = Object.entries(ledgers).flatMap(([ordinal, id]: [string, unknown]) =>
    /^\d{1,4}$/.test(ordinal) && typeof id === 'string' ? [[Number(ordinal), id] as const] : [],
  );
  return { least, most, ledgers: new Map(known) };
}

/** Reads what any version, or anybody's hand, left in `data`. Never throws. */
export function parseShard(data: Data, now: TimeNs): ShardContent {
  const { format, epoch, writer, runtimes, scripts, ...others } = data;
  const faults: string[] = [];
  const entries = new Map<string, CheckpointEntry>();
  for (const line of (scripts ?? '').split('\n')) {
    if (line.trim() === '') continue;
    const entry = entryOf(line.trim(), now);
    if (entry === undefined) faults.push(`not an entry: ${JSON.stringify(line.slice(0, 80))}`);
    else entries.set(...entry);
  }
  const epochNumber = /^\d{1,15}$/.test(epoch ?? '') ? Number(epoch) : undefined;
  if (epochNumber === undefined && (epoch !== undefined || format !== undefined))
    faults.push(`not an epoch: ${JSON.stringify((epoch ?? '').slice(0, 80))}`);
  const note = runtimes === undefined ? undefined : runtimesOf(runtimes);
  if (runtimes !== undefined && note === undefined)
    faults.push(`not a note of runtimes: ${JSON.stringify(runtimes.slice(0, 80))}`);
  return { epoch: epochNumber ?? 0, writer: writer ?? '', runtimes: note, entries, others, faults };
}

export function formatEntry(uid: string, { deliveredUntil, isSuspended, goneAt, more }: CheckpointEntry): string {
  const suspended = isSuspended ? ' s=1' : '';
  const gone = goneAt === undefined ? '' : ` g=${goneAt}`;
  return `${uid} ${timeText(deliveredUntil)}${suspended}${gone}${more}`;
}

export function formatShard(content: Omit<ShardContent, 'faults'>): Record<string, string> {
  const { epoch, writer, runtimes, entries, others } = content;
  const lines = [...entries].map(([uid, entry]) => formatEntry(uid, entry)).sort();
  return {
    ...others,
    format: '1',
    epoch: String(epoch),
    writer,
    ...(runtimes === undefined
      ? {}
      : { runtimes: JSON.stringify({ ...runtimes, ledgers: Object.fromEntries(runtimes.ledgers) }) }),
    scripts: lines.map((line) => `${line}\n`).join(''),
  };
}
