// What is wrong with a file of a source folder: which file, which line, which column, and what would be right.

export interface Place {
  readonly file: string;
  /** 1-based; undefined where the file as a whole is meant. */
  readonly line?: number | undefined;
  readonly column?: string | undefined;
}

export class SourceError extends Error {
  readonly place: Place;

  constructor(place: Place, message: string, cause?: unknown) {
    super(`${formatPlace(place)}: ${message}`, { cause });
    this.name = 'SourceError';
    this.place = place;
  }
}

export const formatPlace = ({ file, line, column }: Place): string =>
  `${file}${line === undefined ? '' : `:${line}`}${column === undefined ? '' : `: column ${column}`}`;
