// Functions run from outside, as a vis.json lists them: each returned frame is a table.
import { OUTSIDE } from './diagnostics.ts';
import { display } from './builtins/sinks.ts';
import type { GivenArgument } from './call.ts';
import { type Evaluation, callFunction } from './evaluate.ts';
import { convertArgument } from './script-arguments.ts';
import { didYouMean } from './suggest.ts';
import { describe } from './values.ts';
import { isInvalid } from './wants.ts';

export interface FunctionCall {
  /** Prefix of the tables that it makes. */
  readonly outputName: string;
  readonly function: string;
  readonly args: Readonly<Record<string, string>>;
}

/** Calls each function with its arguments, converted by their annotations, and shows what it returns. */
export function callOutputs(evaluation: Evaluation, calls: readonly FunctionCall[]): void {
  for (const call of calls) callOne(evaluation, call);
}

function callOne(evaluation: Evaluation, call: FunctionCall): void {
  const { session, module } = evaluation;
  const { diagnostics } = session;
  const fn = module.values.get(call.function);
  if (fn?.kind !== 'function') {
    const names = [...module.values].flatMap(([name, value]) => (value.kind === 'function' ? [name] : []));
    diagnostics.report(
      'UNKNOWN_FUNCTION',
      OUTSIDE,
      `the script has no function '${call.function}'`,
      didYouMean(call.function, names),
    );
    return;
  }
  const args: GivenArgument[] = [];
  for (const [name, text] of Object.entries(call.args)) {
    const annotation = fn.annotations.get(name);
    if (annotation !== undefined)
      args.push({ name, at: OUTSIDE, value: convertArgument(diagnostics, name, text, annotation) });
    else if (fn.statement.parameters.some((parameter) => parameter.name === name)) {
      diagnostics.report(
        'ARGUMENT_KIND',
        OUTSIDE,
        `parameter '${name}' of ${call.function} has no type`,
        `write ${name}: str`,
      );
      return;
    } else args.push({ name, at: OUTSIDE, value: { kind: 'none' } });
  }
  const result = callFunction(evaluation, fn, args, OUTSIDE);
  if (isInvalid(result)) return;
  if (result.kind === 'frame') {
    display(session, call.outputName, result.frame);
    return;
  }
  const items = result.kind === 'list' || result.kind === 'tuple' ? result.items : [];
  if (items.length === 0 || items.some(({ value }) => value.kind !== 'frame' && !isInvalid(value))) {
    diagnostics.report(
      'INVALID_RETURN',
      OUTSIDE,
      `${call.function} returns ${describe(result)}, wanted a DataFrame or a list of them`,
    );
    return;
  }
  items.forEach(({ value }, i) => {
    if (value.kind === 'frame') display(session, `${call.outputName}[${i}]`, value.frame);
  });
}
