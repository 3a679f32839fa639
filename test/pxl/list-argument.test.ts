// Lists that come from outside as text.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compile } from '../../src/pxl/compile.ts';
import { parseListArgument } from '../../src/pxl/list-argument.ts';
import { NOW } from './case-file.ts';

const values = (text: string): unknown[] | undefined => parseListArgument(text)?.map(({ value }) => value);

describe('a list argument', () => {
  test.each([
    ["['a', 'b']", ['a', 'b']],
    ['["it\'s", \'say \\"no\\"\',]', ["it's", 'say "no"']],
    ['[1, -2, 1.5, -1e-3, True, False]', [1n, -2n, 1.5, -0.001, true, false]],
    ['a,b c', ['a', 'b c']],
    ['', ['']],
    ['[]', []],
    [' [ ] ', []],
  ])('%j is read', (text, wanted) => {
    expect(values(text)).toEqual(wanted);
  });

  test.each(['[', "['a'", "['a' 'b']", '[px.now()]', '[a]', '[,]', '[1 + 1]', "['a]", '[017]', '[[1]]'])(
    '%j is none',
    (text) => {
      expect(values(text)).toBeUndefined();
    },
  );

  test('any strings come through, and any text is read or refused', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !/[\\\n]/.test(text))), (texts) => {
        expect(values(`[${texts.map((text) => `"${text.replaceAll('"', '\\"')}"`).join(', ')}]`)).toEqual(texts);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => void parseListArgument(`[${text}]`)));
  });

  test('reaches a function of the script, where its annotation says list', () => {
    const source =
      "import px\ndef f(names: list):\n    df = px.DataFrame('http_events', start_time='-1m')\n    return df[names]\n";
    const run = (names: string) =>
      compile(source, {
        now: NOW,
        hasDefaultEndpoint: true,
        calls: [{ outputName: 'out', function: 'f', args: { names } }],
      });
    expect(run("['time_', 'latency']").outputs[0]?.columns.map(({ name }) => name)).toEqual(['time_', 'latency']);
    expect(run('time_').outputs[0]?.columns.map(({ name }) => name)).toEqual(['time_']);
    expect(run('[time_]').diagnostics).toMatchObject([{ code: 'ARGUMENT_VALUE', line: 0 }]);
  });
});
