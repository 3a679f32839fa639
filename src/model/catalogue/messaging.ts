// Tables of messaging and naming protocols: DNS, NATS, Kafka, Mux, AMQP, and TLS handshakes.
import { LATENCY, endpointColumns, integer, protocolColumns, text, type TableDefinition } from './definition.ts';

export const DNS_EVENTS: TableDefinition = {
  name: 'dns_events',
  description: 'DNS queries with their answers',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    text('req_header', 'Header fields of the query as a JSON object'),
    text('req_body', 'Queries as a JSON object'),
    text('resp_header', 'Header fields of the answer as a JSON object'),
    text('resp_body', 'Answers as a JSON object'),
    LATENCY,
  ],
};

export const NATS_EVENTS: TableDefinition = {
  name: 'nats_events.beta',
  description: 'NATS messages',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the message'),
    text('cmd', 'Command word, e.g. PUB'),
    text('body', 'Fields of the message as a JSON object', { pattern: 'STRUCTURED' }),
    text('resp', '`+OK`, `-ERR` or empty'),
  ],
};

const KAFKA_CLIENT_BYTES_MAX = 512;
const KAFKA_BODY_BYTES_MAX = 65_536;

export const KAFKA_EVENTS: TableDefinition = {
  name: 'kafka_events.beta',
  description: 'Kafka requests with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the request'),
    integer('req_cmd', 'GENERAL_ENUM', 'API key, e.g. 0 for Produce; see px.kafka_api_key_name'),
    text('client_id', 'Client id of the request header', { bytesMax: KAFKA_CLIENT_BYTES_MAX }),
    text('req_body', 'Request as a JSON object', { bytesMax: KAFKA_BODY_BYTES_MAX }),
    text('resp', 'Response as a JSON object', { bytesMax: KAFKA_BODY_BYTES_MAX }),
    LATENCY,
  ],
};

export const MUX_EVENTS: TableDefinition = {
  name: 'mux_events',
  description: 'Mux (Finagle) requests with their responses',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the response'),
    integer('req_type', 'GENERAL_ENUM', 'Message type, e.g. 2 for Tdispatch; see px.mux_frame_type_name'),
    LATENCY,
  ],
};

export const AMQP_EVENTS: TableDefinition = {
  name: 'amqp_events',
  description: 'AMQP 0-9-1 methods and content; asynchronous ones have one side only',
  kind: 'event',
  filled: false,
  columns: [
    ...protocolColumns('Time of the later of request and response'),
    integer('frame_type', 'GENERAL', '1 method, 2 content header, 3 content body, 8 heartbeat'),
    integer('channel', 'GENERAL', 'Channel number'),
    integer('req_class_id', 'GENERAL', 'Class of the request; 0 where there is none'),
    integer('req_method_id', 'GENERAL', 'Method of the request; 0 where there is none'),
    integer('resp_class_id', 'GENERAL', 'Class of the response; 0 where there is none'),
    integer('resp_method_id', 'GENERAL', 'Method of the response; 0 where there is none'),
    text('req_msg', 'Fields of the request as a JSON object'),
    text('resp_msg', 'Fields of the response as a JSON object'),
    LATENCY,
  ],
};

export const TLS_EVENTS: TableDefinition = {
  name: 'tls_events',
  description: 'TLS handshakes',
  kind: 'event',
  filled: false,
  columns: [
    ...endpointColumns('Time of the response'),
    integer('req_type', 'GENERAL_ENUM', 'Record content type, e.g. 22 for a handshake'),
    text('req_body', 'Extensions of the client hello as a JSON object', { pattern: 'STRUCTURED' }),
    text('resp_body', 'Extensions of the server hello as a JSON object', { pattern: 'STRUCTURED' }),
    LATENCY,
  ],
};
