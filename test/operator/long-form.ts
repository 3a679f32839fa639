// `make test` runs what takes minutes in a short form; `make faults` runs it whole.

/** As long and as often as it takes to believe it. */
export const IS_LONG_FORM = process.env['SLUICE_FAULTS'] === 'long';
