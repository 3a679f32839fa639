// The statuses of both kinds as schemas: what the API server takes from the operator. Bounded so that a status stays below
// 16 KiB; strict only about what is ours to choose, because a refused status helps nobody.
import { Type } from '@sinclair/typebox';
import type { RunStage, WindowOutcome } from '../model/outcome.ts';
import { object, oneOf } from './parts.ts';

/** Entries of `history`, nodes that are named as missing or blind. */
export const LIST_MAX = 10;
export const MESSAGE_MAX = 512;
export const CONDITION_MESSAGE_MAX = 1024;
const NODE_NAME_MAX = 253;

const int64 = (description: string) => Type.Integer({ description, minimum: 0, format: 'int64' });
const time = (description: string) =>
  Type.String({ description: `${description} RFC 3339, UTC.`, format: 'date-time', maxLength: 40 });
const word = (description: string, maxLength = 64) => Type.String({ description, maxLength });
const OUTCOMES = ['Complete', 'Partial', 'Skipped', 'Failed'] as const satisfies readonly WindowOutcome[];
const STAGES = ['Compile', 'Query', 'Encode', 'Export'] as const satisfies readonly RunStage[];

/** `metadata.generation` that the status is about; -1 from the schema's default until the operator has looked (C19). */
const observedGeneration = Type.Integer({
  description: 'The metadata.generation that this status is about; -1 before the operator has seen the object.',
  minimum: -1,
  format: 'int64',
});

const conditions = Type.Array(
  object(
    {
      type: Type.String({ description: 'Name of the condition, see docs/conditions.md.', minLength: 1, maxLength: 64 }),
      status: oneOf(['True', 'False', 'Unknown'], 'Whether it holds.'),
      reason: Type.String({
        description: 'One word why, from the closed list in docs/conditions.md.',
        minLength: 1,
        maxLength: 64,
        pattern: '^[A-Z][A-Za-z]*$',
      }),
      message: Type.String({
        description: 'For people: what is the case and what to do. At most 1024 characters.',
        maxLength: CONDITION_MESSAGE_MAX,
      }),
      lastTransitionTime: time('When status changed last.'),
      observedGeneration: Type.Integer({
        description: 'The metadata.generation that this condition is about.',
        minimum: 0,
        format: 'int64',
      }),
    },
    { description: 'One condition, as in metav1.Condition.' },
  ),
  {
    description: 'What is the case. Reconciling and Stalled are there only while they hold.',
    maxItems: 16,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  },
);

const windowFields = {
  start: time('First instant of the window.'),
  end: time('First instant after the window.'),
  outcome: oneOf(
    OUTCOMES,
    'Complete: nothing is known to be missing. Partial: something is, and is named. Skipped: finished without rows. Failed: not committed.',
  ),
};

const lastRun = object(
  {
    rows: int64('Rows read.'),
    metrics: int64('Data points that the destination acknowledged.'),
    spans: int64('Spans that the destination acknowledged.'),
    bytes: int64('Encoded bytes, before compression.'),
    durationMs: int64('How long the run took, in milliseconds.'),
    nodes: object(
      {
        expected: int64('Nodes that were asked.'),
        answered: int64('Nodes that answered in time.'),
        missing: Type.Array(Type.String({ description: 'Name of a node.', maxLength: NODE_NAME_MAX }), {
          description: 'Nodes that did not answer, at most 10.',
          maxItems: LIST_MAX,
          'x-kubernetes-list-type': 'atomic',
        }),
      },
      { description: 'The nodes of the run.' },
    ),
  },
  { description: 'What the run of lastWindow saw and sent.' },
);

const totals = object(
  {
    windows: int64('Windows that were finished.'),
    failures: int64('Runs that failed; their windows were tried again.'),
    missed: int64('Windows that were finished without a run.'),
    repeated: int64(
      'Windows that were sent again because their fate was unknown: the destination may have them twice.',
    ),
    rows: int64('Rows read.'),
    metrics: int64('Data points acknowledged.'),
    spans: int64('Spans acknowledged.'),
    bytes: int64('Encoded bytes acknowledged, before compression.'),
    lost: int64('Exchanges that may be missing: an upper bound.'),
    refused: int64('Data points and spans that the destination refused for good or that were dropped.'),
  },
  { description: 'Counters since the script was created.' },
);

export const exportScriptStatusSchema = object(
  {
    observedGeneration,
    scriptHash: word('sha256 of the text and the arguments that run; empty where it does not compile.'),
    conditions,
    deliveredUntil: Type.Optional(time('Everything before was delivered (or refused for good), without a gap.')),
    lastWindow: Type.Optional(object(windowFields, { description: 'The newest delivered window.' })),
    lastRun: Type.Optional(lastRun),
    totals,
    nextWindow: Type.Optional(
      object(
        { start: windowFields.start, end: windowFields.end },
        { description: 'The next window to be run; absent while nothing is to be run.' },
      ),
    ),
    lastError: Type.Optional(
      object(
        {
          stage: oneOf(STAGES, 'Where it failed.'),
          code: word('Stable code, see docs/errors.md.', 128),
          message: Type.String({ description: 'What was said; secrets are masked.', maxLength: MESSAGE_MAX }),
          line: Type.Optional(int64('Line in the script, from 1.')),
          column: Type.Optional(int64('Column in the script, from 1.')),
        },
        {
          description:
            'The newest error; absent after a run without one, and, where a destination refused, after it took a window.',
        },
      ),
    ),
    lastManualRun: Type.Optional(
      object(
        {
          token: Type.String({ description: 'Value of the annotation sluice.dev/run-now.', maxLength: 256 }),
          outcome: word('What became of it, e.g. Complete, Partial/NodesMissing, AlreadyCommitted.', 128),
        },
        { description: 'The newest run that was asked for by the annotation sluice.dev/run-now.' },
      ),
    ),
    history: Type.Array(
      object(
        {
          ...windowFields,
          reason: Type.Optional(
            word(
              'Why it is not Complete, or VerdictsUnknown: it was found in the ledger, and what its destination said is not known.',
            ),
          ),
          metrics: int64('Data points acknowledged.'),
          spans: int64('Spans acknowledged.'),
          refused: Type.Optional(int64('Data points and spans refused for good; 0 where absent.')),
          lost: int64('Exchanges that may be missing: an upper bound.'),
        },
        { description: 'One window.' },
      ),
      {
        description: 'The newest windows, newest first, at most 10.',
        maxItems: LIST_MAX,
        'x-kubernetes-list-type': 'atomic',
      },
    ),
  },
  { description: 'What became of it; written by the operator.', default: { observedGeneration: -1 } },
);

export const otelPluginStatusSchema = object(
  {
    observedGeneration,
    conditions,
    endpoint: Type.Optional(
      Type.String({ description: 'Host and port of the endpoint, without path and query.', maxLength: 512 }),
    ),
    scripts: word('`ready/total` of the ExportScripts that refer to this plugin.', 32),
    lastSuccess: Type.Optional(time('When the destination took something last.')),
    queue: object(
      { batches: int64('Encoded requests that wait.'), bytes: int64('Their bytes.') },
      { description: 'What waits to be sent.' },
    ),
    nodes: object(
      {
        total: int64('Nodes that should have a collector.'),
        ready: int64('Nodes whose collector sees everything.'),
        blind: Type.Array(
          object(
            {
              node: Type.String({ description: 'Name of the node.', maxLength: NODE_NAME_MAX }),
              source: word('What does not see everything.'),
              reason: word('One word why.'),
            },
            { description: 'A source of a node that is blind.' },
          ),
          {
            description: 'What is blind where, at most 10.',
            maxItems: LIST_MAX,
            'x-kubernetes-list-type': 'atomic',
          },
        ),
      },
      { description: 'The collectors.' },
    ),
  },
  { description: 'What became of it; written by the operator.', default: { observedGeneration: -1 } },
);
