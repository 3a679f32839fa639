// How tools judge an object: kstatus and kubectl by their algorithms (ports, from their descriptions), Argo CD by running
// our Lua script in a real Lua 5.1 that has, as in Argo CD, no standard libraries.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Condition } from '../../src/crds/status.ts';

/** An object of ours as the API server has it, as far as tools look. */
export interface Judged {
  readonly metadata: { readonly name: string; readonly generation: number; readonly deletionTimestamp?: string };
  readonly spec: unknown;
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
}

const isTrue = ({ status }: Judged, type: string): boolean =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

/** sigs.k8s.io/cli-utils/pkg/kstatus, for a custom resource: Flux, Helm 4, kpt. */
export function kstatus(object: Judged): 'Terminating' | 'InProgress' | 'Failed' | 'Current' {
  const { metadata, status } = object;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  if (isTrue(object, 'Reconciling')) return 'InProgress';
  if (isTrue(object, 'Stalled')) return 'Failed';
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready === undefined || ready.status === 'True' ? 'Current' : 'InProgress';
}

/** `kubectl wait --for=condition=Ready`: true where it would end. */
export function isWaitOver({ metadata, status }: Judged): boolean {
  const ready = status?.conditions?.find(({ type }) => type.toLowerCase() === 'ready');
  if (ready === undefined) return false;
  const observed = ready.observedGeneration ?? status?.observedGeneration ?? metadata.generation;
  return observed >= metadata.generation && ready.status === 'True';
}

/** Why the Lua script cannot be run here; undefined where it can. */
export const luaMissing: string | undefined =
  spawnSync('lua5.1', ['-v']).status === 0 ? undefined : 'this machine has no lua5.1';
if (luaMissing !== undefined)
  process.stderr.write(`\n*** SKIPPED: the health check for Argo CD: ${luaMissing} ***\n\n`);

export const HEALTH_LUA = join(import.meta.dirname, '../../config/argocd/health.lua');

const luaString = (text: string): string =>
  `"${Array.from(Buffer.from(text), (byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;

function luaValue(value: unknown): string {
  if (typeof value === 'string') return luaString(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `{${value.map(luaValue).join(',')}}`;
  if (typeof value !== 'object' || value === null) return 'nil';
  return `{${Object.entries(value)
    .map(([key, member]) => `[${luaString(key)}]=${luaValue(member)}`)
    .join(',')}}`;
}

export interface Health {
  readonly status: string;
  readonly message: string;
}

/** What the script says of each object, in order. */
export function argoHealth(objects: readonly unknown[], lua = readFileSync(HEALTH_LUA, 'utf8')): Health[] {
  const runner = `
    local check = assert(loadstring(${luaString(lua)}, "health.lua"))
    for _, object in ipairs({${objects.map(luaValue).join(',\n')}}) do
      setfenv(check, { obj = object, ipairs = ipairs })
      local health = check()
      io.write(health.status, "\\t", (health.message:gsub("[\\r\\n\\t]", " ")), "\\n")
    end`;
  const output = execFileSync('lua5.1', ['-'], { input: runner, encoding: 'utf8' });
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [status = '', message = ''] = line.split('\t');
      return { status, message };
    });
}
