// The protocols that this build understands, in the order in which an undecided connection is offered to them.
import type { Protocol } from './protocol.ts';
import { http } from './http/http.ts';

export const PROTOCOLS: readonly Protocol[] = [http];
