// URIs, request paths, SQL texts, personal data, and the functions that need trained models.
import type { FunctionSignature } from '../signature.ts';
import { scalar, unavailable } from './build.ts';

export const URIS: readonly FunctionSignature[] = [
  scalar('uri_parse', 'S>S', 'Parts of a URI as JSON'),
  scalar('uri_recompose', 'SSSISSS>S', 'A URI from scheme, user info, host, port, path, query and fragment'),
  scalar('http_route', 'S>S', 'Request path without query, with identifiers replaced by {id}'),
  scalar('_match_endpoint', 'SS>B', 'Whether a request path fits a template whose parts may be *'),
];

export const TEXT_ANALYSIS: readonly FunctionSignature[] = [
  unavailable('normalize_pgsql', 'SS>S', 'SQL with constants taken out (PostgreSQL), as JSON'),
  unavailable('normalize_mysql', 'SI>S', 'SQL with constants taken out (MySQL), as JSON'),
  unavailable('redact_pii_best_effort', 'S>S', 'Text with personal data replaced'),
  unavailable('_predict_request_path_cluster', 'SS>S', 'The cluster of request paths that a path belongs to'),
  unavailable('_text_embedding', 'S>S', 'Vector of a text, by a language model'),
  unavailable('_encode_sentence_piece', 'S>S', 'Token ids of a text, by a language model'),
  unavailable('_kmeans_inference', 'SS>I', 'Index of the nearest centroid'),
];
