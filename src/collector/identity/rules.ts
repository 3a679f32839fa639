// The file of `--identity`: one JSON object a line that says who a process is, where there is no Kubernetes to ask.
//   {"upid": "1:4242:889911", "pod": "shop/cart-0", "services": ["shop/cart"]}               one process, by its id
//   {"match": {"exe": "*/nginx", "port": 8080}, "namespace": "edge", "services": ["edge/web"]}  all that match
// `match` has any of exe, comm, cgroup, cmdline (arguments joined by blanks; `*` stands for any text), pid and port (one
// that the process accepts connections on); all given must hold. The first line that fits wins; names it leaves out are
// those that the process would have had anyway.
import { parseUpid } from '../../model/upid.ts';
import type { ProcessIdentity } from '../../model/identity.ts';
import type { Uint128 } from '../../model/types.ts';

/** What rules can look at. */
export interface ProcessFacts {
  readonly upid: Uint128;
  readonly pid: number;
  readonly comm: string;
  readonly exe: string;
  readonly cgroup: string;
  /** Arguments joined by blanks. */
  readonly cmdline: string;
  readonly ports: ReadonlySet<number>;
}

export interface IdentityRule {
  readonly names: Partial<ProcessIdentity>;
  matches(facts: ProcessFacts): boolean;
}

/** A line of the identity file is wrong; the message names file, line and what to write instead. */
export class IdentityRuleError extends Error {
  override readonly name = 'IdentityRuleError';
}

const TEXT_NAMES = [
  'cmdline', 'container', 'containerId', 'pod', 'podId', 'namespace', 'node', 'hostname', 'deployment', 'deploymentId',
  'replicaset', 'replicasetId',
] as const; // prettier-ignore
const LIST_NAMES = ['services', 'serviceIds'] as const;
const PATTERNS = ['exe', 'comm', 'cgroup', 'cmdline'] as const;
const KEYS = new Set<string>([...TEXT_NAMES, ...LIST_NAMES, 'podIP', 'upid', 'match']);
const MATCH_KEYS = new Set<string>([...PATTERNS, 'pid', 'port']);

type Json = Readonly<Record<string, unknown>>;
type Check = (facts: ProcessFacts) => boolean;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

/** A test for texts where `*` stands for any run of characters. */
function glob(pattern: string): (text: string) => boolean {
  const source = pattern.split('*').map((piece) => piece.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`));
  const expression = new RegExp(`^${source.join('.*')}$`, 's');
  return (text) => expression.test(text);
}

function readNames(line: Json, fail: (message: string) => never): Partial<ProcessIdentity> {
  const names: Record<string, string | readonly string[]> = {};
  for (const [key, value] of Object.entries(line)) {
    if (!KEYS.has(key)) fail(`unknown key "${key}"; known are ${[...KEYS].join(', ')}`);
    if (key === 'upid' || key === 'match') continue;
    if (key === 'services' || key === 'serviceIds') {
      if (!isTextList(value)) fail(`"${key}" must be a list of texts`);
      else names[key] = value;
    } else if (typeof value === 'string') names[key === 'podIP' ? 'podIp' : key] = value;
    else fail(`"${key}" must be text`);
  }
  return names;
}

function readMatch(match: unknown, fail: (message: string) => never): Check[] {
  if (!isObject(match)) return fail('"match" must be an object');
  const checks: Check[] = [];
  for (const [key, value] of Object.entries(match)) {
    if (!MATCH_KEYS.has(key)) fail(`unknown key "${key}" in "match"; known are ${[...MATCH_KEYS].join(', ')}`);
    const field = PATTERNS.find((name) => name === key);
    if (field !== undefined) {
      if (typeof value !== 'string') return fail(`"match.${key}" must be text`);
      const test = glob(value);
      checks.push((facts) => test(facts[field]));
    } else if (typeof value !== 'number' || !Number.isInteger(value)) fail(`"match.${key}" must be a whole number`);
    else if (key === 'pid') checks.push((facts) => facts.pid === value);
    else checks.push((facts) => facts.ports.has(value));
  }
  if (checks.length === 0) fail('"match" is empty and would fit every process');
  return checks;
}

function readUpid(text: unknown, fail: (message: string) => never): Check {
  const upid = typeof text === 'string' ? parseUpid(text) : undefined;
  if (upid === undefined) return fail('"upid" must be text like "1:4242:889911" (asid:pid:start ticks)');
  return (facts) => facts.upid.high === upid.high && facts.upid.low === upid.low;
}

/** Parses the text of an identity file; empty lines are skipped. Throws IdentityRuleError at the first wrong line. */
export function parseIdentityRules(text: string, file: string): IdentityRule[] {
  const rules: IdentityRule[] = [];
  for (const [index, source] of text.split('\n').entries()) {
    if (source.trim() === '') continue;
    const fail = (message: string): never => {
      throw new IdentityRuleError(`${file}:${index + 1}: ${message}`);
    };
    let line: unknown;
    try {
      line = JSON.parse(source);
    } catch (error) {
      throw new IdentityRuleError(`${file}:${index + 1}: not a JSON object`, { cause: error });
    }
    if (!isObject(line)) return fail('not a JSON object');
    if ((line['upid'] === undefined) === (line['match'] === undefined)) fail('needs exactly one of "upid" and "match"');
    const checks = line['upid'] === undefined ? readMatch(line['match'], fail) : [readUpid(line['upid'], fail)];
    rules.push({ names: readNames(line, fail), matches: (facts) => checks.every((check) => check(facts)) });
  }
  return rules;
}
