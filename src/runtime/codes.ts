// Why a run failed: every code that the runtime itself gives. Codes of the compiler (pxl/codes.ts), the engine and the
// ledger (ledger/error.ts) are handed on as they are.
import type { RunStage } from '../model/outcome.ts';

interface RunCode {
  readonly stage: RunStage;
  /** When it is given, and what to do. */
  readonly when: string;
}

export const RUN_CODES: Readonly<Record<string, RunCode>> = {
  NO_EXPORT: { stage: 'Compile', when: 'The script exports nothing, so running it on a schedule has no use.' },
  METADATA_AFTER_MERGE: {
    stage: 'Query',
    when: 'A metadata function would have to run where the rows of several nodes are merged; use it before aggregating.',
  },
  NODES_MISSING: {
    stage: 'Query',
    when: 'No node answered, or none has all rows of the window yet. The window is tried again.',
  },
  QUERY_TOO_LARGE: {
    stage: 'Query',
    when: "The nodes' answers or the rows of one export hold too many bytes; aggregate, or use a shorter window.",
  },
  DEADLINE_EXCEEDED: {
    stage: 'Query',
    when: "The run took longer than the script's timeout. The window is tried again.",
  },
  CANCELLED: { stage: 'Query', when: 'Whoever asked for the run called it off.' },
  SUPERSEDED: { stage: 'Query', when: 'A newer leader has taken over; it runs the window.' },
  STOPPING: { stage: 'Query', when: 'The runtime is stopping; the window is run after its start.' },
  EXPORT_TOO_LARGE: {
    stage: 'Encode',
    when: 'One window encodes to more bytes than the spool takes for it; aggregate, or use a shorter window.',
  },
  SPOOL_FULL: {
    stage: 'Export',
    when: 'The destination is behind and its part of the spool is full. The window is tried again.',
  },
  INTERNAL_ERROR: { stage: 'Query', when: 'A fault of ours; please report it with the log.' },
};

/** Diagnostics that the runtime adds to the compiler's. */
export const RUNTIME_DIAGNOSTICS: Readonly<Record<string, string>> = {
  UNKNOWN_PRESET: 'No script of that name is shipped.',
};
