// What `sluice local` shows: on a terminal one table that is redrawn, elsewhere lines where something changed, or a JSON
// object a line for programs.
import { Writable } from 'node:stream';
import type { ExportScript } from '../../crds/export-script.ts';
import type { ManifestProblem } from '../../crds/manifest.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import { exportScriptColumns, otelPluginColumns, renderTable } from '../../crds/printer-columns.ts';
import type { ExportScriptStatus, OtelPluginStatus } from '../../crds/status.ts';
import type { CommandIo } from '../command.ts';

export interface ScriptView {
  readonly namespace: string;
  readonly name: string;
  readonly object: ExportScript;
  readonly status: ExportScriptStatus;
}

export interface PluginView {
  readonly namespace: string;
  readonly name: string;
  readonly object: OtelPlugin;
  readonly status: OtelPluginStatus;
}

export interface Snapshot {
  readonly nowMs: number;
  readonly startedMs: number;
  readonly plugins: readonly PluginView[];
  readonly scripts: readonly ScriptView[];
  readonly problems: readonly ManifestProblem[];
  /** One line on where rows come from. */
  readonly capture: string;
}

export interface View {
  show(snapshot: Snapshot): void;
  /** Something that happened once. */
  note(event: string, text: string, more?: Readonly<Record<string, unknown>>): void;
}

export const problemLine = ({ file, line, column, path, message }: ManifestProblem): string =>
  `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;

const conditionLines = ({ scripts, plugins }: Snapshot): string[] =>
  [...plugins, ...scripts].flatMap(({ name, status }) =>
    status.conditions
      .filter(
        ({ status: is, type, message }) => is === 'False' && type !== 'Ready' && type !== 'Scheduled' && message !== '',
      )
      .map(({ type, reason, message }) => `  ${name}: ${type}=False ${reason}: ${message}`),
  );

function tables(snapshot: Snapshot): string[] {
  const { nowMs, startedMs: createdMs } = snapshot;
  const scripts = snapshot.scripts.map((one) => ({ ...one, createdMs }));
  const plugins = snapshot.plugins.map((one) => ({ ...one, createdMs }));
  return [
    ...renderTable(otelPluginColumns, plugins, nowMs),
    '',
    ...renderTable(exportScriptColumns, scripts, nowMs),
    ...conditionLines(snapshot),
    ...snapshot.problems.map((problem) => `  ${problemLine(problem)}`),
  ];
}

/** Redraws in place; notes scroll above. */
function terminalView(io: CommandIo): View {
  const notes: string[] = [];
  return {
    show(snapshot) {
      const width = io.stdout.columns ?? 120;
      const lines = [snapshot.capture, '', ...tables(snapshot), '', ...notes, 'Ctrl-C ends.'];
      io.stdout.write(`\u001b[H\u001b[2J${lines.map((line) => line.slice(0, width)).join('\n')}\n`);
    },
    note(_, text) {
      notes.push(`${new Date().toISOString().slice(11, 19)}  ${text}`);
      if (notes.length > 8) notes.shift();
    },
  };
}

/** Prints the tables when something in them has changed that is not just an age. */
function lineView(io: CommandIo): View {
  let last = '';
  return {
    show(snapshot) {
      const key = JSON.stringify([
        snapshot.scripts.map(({ name, status }) => [
          name,
          status.conditions.map(({ status: is, reason }) => [is, reason]),
          status.lastWindow,
        ]),
        snapshot.plugins.map(({ name, status }) => [
          name,
          status.conditions.map(({ status: is, reason }) => [is, reason]),
        ]),
        snapshot.problems,
      ]);
      if (key === last) return;
      last = key;
      io.stdout.write(`${tables(snapshot).join('\n')}\n\n`);
    },
    note: (_, text) => void io.stdout.write(`${text}\n`),
  };
}

/** `{"event":"status",…}` for each object that changed, `{"event":…,"message":…}` for notes. */
function jsonView(io: CommandIo): View {
  const last = new Map<string, string>();
  const put = (value: object): void => void io.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    show(snapshot) {
      for (const { kind, one } of [
        ...snapshot.plugins.map((one) => ({ kind: 'OtelPlugin', one })),
        ...snapshot.scripts.map((one) => ({ kind: 'ExportScript', one })),
      ]) {
        const id = `${kind}/${one.namespace}/${one.name}`;
        const text = JSON.stringify(one.status);
        if (last.get(id) === text) continue;
        last.set(id, text);
        put({
          event: 'status',
          kind,
          namespace: one.namespace,
          name: one.name,
          spec: one.object.spec,
          status: one.status,
        });
      }
      const problems = JSON.stringify(snapshot.problems);
      if ((last.get('problems') ?? '[]') !== problems) put({ event: 'problems', problems: snapshot.problems });
      last.set('problems', problems);
    },
    note: (event, message, more = {}) => put({ event, message, ...more }),
  };
}

/** Where a Console destination prints: among JSON objects its lines are objects, too. */
export function consoleOf(io: CommandIo, format: 'text' | 'json'): Writable {
  if (format === 'text') return io.stdout;
  return new Writable({
    decodeStrings: false,
    write(chunk: string, _, done) {
      const lines = chunk.split('\n').filter((line) => line !== '');
      io.stdout.write(lines.map((line) => `${JSON.stringify({ event: 'console', line })}\n`).join(''), done);
    },
  });
}

export function createView(io: CommandIo, format: 'text' | 'json'): View {
  if (format === 'json') return jsonView(io);
  return io.stdout.isTTY === true ? terminalView(io) : lineView(io);
}
