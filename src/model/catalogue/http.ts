// http_events: HTTP/1.x, HTTP/2 and gRPC.
import { LATENCY, integer, protocolColumns, text, type TableDefinition } from './definition.ts';

const HEADERS_BYTES_MAX = 8192;
const BODY_BYTES_MAX = 512;

export const HTTP_EVENTS: TableDefinition = {
  name: 'http_events',
  description: 'HTTP requests with their responses, gRPC calls included',
  kind: 'event',
  filled: true,
  columns: [
    ...protocolColumns('Time of the response'),
    integer('major_version', 'GENERAL_ENUM', 'Major version of HTTP: 1 or 2'),
    integer('minor_version', 'GENERAL_ENUM', 'Minor version: 0 or 1 from the response line, 0 for HTTP/2'),
    integer('content_type', 'GENERAL_ENUM', 'Type of the response: 0 unknown, 1 JSON, 2 gRPC'),
    text('req_headers', 'Request headers as a JSON object', { pattern: 'STRUCTURED', bytesMax: HEADERS_BYTES_MAX }),
    text('req_method', 'Request method as sent', { semanticType: 'ST_HTTP_REQ_METHOD', pattern: 'GENERAL_ENUM' }),
    text('req_path', 'Request target with its query string', { pattern: 'STRUCTURED' }),
    text('req_body', 'Beginning of the request body', { pattern: 'STRUCTURED', bytesMax: BODY_BYTES_MAX }),
    integer('req_body_size', 'METRIC_GAUGE', 'Full size of the request body before any cut', 'ST_BYTES'),
    text('resp_headers', 'Response headers (and trailers) as a JSON object', {
      pattern: 'STRUCTURED',
      bytesMax: HEADERS_BYTES_MAX,
    }),
    integer('resp_status', 'GENERAL_ENUM', 'Status code; -1 where HTTP/2 sent none', 'ST_HTTP_RESP_STATUS'),
    text('resp_message', 'Reason phrase; `OK` for HTTP/2', {
      semanticType: 'ST_HTTP_RESP_MESSAGE',
      pattern: 'STRUCTURED',
    }),
    text('resp_body', 'Beginning of the response body, or why it was left out', {
      pattern: 'STRUCTURED',
      bytesMax: BODY_BYTES_MAX,
    }),
    integer('resp_body_size', 'METRIC_GAUGE', 'Full size of the response body before any cut', 'ST_BYTES'),
    LATENCY,
  ],
};
