// What the demo shows: on a terminal one picture that is redrawn, elsewhere each thing once as plain lines.
import { exportScriptColumns, renderTable, type TableRow } from '../../src/crds/printer-columns.ts';
import type { ExportScript } from '../../src/crds/export-script.ts';
import type { ExportScriptStatus } from '../../src/crds/status.ts';

export type ScriptRow = TableRow<ExportScript, ExportScriptStatus>;

export interface Picture {
  readonly headline: string;
  readonly scripts: readonly ScriptRow[];
  readonly metrics: readonly string[];
  readonly spans: readonly string[];
  readonly truth: readonly string[];
}

export interface Screen {
  show(picture: Picture): void;
  say(line: string): void;
}

const METRICS_SHOWN = 14;
const SPANS_SHOWN = 2;

const parts = ({ scripts, metrics, spans }: Picture, nowMs: number): { title: string; lines: string[] }[] => [
  { title: '$ kubectl get exportscripts', lines: renderTable(exportScriptColumns, scripts, nowMs) },
  { title: 'latest metrics, as received', lines: metrics.slice(0, METRICS_SHOWN) },
  { title: 'latest spans, as received', lines: spans.slice(-SPANS_SHOWN) },
];

export function createScreen(out: NodeJS.WriteStream): Screen {
  const said: string[] = [];
  if (out.isTTY) {
    return {
      show(picture) {
        const lines = [
          picture.headline,
          ...said.slice(-3),
          ...parts(picture, Date.now()).flatMap(({ title, lines: body }) => [
            '',
            `\u001b[1m${title}\u001b[0m`,
            ...body,
          ]),
          '',
          '\u001b[1mthe truth, window by window\u001b[0m',
          ...picture.truth,
        ];
        out.write(`\u001b[H\u001b[2J${lines.map((line) => line.slice(0, out.columns + 8)).join('\n')}\n`);
      },
      say: (line) => void said.push(line),
    };
  }
  let shownTruth = 0;
  let firstTable = true;
  return {
    show(picture) {
      const isNew = picture.truth.length > shownTruth;
      if (!isNew && !(firstTable && picture.scripts.length > 0)) return;
      firstTable = false;
      for (const { title, lines } of parts(picture, Date.now())) {
        if (lines.length > 0) out.write(`\n${title}\n${lines.join('\n')}\n`);
      }
      if (isNew) out.write(`\n${picture.truth.slice(shownTruth).join('\n')}\n`);
      shownTruth = picture.truth.length;
    },
    say: (line) => void out.write(`${line}\n`),
  };
}
