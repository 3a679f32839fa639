// Short names for texts that are compared and not read again, to be held by the ten thousand.
import { hash } from 'node:crypto';

/** 16 characters that stand for the text: 96 bits of its sha256. Not a piece of a longer string, which would keep all of it. */
export const digest = (text: string): string => hash('sha256', text, 'buffer').toString('base64url', 0, 12);
