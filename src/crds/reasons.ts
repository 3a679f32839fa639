// Every condition of both kinds and every reason that it can have: a closed list, so that scripts and alerts may rely on
// it. The functions that make conditions look a reason up here, and docs/conditions.md is made from it.
import { conditionOf, type Condition, type ConditionFact } from './status.ts';

interface Reason {
  readonly status: Condition['status'];
  /** What is the case. */
  readonly means: string;
  /** What a person does about it; absent where nothing is to be done. */
  readonly action?: string;
}

/** A condition's reasons, in the order in which the documentation has them. */
type Reasons = Readonly<Record<string, Reason>>;

export interface ConditionReasons {
  /** What the condition says while it is True. */
  readonly means: string;
  readonly reasons: Reasons;
  /** Stands in for a reason that is not in the list, which is then said in the message. */
  readonly fallback: string;
}

export type ReasonTable = Readonly<Record<string, ConditionReasons>>;

const yes = (means: string, action?: string): Reason => ({
  status: 'True',
  means,
  ...(action === undefined ? {} : { action }),
});
const no = (means: string, action: string): Reason => ({ status: 'False', means, action });
const open = (means: string): Reason => ({ status: 'Unknown', means, action: 'wait' });

const SEE_PLUGIN = "see the plugin's conditions";
const MESSAGE_SAYS = 'the message says what is missing';

/** What keeps windows from being committed, wherever it is shown. Codes of the ledger. */
const STATE: Reasons = {
  StateFull: no('no space is left where committed windows are kept; nothing is lost, runs wait', 'free space'),
  StateReadOnly: no('the state cannot be written', 'give the right to write there'),
  StateIoError: no('the disk of the state reported an error', 'look at the kernel log'),
  StateCorrupt: no('the state is damaged; it is left as it is', 'move it away, and keep it for a report'),
  StateLocked: no('another process uses the state', 'stop that one or choose another folder'),
  StateTooNew: no('the state was written by a newer version', 'use that version'),
  StateClosed: no('the runtime is stopping', 'wait'),
  RuntimeUnavailable: no('the query runtime does not answer; windows wait', 'look at the StatefulSet sluice-runtime'),
};

/** Why a destination takes nothing, wherever it is shown. The first five need a change: `Stalled`. */
const REFUSALS: Reasons = {
  Unauthorized: no('the destination does not know the credentials (401, UNAUTHENTICATED)', 'correct the Secret'),
  Forbidden: no('the credentials may not do it (403, PERMISSION_DENIED)', 'give them the right'),
  NotFound: no('nothing is served there (404, UNIMPLEMENTED)', 'correct the endpoint'),
  TLSFailed: no('the two sides do not agree on TLS, or a certificate is not trusted', 'correct spec.destination.tls'),
  InvalidEndpoint: no('the endpoint cannot be used', 'correct the endpoint'),
  Refused: no(
    'it refused a batch for good',
    'the message has its answer; what was refused is counted in totals.refused',
  ),
  PartialSuccess: no(
    'it took a batch but for some items; Ready is not affected',
    'the message has its answer; the items are counted in totals.refused',
  ),
  Retrying: no('it does not take anything now; it is tried again, Ready is not affected', 'the message has its answer'),
};

const DELIVERED: Reasons = {
  Acknowledged: yes('the destination took the newest batch'),
  Pending: open('nothing was sent yet'),
  ...REFUSALS,
};

/** Missing things that may yet come by the same `kubectl apply`, and values that are there and wrong. */
const CREDENTIALS: Reasons = {
  SecretNotFound: no('a Secret is not there', 'create it'),
  ConfigMapNotFound: no('a ConfigMap is not there', 'create it'),
  KeyNotFound: no('a Secret or ConfigMap has no such key', 'add it, or correct the reference'),
  SecretForbidden: no(
    'Sluice has no right to read the Secret',
    'its owner runs the two kubectl commands in the message',
  ),
  InvalidValue: no('a value is not text, or a header cannot carry it', 'correct it; one final newline is forgiven'),
};

const DESTINATION: Reasons = {
  DestinationNotAvailable: no('this version cannot send to this type, or not with these options', MESSAGE_SAYS),
  EndpointForbidden: no(
    'the endpoint leads to an address that may not be connected to',
    'choose another, or let the settings allow it',
  ),
};

const PRESET_NOT_FOUND = no('there is no such preset', 'correct the name; the message has those that there are');

const SCRIPT_RESOLVED: Reasons = {
  PluginNotFound: no(
    'there is no such OtelPlugin, or it does not allow this namespace',
    'create it, or set its allowedNamespaces',
  ),
  CredentialsMissing: no("the plugin's credentials cannot be had; the message has its reason", SEE_PLUGIN),
  ...DESTINATION,
  ConfigMapNotFound: no("the ConfigMap with the script's text is not there", 'create it'),
  KeyNotFound: no("the ConfigMap with the script's text has no such key", 'add it, or correct the reference'),
  PresetNotFound: PRESET_NOT_FOUND,
  NotResolved: no('something that the script needs cannot be had', MESSAGE_SAYS),
};

const COMPILE_FAILED = no(
  'the script does not compile; the message is `line:column text`',
  '`sluice check` shows the line and a suggestion',
);
const RUN_FAILING = no(
  'three windows in a row failed; they are tried again',
  'status.lastError names the stage; see Scheduled, too',
);
const EXPORT_FAILING = no('the destination takes nothing, and will not without a change or for long', 'see Delivered');
const RECONCILING = 'something is still coming; there only while it holds, two minutes at most for what is missing';
const STALLED = 'nothing changes without a change by somebody; there only while it holds';

/** The reasons of `from` as those of a condition that is True while they hold. */
const asTrue = (from: Reasons, ...names: readonly string[]): Reasons =>
  Object.fromEntries(
    names.map((name) => {
      const { means = '', action } = from[name] ?? {};
      return [name, yes(means, action)];
    }),
  );

const SCRIPT_READY: Reasons = {
  Scheduled: yes('windows are run and sent'),
  Suspended: yes('nothing is to be run: `spec.suspend`, or the plugin is disabled'),
  Pending: open('the script was not compiled yet'),
  ...SCRIPT_RESOLVED,
  CompileFailed: COMPILE_FAILED,
  ExportFailing: EXPORT_FAILING,
  RunFailing: RUN_FAILING,
};

export const EXPORT_SCRIPT_REASONS = {
  Ready: {
    means: 'windows of the script are delivered, or will be; computed from the others',
    fallback: 'NotResolved',
    reasons: SCRIPT_READY,
  },
  Resolved: {
    means: 'the plugin, its credentials and the text of the script are there',
    fallback: 'NotResolved',
    reasons: {
      Resolved: yes('all that is referred to is there'),
      Pending: open('not looked up yet'),
      ...SCRIPT_RESOLVED,
    },
  },
  Compiled: {
    means: 'the script compiles',
    fallback: 'CompileFailed',
    reasons: {
      Compiled: yes('without a warning'),
      CompiledWithWarnings: yes('with warnings', '`sluice check` shows them'),
      Pending: open('not compiled yet'),
      CompileFailed: COMPILE_FAILED,
    },
  },
  Scheduled: {
    means: 'the next window is planned',
    fallback: 'NotScheduled',
    reasons: {
      Scheduled: yes('`status.nextWindow` is the next one'),
      Pending: open('nothing is planned yet'),
      Suspended: no('`spec.suspend`, or the plugin is disabled', 'nothing is broken'),
      NotReady: no('not resolved or not compiled', 'see there'),
      SpoolFull: no(
        'the destination is behind by more than the spool holds; nothing is dropped, windows wait',
        'repair the destination',
      ),
      ...STATE,
      NotScheduled: no('windows cannot be planned', MESSAGE_SAYS),
    },
  },
  Delivered: {
    means: 'the destination takes what is sent',
    fallback: 'NotDelivered',
    reasons: {
      ...DELIVERED,
      ...DESTINATION,
      ExportFailing: no('it takes nothing, and three windows failed', 'the message has its answer'),
      RunFailing: RUN_FAILING,
      NotDelivered: no('it takes nothing', MESSAGE_SAYS),
    },
  },
  Complete: {
    means: 'nothing is known to be missing from the windows of the last 24 hours; never affects Ready',
    fallback: 'Incomplete',
    reasons: {
      NothingMissing: yes('nothing is known to be missing'),
      Pending: open('no window yet'),
      NodesMissing: no('a node did not answer in time', 'look at its collector'),
      SourcesBlind: no('a node did not see everything', 'see status.nodes.blind of the plugin'),
      RowsTruncated: no('an export had more than spec.maxRows rows', 'aggregate in the script, or raise it'),
      DataExpired: no('rows were gone before they were read', 'shorten the window, or raise the table budget'),
      ItemsDropped: no('points or spans could not be exported', 'the message says which'),
      EventsLost: no('events were lost in the kernel or by the parsers', 'see status.history for the upper bound'),
      RowsLate: no('rows that came too late for one window are in a later one', 'nothing, or lengthen the window'),
      Suspended: no('windows were left out while the script was suspended', 'nothing'),
      CatchUpMaxAge: no('windows were older than spec.catchUp.maxAge', 'raise it'),
      CatchUpSkip: no('windows were left out by spec.catchUp.policy', 'choose All or Coalesce'),
      Incomplete: no('something is missing', 'the message says what'),
    },
  },
  Reconciling: {
    means: RECONCILING,
    fallback: 'Pending',
    reasons: {
      Pending: yes('not compiled yet', 'wait'),
      ...asTrue(SCRIPT_READY, 'PluginNotFound', 'CredentialsMissing', 'ConfigMapNotFound', 'KeyNotFound'),
    },
  },
  Stalled: {
    means: STALLED,
    fallback: 'NotResolved',
    reasons: asTrue(SCRIPT_READY, ...Object.keys(SCRIPT_RESOLVED), 'CompileFailed', 'ExportFailing'),
  },
} as const satisfies ReasonTable;

const RUNTIME: Reasons = { ...STATE, RuntimeNotReady: no('the query runtime cannot do its work', MESSAGE_SAYS) };

const PLUGIN_READY: Reasons = {
  Configured: yes('windows are sent there'),
  Suspended: yes('`spec.enabled` is false: no new runs, what waits is kept'),
  Pending: open('not looked up yet'),
  ...CREDENTIALS,
  NotResolved: no('credentials cannot be had', MESSAGE_SAYS),
  ...DESTINATION,
  ExportFailing: EXPORT_FAILING,
  ...RUNTIME,
};

export const OTEL_PLUGIN_REASONS = {
  Ready: {
    means: 'telemetry can be sent there; computed from the others',
    fallback: 'NotResolved',
    reasons: PLUGIN_READY,
  },
  CredentialsResolved: {
    means: 'every value that is referred to could be read',
    fallback: 'NotResolved',
    reasons: {
      Resolved: yes('all values are there'),
      Pending: open('not looked up yet'),
      ...CREDENTIALS,
      NotResolved: no('a value cannot be had', MESSAGE_SAYS),
    },
  },
  Delivered: {
    means: 'the destination takes what is sent',
    fallback: 'NotDelivered',
    reasons: { ...DELIVERED, ...DESTINATION, NotDelivered: no('it takes nothing', MESSAGE_SAYS) },
  },
  PresetsSynced: {
    means: 'the ExportScripts of spec.presets.include are there; never affects Ready',
    fallback: 'NotSynced',
    reasons: {
      Synced: yes('they are there'),
      Pending: open('not looked at yet'),
      PresetNotFound: PRESET_NOT_FOUND,
      NameTaken: no(
        'an ExportScript of that name is there which this plugin does not own; it is not touched',
        'rename it, or take the preset out',
      ),
      NotSynced: no('they could not be written', MESSAGE_SAYS),
    },
  },
  CollectorReady: {
    means: 'every node sees everything; never affects Ready',
    fallback: 'SourcesBlind',
    reasons: {
      Ready: yes('no source is blind'),
      Pending: open('no node has said anything yet'),
      NodesNotReady: no('collectors are missing on some nodes', 'look at the DaemonSet sluice-collector'),
      ProbeNotRunning: no('the probe does not run on a node', 'look at the log of the container probe'),
      MissingCapability: no('the probe lacks a right', MESSAGE_SAYS),
      KernelTooOld: no("the node's kernel lacks something", MESSAGE_SAYS),
      NotSupported: no("the node's kernel was built without something", MESSAGE_SAYS),
      OutOfMemory: no('the kernel had no memory for the probe', 'give the container probe more'),
      CompatProgram: no('a 32-bit program runs, whose calls are not followed', 'nothing, or run its 64-bit build'),
      NotStarted: no('a collector has just begun', 'wait'),
      SourceEnded: no('what a collector reads has ended', MESSAGE_SAYS),
      SourceFailed: no('what is captured, or the recording, cannot be read any further', 'the message says where'),
      ClockSetBack: no(
        'UTC was set back: rows go on from before and are ahead of it until it has caught up; nothing is missing',
        'wait',
      ),
      SourcesBlind: no('a node does not see everything', MESSAGE_SAYS),
    },
  },
  RuntimeReady: {
    means: 'the query runtime commits windows',
    fallback: 'RuntimeNotReady',
    reasons: { Ready: yes('it does'), Pending: open('it has not said anything yet'), ...RUNTIME },
  },
  Reconciling: {
    means: RECONCILING,
    fallback: 'Pending',
    reasons: {
      Pending: yes('not looked up yet', 'wait'),
      ...asTrue(
        PLUGIN_READY,
        'SecretNotFound',
        'ConfigMapNotFound',
        'KeyNotFound',
        'SecretForbidden',
        ...Object.keys(RUNTIME),
      ),
    },
  },
  Stalled: {
    means: STALLED,
    fallback: 'NotResolved',
    reasons: asTrue(
      PLUGIN_READY,
      ...Object.keys(CREDENTIALS),
      'NotResolved',
      ...Object.keys(DESTINATION),
      'ExportFailing',
    ),
  },
} as const satisfies ReasonTable;

/** A word from outside as a reason of the list, or the condition's fallback with that word put before the message. */
function listed(
  { reasons, fallback }: ConditionReasons,
  status: Condition['status'],
  reason: string,
  message: string,
): readonly [string, string] {
  const known = Object.hasOwn(reasons, reason) ? reasons[reason] : undefined;
  if (known?.status === status) return [reason, message];
  return [fallback, message === '' ? reason : `${reason}: ${message}`];
}

/** Makes conditions of one kind; only with reasons of its table. */
export const conditionsFrom =
  <T extends ReasonTable>(table: T) =>
  (type: keyof T & string, status: Condition['status'], reason: string, message = ''): ConditionFact => {
    const entry: ConditionReasons | undefined = table[type];
    if (entry === undefined) throw new TypeError(`there is no condition ${type}`);
    return conditionOf(type, status, ...listed(entry, status, reason, message));
  };

/** What an object has from its first sight on: all known conditions Unknown (C19; an object without conditions looks finished to kstatus). */
export const pendingConditions = (table: ReasonTable): ConditionFact[] => [
  ...Object.keys(table)
    .filter((type) => type !== 'Reconciling' && type !== 'Stalled')
    .map((type) => conditionOf(type, 'Unknown', 'Pending')),
  conditionOf('Reconciling', 'True', 'Pending'),
];
