// Where a support bundle goes: a folder, or a tar file that any tar reads (POSIX ustar).
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Bundle {
  /** `path` is relative, with slashes; what could leave the bundle is replaced in it. */
  add(path: string, text: string): void;
  /** After the last file. */
  finish(): void;
  /** Instead of `finish`: a tar file that is not whole goes. */
  discard(): void;
}

const BLOCK = 512;

/** Names come from a server. */
const safe = (path: string): string =>
  path
    .split('/')
    .map((part) => part.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_'))
    .join('/');

/** A header of one file (POSIX.1-2001 ustar). Longer paths are split at a slash, into at most 155 and 100 bytes. */
export function tarHeader(path: string, bytes: number, mtimeMs: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  let [name, prefix] = [path, ''];
  for (let slash = path.indexOf('/'); Buffer.byteLength(name) > 100 && slash >= 0; slash = path.indexOf('/', slash + 1))
    [name, prefix] = [path.slice(slash + 1), path.slice(0, slash)];
  if (Buffer.byteLength(name) > 100 || Buffer.byteLength(prefix) > 155)
    throw new RangeError(`${path} is too long for tar`);
  const octal = (value: number, at: number, digits: number): void =>
    void header.write(`${value.toString(8).padStart(digits, '0')}\0`, at);
  header.write(name, 0);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(bytes, 124, 11);
  octal(Math.floor(mtimeMs / 1000), 136, 11);
  header.write('        0', 148);
  header.write('ustar\u000000', 257);
  header.write(prefix, 345);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  return header;
}

/** The file appears under its name when it is whole. */
function tarBundle(file: string, top: string, nowMs: number): Bundle {
  const partial = `${file}.partial`;
  const descriptor = openSync(partial, 'w', 0o600);
  return {
    add(path, text) {
      const bytes = Buffer.from(text);
      const padding = Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK);
      writeSync(descriptor, Buffer.concat([tarHeader(`${top}/${safe(path)}`, bytes.length, nowMs), bytes, padding]));
    },
    finish() {
      writeSync(descriptor, Buffer.alloc(2 * BLOCK));
      closeSync(descriptor);
      renameSync(partial, file);
    },
    discard() {
      closeSync(descriptor);
      rmSync(partial, { force: true });
    },
  };
}

function folderBundle(folder: string): Bundle {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    add(path, text) {
      const file = join(folder, safe(path));
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, text, { mode: 0o600 });
    },
    finish: () => undefined,
    discard: () => undefined,
  };
}

/** `target` ending in `.tar` is a file, whose folder inside is called `top`; else a folder. */
export const openBundle = (target: string, top: string, nowMs: number): Bundle =>
  target.endsWith('.tar') ? tarBundle(target, top, nowMs) : folderBundle(target);
