// The conditions of an ExportScript and their reasons.
import { asTrue, no, open, yes, type Reasons, type ReasonTable } from './reason-table.ts';
import {
  DELIVERED,
  DESTINATION,
  EXPORT_FAILING,
  MESSAGE_SAYS,
  PRESET_NOT_FOUND,
  RECONCILING,
  STALLED,
  STATE,
} from './shared-reasons.ts';

const SEE_PLUGIN = "see the plugin's conditions";

const SCRIPT_RESOLVED: Reasons = {
  PluginNotFound: no(
    'there is no such OtelPlugin, or it does not allow this namespace',
    'create it, or set its allowedNamespaces',
  ),
  CredentialsMissing: no("the plugin's credentials cannot be had; the message has its reason", SEE_PLUGIN),
  ...DESTINATION,
  ConfigMapNotFound: no("the ConfigMap with the script's text is not there", 'create it'),
  ConfigMapForbidden: no("Sluice may not read the ConfigMap with the script's text", 'give it the right'),
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
      ...asTrue(
        SCRIPT_READY,
        'PluginNotFound',
        'CredentialsMissing',
        'ConfigMapNotFound',
        'ConfigMapForbidden',
        'KeyNotFound',
      ),
    },
  },
  Stalled: {
    means: STALLED,
    fallback: 'NotResolved',
    reasons: asTrue(SCRIPT_READY, ...Object.keys(SCRIPT_RESOLVED), 'CompileFailed', 'ExportFailing'),
  },
} as const satisfies ReasonTable;
