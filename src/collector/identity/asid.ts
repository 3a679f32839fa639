// The short id that tells this node's processes from those of other nodes in a UPID.
import { createHash } from 'node:crypto';

/** Of a node that numbers itself: `sluice local`, recordings. */
export const ASID_ALONE = 1;

/**
 * The short id of a node of a cluster, from 1 to 2^32 - 1, made from what names the node for good: the name of its Node object,
 * or its uid. No registry hands it out, and it stays the same through restarts. Two nodes may get the same id (one chance in 300
 * with 5,000 nodes); their UPIDs still differ unless process id and start tick are equal too.
 */
export function asidOf(node: string): number {
  return createHash('sha256').update(node).digest().readUInt32BE(0) || ASID_ALONE;
}
