// A failure of the work as one text for standard error: what somebody can act on says what and where; a fault of ours
// also shows where in the code.
import { RunFailure } from '../runtime/outcome.ts';

/** Errors of these names that carry no code of the system's were not foreseen. */
const UNFORESEEN = ['Error', 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'AssertionError'];

/** The text of what a subcommand threw. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof RunFailure) return `${error.code}: ${error.message}`;
  return !('code' in error) && UNFORESEEN.includes(error.name) ? String(error.stack) : error.message;
}
