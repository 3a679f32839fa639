// Reasons that both kinds, or several conditions, have.
import { no, open, yes, type Reasons } from './reason-table.ts';

export const MESSAGE_SAYS = 'the message says what is missing';

/** What keeps windows from being committed, wherever it is shown. Codes of the ledger. */
export const STATE: Reasons = {
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
export const REFUSALS: Reasons = {
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

export const DELIVERED: Reasons = {
  Acknowledged: yes('the destination took the newest batch'),
  Pending: open('nothing was sent yet'),
  ...REFUSALS,
};

/** Missing things that may yet come by the same `kubectl apply`, and values that are there and wrong. */
export const CREDENTIALS: Reasons = {
  SecretNotFound: no('a Secret is not there', 'create it'),
  ConfigMapNotFound: no('a ConfigMap is not there', 'create it'),
  KeyNotFound: no('a Secret or ConfigMap has no such key', 'add it, or correct the reference'),
  SecretForbidden: no(
    'Sluice has no right to read the Secret',
    'its owner runs the two kubectl commands in the message',
  ),
  ConfigMapForbidden: no('Sluice has no right to read the ConfigMap', 'give it the right'),
  InvalidValue: no('a value is not text, or a header cannot carry it', 'correct it; one final newline is forgiven'),
};

/** Those of CREDENTIALS that may be over when all of one `kubectl apply` is there; the others are wrong values. */
export const OBJECTS_MISSING: readonly string[] = Object.keys(CREDENTIALS).filter((name) => name !== 'InvalidValue');

export const DESTINATION: Reasons = {
  DestinationNotAvailable: no('this version cannot send to this type, or not with these options', MESSAGE_SAYS),
  EndpointForbidden: no(
    'the endpoint leads to an address that may not be connected to',
    'choose another, or let the settings allow it',
  ),
};

export const PRESET_NOT_FOUND = no('there is no such preset', 'correct the name; the message has those that there are');

/** Why a DaemonSet's or StatefulSet's pods are not ready. */
export const WORKLOAD: Reasons = {
  RightsMissing: no('the probe may not load BPF programs', 'its container needs the capabilities BPF and PERFMON'),
  KernelUnsupported: no("the node's kernel cannot do what the probe needs", '`sluice-probe --check` says what'),
  ImagePull: no('the image cannot be pulled', 'correct it in the settings, or the pull secret'),
  ContainerNotMade: no('a container cannot be made', MESSAGE_SAYS),
  CrashLoop: no('a container ends again and again', 'see its log'),
  PodsNotMade: no('pods cannot be made (quota, pod security, a webhook)', 'kubectl describe says why'),
  Unschedulable: no('no node has room for a pod', 'the message says why'),
  NoNodes: no('no node matches the settings', 'correct the node selector or tolerations'),
  NodeNotReady: no('a node is not ready', 'look at the node'),
  NotReady: no('a pod is not ready', 'wait, then see its log'),
  Starting: no('pods are being started', 'wait'),
  Deploying: no('the workload is being made', 'wait'),
  Terminating: no('a pod is being deleted', 'wait'),
  NameTaken: no('an object that the operator does not own has a name that it needs', 'rename or delete it'),
  NotApplied: no('the API server does not take an object of the workloads', MESSAGE_SAYS),
  OwnerNotFound: no("the operator's own Deployment is not there", 'install with config/default'),
};

export const EXPORT_FAILING = no(
  'the destination takes nothing, and will not without a change or for long',
  'see Delivered',
);
export const RECONCILING =
  'something is still coming; there only while it holds, two minutes at most for what is missing';
export const STALLED = 'nothing changes without a change by somebody; there only while it holds';
