// What a suite about the operator needs: a real API server with our definitions and roles, a receiver, a runtime, and operators
// with exactly the rights of config/rbac. On failure the ends of all logs are part of the message.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openKubeClient, userAgent, type OpenKubeClient } from '../../src/kube/client.ts';
import { loadKubeAccess } from '../../src/kube/config.ts';
import { NAMESPACES as NAMESPACE_KIND } from '../../src/kube/resources.ts';
import type { ResourceType } from '../../src/kube/types.ts';
import { EXPORT_SCRIPTS, OTEL_PLUGINS } from '../../src/cli/operator/kinds.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/instance.ts';
import type { Kubectl } from '../cluster/kubectl.ts';
import { conditionOf, plugin, script, type PluginObject, type ScriptObject } from './objects.ts';
import { startOperator, type Operator, type OperatorOptions } from './operator-process.ts';
import { startReceiver, type Receiver } from './received.ts';
import { startRuntime, type RuntimeProcess } from './runtime-process.ts';

export const SYSTEM = 'sluice-system';
/** Where there are pods that make requests (live-node.ts). */
export const NAMESPACES = ['default', 'tenant', SYSTEM] as const;
const SCRIPTS = EXPORT_SCRIPTS as ResourceType<ScriptObject>;
const PLUGINS = OTEL_PLUGINS as ResourceType<PluginObject>;

/** Long enough that a leader on a machine that has ten times too much to do stays one. Who ends in good order releases its lease. */
export const SETTINGS = `
leaderElection: {leaseDuration: 10s, renewDeadline: 8s, retryPeriod: 500ms}
`;

/** For where leaders are killed or kept from renewing, and being lost at any other time, too, does no harm. */
export const SHORT_LEASE = `
leaderElection: {leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 250ms}
`;

export interface World {
  readonly plane: ControlPlane;
  readonly kubectl: Kubectl;
  /** As the administrator. */
  readonly client: OpenKubeClient;
  readonly receiver: Receiver;
  readonly runtime: RuntimeProcess;
  readonly dir: string;
  /** A kubeconfig with a token of the operator's service account. */
  operatorKubeconfig(): Promise<string>;
  /** Starts an operator, by default with its own service account's kubeconfig, and does not wait for anything. */
  operator(options?: Partial<OperatorOptions> & { readonly settings?: string }): Promise<Operator>;
  /** `kubectl apply` of these. */
  apply(...objects: readonly object[]): Promise<string>;
  /** Creates these ExportScripts, some at a time: for many. */
  createScripts(...objects: readonly object[]): Promise<void>;
  script(name: string, namespace?: string): Promise<ScriptObject | undefined>;
  scripts(): Promise<readonly ScriptObject[]>;
  plugin(name: string, namespace?: string): Promise<PluginObject | undefined>;
  /** Waits until the condition is `status/reason`; resolves with the object. */
  scriptIs(name: string, type: string, is: string, namespace?: string): Promise<ScriptObject>;
  pluginIs(name: string, type: string, is: string, namespace?: string): Promise<PluginObject>;
  /** Resolves once two more windows of a script of the world's own were committed: the operator has had time to act. */
  goesOn(): Promise<void>;
  /** Runs `steps`; where they fail the message has the ends of the logs. */
  told<T>(steps: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export interface WorldOptions extends Pick<ControlPlaneOptions, 'controllerManager' | 'lifeMs'> {
  readonly name: string;
  /** Default: definitions and roles are there. */
  readonly isInstalled?: boolean;
}

const WAIT_MS = 60_000;

export async function startWorld({ name, isInstalled = true, ...options }: WorldOptions): Promise<World> {
  const plane = await startControlPlane({ controllerManager: false, ...options, name: `flt-${name}` });
  const { kubectl } = plane;
  const operators: Operator[] = [];
  let runtime: RuntimeProcess | undefined;
  let receiver: Receiver | undefined;
  let client: OpenKubeClient | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(operators.map((one) => one.kill()));
    await runtime?.kill();
    receiver?.close();
    await client?.close();
    await plane.stop();
  };
  try {
    const dir = join(plane.dir, 'world');
    mkdirSync(dir);
    const access = await loadKubeAccess({ kubeconfig: plane.kubeconfig });
    client = openKubeClient(access, { purpose: 'main', userAgent: userAgent('test', '0') });
    const own = { fieldManager: 'test' };
    const administrator = client;
    const namespace = async (name: string): Promise<void> =>
      void (await administrator.apply(NAMESPACE_KIND, { metadata: { name } }, own));
    [receiver, runtime] = await Promise.all([
      startReceiver(),
      startRuntime(join(dir, 'runtime-0'), NAMESPACES),
      kubectl(['apply', '-f', 'config/manager/namespace.yaml']).then(() => kubectl(['apply', '-k', 'config/rbac'])),
      isInstalled ? installDefinitions(kubectl) : undefined,
      ...NAMESPACES.filter((name) => name !== SYSTEM).map(namespace),
    ]);
    return worldOf({ plane, client, receiver, runtime, dir, operators, stop });
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function installDefinitions(kubectl: Kubectl): Promise<void> {
  await kubectl(['apply', '-k', 'config/crd']);
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
}

interface Parts extends Pick<World, 'plane' | 'client' | 'receiver' | 'runtime' | 'dir' | 'stop'> {
  readonly operators: Operator[];
}

function worldOf({ operators, ...parts }: Parts): World {
  const { plane, client, runtime, dir } = parts;
  const { kubectl } = plane;
  const one = async <T extends ScriptObject | PluginObject>(
    type: ResourceType<T>,
    name: string,
    namespace: string,
  ): Promise<T | undefined> => {
    // by list: absence is no error
    const { items } = await client.list<T>(type, { namespace, fieldSelector: `metadata.name=${name}` });
    return items[0];
  };
  async function is<T extends ScriptObject | PluginObject>(
    look: () => Promise<T | undefined>,
    what: string,
    type: string,
    wanted: string,
  ): Promise<T> {
    let found: T | undefined;
    const check = async (): Promise<boolean> => {
      found = await look();
      const condition = conditionOf(found, type);
      if (condition === undefined || `${condition.status}/${condition.reason}` !== wanted)
        throw new Error(`${what} is ${JSON.stringify(found?.status?.conditions ?? 'without a status')}`);
      return condition.observedGeneration === found?.metadata.generation;
    };
    await waitFor(`${what} ${type}=${wanted}`, check, WAIT_MS);
    if (found === undefined) throw new Error('unreachable');
    return found;
  }
  let beacon: Promise<string> | undefined;
  const world: World = {
    ...parts,
    kubectl,
    operatorKubeconfig: () => plane.tokenKubeconfig(SYSTEM, 'sluice-operator'),
    async operator({ settings = SETTINGS, name = `op-${operators.length}`, ...options } = {}) {
      const settingsFile = join(dir, `${name}.yaml`);
      if (options.settingsFile === undefined) writeFileSync(settingsFile, settings);
      const started = await startOperator({
        name,
        kubeconfig: options.kubeconfig ?? (await world.operatorKubeconfig()),
        namespace: SYSTEM,
        settingsFile,
        runtimes: [runtime.address],
        ...options,
      });
      operators.push(started);
      return started;
    },
    apply: (...objects) => kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items: objects } }),
    async createScripts(...objects) {
      const left = objects.values() as IterableIterator<ScriptObject>;
      const create = async (): Promise<void> => {
        for (const object of left) await client.create(SCRIPTS, object, { fieldManager: 'test' });
      };
      await Promise.all(Array.from({ length: 16 }, create));
    },
    script: (name, namespace = SYSTEM) => one(SCRIPTS, name, namespace),
    scripts: async () => (await client.list<ScriptObject>(SCRIPTS, {})).items,
    plugin: (name, namespace = SYSTEM) => one(PLUGINS, name, namespace),
    scriptIs: (name, type, wanted, namespace = SYSTEM) =>
      is(() => one(SCRIPTS, name, namespace), `ExportScript ${namespace}/${name}`, type, wanted),
    pluginIs: (name, type, wanted, namespace = SYSTEM) =>
      is(() => one(PLUGINS, name, namespace), `OtelPlugin ${namespace}/${name}`, type, wanted),
    async goesOn() {
      beacon ??= (async () => {
        await world.apply(plugin('beacon', 'default', parts.receiver.endpoint), script('beacon', 'default', 'beacon'));
        return (await world.script('beacon', 'default'))?.metadata.uid ?? '';
      })();
      const uid = await beacon;
      const until = runtime.committed(uid).length + 2;
      await waitFor('two windows of a script', () => runtime.committed(uid).length >= until, WAIT_MS);
    },
    async told(steps) {
      try {
        return await steps();
      } catch (error) {
        throw new Error(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${logs()}`, {
          cause: error,
        });
      }
    },
  };
  const logs = (): string =>
    [
      ...operators.map((operator) => `--- ${operator.name}\n${operator.stderr().slice(-4000)}`),
      `--- runtime\n${runtime.process.stdout().slice(-2000)}${runtime.process.stderr().slice(-1000)}`,
    ].join('\n');
  return world;
}
