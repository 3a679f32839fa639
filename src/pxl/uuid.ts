// UUID text <-> UINT128, most significant first.
import type { Uint128 } from '../model/types.ts';

/** The 128 bits of a UUID in its usual 8-4-4-4-12 form; undefined where the text is none. */
export function parseUuid(text: string): Uint128 | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) return undefined;
  const hex = text.replaceAll('-', '');
  return { high: BigInt(`0x${hex.slice(0, 16)}`), low: BigInt(`0x${hex.slice(16)}`) };
}
