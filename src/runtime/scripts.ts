// The scripts that were compiled and may be run by their hash. Texts are kept up to a bound; whose text is gone is asked
// for again (`unknown script`).
import { createHash } from 'node:crypto';
import type { CompileResult } from '../model/run.ts';

export interface Script {
  readonly text: string;
  readonly args: Readonly<Record<string, string>>;
}

export interface Scripts {
  /** Keeps a script that compiles, and what compiling it said. */
  keep(script: Script, compiled: CompileResult): void;
  find(hash: string): KeptScript | undefined;
}

export interface KeptScript extends Script {
  readonly compiled: CompileResult;
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
  const kept = new Map<string, KeptScript>();
  let length = 0;
  return {
    keep(script, compiled) {
      const hash = compiled.scriptHash;
      if (!kept.has(hash)) length += script.text.length;
      kept.delete(hash);
      kept.set(hash, { ...script, compiled });
      for (const [oldest, { text }] of kept) {
        if (length <= lengthMax || oldest === hash) break;
        kept.delete(oldest);
        length -= text.length;
      }
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
