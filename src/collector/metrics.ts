// Everything that the collector counts, as one plain object that its parts add to in place. Counters unless said
// otherwise; cumulative since the agent was made.
import type { LossReason } from './protocols/protocol.ts';

export interface CollectorMetrics {
  frames: number;
  frameBytes: number;
  /** Frames of types that this build does not know. */
  framesUnknown: number;
  /** Events that came before the first clock pair and have no time. */
  framesBeforeClock: number;
  /** Data, counts or closes of connections that are gone already, or of ignored processes. */
  framesStale: number;
  framesIgnored: number;
  probeConnects: number;
  clockStepsBack: number;
  /** Gauge: how far `time_` is ahead of UTC, in nanoseconds; 0 unless UTC went back. */
  clockAheadNs: number;
  /** Gauge: connections known and open. */
  connectionsOpen: number;
  connectionsSeen: number;
  /** Seen by their data alone: the open was lost, or comes later. */
  connectionsImplicit: number;
  connectionsFollowed: number;
  connectionsMuted: number;
  /** Followed, but the peer's address never became known on the client's side: rows are lost and counted as such. */
  connectionsUnresolved: number;
  /** Taken out because the bound on connections was reached. */
  connectionsDropped: number;
  /** Muted because a parser threw. */
  connectionsBroken: number;
  /** Lost what they held because the bound on held bytes was reached. */
  connectionsReset: number;
  messages: number;
  messageBytes: number;
  /** Messages of a connection that the probe had not heard to mute yet. */
  messagesUnwanted: number;
  /** Bytes that passed before a connection's protocol was recognised. */
  bytesBeforeRecognised: number;
  /** Gauge: bytes held in undecided connections and parsers. */
  bytesHeld: number;
  rows: number;
  /** With a value that its column cannot hold; not stored. */
  rowsRefused: number;
  /** Behind the watermark; stored at it. */
  rowsLate: number;
  exchangesLost: Record<LossReason | 'unresolved' | 'broken', number>;
  bytesNotUnderstood: number;
  /** The kernel side's counters, summed over its lives. */
  dataRingFull: number;
  controlRingFull: number;
  connectionsFull: number;
  payloadFaults: number;
  recursionMisses: number;
  compatCalls: number;
  /** Gauges. */
  connStatsKeys: number;
  processes: number;
  connStatsKeysEvicted: number;
  processesEvicted: number;
  samplesWithoutIo: number;
  blindIntervals: number;
  /** Questions in a scope that is none, or about a table that is not split by namespace. */
  scopesRefused: number;
  /** Rows left out of an answer to one namespace because their pod is not known (yet): they may have been its own. */
  scopeRowsUnknown: number;
}

export const createMetrics = (): CollectorMetrics => ({
  frames: 0,
  frameBytes: 0,
  framesUnknown: 0,
  framesBeforeClock: 0,
  framesStale: 0,
  framesIgnored: 0,
  probeConnects: 0,
  clockStepsBack: 0,
  clockAheadNs: 0,
  connectionsOpen: 0,
  connectionsSeen: 0,
  connectionsImplicit: 0,
  connectionsFollowed: 0,
  connectionsMuted: 0,
  connectionsUnresolved: 0,
  connectionsDropped: 0,
  connectionsBroken: 0,
  connectionsReset: 0,
  messages: 0,
  messageBytes: 0,
  messagesUnwanted: 0,
  bytesBeforeRecognised: 0,
  bytesHeld: 0,
  rows: 0,
  rowsRefused: 0,
  rowsLate: 0,
  exchangesLost: { gap: 0, malformed: 0, limit: 0, unmatched: 0, expired: 0, unresolved: 0, broken: 0 },
  bytesNotUnderstood: 0,
  dataRingFull: 0,
  controlRingFull: 0,
  connectionsFull: 0,
  payloadFaults: 0,
  recursionMisses: 0,
  compatCalls: 0,
  connStatsKeys: 0,
  processes: 0,
  connStatsKeysEvicted: 0,
  processesEvicted: 0,
  samplesWithoutIo: 0,
  blindIntervals: 0,
  scopesRefused: 0,
  scopeRowsUnknown: 0,
});
