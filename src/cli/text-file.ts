// Reading a script or a manifest that somebody named: never more of it than either may have.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { UsageError } from './command.ts';

/** Scripts have at most 256 KiB, manifests some more. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The whole text of a file; `-` is standard input. Reads from pipes and devices too, and stops at the bound.
 * @throws UsageError for a file that is too large; what node:fs throws for one that cannot be read.
 */
export function readTextFile(path: string): string {
  const file = path === '-' ? 0 : openSync(path, 'r');
  try {
    // a folder opens, and reading it is an error that names no file
    if (fstatSync(file).isDirectory()) throw new UsageError(`${path} is a folder; name a file`);
    const chunks: Buffer[] = [];
    for (let size = 0; ;) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const bytes = readSync(file, chunk);
      if (bytes === 0) return Buffer.concat(chunks).toString('utf8');
      size += bytes;
      if (size > FILE_BYTES_MAX) throw new UsageError(`${path} is larger than 4 MiB: no script or manifest is`);
      chunks.push(chunk.subarray(0, bytes));
    }
  } finally {
    if (file !== 0) closeSync(file);
  }
}
