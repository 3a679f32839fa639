// Collects what the compiler has to say. Repeats (a function called twice) are told once; the number is bounded.
import type { Diagnostic } from '../model/diagnostic.ts';
import { CODES, type Code } from './codes.ts';
import type { SourceText } from './source.ts';

const DIAGNOSTICS_MAX = 100;

/** Position of something that came from outside (arguments): reported as line 0, column 0. */
export const OUTSIDE = -1;

export interface Diagnostics {
  /** `at` is an offset into the source, or OUTSIDE. */
  report(code: Code, at: number, message: string, suggestion?: string): void;
  hasErrors(): boolean;
  /** In the order of the text. */
  list(): readonly Diagnostic[];
}

export function collectDiagnostics(source: SourceText): Diagnostics {
  const found = new Map<string, Diagnostic>();
  let errors = 0;
  return {
    report(code, at, message, suggestion) {
      const { severity } = CODES[code];
      const { line, column } = at === OUTSIDE ? { line: 0, column: 0 } : source.position(at);
      if (severity === 'error') errors++;
      const key = `${line}:${column}:${code}:${message}`;
      if (found.has(key) || found.size >= DIAGNOSTICS_MAX) return;
      const base = { code, severity, message, line, column };
      found.set(key, suggestion === undefined ? base : { ...base, suggestion });
    },
    hasErrors: () => errors > 0,
    list: () => [...found.values()].sort((a, b) => a.line - b.line || a.column - b.column),
  };
}
