// The situation table (operator.md section 1.4): facts, how long they have held, and the conditions that they are shown by.
import type { PluginFacts } from '../../src/crds/plugin-conditions.ts';
import type { ScriptFacts } from '../../src/crds/script-conditions.ts';

export const GOOD_SCRIPT: ScriptFacts = {
  suspended: false,
  plugin: undefined,
  pluginDisabled: false,
  source: undefined,
  compiled: { fault: undefined, warnings: 0 },
  schedule: undefined,
  consecutiveFailures: 0,
  delivery: { ok: true, fault: undefined, permanent: false },
  incomplete: undefined,
};
export const GOOD_PLUGIN: PluginFacts = {
  enabled: true,
  destination: undefined,
  credentials: undefined,
  presets: undefined,
  delivery: { ok: true, fault: undefined },
  collector: undefined,
  runtime: undefined,
};

/** What a waiting tool should make of it: `ready` goes on, `waiting` waits, `failed` gives up at once. */
export type Verdict = 'ready' | 'waiting' | 'failed';

export interface Situation<Facts> {
  readonly name: string;
  readonly facts: Facts;
  /** How long the facts have held when the conditions are looked at. */
  readonly waitedMs: number;
  readonly shows: string;
  readonly verdict: Verdict;
  /** Not Ready and nothing on its way, but it may come back by itself: tools that wait go on, Argo CD shows Degraded. */
  readonly isDegraded?: true;
}

const fault = (reason: string) => ({ reason, message: 'what to do' });
const LONG = 200_000;
const script = (
  name: string,
  verdict: Verdict,
  facts: Partial<ScriptFacts>,
  shows: string,
  more: { readonly waitedMs?: number; readonly isDegraded?: true } = {},
): Situation<ScriptFacts> => ({ name, verdict, facts: { ...GOOD_SCRIPT, ...facts }, shows, waitedMs: 1000, ...more });

const RESOLVED = 'Resolved=True/Resolved Compiled=True/Compiled Scheduled=True/Scheduled';
const DONE = 'Delivered=True/Acknowledged Complete=True/NothingMissing';
const untried = { delivery: undefined };
const blocked = (ready: string, resolved: string): string =>
  `Ready=False/${ready} Resolved=False/${resolved} Compiled=True/Compiled Scheduled=False/NotReady ${DONE}`;
const retrying = { ok: false, fault: fault('Retrying'), permanent: false };
const refused = (reason: string) => ({ ok: false, fault: fault(reason), permanent: true });

export const SCRIPT_SITUATIONS: readonly Situation<ScriptFacts>[] = [
  script(
    'just seen: Unknown and Reconciling',
    'waiting',
    { compiled: undefined, delivery: undefined },
    'Ready=Unknown/Pending Resolved=True/Resolved Compiled=Unknown/Pending Scheduled=Unknown/Pending ' +
      'Delivered=Unknown/Pending Complete=Unknown/Pending Reconciling=True/Pending',
  ),
  ...(['plugin', 'source'] as const).map((what) =>
    script(
      `the ${what} being looked up: Unknown and Reconciling`,
      'waiting',
      { [what]: { reason: 'Pending', message: '' } },
      'Ready=Unknown/Pending Resolved=Unknown/Pending Compiled=True/Compiled Scheduled=Unknown/Pending ' +
        'Delivered=True/Acknowledged Complete=Unknown/Pending Reconciling=True/Pending',
    ),
  ),
  script(
    'compiled and planned: Ready before the first window',
    'ready',
    untried,
    `Ready=True/Scheduled ${RESOLVED} Delivered=Unknown/Pending Complete=True/NothingMissing`,
  ),
  script('delivered: Ready', 'ready', {}, `Ready=True/Scheduled ${RESOLVED} ${DONE}`),
  script(
    'with warnings: Ready',
    'ready',
    { compiled: { fault: undefined, warnings: 2 } },
    `Ready=True/Scheduled Resolved=True/Resolved Compiled=True/CompiledWithWarnings Scheduled=True/Scheduled ${DONE}`,
  ),
  script(
    'compile error: Stalled at once',
    'failed',
    { compiled: { fault: fault('CompileFailed'), warnings: 0 } },
    'Ready=False/CompileFailed Resolved=True/Resolved Compiled=False/CompileFailed Scheduled=False/NotReady ' +
      `${DONE} Stalled=True/CompileFailed`,
  ),
  script(
    'plugin missing for a second: Reconciling',
    'waiting',
    { plugin: fault('PluginNotFound') },
    `${blocked('PluginNotFound', 'PluginNotFound')} Reconciling=True/PluginNotFound`,
  ),
  script(
    'plugin missing for long: Stalled',
    'failed',
    { plugin: fault('PluginNotFound') },
    `${blocked('PluginNotFound', 'PluginNotFound')} Stalled=True/PluginNotFound`,
    { waitedMs: LONG },
  ),
  ...(['ConfigMapNotFound', 'KeyNotFound'] as const).flatMap((reason) => [
    script(
      `text missing for a second (${reason}): Reconciling`,
      'waiting',
      { source: fault(reason) },
      `${blocked(reason, reason)} Reconciling=True/${reason}`,
    ),
    script(
      `text missing for long (${reason}): Stalled`,
      'failed',
      { source: fault(reason) },
      `${blocked(reason, reason)} Stalled=True/${reason}`,
      { waitedMs: LONG },
    ),
  ]),
  script(
    'preset missing: Stalled at once, presets do not come by apply',
    'failed',
    { source: fault('PresetNotFound') },
    `${blocked('PresetNotFound', 'PresetNotFound')} Stalled=True/PresetNotFound`,
  ),
  ...(['SecretNotFound', 'KeyNotFound', 'SecretForbidden'] as const).flatMap((reason) => [
    script(
      `credentials missing for a second (${reason}): Reconciling`,
      'waiting',
      { plugin: fault(reason) },
      `${blocked('CredentialsMissing', 'CredentialsMissing')} Reconciling=True/CredentialsMissing`,
    ),
    script(
      `credentials missing for long (${reason}): Stalled`,
      'failed',
      { plugin: fault(reason) },
      `${blocked('CredentialsMissing', 'CredentialsMissing')} Stalled=True/CredentialsMissing`,
      { waitedMs: LONG },
    ),
  ]),
  script(
    'credentials wrong: Stalled at once',
    'failed',
    { plugin: fault('InvalidValue') },
    `${blocked('CredentialsMissing', 'CredentialsMissing')} Stalled=True/CredentialsMissing`,
  ),
  script(
    'destination not available: Stalled at once',
    'failed',
    { plugin: fault('DestinationNotAvailable') },
    `${blocked('DestinationNotAvailable', 'DestinationNotAvailable')} Stalled=True/DestinationNotAvailable`,
  ),
  script(
    'suspended: Ready',
    'ready',
    { suspended: true },
    `Ready=True/Suspended Resolved=True/Resolved Compiled=True/Compiled Scheduled=False/Suspended ${DONE}`,
  ),
  script(
    'suspended and broken: Ready, nothing is to be run',
    'ready',
    { suspended: true, compiled: { fault: fault('CompileFailed'), warnings: 0 }, delivery: refused('Unauthorized') },
    'Ready=True/Suspended Resolved=True/Resolved Compiled=False/CompileFailed Scheduled=False/Suspended ' +
      'Delivered=False/Unauthorized Complete=True/NothingMissing',
  ),
  script(
    'plugin disabled: Ready',
    'ready',
    { pluginDisabled: true },
    `Ready=True/Suspended Resolved=True/Resolved Compiled=True/Compiled Scheduled=False/Suspended ${DONE}`,
  ),
  script(
    'destination retried, two windows failed: Ready',
    'ready',
    { delivery: retrying, consecutiveFailures: 2 },
    `Ready=True/Scheduled ${RESOLVED} Delivered=False/Retrying Complete=True/NothingMissing`,
  ),
  script(
    'destination retried, three windows failed: not Ready, not Stalled',
    'waiting',
    { delivery: retrying, consecutiveFailures: 3 },
    `Ready=False/ExportFailing ${RESOLVED} Delivered=False/ExportFailing Complete=True/NothingMissing`,
    { isDegraded: true },
  ),
  script(
    'three windows failed before they were sent: not Ready, not Stalled',
    'waiting',
    { consecutiveFailures: 3 },
    `Ready=False/RunFailing ${RESOLVED} Delivered=False/RunFailing Complete=True/NothingMissing`,
    { isDegraded: true },
  ),
  script(
    'no room for three windows: not Ready, not Stalled',
    'waiting',
    { consecutiveFailures: 3, schedule: fault('StateFull') },
    'Ready=False/RunFailing Resolved=True/Resolved Compiled=True/Compiled Scheduled=False/StateFull ' +
      'Delivered=False/RunFailing Complete=True/NothingMissing',
    { isDegraded: true },
  ),
  ...['Unauthorized', 'Forbidden', 'NotFound', 'TLSFailed'].map((reason) =>
    script(
      `destination refuses, ${reason}: Stalled`,
      'failed',
      { delivery: { ...refused(reason), permanent: false } },
      `Ready=False/ExportFailing ${RESOLVED} Delivered=False/${reason} Complete=True/NothingMissing Stalled=True/ExportFailing`,
    ),
  ),
  script(
    'destination takes a part: Ready',
    'ready',
    { delivery: { ok: false, fault: fault('PartialSuccess'), permanent: false } },
    `Ready=True/Scheduled ${RESOLVED} Delivered=False/PartialSuccess Complete=True/NothingMissing`,
  ),
  ...['DataExpired', 'NodesMissing', 'SourcesBlind', 'RowsTruncated'].map((reason) =>
    script(
      `windows with a loss, ${reason}: Ready`,
      'ready',
      { incomplete: fault(reason) },
      `Ready=True/Scheduled ${RESOLVED} Delivered=True/Acknowledged Complete=False/${reason}`,
    ),
  ),
];

const plugin = (
  name: string,
  verdict: Verdict,
  facts: Partial<PluginFacts>,
  shows: string,
  more: { readonly waitedMs?: number; readonly isDegraded?: true } = {},
): Situation<PluginFacts> => ({ name, verdict, facts: { ...GOOD_PLUGIN, ...facts }, shows, waitedMs: 1000, ...more });

const REST = 'PresetsSynced=True/Synced CollectorReady=True/Ready RuntimeReady=True/Ready';
const ACKNOWLEDGED = 'Delivered=True/Acknowledged';

export const PLUGIN_SITUATIONS: readonly Situation<PluginFacts>[] = [
  plugin(
    'configured, nothing sent yet: Ready',
    'ready',
    untried,
    `Ready=True/Configured CredentialsResolved=True/Resolved Delivered=Unknown/Pending ${REST}`,
  ),
  plugin(
    'delivered: Ready',
    'ready',
    {},
    `Ready=True/Configured CredentialsResolved=True/Resolved ${ACKNOWLEDGED} ${REST}`,
  ),
  plugin(
    'credentials being read: Unknown and Reconciling',
    'waiting',
    { credentials: { reason: 'Pending', message: '' } },
    `Ready=Unknown/Pending CredentialsResolved=Unknown/Pending ${ACKNOWLEDGED} ${REST} Reconciling=True/Pending`,
    { waitedMs: LONG },
  ),
  ...['SecretNotFound', 'ConfigMapNotFound', 'KeyNotFound', 'SecretForbidden'].flatMap((reason) => [
    plugin(
      `${reason} for a second: Reconciling`,
      'waiting',
      { credentials: fault(reason) },
      `Ready=False/${reason} CredentialsResolved=False/${reason} ${ACKNOWLEDGED} ${REST} Reconciling=True/${reason}`,
    ),
    plugin(
      `${reason} for long: Stalled`,
      'failed',
      { credentials: fault(reason) },
      `Ready=False/${reason} CredentialsResolved=False/${reason} ${ACKNOWLEDGED} ${REST} Stalled=True/${reason}`,
      { waitedMs: LONG },
    ),
  ]),
  plugin(
    'a value that is wrong: Stalled at once',
    'failed',
    { credentials: fault('InvalidValue') },
    `Ready=False/InvalidValue CredentialsResolved=False/InvalidValue ${ACKNOWLEDGED} ${REST} Stalled=True/InvalidValue`,
  ),
  ...['EndpointForbidden', 'DestinationNotAvailable'].map((reason) =>
    plugin(
      `${reason}: Stalled at once`,
      'failed',
      { destination: fault(reason) },
      `Ready=False/${reason} CredentialsResolved=True/Resolved Delivered=False/${reason} ${REST} Stalled=True/${reason}`,
    ),
  ),
  plugin(
    'disabled and broken: Ready',
    'ready',
    { enabled: false, credentials: fault('SecretNotFound') },
    `Ready=True/Suspended CredentialsResolved=False/SecretNotFound ${ACKNOWLEDGED} ${REST}`,
  ),
  plugin(
    'destination retried: Ready',
    'ready',
    { delivery: { ok: false, fault: fault('Retrying') } },
    `Ready=True/Configured CredentialsResolved=True/Resolved Delivered=False/Retrying ${REST}`,
  ),
  plugin(
    'destination refuses the credentials: Stalled',
    'failed',
    { delivery: { ok: false, fault: fault('Unauthorized') } },
    `Ready=False/ExportFailing CredentialsResolved=True/Resolved Delivered=False/Unauthorized ${REST} Stalled=True/ExportFailing`,
  ),
  plugin(
    'a preset whose name is taken: Ready',
    'ready',
    { presets: fault('NameTaken') },
    `Ready=True/Configured CredentialsResolved=True/Resolved ${ACKNOWLEDGED} PresetsSynced=False/NameTaken ` +
      'CollectorReady=True/Ready RuntimeReady=True/Ready',
  ),
  plugin(
    'a blind node: Ready',
    'ready',
    { collector: fault('ProbeNotRunning') },
    `Ready=True/Configured CredentialsResolved=True/Resolved ${ACKNOWLEDGED} PresetsSynced=True/Synced ` +
      'CollectorReady=False/ProbeNotRunning RuntimeReady=True/Ready',
  ),
  plugin(
    'the runtime starting: Reconciling',
    'waiting',
    { runtime: fault('RuntimeUnavailable') },
    `Ready=False/RuntimeUnavailable CredentialsResolved=True/Resolved ${ACKNOWLEDGED} PresetsSynced=True/Synced ` +
      'CollectorReady=True/Ready RuntimeReady=False/RuntimeUnavailable Reconciling=True/RuntimeUnavailable',
  ),
  plugin(
    'the runtime away for long: not Ready, not Stalled',
    'waiting',
    { runtime: fault('RuntimeUnavailable') },
    `Ready=False/RuntimeUnavailable CredentialsResolved=True/Resolved ${ACKNOWLEDGED} PresetsSynced=True/Synced ` +
      'CollectorReady=True/Ready RuntimeReady=False/RuntimeUnavailable',
    { waitedMs: LONG, isDegraded: true },
  ),
];
