import { describe, expect, test } from '@jest/globals';
import type { Code } from '../../src/pxl/codes.ts';
import { type Compilation, type CompileOptions, compile } from '../../src/pxl/compile.ts';
import { NOW } from './case-file.ts';

const OPTIONS: CompileOptions = { now: NOW, hasDefaultEndpoint: true };

const codes = ({ diagnostics }: Compilation): readonly string[] => diagnostics.map(({ code }) => code);

const FRAME = "import px\ndf = px.DataFrame('http_events', start_time='-1m')\n";

describe('bounds', () => {
  const cases: readonly (readonly [string, string, Code, Partial<NonNullable<CompileOptions['limits']>>?])[] = [
    ['a script of a megabyte', `x = 1 ${' '.repeat(1_000_000)}`, 'SOURCE_TOO_LARGE'],
    ['a thousand open brackets', `x = ${'('.repeat(1000)}1${')'.repeat(1000)}`, 'NESTING_TOO_DEEP'],
    ['a thousand signs', `x = ${'-'.repeat(1000)}1`, 'NESTING_TOO_DEEP'],
    ['a thousand nots', `x = ${'not '.repeat(1000)}1`, 'NESTING_TOO_DEEP'],
    ['a thousand attributes', `x = a${'.b'.repeat(1000)}`, 'NESTING_TOO_DEEP'],
    ['a chain of ten thousand sums', `x = 1${'+1'.repeat(10_000)}`, 'NESTING_TOO_DEEP'],
    [
      'an expression that doubles',
      `${FRAME}df.x = df.latency\nx = df.latency\n${'x = x + x\n'.repeat(40)}`,
      'EXPRESSION_TOO_LARGE',
    ],
    ['a string that doubles', `x = 'abcdefgh'\n${'x = x + x\n'.repeat(40)}`, 'EXPRESSION_TOO_LARGE'],
    ['a frame that doubles', `${FRAME}${'df = df.append(df)\n'.repeat(40)}px.display(df)`, 'PLAN_TOO_LARGE'],
    [
      'a frame of a thousand columns',
      `${FRAME}${Array.from({ length: 1200 }, (_, i) => `df.c${i} = 1\n`).join('')}px.display(df)`,
      'PLAN_TOO_LARGE',
    ],
    [
      'functions that call others twice',
      `def f0(): return 1\n${Array.from({ length: 30 }, (_, i) => `def f${i + 1}():\n    x = f${i}()\n    return f${i}()\n`).join('')}f30()`,
      'COMPILE_TIMEOUT',
    ],
    ['a deadline that has passed', 'import px\n'.repeat(2000), 'COMPILE_TIMEOUT', { timeMs: -1 }],
  ];

  test.each(cases)('%s is refused', (_, source, code, limits = {}) => {
    const result = compile(source, { ...OPTIONS, limits });
    expect(codes(result)).toContain(code);
    expect(result.plan).toBeUndefined();
  });

  test('a long chain of and is read', () => {
    const chain = Array.from({ length: 150 }, (_, i) => `df.latency > ${i}`).join(' and ');
    expect(codes(compile(`${FRAME}px.display(df[${chain}])`, OPTIONS))).toEqual([]);
  });

  test('at most a hundred diagnostics are listed', () => {
    expect(compile(Array.from({ length: 500 }, (_, i) => `x = a${i}\n`).join(''), OPTIONS).diagnostics).toHaveLength(
      100,
    );
  });
});

describe('functions that are called from outside', () => {
  const SOURCE = `import px

def slow(start_time: str, pod: px.Pod, floor_ms: int):
    df = px.DataFrame(table='http_events', start_time=start_time)
    df.pod = df.ctx['pod']
    df = df[df.pod == pod or pod == '']
    px.display(df, 'inert')
    return df[df.latency > floor_ms * 1000000][['time_', 'pod', 'req_path', 'latency']]

def both(n: int, untyped):
    df = px.DataFrame('http_events', start_time='-1m').head(n)
    return df, [df]

def two(n: int):
    df = px.DataFrame('http_events', start_time='-1m').head(n)
    return df, df
`;
  const call = (name: string, args: Record<string, string>, outputName = 'out'): Compilation =>
    compile(SOURCE, { ...OPTIONS, calls: [{ outputName, function: name, args }] });

  test('a frame becomes a table of the given name, displays are inert', () => {
    const result = call('slow', { start_time: '-5m', pod: '', floor_ms: '250' });
    expect(result.diagnostics).toEqual([]);
    expect(result.outputs.map(({ name, columns }) => [name, columns.map((column) => column.name)])).toEqual([
      ['out', ['time_', 'pod', 'req_path', 'latency']],
    ]);
  });

  test('frames in a tuple become numbered tables, and a repeated name gets a number', () => {
    expect(call('two', { n: '5' }).outputs.map(({ name }) => name)).toEqual(['out[0]', 'out[1]']);
    const twice = { outputName: 'o', function: 'slow', args: { start_time: '-5m', pod: '', floor_ms: '1' } };
    expect(compile(SOURCE, { ...OPTIONS, calls: [twice, twice] }).outputs.map(({ name }) => name)).toEqual([
      'o',
      'o_1',
    ]);
  });

  test.each<[string, string, Record<string, string>, Code]>([
    ['an unknown function', 'slwo', {}, 'UNKNOWN_FUNCTION'],
    ['an unknown argument', 'two', { n: '5', m: '6' }, 'UNKNOWN_KEYWORD'],
    ['a missing argument', 'two', {}, 'MISSING_ARGUMENT'],
    ['text that is no integer', 'two', { n: 'five' }, 'ARGUMENT_VALUE'],
    ['a parameter without a type', 'both', { n: '5', untyped: 'x' }, 'ARGUMENT_KIND'],
  ])('%s is reported at line 0', (_, name, args, code) => {
    expect(call(name, args).diagnostics).toMatchObject([{ code, severity: 'error', line: 0, column: 0 }]);
  });

  test('a function that returns no frame is refused', () => {
    const calls = [{ outputName: 'o', function: 'f', args: {} }];
    expect(codes(compile('def f(): return 5', { ...OPTIONS, calls }))).toEqual(['INVALID_RETURN']);
  });
});

describe('diagnostics', () => {
  test('name the nearest name', () => {
    const suggestions = compile(
      `${FRAME}df.x = df.latncy\npx.displya(df)\npx.DataFrame('htp_events', strat_time='-1m')\ndf.y = df.ctx['srevice']\n`,
      OPTIONS,
    );
    expect(suggestions.diagnostics.map(({ suggestion }) => suggestion)).toEqual([
      "did you mean 'latency'?",
      "did you mean 'display'?",
      "did you mean 'start_time'?",
      "did you mean 'service'?",
    ]);
  });

  test('of a function that is called twice are told once', () => {
    expect(
      compile(`${FRAME}def f(d):\n    return d[d.latncy > 1]\npx.display(f(df))\npx.display(f(df))\n`, OPTIONS)
        .diagnostics,
    ).toHaveLength(1);
  });

  test('name the argument of an export and how to mend it', () => {
    const source = `${FRAME}px.export(df, px.otel.Data(resource={'service.name': 'x'}, data=[px.otel.metric.Gauge(name='a', value=df.latency, attributes={'x': df.latency / 2})]))`;
    const [diagnostic] = compile(source, OPTIONS).diagnostics;
    expect(diagnostic?.message).toContain("data[0].attributes['x']");
    expect(diagnostic?.suggestion).toContain('compute it into a column first');
  });

  test('a mistake does not hide the ones after it, nor cause others', () => {
    const source = `${FRAME}df.a = df.nope\ndf.b = df.a + 1\ndf = df[df.b > 5]\ndf = df.groupby('a').agg(n=('b', px.sum))\ndf.c = df.n + df.missing\npx.display(df)`;
    expect(compile(source, OPTIONS).diagnostics.map(({ line, code }) => [line, code])).toEqual([
      [3, 'UNKNOWN_COLUMN'],
      [7, 'UNKNOWN_COLUMN'],
    ]);
  });
});

test('the rows of a display may be bounded from outside; the header of the script wins', () => {
  const rows = (source: string): number | undefined => {
    const [sink] = compile(source, { ...OPTIONS, rowsMax: 7 }).plan?.sinks ?? [];
    return sink?.kind === 'table' ? sink.rowsMax : undefined;
  };
  expect(rows(`${FRAME}px.display(df)`)).toBe(7);
  expect(rows(`#px:set max_output_rows_per_table=9\n${FRAME}px.display(df)`)).toBe(9);
});

test('outputs list tables, metrics and spans', () => {
  const source = `${FRAME}px.display(df[['latency']], 't')
px.export(df, px.otel.Data(resource={'service.name': 'x'}, data=[
    px.otel.metric.Gauge(name='g', value=df.latency),
    px.otel.trace.Span(name='s', start_time=df.time_, end_time=df.time_),
    px.otel.trace.Span(name=df.req_path, start_time=df.time_, end_time=df.time_)]))`;
  expect(compile(source, OPTIONS).outputs).toEqual([
    { kind: 'table', name: 't', columns: [{ name: 'latency', type: 'INT64', semanticType: 'ST_DURATION_NS' }] },
    { kind: 'metric', name: 'g', columns: [] },
    { kind: 'span', name: 's', columns: [] },
    { kind: 'span', name: '<req_path>', columns: [] },
  ]);
});
