// Which runtime a script belongs to: rendezvous hashing (Thaler and Ravishankar, 1998) of its uid over the ordinals. One
// runtime more takes its share from all others and moves nothing else. Part of what survives an upgrade: never change it.

/** FNV-1a, 32 bits, of the UTF-16 code units' low bytes; uids are ASCII. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ (text.charCodeAt(i) & 0xff), 0x01000193);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The ordinal of 0…`count` − 1 with the highest score. `count` ≥ 1. */
export function ordinalOf(uid: string, count: number): number {
  if (count <= 1) return 0;
  const hash = hashOf(uid);
  let best = 0;
  let highest = -1;
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const score = mixed(hash ^ Math.imul(ordinal + 1, 0x9e3779b1));
    if (score <= highest) continue;
    highest = score;
    best = ordinal;
  }
  return best;
}
