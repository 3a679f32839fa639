// Networks and the names of protocol codes.
import type { FunctionSignature } from '../signature.ts';
import { scalar, unavailable } from './build.ts';

export const NETWORK: readonly FunctionSignature[] = [
  scalar('nslookup', 'S>S', 'Host name of an address; the address itself where there is none (no lookup is made)'),
  scalar('cidrs_contain_ip', 'SS>B', 'Whether a JSON array of CIDR ranges contains an address'),
  unavailable('shared_libraries', 'U>S', 'Files that a process has mapped'),
];

export const CODE_NAMES: readonly FunctionSignature[] = [
  scalar('protocol_name', 'I>S', 'Name of a traffic protocol'),
  scalar('http_resp_message', 'I>S', 'Reason phrase of an HTTP status'),
  scalar('grpc_status_code_to_str', 'I>S', 'Name of a gRPC status'),
  scalar('kafka_api_key_name', 'I>S', 'Name of a Kafka API key'),
  scalar('mysql_command_name', 'I>S', 'Name of a MySQL command'),
  scalar('cql_opcode_name', 'I>S', 'Name of a CQL opcode'),
  scalar('dns_rcode_name', 'I>S', 'Name of a DNS response code'),
  scalar('amqp_frame_type_name', 'I>S', 'Name of an AMQP frame type'),
  scalar('amqp_method_name', 'II>S', 'Name of an AMQP class and method'),
  scalar('mux_frame_type_name', 'I>S', 'Name of a Mux frame type'),
];
