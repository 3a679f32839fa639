// The scripts that were compiled and may be run by their hash. Texts are kept up to a bound; whose text is gone is asked
// for again (`unknown script`).
import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  readonly args: Readonly<Record<string, string>>;
}

export interface Scripts {
  /** Keeps the script and returns its hash. */
  keep(script: Script): string;
  find(hash: string): Script | undefined;
}

const TEXT_LENGTH_MAX = 64 * 2 ** 20;

/** sha256 over text and arguments, whatever order the arguments were given in. */
export function scriptHashOf({ text, args }: Script): string {
  const sorted = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([text, sorted]))
    .digest('hex');
}

export function createScripts(lengthMax = TEXT_LENGTH_MAX): Scripts {
  const kept = new Map<string, Script>();
  let length = 0;
  return {
    keep(script) {
      const hash = scriptHashOf(script);
      if (!kept.has(hash)) length += script.text.length;
      kept.delete(hash);
      kept.set(hash, script);
      for (const [oldest, { text }] of kept) {
        if (length <= lengthMax || oldest === hash) break;
        kept.delete(oldest);
        length -= text.length;
      }
      return hash;
    },
    find(hash) {
      const script = kept.get(hash);
      if (script === undefined) return undefined;
      kept.delete(hash);
      kept.set(hash, script);
      return script;
    },
  };
}
