// ExportScript: what to send and how often. Schema, type and rules.
import { Type, type Static } from '@sinclair/typebox';
import {
  API_VERSION,
  duration,
  keyRef,
  keysWithin,
  keysWithinCel,
  metadata,
  namespaceName,
  object,
  objectName,
  oneOf,
  presetName,
  textMap,
  type Rule,
} from './parts.ts';
import { durationWithinCel, isDurationWithin, parseDurationNs } from './duration.ts';
import { exportScriptStatusSchema } from './status-schema.ts';

export const SCRIPT_NAME_MAX = 63;
const ARG_NAME_MAX = 63;

const script = object(
  {
    inline: Type.Optional(
      Type.String({
        description:
          'The text itself, PxL, at most 131072 characters. A script that needs more belongs in a ConfigMap.',
        minLength: 1,
        maxLength: 131_072,
      }),
    ),
    configMapKeyRef: Type.Optional(keyRef('ConfigMap')),
    preset: Type.Optional(presetName('Name of a preset that ships with Sluice, e.g. http-metrics.')),
  },
  { description: 'The PxL script. Exactly one member.' },
);

const spec = object(
  {
    pluginRef: object(
      {
        name: objectName('Name of the OtelPlugin.', 40),
        namespace: Type.Optional(
          namespaceName("Namespace of the OtelPlugin, which must allow this one. Default: this object's own."),
        ),
      },
      { description: 'The OtelPlugin, which says where the script sends to.' },
    ),
    script,
    args: Type.Optional(
      textMap(
        'Values bound to names of the script and converted to their types; never put into its text. At most 32, names of at ' +
          'most 63 characters, values of at most 1024. Example: {threshold: "500"}.',
        1024,
        32,
      ),
    ),
    window: Type.Optional(
      duration(
        'Length of a window: each run covers one, and windows follow each other without a gap. Whole seconds, 1s to 24h. Default 10s.',
        '10s',
      ),
    ),
    catchUp: Type.Optional(
      object(
        {
          policy: Type.Optional(
            oneOf(
              ['All', 'Coalesce', 'Skip'],
              'What becomes of windows that are behind: run each (All), run them as one (Coalesce), or leave them out (Skip). Default All.',
              'All',
            ),
          ),
          maxAge: Type.Optional(
            duration('Windows that ended longer ago than this are left out. 1s to 720h. Default 15m.', '15m'),
          ),
        },
        { description: 'How to catch up after an interruption.', default: {} },
      ),
    ),
    timeout: Type.Optional(
      duration('Deadline of one run, 1s to 10m. A run that is late is tried again. Default 30s.', '30s'),
    ),
    suspend: Type.Optional(
      Type.Boolean({
        description: 'True: no runs. Windows meanwhile are left out; what was committed is still sent. Default false.',
        default: false,
      }),
    ),
    maxRows: Type.Optional(
      Type.Integer({
        description: 'Rows of one export in one window, 1 to 10000000; more are cut and counted. Default 100000.',
        minimum: 1,
        maximum: 10_000_000,
        default: 100_000,
      }),
    ),
  },
  { description: 'What to send, where and how often.' },
);

/** The whole resource as a manifest has it; `status` is the operator's and is not read from manifests. */
export const exportScriptSchema = object({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('ExportScript'),
  metadata: metadata(SCRIPT_NAME_MAX),
  spec,
  status: Type.Optional(Type.Unknown()),
});

/** As the API server has it: the spec that users write and the status that the operator writes. */
export const exportScriptParts = { spec, status: exportScriptStatusSchema };

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
    path: '/spec/args',
    cel: keysWithinCel(ARG_NAME_MAX),
    message: `names of args have 1 to ${ARG_NAME_MAX} characters`,
    holds: (s) => keysWithin(s.args, ARG_NAME_MAX),
  },
  {
    path: '/spec/window',
    cel: `${durationWithinCel('1s', '24h')} && timestamp(duration(self).getSeconds()) - timestamp(0) == duration(self)`,
    message: 'window is whole seconds between 1s and 24h',
    holds: ({ window = '10s' }) =>
      isDurationWithin(window, '1s', '24h') && (parseDurationNs(window) ?? 0n) % 1_000_000_000n === 0n,
  },
  {
    path: '/spec/catchUp/maxAge',
    cel: durationWithinCel('1s', '720h'),
    message: 'catchUp.maxAge is between 1s and 720h',
    holds: ({ catchUp }) => isDurationWithin(catchUp?.maxAge ?? '15m', '1s', '720h'),
  },
  {
    path: '/spec/timeout',
    cel: durationWithinCel('1s', '10m'),
    message: 'timeout is between 1s and 10m',
    holds: ({ timeout = '30s' }) => isDurationWithin(timeout, '1s', '10m'),
  },
];
