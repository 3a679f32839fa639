// Writes docs/metrics.md from the catalogue; `--check` only says whether it is what the catalogue makes.
import { readFileSync, writeFileSync } from 'node:fs';
import { CATALOGUE } from '../src/observe/catalogue.ts';

const FILE = 'docs/metrics.md';

const HEAD = `# Metrics

What the roles of Sluice count of themselves: \`/metrics\` on port 9090 of each pod, in the Prometheus text format, and the same by OTLP where the settings name an
endpoint. Names that begin with \`controller_runtime_\`, \`workqueue_\`, \`rest_client_\` and \`leader_election_\` mean what they mean in other controllers.

This page is made from \`src/observe/catalogue.ts\` by \`scripts/generate-metrics-doc.ts\`.

| metric | type | labels | roles | what it says |
|---|---|---|---|---|
`;

const rows = [...CATALOGUE]
  .sort((a, b) => (a.name < b.name ? -1 : 1))
  .map(({ name, kind, labels, roles, help }) => {
    const who = roles.length === 3 ? 'all' : roles.join(', ');
    return `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${who} | ${help} |\n`;
  });
const text = HEAD + rows.join('');

if (process.argv.includes('--check')) {
  const isCurrent = readFileSync(FILE, 'utf8') === text;
  if (!isCurrent)
    process.stderr.write(`${FILE} is not what the catalogue makes; run node scripts/generate-metrics-doc.ts\n`);
  process.exitCode = isCurrent ? 0 : 1;
} else writeFileSync(FILE, text);
