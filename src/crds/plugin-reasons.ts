// The conditions of an OtelPlugin and their reasons.
import { asTrue, no, open, yes, type Reasons, type ReasonTable } from './reason-table.ts';
import {
  CREDENTIALS,
  DELIVERED,
  DESTINATION,
  EXPORT_FAILING,
  MESSAGE_SAYS,
  OBJECTS_MISSING,
  PRESET_NOT_FOUND,
  RECONCILING,
  STALLED,
  STATE,
  WORKLOAD,
} from './shared-reasons.ts';

const RUNTIME: Reasons = {
  ...STATE,
  ...WORKLOAD,
  RuntimeNotReady: no('the query runtime cannot do its work', MESSAGE_SAYS),
};

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
      ...WORKLOAD,
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
      ...asTrue(PLUGIN_READY, ...OBJECTS_MISSING, ...Object.keys(RUNTIME)),
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
