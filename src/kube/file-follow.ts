// A small file whose content changes while we run: a projected service account token, a CA, a client certificate. The kubelet
// replaces them by swinging a symbolic link, so the path is asked, not an open file.
import { readFile, stat } from 'node:fs/promises';

export interface FollowedFile {
  /** The content; looks for a change at most every `LOOK_EVERY_MS`, or now where `fresh`. */
  read(fresh: boolean): Promise<string>;
}

/** client-go reads a token again after a minute. */
const LOOK_EVERY_MS = 60_000;

/** A file that cannot be read keeps its last content; `read` rejects only where there never was one. */
export function followFile(path: string, nowMs: () => number): FollowedFile {
  let content: string | undefined;
  let identity = '';
  let lookedMs = -Infinity;
  let looking: Promise<string> | undefined;

  const look = async (fresh: boolean): Promise<string> => {
    lookedMs = nowMs();
    try {
      const { mtimeMs, ino, size } = await stat(path);
      const now = `${mtimeMs} ${ino} ${size}`;
      if (content === undefined || fresh || now !== identity) {
        content = await readFile(path, 'utf8');
        identity = now;
      }
    } catch (error) {
      if (content === undefined) {
        lookedMs = -Infinity;
        throw error;
      }
    }
    return content;
  };

  return {
    read: (fresh) => {
      if (looking !== undefined) return looking;
      if (content !== undefined && !fresh && nowMs() - lookedMs < LOOK_EVERY_MS) return Promise.resolve(content);
      looking = look(fresh).finally(() => {
        looking = undefined;
      });
      return looking;
    },
  };
}
