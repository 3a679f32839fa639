// What can be wrong with the state folder, told apart so that people know what to do. Nothing is repaired silently: the
// file stays as it is until somebody decides.

export type LedgerErrorCode =
  /** The folder or file cannot be written (rights, read-only mount). */
  | 'StateReadOnly'
  /** The disk, or the file's own limit, is full. The refused change left no trace. */
  | 'StateFull'
  /** Not a ledger, or its pages do not agree. */
  | 'StateCorrupt'
  /** Another process has it open. */
  | 'StateLocked'
  /** Written by a newer Sluice. */
  | 'StateTooNew'
  /** The ledger was closed, or its thread ended. */
  | 'StateClosed'
  /** The disk reported an error; the change may or may not be there. */
  | 'StateIoError';

export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code: LedgerErrorCode;

  constructor(code: LedgerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** SQLite's primary result codes (https://sqlite.org/rescode.html) that say something about the file. */
const BY_RESULT_CODE: Readonly<Record<number, { readonly code: LedgerErrorCode; readonly advice: string }>> = {
  3: { code: 'StateReadOnly', advice: 'access to it is denied; give this user the right to write there' },
  5: { code: 'StateLocked', advice: 'another process uses it; stop that one or choose another state folder' },
  6: { code: 'StateLocked', advice: 'another process uses it; stop that one or choose another state folder' },
  8: { code: 'StateReadOnly', advice: 'it is read-only; give this user the right to write there' },
  10: { code: 'StateIoError', advice: 'the disk reported an error; look at the kernel log' },
  11: {
    code: 'StateCorrupt',
    advice: 'it is damaged; move it away to start with an empty ledger, and keep it for a report',
  },
  13: { code: 'StateFull', advice: 'no space is left; free some and the run is tried again' },
  14: {
    code: 'StateReadOnly',
    advice: 'it cannot be opened or created; check that the folder exists and may be written',
  },
  26: { code: 'StateCorrupt', advice: 'it is not a ledger; move it away to start with an empty one' },
};

/** Our statements are fixed: any other error of theirs means that the file is not as we wrote it. */
const NOT_AS_WRITTEN = {
  code: 'StateCorrupt',
  advice: 'its content is not what was written; move it away to start with an empty ledger, and keep it for a report',
} as const;

/** A value in the file that no version of ours writes. */
export const corruptValue = (what: string, cause?: unknown): LedgerError =>
  new LedgerError('StateCorrupt', `ledger: ${NOT_AS_WRITTEN.advice} (${what})`, cause === undefined ? {} : { cause });

/** Turns what SQLite threw into a LedgerError; anything else (a mistake of ours) is handed back as it is. */
export function ledgerErrorOf(error: unknown, path: string): unknown {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return error;
  const primary = Number(error.errcode) & 0xff;
  const known = BY_RESULT_CODE[primary] ?? NOT_AS_WRITTEN;
  return new LedgerError(
    known.code,
    `ledger ${path}: ${known.advice} (${'message' in error ? String(error.message) : primary})`,
    { cause: error },
  );
}
