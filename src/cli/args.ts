// Reading option values, with errors that say what is wrong and what is allowed.
import { formatTime, now, parseDuration, parseTime, timeNs, type TimeNs } from '../model/time.ts';
import { UsageError } from './command.ts';

/** A positive duration such as `10s`, in milliseconds. */
export function durationMsArg(option: string, text: string): number {
  const ns = parseDuration(text);
  if (ns === undefined || ns <= 0n)
    throw new UsageError(`--${option} is a duration such as 10s, 500ms or 2m, not '${text}'`);
  return Number(ns / 1_000_000n);
}

/** RFC 3339, UTC nanoseconds, or a negative duration counted from now. */
export function timeArg(option: string, text: string): TimeNs {
  if (/^\d{1,19}$/.test(text)) return timeNs(BigInt(text));
  const duration = text.startsWith('-') ? parseDuration(text) : undefined;
  if (duration !== undefined) return timeNs(now() + duration);
  const time = parseTime(text);
  if (time !== undefined) return time;
  const example = formatTime(now(), 0);
  throw new UsageError(`--${option} is a time such as ${example}, nanoseconds since the epoch, or -10m, not '${text}'`);
}

/** `HOST:PORT`, IPv6 in brackets. */
export function addressArg(option: string, text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new UsageError(`--${option} is HOST:PORT, not '${text}'`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** `NAME=VALUE` options as a record. */
export function pairsArg(option: string, texts: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at <= 0) throw new UsageError(`--${option} is NAME=VALUE, not '${text}'`);
    pairs[text.slice(0, at)] = text.slice(at + 1);
  }
  return pairs;
}

/** One of a closed set. */
export function choiceArg<const T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw new UsageError(`--${option} is one of ${choices.join(', ')}, not '${text}'`);
  return choice;
}
