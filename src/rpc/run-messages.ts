// The messages of run.proto as codecs of the contract's own types.
import type { Destination, DestinationTls, DestinationType } from '../model/destination.ts';
import type { Diagnostic, Severity } from '../model/diagnostic.ts';
import type { BlindInterval, BlindSource, WindowLoss } from '../model/loss.ts';
import type { Delivery, RunError, RunOutcome, RunStage, WindowOutcome } from '../model/outcome.ts';
import type {
  CommittedInterval,
  CompileRequest,
  CompileResult,
  RunRequest,
  RunResult,
  ScriptOutput,
  SkipRequest,
} from '../model/run.ts';
import { choice, count, flag, list, message, nested, optional, record, text, time, WireError } from './protobuf.ts';
import type { DestinationStatus, NodeStatus, RuntimeStatus } from './run-contract.ts';

/** What a ConfigMap can hold; an inline text of 131072 characters has at most half of it. */
const SCRIPT_BYTES_MAX = 1024 * 1024;
const MESSAGE_BYTES_MAX = 16 * 1024;
const UIDS_MAX = 10_000;

export const EMPTY = message<object>({});

export interface HelloRequest {
  readonly epoch: number;
  readonly version: string;
}

export const HELLO_REQUEST = message<HelloRequest>({ epoch: count(1), version: text(2) });

export interface HelloReply {
  readonly incarnation: string;
  readonly highestEpoch: number;
  readonly version: string;
}

export const HELLO_REPLY = message<HelloReply>({ incarnation: text(1), highestEpoch: count(2), version: text(3) });

interface CompileWire extends Omit<CompileRequest, 'script'> {
  readonly kind: 'text' | 'preset';
  readonly script: string;
}

export const COMPILE_REQUEST = message<CompileWire>({
  kind: choice(1, ['text', 'preset']),
  script: text(2, SCRIPT_BYTES_MAX),
  args: record(3, 64),
  uid: optional(text(4)),
});

export const compileToWire = ({ script, args, uid }: CompileRequest): CompileWire => ({
  kind: script.kind,
  script: script.kind === 'text' ? script.text : script.name,
  args,
  ...(uid === undefined ? {} : { uid }),
});

export const compileFromWire = ({ kind, script, ...rest }: CompileWire): CompileRequest => ({
  ...rest,
  script: kind === 'text' ? { kind, text: script } : { kind, name: script },
});

const OUTPUT = message<ScriptOutput>({
  kind: choice(1, ['table', 'metric', 'span']),
  name: text(2),
  columns: list(
    nested(3, message<ScriptOutput['columns'][number]>({ name: text(1), type: text(2), semanticType: text(3) })),
  ),
});

const DIAGNOSTIC = message<Diagnostic>({
  code: text(1),
  severity: choice<Severity>(2, ['error', 'warning']),
  message: text(3),
  line: count(4),
  column: count(5),
  suggestion: optional(text(6)),
});

export const COMPILE_REPLY = message<CompileResult>({
  scriptHash: text(1),
  outputs: list(nested(2, OUTPUT)),
  diagnostics: list(nested(3, DIAGNOSTIC)),
});

const DESTINATION_TYPES: readonly DestinationType[] = [
  'OTLPGRPC',
  'OTLPHTTP',
  'PrometheusRemoteWrite',
  'Prometheus',
  'Zipkin',
  'Console',
];

const TLS = message<DestinationTls>({
  mode: choice(1, ['TLS', 'Plaintext']),
  ca: optional(text(2, 1024 * 1024)),
  clientCertificate: optional(
    nested(
      3,
      message<NonNullable<DestinationTls['clientCertificate']>>({
        certificate: text(1, 1024 * 1024),
        key: text(2),
      }),
    ),
  ),
  serverName: optional(text(4)),
  insecureSkipVerify: flag(5),
});

const DESTINATION = message<Destination>({
  type: choice<DestinationType>(1, DESTINATION_TYPES),
  endpoint: text(2),
  headers: list(nested(3, message<Destination['headers'][number]>({ name: text(1), value: text(2) })), 256),
  tls: nested(4, TLS),
  compression: choice(5, ['gzip', 'none']),
  timeoutMs: count(6),
  resourceAttributes: record(7, 256),
});

export interface PutDestinationRequest {
  readonly pluginUid: string;
  readonly revision: string;
  readonly destination: Destination;
}

export const PUT_DESTINATION_REQUEST = message<PutDestinationRequest>({
  pluginUid: text(1),
  revision: text(2),
  destination: nested(3, DESTINATION),
});

export interface RemoveDestinationRequest {
  readonly pluginUid: string;
  readonly graceMs: number;
}

export const REMOVE_DESTINATION_REQUEST = message<RemoveDestinationRequest>({ pluginUid: text(1), graceMs: count(2) });

export const LEDGER_REQUEST = message<{ readonly uids: readonly string[] }>({ uids: list(text(1), UIDS_MAX) });

const INTERVAL = message<CommittedInterval>({ start: time(1), end: time(2), delivered: flag(3) });

export interface ScriptLedger {
  readonly uid: string;
  readonly committed: readonly CommittedInterval[];
}

export const LEDGER_REPLY = message<{ readonly scripts: readonly ScriptLedger[] }>({
  scripts: list(nested(1, message<ScriptLedger>({ uid: text(1), committed: list(nested(2, INTERVAL)) }))),
});

const RUN_REQUEST = message<RunRequest>({
  runId: text(1),
  epoch: count(2),
  scriptHash: text(3),
  uid: text(4),
  scriptName: text(5),
  start: time(6),
  end: time(7),
  pluginUid: text(8),
  revision: text(9),
  scope: text(10),
  limits: nested(
    11,
    message<RunRequest['limits']>({ timeoutMs: count(1), rowsMax: count(2), watermarkWaitMs: count(3) }),
  ),
});

export interface RunMessage {
  readonly request?: RunRequest;
  readonly cancel: boolean;
}

export const RUN_MESSAGE = message<RunMessage>({ request: optional(nested(1, RUN_REQUEST)), cancel: flag(2) });

export const SKIP_REQUEST = message<SkipRequest>({
  epoch: count(1),
  uid: text(2),
  start: time(3),
  end: time(4),
  reason: text(5),
});

const LOSS = message<WindowLoss>({
  eventsDropped: count(1),
  exchangesLost: count(2),
  bytesNotUnderstood: count(3),
  rowsLate: count(4),
  rowsExpired: count(5),
  blind: list(
    nested(6, message<BlindInterval>({ source: text(1), start: time(2), end: optional(time(3)), reason: text(4) })),
  ),
});

const RUN_ERROR = message<RunError>({
  stage: choice<RunStage>(1, ['Compile', 'Query', 'Encode', 'Export']),
  code: text(2),
  message: text(3, MESSAGE_BYTES_MAX),
  line: optional(count(4)),
  column: optional(count(5)),
});

const OUTCOME = message<RunOutcome>({
  uid: text(1),
  start: time(2),
  end: time(3),
  outcome: choice<WindowOutcome>(4, ['Complete', 'Partial', 'Skipped', 'Failed']),
  reason: optional(text(5)),
  rowsRead: count(6),
  rowsTruncated: count(7),
  itemsDropped: optional(count(8)),
  metricPoints: count(9),
  spans: count(10),
  logs: count(11),
  bytes: count(12),
  durationMs: count(13),
  nodes: nested(14, message<RunOutcome['nodes']>({ expected: count(1), answered: count(2), missing: list(text(3)) })),
  loss: nested(15, LOSS),
  error: optional(nested(16, RUN_ERROR)),
});

interface RunReplyWire {
  readonly status: RunResult['status'];
  readonly outcome?: RunOutcome;
  readonly delivered: boolean;
  readonly committed: readonly CommittedInterval[];
  readonly what: string;
}

export const RUN_REPLY = message<RunReplyWire>({
  status: choice<RunResult['status']>(1, ['committed', 'failed', 'overlap', 'unknown']),
  outcome: optional(nested(2, OUTCOME)),
  delivered: flag(3),
  committed: list(nested(4, INTERVAL)),
  what: text(5),
});

export function resultToWire(result: RunResult): RunReplyWire {
  const rest = { delivered: false, committed: [], what: '' };
  return { ...rest, ...result };
}

/** @throws WireError where the parts do not go with the status. */
export function resultFromWire({ status, outcome, delivered, committed, what }: RunReplyWire): RunResult {
  switch (status) {
    case 'overlap':
      return { status, committed };
    case 'unknown':
      if (what !== 'script' && what !== 'destination') throw new WireError(`what: ${JSON.stringify(what)} is unknown`);
      return { status, what };
    case 'committed':
    case 'failed':
      if (outcome === undefined) throw new WireError(`outcome: missing in an answer with status ${status}`);
      return status === 'committed' ? { status, outcome, delivered } : { status, outcome };
  }
}

export interface DeliveriesMessage {
  readonly epoch?: number;
  readonly taken: boolean;
}

export const DELIVERIES_MESSAGE = message<DeliveriesMessage>({ epoch: optional(count(1)), taken: flag(2) });

const DELIVERY = message<Delivery>({
  uid: text(1),
  start: time(2),
  end: time(3),
  batch: count(4),
  outcome: choice(5, ['acknowledged', 'refused', 'dropped']),
  metricPoints: count(6),
  spans: count(7),
  logs: count(8),
  rejected: count(9),
  bytes: count(10),
  attempts: count(11),
  windowDelivered: flag(12),
  message: optional(text(13, MESSAGE_BYTES_MAX)),
  code: optional(text(14)),
  windowRepeated: flag(15),
});

export interface DeliveriesPage {
  readonly incarnation: string;
  readonly deliveries: readonly Delivery[];
}

export const DELIVERIES_PAGE = message<DeliveriesPage>({ incarnation: text(1), deliveries: list(nested(2, DELIVERY)) });

const DESTINATION_STATUS = message<DestinationStatus>({
  name: text(1),
  batches: count(2),
  bytes: count(3),
  activity: choice(4, ['no-destination', 'idle', 'sending', 'backing-off', 'stopped']),
  consecutiveFailures: count(5),
  lastSuccessAt: optional(time(6)),
  lastError: optional(
    nested(
      7,
      message<NonNullable<DestinationStatus['lastError']>>({
        code: text(1),
        message: text(2, MESSAGE_BYTES_MAX),
        at: time(3),
      }),
    ),
  ),
  nextAttemptAt: optional(time(8)),
  oldestCommittedAt: optional(time(9)),
});

const NODE_STATUS = message<NodeStatus>({
  name: text(1),
  answered: flag(2),
  why: text(3, MESSAGE_BYTES_MAX),
  startTime: time(4),
  oldest: optional(time(5)),
  blind: list(
    nested(6, message<BlindSource>({ source: text(1), reason: text(2), message: text(3, MESSAGE_BYTES_MAX) })),
  ),
});

export const STATE_REPLY = message<RuntimeStatus>({
  incarnation: text(1),
  version: text(2),
  activeRuns: count(3),
  waitingRuns: count(4),
  spoolBytes: count(5),
  spoolBytesMax: count(6),
  destinations: list(nested(7, DESTINATION_STATUS)),
  nodes: list(nested(8, NODE_STATUS)),
  presets: list(text(9)),
});
