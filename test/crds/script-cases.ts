// Every bound, enum value and rule of an ExportScript, accepted and refused.
import {
  at,
  bound,
  durations,
  keyRefs,
  LABELS,
  lengths,
  manifestOf,
  objectNames,
  pattern,
  rule,
  words,
  type Case,
  type Spec,
} from './case.ts';

const KIND = 'ExportScript';
const PRESET: Spec = { pluginRef: { name: 'collector' }, script: { preset: 'http-metrics' } };
const CONFIG_MAP: Spec = { ...PRESET, script: { configMapKeyRef: { name: 'scripts', key: 'a.pxl' } } };
const INLINE: Spec = { ...PRESET, script: { inline: 'import px' } };

/** One with everything that can be there at once. */
export const FULL_SCRIPT: Spec = {
  pluginRef: { name: 'collector', namespace: 'telemetry' },
  script: { configMapKeyRef: { name: 'scripts', key: 'a.pxl' } },
  args: { threshold: '500' },
  window: '1m',
  catchUp: { policy: 'Coalesce', maxAge: '1h' },
  timeout: '45s',
  suspend: true,
  maxRows: 5,
};

const entries = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 'x']));
const enums = (pointer: string, good: readonly string[], bad: readonly string[]): Case[] =>
  bound(KIND, `${pointer} enum`, at(PRESET, pointer, ...good), at(PRESET, pointer, ...bad));
const name = (length: number, isAccepted: boolean): Case => ({
  title: `metadata.name: ${isAccepted ? 'takes' : 'refuses'} ${length} characters`,
  covers: 'metadata.name',
  manifest: manifestOf(KIND, PRESET, 'n'.repeat(length)),
  isAccepted,
});

export const SCRIPT_CASES: readonly Case[] = [
  name(63, true),
  name(64, false),
  ...objectNames(KIND, PRESET, '/pluginRef/name', 40),
  ...pattern(KIND, PRESET, '/pluginRef/namespace', LABELS.good, LABELS.bad),
  ...lengths(KIND, PRESET, '/pluginRef/namespace', { min: 1, max: 63 }),
  ...keyRefs(KIND, CONFIG_MAP, '/script/configMapKeyRef'),
  ...pattern(KIND, PRESET, '/script/preset', LABELS.good, LABELS.bad),
  ...lengths(KIND, PRESET, '/script/preset', { min: 1, max: 22 }),
  ...lengths(KIND, INLINE, '/script/inline', { min: 1, max: 131_072 }),
  // characters, not bytes
  ...lengths(KIND, INLINE, '/script/inline', { max: 131_072 }, '𝔘'),
  ...lengths(KIND, PRESET, '/args/threshold', { max: 1024 }, 'ü'),
  ...bound(KIND, '/args maxProperties', at(PRESET, '/args', {}, entries(32)), at(PRESET, '/args', entries(33))),
  ...durations(KIND, PRESET, '/window', ['1s', '1m30s', '1000ms', '0.5h', '24h', '1.000s', '0.25m', '500ms500ms']),
  ...enums('/catchUp/policy', ['All', 'Coalesce', 'Skip'], ['all', 'None', '']),
  ...durations(KIND, PRESET, '/catchUp/maxAge', ['1s', '1.5s', '15m', '720h']),
  ...durations(KIND, PRESET, '/timeout', ['1s', '1500ms', '10m']),
  ...bound(KIND, '/maxRows minimum', at(PRESET, '/maxRows', 1), at(PRESET, '/maxRows', 0, -1)),
  ...bound(KIND, '/maxRows maximum', at(PRESET, '/maxRows', 10_000_000), at(PRESET, '/maxRows', 10_000_001, 1.5)),
  ...rule(
    KIND,
    'script has exactly one of inline, configMapKeyRef and preset',
    [PRESET, CONFIG_MAP, INLINE],
    at(
      PRESET,
      '/script',
      {},
      { preset: 'a', inline: 'b' },
      { preset: 'a', configMapKeyRef: { name: 'c', key: 'k' } },
      { inline: 'b', configMapKeyRef: { name: 'c', key: 'k' }, preset: 'a' },
    ),
  ),
  ...rule(
    KIND,
    'names of args have 1 to 63 characters',
    at(PRESET, '/args', { ['n'.repeat(63)]: 'x' }, { ['𝔘'.repeat(63)]: 'x' }),
    at(PRESET, '/args', { '': 'x' }, { ['n'.repeat(64)]: 'x' }, { a: 'x', ['𝔘'.repeat(64)]: 'x' }),
  ),
  ...rule(
    KIND,
    'window is whole seconds between 1s and 24h',
    at(PRESET, '/window', '1s', '24h', '1m1s', '0.1m', '1.1m', '86400s', '0.3s0.7s', '1000.0000000001ms'),
    at(
      PRESET,
      '/window',
      ...words('999ms 0s 24h1s 24h0.001s 1500ms 1000.5ms 1.0000001s 0.33m 1.000000001s'),
      // more than 64 bits of nanoseconds, in whole and in parts
      ...words('9223372036854775807h 99999999999999999999h 2562047h2562047h 9223372036.9h'),
    ),
  ),
  ...rule(
    KIND,
    'catchUp.maxAge is between 1s and 720h',
    at(PRESET, '/catchUp/maxAge', '1s', '720h', '1.5s'),
    at(PRESET, '/catchUp/maxAge', '999ms', '0s', '720h1ms', '9999999999999h'),
  ),
  ...rule(
    KIND,
    'timeout is between 1s and 10m',
    at(PRESET, '/timeout', '1s', '10m', '1.5s'),
    at(PRESET, '/timeout', '999ms', '0h', '10m0.001s', '9999999999999h'),
  ),
];
