// vis.json beside a script, as Pixie's bundles have it: which functions to call with which arguments, and the variables
// that users set. Proto3 JSON rules: every field may be absent, unknown ones are ignored.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FunctionCall } from '../pxl/function-calls.ts';
import { UsageError } from './command.ts';
import { presetText } from './presets.ts';

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly defaultValue: string | undefined;
}

/** A field by its name in JSON, or as it is called in the proto file: both are legal. */
const field = (value: unknown, key: string): unknown => {
  if (typeof value !== 'object' || value === null) return undefined;
  const snakeCase = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Reflect.get(value, key) ?? Reflect.get(value, snakeCase);
};
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

/** Values that compile, for variables that have none yet. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  PX_BOOLEAN: 'false', PX_INT64: '0', PX_FLOAT64: '0', PX_LIST: '[]', PX_STRING_LIST: '[]',
}; // prettier-ignore

/**
 * Reads `vis.json` in the folder of `script` and binds `args` to its variables. Without one, `args` go to the script. A
 * variable that has neither a value nor a default is an error, or where nothing is run (`onlyCheck`) a placeholder.
 */
export function readVis(
  script: string,
  args: Readonly<Record<string, string>>,
  { onlyCheck = false }: { readonly onlyCheck?: boolean } = {},
): VisCalls {
  const path = join(dirname(script), 'vis.json');
  if (script === '-' || presetText(script) !== undefined || !existsSync(path)) return { calls: [], args };
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
  const globals = list(spec, 'globalFuncs').map((one) => text(one, 'outputName'));
  for (const widget of list(spec, 'widgets')) {
    const shows = text(widget, 'globalFuncOutputName');
    if (shows === undefined) continue;
    if (field(widget, 'func') !== undefined)
      throw new UsageError(`${path}: a widget has both func and globalFuncOutputName`);
    if (!globals.includes(shows))
      throw new UsageError(`${path}: a widget shows "${shows}", and no entry of globalFuncs has that outputName`);
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
    const placeholder = onlyCheck ? (PLACEHOLDERS[variable.type] ?? '') : undefined;
    const value = args[name] ?? variable.defaultValue ?? placeholder;
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
