// Binding of arguments to parameters, the same for functions of the language and of scripts.
import type { Bound, BoundArguments, Builtin, Session, Value } from './values.ts';
import { didYouMean } from './suggest.ts';

export interface GivenArgument extends Bound {
  readonly name?: string;
}

interface Signature {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly required: boolean }[];
  readonly open?: boolean;
}

/** Binds `given`; undefined where that is impossible, which is then reported (all missing names at once). */
export function bind(
  session: Session,
  signature: Signature,
  given: readonly GivenArgument[],
  at: number,
): BoundArguments | undefined {
  const { diagnostics } = session;
  const { name, parameters } = signature;
  const bound = new Map<string, Bound>();
  const extra: (Bound & { readonly name: string })[] = [];
  let ok = true;
  const fail = (
    code: Parameters<typeof diagnostics.report>[0],
    where: number,
    message: string,
    hint?: string,
  ): void => {
    ok = false;
    diagnostics.report(code, where, message, hint);
  };
  let position = 0;
  for (const arg of given) {
    if (arg.name === undefined) {
      const parameter = parameters[position++];
      if (parameter !== undefined) bound.set(parameter.name, arg);
      else if (position === parameters.length + 1) {
        const most = parameters.length === 0 ? 'no positional argument' : `at most ${parameters.length}`;
        fail('TOO_MANY_ARGUMENTS', arg.at, `${name} takes ${most}`);
      }
      continue;
    }
    const known = parameters.some((parameter) => parameter.name === arg.name);
    if (!known && signature.open === true) {
      if (extra.some((other) => other.name === arg.name))
        fail('DUPLICATE_ARGUMENT', arg.at, `'${arg.name}' is given twice`);
      extra.push({ ...arg, name: arg.name });
    } else if (!known) {
      const names = parameters.map((parameter) => parameter.name);
      const hint =
        didYouMean(arg.name, names) ?? (names.length === 0 ? undefined : `parameters are ${names.join(', ')}`);
      fail('UNKNOWN_KEYWORD', arg.at, `${name} has no parameter '${arg.name}'`, hint);
    } else if (bound.has(arg.name)) {
      fail('DUPLICATE_ARGUMENT', arg.at, `'${arg.name}' is given twice`);
    } else bound.set(arg.name, arg);
  }
  const missing = parameters.filter((parameter) => parameter.required && !bound.has(parameter.name));
  if (missing.length > 0 && ok) {
    fail('MISSING_ARGUMENT', at, `${name} needs ${missing.map((parameter) => `'${parameter.name}'`).join(', ')}`);
  }
  return ok ? { get: (parameter) => bound.get(parameter), extra } : undefined;
}

/** A built-in function. Parameters that end in `?` may be left out. */
export const builtin = (name: string, parameters: readonly string[], run: Builtin['run'], open = false): Builtin => ({
  kind: 'builtin',
  name,
  parameters: parameters.map((text) => ({ name: text.replace(/\?$/, ''), required: !text.endsWith('?') })),
  open,
  run,
});

export const isNone = (value: Value | undefined): boolean => value === undefined || value.kind === 'none';
