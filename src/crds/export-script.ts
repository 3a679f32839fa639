// ExportScript: what to send and how often. Schema, type and rules.
import { Type, type Static } from '@sinclair/typebox';
import {
  API_VERSION,
  duration,
  keyRef,
  metadata,
  namespaceName,
  object,
  objectName,
  oneOf,
  type Rule,
} from './parts.ts';
import { parseDurationMs } from './duration.ts';

const script = object(
  {
    inline: Type.Optional(Type.String({ description: 'PxL text.', minLength: 1, maxLength: 131_072 })),
    configMapKeyRef: Type.Optional(keyRef('ConfigMap')),
    preset: Type.Optional(
      Type.String({
        description: 'Name of a preset that ships with Sluice.',
        minLength: 1,
        maxLength: 22,
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      }),
    ),
  },
  { description: 'The PxL script. Exactly one member.' },
);

const spec = object({
  pluginRef: object(
    {
      name: objectName('Name of the OtelPlugin.', 40),
      namespace: Type.Optional(namespaceName("Namespace of the OtelPlugin. Default: this object's.")),
    },
    { description: 'The destination.' },
  ),
  script,
  args: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 63 }), Type.String({ maxLength: 1024 }), {
      description: 'Values bound to names of the script.',
      maxProperties: 32,
    }),
  ),
  window: Type.Optional(duration('Length of a window, whole seconds, 1s to 24h.', '10s')),
  catchUp: Type.Optional(
    object(
      {
        policy: Type.Optional(
          oneOf(
            ['All', 'Coalesce', 'Skip'],
            'What becomes of windows that are behind: run each, run them as one, or skip them.',
            'All',
          ),
        ),
        maxAge: Type.Optional(duration('Windows that ended longer ago are skipped.', '15m')),
      },
      { description: 'How to catch up after an interruption.', default: {} },
    ),
  ),
  timeout: Type.Optional(duration('Deadline of one run, 1s to 10m.', '30s')),
  suspend: Type.Optional(Type.Boolean({ description: 'True: no runs.', default: false })),
  maxRows: Type.Optional(
    Type.Integer({
      description: 'Rows of one export in one window; more are cut and counted.',
      minimum: 1,
      maximum: 10_000_000,
      default: 100_000,
    }),
  ),
});

/** The whole resource as a manifest has it; `status` is the operator's and is not read from manifests. */
export const exportScriptSchema = object({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('ExportScript'),
  metadata: metadata(63),
  spec,
  status: Type.Optional(Type.Unknown()),
});

export type ExportScript = Static<typeof exportScriptSchema>;
export type ExportScriptSpec = Static<typeof spec>;

export const exportScriptRules: readonly Rule<ExportScriptSpec>[] = [
  {
    path: '/spec/script',
    cel: '[has(self.inline), has(self.configMapKeyRef), has(self.preset)].filter(x, x).size() == 1',
    message: 'script has exactly one of inline, configMapKeyRef and preset',
    holds: (s) => Object.values(s.script).filter((member) => member !== undefined).length === 1,
  },
  {
    path: '/spec/window',
    cel: "duration(self) >= duration('1s') && duration(self) <= duration('24h') && duration(self).getMilliseconds() % 1000 == 0",
    message: 'window is whole seconds between 1s and 24h',
    holds: (s) => {
      const ms = parseDurationMs(s.window ?? '10s') ?? 0;
      return ms >= 1000 && ms <= 86_400_000 && ms % 1000 === 0;
    },
  },
  {
    path: '/spec/timeout',
    cel: "duration(self) >= duration('1s') && duration(self) <= duration('10m')",
    message: 'timeout is between 1s and 10m',
    holds: (s) => {
      const ms = parseDurationMs(s.timeout ?? '30s') ?? 0;
      return ms >= 1000 && ms <= 600_000;
    },
  },
];
