// What the compiler says to people and to programs. Data only; printing happens at the command line.

export type Severity = 'error' | 'warning';

/** Positions are 1-based; line 0, column 0 is the call itself (arguments from outside). */
export interface Diagnostic {
  /** Stable, UPPER_SNAKE, documented in docs/errors.md. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly line: number;
  readonly column: number;
  readonly suggestion?: string;
}
