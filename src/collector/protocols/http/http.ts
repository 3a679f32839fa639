// HTTP/1.0 and HTTP/1.1: requests and responses of one connection as rows of `http_events`.
import type { Protocol } from '../protocol.ts';
import { HeadCache } from './head-cache.ts';
import { guessResponse, opensWithRequest } from './start-line.ts';
import { HttpTracker } from './tracker.ts';

function createHttp(): Protocol {
  const cache = new HeadCache();
  return {
    id: 1,
    name: 'HTTP',
    table: 'http_events',
    classify(payload) {
      if (guessResponse(payload, 0, payload.length) === 'yes') return 'response';
      return opensWithRequest(payload) ? 'request' : undefined;
    },
    start: (role, sink, fromOpen = false) => new HttpTracker(role, sink, cache, fromOpen),
  };
}

/**
 * Values of an exchange, behind the eight columns of the header: major_version, minor_version, content_type, req_headers,
 * req_method, req_path, req_body, req_body_size, resp_headers, resp_status, resp_message, resp_body, resp_body_size,
 * latency. The row's time is that of the message with the response's last byte; latency counts from that with the
 * request's last byte and is never negative.
 */
export const http: Protocol = createHttp();
