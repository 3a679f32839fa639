// What a subcommand is. One file per subcommand; main.ts finds it by name.
import type { Writable } from 'node:stream';

/** The outside world as a subcommand sees it. `signal` aborts on SIGINT and SIGTERM. */
export interface CommandIo {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** One line for the list of subcommands. */
  readonly summary: string;
  /** The whole text of `--help`. */
  readonly help: string;
  /** Exit status: 0 done, 1 the work failed. Throws UsageError for wrong usage (2), any other error for a failure (1). */
  readonly run: (argv: readonly string[], io: CommandIo) => Promise<number>;
}

/** Wrong usage: shown with a pointer to `--help`, exit status 2. */
export class UsageError extends Error {}
