// The scripts that ship: files of src/presets (or of dist/presets in the image).
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const folder = fileURLToPath(new URL('../presets', import.meta.url));

/** Names of all presets, sorted. */
export const presetNames = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.pxl'))
    .map((name) => name.slice(0, -'.pxl'.length))
    .sort();

/** The text of a preset; undefined where there is none of that name. */
export const presetText = (name: string): string | undefined =>
  presetNames().includes(name) ? readFileSync(join(folder, `${name}.pxl`), 'utf8') : undefined;
