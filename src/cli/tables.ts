// sluice tables: the catalogue, and with --from how many rows each table has.
import { parseArgs } from 'node:util';
import { CATALOGUE } from '../model/catalogue.ts';
import { choiceArg } from './args.ts';
import type { Command } from './command.ts';
import { openSource } from './source.ts';

const HELP = `Usage: sluice tables [--from SOURCE] [--format table|json]

The tables that scripts can read: columns, types, what they mean, and whether this version fills them.

  --from SOURCE      also count the rows of SOURCE: live (10 s are captured), DIR, FILE.slrec, grpc://HOST:PORT
                     (see 'sluice run --help')
  --tls DIR          certificates for grpc://…
  --format FORMAT    table (default) or json
  --help             this text
`;

/** As `sluice run` by default. */
const CAPTURE_MS = 10_000;

interface TableRows {
  readonly name: string;
  readonly rows: number | undefined;
}

function text(counts: readonly TableRows[]): string {
  const lines = CATALOGUE.flatMap((table) => {
    const rows = counts.find(({ name }) => name === table.name)?.rows;
    const width = Math.max(...table.columns.map(({ name }) => name.length));
    return [
      `${table.name}${rows === undefined ? '' : ` (${rows} rows)`}${table.filled ? '' : ': not filled in this version'}`,
      `  ${table.description}`,
      ...table.columns.map(
        ({ name, type, semanticType, description }) =>
          `    ${name.padEnd(width)}  ${type.padEnd(8)}  ${semanticType.padEnd(20)}  ${description}`,
      ),
      '',
    ];
  });
  return lines.join('\n');
}

export const tables: Command = {
  name: 'tables',
  summary: 'the catalogue: tables, columns, types, what fills them',
  help: HELP,
  async run(argv, io) {
    const { values } = parseArgs({
      args: [...argv],
      options: { from: { type: 'string' }, tls: { type: 'string' }, format: { type: 'string', default: 'table' } },
    });
    const format = choiceArg('format', values.format, ['table', 'json']);
    const counts: TableRows[] = [];
    if (values.from !== undefined) {
      const { tls } = values;
      const source = await openSource(values.from, io, {
        durationMs: CAPTURE_MS,
        ...(tls === undefined ? {} : { tls }),
      });
      for (const warning of source.warnings) io.stderr.write(`sluice tables: ${warning}\n`);
      for (const { name } of CATALOGUE) counts.push({ name, rows: source.rows(name) });
      await source.close();
    }
    if (format === 'table') io.stdout.write(text(counts));
    else {
      const all = CATALOGUE.map((table) => ({ ...table, rows: counts.find(({ name }) => name === table.name)?.rows }));
      io.stdout.write(`${JSON.stringify({ tables: all }, undefined, 2)}\n`);
    }
    return 0;
  },
};
