// What a destination's refusal means for conditions. A refusal is permanent where the next window would be refused, too,
// because somebody must change something: credentials, rights, address, TLS (operator.md section 1.4). A batch that is
// refused for its content (400, INVALID_ARGUMENT) is lost, but the next one may well be taken.

/** gRPC status names (https://grpc.github.io/grpc/core/md_doc_statuscodes.html), HTTP status numbers, and our own codes. */
const BY_CODE: Readonly<Record<string, string>> = {
  UNAUTHENTICATED: 'Unauthorized',
  401: 'Unauthorized',
  407: 'Unauthorized',
  PERMISSION_DENIED: 'Forbidden',
  403: 'Forbidden',
  UNIMPLEMENTED: 'NotFound',
  404: 'NotFound',
  405: 'NotFound',
  INVALID_ENDPOINT: 'InvalidEndpoint',
  ENDPOINT_FORBIDDEN: 'EndpointForbidden',
  DESTINATION_TYPE_UNAVAILABLE: 'DestinationNotAvailable',
};

/** Codes of Node's TLS errors (https://nodejs.org/api/tls.html, "X509 certificate error codes"). */
const TLS_CODE = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|ERR_SSL_|EPROTO$|HOSTNAME_MISMATCH$)/;

/** The same as OpenSSL says it; grpc-js hands TLS failures on as UNAVAILABLE with such a text. */
const TLS_TEXT =
  /self[- ]signed certificate|unable to (?:verify|get local issuer|get issuer)|certificate has expired|certificate is not yet valid|does not match certificate's altnames|SSL routines|wrong version number|alert (?:bad certificate|certificate|unknown ca|handshake failure|protocol version)/i;

/** A Fault of script-conditions.ts. */
interface DeliveryFault {
  readonly reason: string;
  readonly message: string;
}

/** Reasons of Delivered that nothing but a change takes away. */
export const PERMANENT_REASONS: ReadonlySet<string> = new Set([...Object.values(BY_CODE), 'TLSFailed']);

/**
 * A failed attempt as the fault that Delivered shows. `code` is the stable one of a SendOutcome; `isFinal`: this batch will
 * not be tried again.
 */
export function deliveryFault(
  code: string,
  message: string,
  isFinal: boolean,
): { fault: DeliveryFault; permanent: boolean } {
  const number = /^(?:HTTP[_ ]?)?(\d{3})$/.exec(code)?.[1] ?? code;
  const isTls = TLS_CODE.test(code) || TLS_TEXT.test(message);
  const reason = isTls
    ? 'TLSFailed'
    : ((Object.hasOwn(BY_CODE, number) ? BY_CODE[number] : undefined) ?? (isFinal ? 'Refused' : 'Retrying'));
  const said = message === '' || message.startsWith(code) ? message || code : `${code}: ${message}`;
  return { fault: { reason, message: said }, permanent: PERMANENT_REASONS.has(reason) };
}
