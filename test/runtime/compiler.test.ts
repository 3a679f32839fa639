import { afterEach, expect, test } from '@jest/globals';
import { createCompiler, type Compiler, type CompilerOptions } from '../../src/runtime/compiler.ts';
import { COUNT_BY_PATH, s } from './harness.ts';

let compiler: Compiler;

afterEach(() => compiler.close());

const start = (options: CompilerOptions = {}): Compiler => (compiler = createCompiler(options));
const options = { now: s(100), window: { start: s(10), end: s(20) }, hasDefaultEndpoint: true };

test('a script comes back from the thread as a plan, with what it outputs', async () => {
  const { plan, outputs, diagnostics } = await start().compile(COUNT_BY_PATH, options);
  expect(diagnostics).toEqual([]);
  expect(plan?.sinks.map(({ kind }) => kind)).toEqual(['otel']);
  expect(outputs).toMatchObject([{ kind: 'metric', name: 'http.requests' }]);
});

test('what is wrong with a script comes back with its place', async () => {
  const { plan, diagnostics } = await start().compile("import px\npx.display(px.DataFrame('http_event'))", options);
  expect(plan).toBeUndefined();
  expect(diagnostics).toMatchObject([{ code: 'UNKNOWN_TABLE', line: 2 }]);
});

test('a thread that takes too long is ended, and the next script has a new one', async () => {
  const slow = start({ timeoutMs: 1 });
  expect((await slow.compile(COUNT_BY_PATH, options)).diagnostics).toMatchObject([{ code: 'COMPILE_TIMEOUT' }]);
  await slow.close();
  expect((await start().compile(COUNT_BY_PATH, options)).plan).toBeDefined();
});

test('a thread that runs out of memory is said so, and takes nothing else with it', async () => {
  const { diagnostics } = await start({ heapMb: 4 }).compile(COUNT_BY_PATH, options);
  expect(diagnostics).toMatchObject([{ severity: 'error', code: 'PLAN_TOO_LARGE' }]);
});

test('scripts that come at once are all answered, each with its own', async () => {
  start();
  const names = ['a', 'b', 'c', 'd', 'e'];
  const results = await Promise.all(
    names.map((name) => compiler.compile(COUNT_BY_PATH.replace('http.requests', `requests.${name}`), options)),
  );
  expect(results.map(({ outputs }) => outputs[0]?.name)).toEqual(names.map((name) => `requests.${name}`));
});

test('a thread that is ended for idleness is started again when it is needed', async () => {
  start({ idleMs: 1 });
  for (let i = 0; i < 3; i += 1) {
    expect((await compiler.compile(COUNT_BY_PATH, options)).plan).toBeDefined();
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('a closed compiler refuses', async () => {
  await start().close();
  expect((await compiler.compile(COUNT_BY_PATH, options)).diagnostics).toMatchObject([{ code: 'INTERNAL_ERROR' }]);
});
