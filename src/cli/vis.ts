// vis.json beside a script, as Pixie's bundles have it: which functions to call with which arguments, and the variables
// that users set. Proto3 JSON rules: every field may be absent, unknown ones are ignored.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FunctionCall } from '../pxl/function-calls.ts';
import { UsageError } from './command.ts';

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly defaultValue: string | undefined;
}

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
const list = (value: unknown, key: string): unknown[] => {
  const found = field(value, key);
  return Array.isArray(found) ? found : [];
};
const text = (value: unknown, key: string): string | undefined => {
  const found = field(value, key);
  return typeof found === 'string' ? found : undefined;
};

/** A comma-separated list becomes a PxL list, unless it is one already. */
const listText = (value: string): string =>
  value.trim().startsWith('[')
    ? value
    : `[${value
        .split(',')
        .map((item) => JSON.stringify(item.trim()))
        .join(', ')}]`;

export interface VisCalls {
  readonly calls: readonly FunctionCall[];
  /** Arguments of the script itself: those that are no variables. Only without functions. */
  readonly args: Readonly<Record<string, string>>;
}

/** Reads `vis.json` in the folder of `script` and binds `args` to its variables. Without one, `args` go to the script. */
export function readVis(script: string, args: Readonly<Record<string, string>>): VisCalls {
  const path = join(dirname(script), 'vis.json');
  if (script === '-' || !existsSync(path)) return { calls: [], args };
  let spec: unknown;
  try {
    spec = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : 'is no JSON'}`);
  }
  const functions = [
    ...list(spec, 'globalFuncs').map((one) => ({ prefix: text(one, 'outputName') ?? '', func: field(one, 'func') })),
    ...list(spec, 'widgets')
      .filter((one) => field(one, 'func') !== undefined)
      .map((one) => ({ prefix: text(one, 'name') ?? 'widget', func: field(one, 'func') })),
  ];
  if (functions.length === 0) return { calls: [], args };
  for (const widget of list(spec, 'widgets')) {
    if (field(widget, 'func') !== undefined && text(widget, 'globalFuncOutputName') !== undefined) {
      throw new UsageError(`${path}: a widget has both func and globalFuncOutputName`);
    }
  }
  const variables = list(spec, 'variables').map((one): Variable => ({
    name: text(one, 'name') ?? '',
    type: text(one, 'type') ?? '',
    defaultValue: text(one, 'defaultValue'),
  }));
  const shown = variables.map(({ name, type }) => `${name} (${type})`).join(', ') || 'none';
  for (const name of Object.keys(args)) {
    if (!variables.some((variable) => variable.name === name)) {
      throw new UsageError(`--arg ${name}: ${path} has no such variable; it has ${shown}`);
    }
  }
  const valueOf = (name: string): string => {
    const variable = variables.find((one) => one.name === name);
    if (variable === undefined) throw new UsageError(`${path}: variable "${name}" is not declared`);
    const value = args[name] ?? variable.defaultValue;
    if (value === undefined) throw new UsageError(`--arg ${name}=… is required; variables are ${shown}`);
    return variable.type === 'PX_STRING_LIST' ? listText(value) : value;
  };
  const calls = functions.map(({ prefix, func }): FunctionCall => {
    const bound = list(func, 'args').map((one) => {
      const variable = text(one, 'variable');
      return [
        text(one, 'name') ?? '',
        variable === undefined ? (text(one, 'value') ?? '') : valueOf(variable),
      ] as const;
    });
    return { outputName: prefix, function: text(func, 'name') ?? '', args: Object.fromEntries(bound) };
  });
  return { calls, args: {} };
}
