// An immutable table of byte strings: Arrow's Utf8 layout (offsets + bytes), with text decoded at most once per entry.

// A byte order mark is text like any other: without it two different entries would read the same.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export interface StringDictionary {
  readonly length: number;
  /** The raw bytes of entry `code`; a view, not a copy. */
  bytes(code: number): Uint8Array;
  /** Entry `code` as text; invalid UTF-8 reads as U+FFFD. Cached. */
  text(code: number): string;
  /** Bytes of all entries together. */
  readonly byteLength: number;
  /** `length + 1` positions into `data`. */
  readonly offsets: Int32Array;
  readonly data: Uint8Array;
}

/** A dictionary over existing buffers: entry i is `data[offsets[i], offsets[i + 1])`. The buffers must not change afterwards. */
export function dictionaryOf(offsets: Int32Array, data: Uint8Array): StringDictionary {
  const length = offsets.length - 1;
  let texts: (string | undefined)[] | undefined;
  const bytes = (code: number): Uint8Array => data.subarray(offsets[code] ?? 0, offsets[code + 1] ?? 0);
  return {
    length,
    offsets,
    data,
    byteLength: (offsets[length] ?? 0) - (offsets[0] ?? 0),
    bytes,
    text: (code) => {
      texts ??= Array.from({ length });
      return (texts[code] ??= decoder.decode(bytes(code)));
    },
  };
}

const encoder = new TextEncoder();

/** A dictionary of the given texts or byte strings, in their order, repeats kept. */
export function dictionaryFrom(entries: readonly (string | Uint8Array)[]): StringDictionary {
  const encoded = entries.map((entry) => (typeof entry === 'string' ? encoder.encode(entry) : entry));
  const offsets = new Int32Array(encoded.length + 1);
  let end = 0;
  encoded.forEach((piece, i) => {
    end += piece.length;
    offsets[i + 1] = end;
  });
  const data = new Uint8Array(end);
  encoded.forEach((piece, i) => data.set(piece, offsets[i]));
  return dictionaryOf(offsets, data);
}
