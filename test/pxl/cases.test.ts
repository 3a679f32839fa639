// Scripts with their plans or diagnostics, from the text files beside this one. UPDATE_GOLDEN=1 rewrites the plans.
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { checkPlan } from '../../src/plan/check.ts';
import { decodePlan, encodePlan } from '../../src/plan/codec.ts';
import { printPlan } from '../../src/plan/print.ts';
import { CODES, type Code } from '../../src/pxl/codes.ts';
import { compile } from '../../src/pxl/compile.ts';
import { type Case, SEPARATOR, readCases } from './case-file.ts';

const FILES = globSync(join(import.meta.dirname, '*.txt')).sort();
const UPDATE = process.env['UPDATE_GOLDEN'] === '1';

const shown = ({
  source,
  options,
}: Case): { readonly diagnostics: readonly string[]; readonly plan: string | undefined } => {
  const { plan, diagnostics } = compile(source, options);
  return {
    diagnostics: diagnostics.map(({ severity, line, column, code }) => `${severity} ${line}:${column} ${code}`),
    plan: plan === undefined ? undefined : printPlan(plan),
  };
};

describe.each(FILES)('%s', (file) => {
  const cases = readCases(file);
  if (UPDATE) {
    const texts = cases.map((each) =>
      each.plan === undefined ? each.head : `${each.head}\n${(shown(each).plan ?? '').trimEnd()}`,
    );
    writeFileSync(file, `${texts.join(SEPARATOR)}\n`);
  }

  test.each(readCases(file).map((each) => [each.title, each] as const))('%s', (_, each) => {
    const { diagnostics, plan } = shown(each);
    expect(diagnostics).toEqual(each.diagnostics);
    if (each.plan !== undefined) expect(plan).toBe(each.plan);
    const hasErrors = each.diagnostics.some((line) => line.startsWith('error'));
    expect(plan === undefined).toBe(hasErrors);
  });

  test.each(cases.map((each) => [each.title, each] as const))(
    'what compiles fits together and survives the wire: %s',
    (_, each) => {
      const { plan } = compile(each.source, each.options);
      if (plan === undefined) return;
      expect(checkPlan(plan)).toEqual([]);
      expect(decodePlan(encodePlan(plan))).toEqual(plan);
      expect(printPlan(decodePlan(encodePlan(plan)))).toBe(printPlan(plan));
    },
  );
});

test('every code that a script can provoke has a case', () => {
  const given = new Set(FILES.flatMap(readCases).flatMap((each) => each.diagnostics.map((line) => line.split(' ')[2])));
  // Provoked by calls or limits, in compile.test.ts.
  const elsewhere = new Set<Code>([
    'UNKNOWN_FUNCTION',
    'SOURCE_TOO_LARGE',
    'COMPILE_TIMEOUT',
    'PLAN_TOO_LARGE',
    'EXPRESSION_TOO_LARGE',
    'INTERNAL_ERROR',
  ]);
  const codes = Object.keys(CODES).filter((code) => !(elsewhere as Set<string>).has(code));
  expect(codes.filter((code) => !given.has(code))).toEqual([]);
});
