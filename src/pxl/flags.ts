// `#px:set key=value` lines.
import type { Diagnostics } from './diagnostics.ts';
import { didYouMean } from './suggest.ts';

export interface Flags {
  /** Rows of a displayed table; undefined where the script does not say. Exports have no such bound. */
  readonly rowsMax: number | undefined;
}

const KEYS = ['max_output_rows_per_table', 'explain', 'analyze'];

export function readFlags(
  comments: readonly { readonly at: number; readonly text: string }[],
  diagnostics: Diagnostics,
): Flags {
  let rowsMax: number | undefined;
  for (const { at, text } of comments) {
    if (!text.startsWith('#px:set')) continue;
    const match = /^#px:set ([A-Za-z_]+)=(\S+)\s*$/.exec(text);
    const [, key = '', value = ''] = match ?? [];
    if (match === null)
      diagnostics.report('INVALID_FLAG', at, 'a flag line has the form #px:set key=value, with one space');
    else if (!KEYS.includes(key))
      diagnostics.report('INVALID_FLAG', at, `there is no flag '${key}'`, didYouMean(key, KEYS));
    else if (key !== 'max_output_rows_per_table') {
      if (!/^(?:true|false)$/i.test(value)) diagnostics.report('INVALID_FLAG', at, `${key} must be true or false`);
      else if (value.toLowerCase() === 'true')
        diagnostics.report('FLAG_IGNORED', at, `${key} has no effect in this build`);
    } else if (/^[1-9]\d{0,8}$/.test(value)) rowsMax = Number(value);
    else diagnostics.report('INVALID_FLAG', at, `${key} must be 1 to 999999999`);
  }
  return { rowsMax };
}
