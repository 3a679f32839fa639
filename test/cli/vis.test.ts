// vis.json beside a script: what is called with what, and what is wrong with it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { check } from '../../src/cli/check.ts';
import { readVis } from '../../src/cli/vis.ts';
import { scratch, type Scratch } from '../e2e/harness.ts';
import { call } from './io.ts';

let place: Scratch;
beforeEach(() => {
  place = scratch();
});
afterEach(() => place.remove());

const SPEC = {
  variables: [
    { name: 'window', type: 'PX_STRING', defaultValue: '-5m' },
    { name: 'pods', type: 'PX_STRING_LIST' },
    { name: 'n', type: 'PX_INT64' },
  ],
  globalFuncs: [{ outputName: 'slow', func: { name: 'f', args: [{ name: 'start', variable: 'window' }] } }],
  widgets: [
    { name: 'shown', globalFuncOutputName: 'slow', displaySpec: {} },
    { func: { name: 'g', args: [{ name: 'pods', variable: 'pods' }, { name: 'n', value: '7' }] } }, // prettier-ignore
  ],
};
const SCRIPT = `import px
def f(start: str):
    return px.DataFrame('http_events', start_time=start)
def g(pods: list, n: int):
    return px.DataFrame('http_events', start_time='-1m').head(n)
`;
const script = (spec: unknown): string => {
  place.write('vis.json', JSON.stringify(spec));
  return place.write('q.pxl', SCRIPT);
};

test('functions are called in order, with defaults, values and lists', () => {
  expect(readVis(script(SPEC), { pods: 'a/b, c' }).calls).toEqual([
    { outputName: 'slow', function: 'f', args: { start: '-5m' } },
    { outputName: 'widget', function: 'g', args: { pods: '["a/b", "c"]', n: '7' } },
  ]);
});

test('fields may be called as in the proto file', () => {
  const spec = {
    variables: [{ name: 'window', default_value: '-9m' }],
    global_funcs: [{ output_name: 'slow', func: { name: 'f', args: [{ name: 'start', variable: 'window' }] } }],
  };
  expect(readVis(script(spec), {}).calls).toEqual([{ outputName: 'slow', function: 'f', args: { start: '-9m' } }]);
});

test.each([
  ['a variable without a value', SPEC, {}, /--arg pods=… is required/],
  ['a value for no variable', SPEC, { pod: 'a' }, /no such variable/],
  [
    'a widget that shows nothing that there is',
    { ...SPEC, widgets: [{ globalFuncOutputName: 'fast' }] },
    { pods: '' },
    /shows "fast"/,
  ],
  [
    'a widget with both',
    { ...SPEC, widgets: [{ func: { name: 'g' }, globalFuncOutputName: 'slow' }] },
    { pods: '' },
    /both func and globalFuncOutputName/,
  ],
])('%s is wrong usage', (_, spec, args, message) => {
  expect(() => readVis(script(spec), args)).toThrow(message);
});

test('a preset has no vis.json, whatever the folder one stands in', () => {
  expect(readVis('http-metrics', { a: 'b' })).toEqual({ calls: [], args: { a: 'b' } });
});

test('sluice check calls the functions too, without values for their variables', async () => {
  expect(await call(check, script(SPEC))).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('ok: table slow, table widget'),
  });
});
