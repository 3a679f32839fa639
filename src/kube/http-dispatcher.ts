// Of undici only what speaks HTTP/1.1 to one server. Its index brings fetch, caches, mocks and WebSockets along, which is 10 MB. The
// version is pinned, and whatever of these paths went
// missing would end every test of this folder.
import { createRequire } from 'node:module';
import type { Agent, buildConnector, Dispatcher } from 'undici';

const require = createRequire(import.meta.url);

/* eslint-disable typescript/no-unsafe-type-assertion -- parts of a package that types only its index */
export const HttpAgent = require('undici/lib/dispatcher/agent') as typeof Agent;
export const makeConnector = require('undici/lib/core/connect') as (
  options: buildConnector.BuildOptions,
) => buildConnector.connector;
const api = require('undici/lib/api') as {
  readonly request: (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;
};
/* eslint-enable typescript/no-unsafe-type-assertion */

/** Resolves with the head of the answer; its body is still to be read or dumped. */
export const requestOn = (
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData> => api.request.call(dispatcher, options);
