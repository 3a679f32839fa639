// Name-based UUIDs (RFC 9562 section 5.5).
import { createHash } from 'node:crypto';

/** Namespace of Sluice's own names: a random UUID, fixed for ever. */
const NAMESPACE = Buffer.from('6d1f0c5e7b264f0e9a3c51d8a2f4b96e', 'hex');

/** UUIDv5 of a name. */
export function v5(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
