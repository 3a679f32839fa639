// Addresses that no destination may have, because they lead back to us, to a link, to many, or to credentials: IANA's
// special-purpose registries (RFC 6890), and the metadata services of clouds by their documentation. One list for the
// runtime, which refuses them itself, and for its NetworkPolicy, which holds also where the runtime is broken.

export interface RefusedRange {
  readonly cidr: string;
  /** What the address is, as users are told. */
  readonly what: string;
  /** Who says so. */
  readonly source: string;
}

const METADATA = "the cloud's metadata service";

/** The narrower comes before the range that it lies in: its name says more. */
export const REFUSED_RANGES: readonly RefusedRange[] = [
  { cidr: '169.254.169.254/32', what: METADATA, source: 'AWS, Azure, Google Cloud, Oracle, OpenStack and others' },
  { cidr: '169.254.170.2/32', what: METADATA, source: 'Amazon ECS, credentials of a task' },
  { cidr: '169.254.170.23/32', what: METADATA, source: 'Amazon EKS Pod Identity' },
  { cidr: '100.100.100.200/32', what: METADATA, source: 'Alibaba Cloud' },
  { cidr: '168.63.129.16/32', what: METADATA, source: 'Azure, WireServer' },
  { cidr: '192.0.0.192/32', what: METADATA, source: 'Oracle Cloud Classic' },
  { cidr: 'fd00:ec2::254/128', what: METADATA, source: 'Amazon EC2 over IPv6' },
  { cidr: 'fd00:ec2::23/128', what: METADATA, source: 'Amazon EKS Pod Identity over IPv6' },
  { cidr: 'fd20:ce::254/128', what: METADATA, source: 'Google Cloud over IPv6' },
  { cidr: '0.0.0.0/8', what: 'an unspecified address', source: 'RFC 791 section 3.2' },
  { cidr: '127.0.0.0/8', what: 'a loopback address', source: 'RFC 1122 section 3.2.1.3' },
  { cidr: '169.254.0.0/16', what: 'a link-local address', source: 'RFC 3927' },
  { cidr: '224.0.0.0/4', what: 'a multicast address', source: 'RFC 5771' },
  { cidr: '240.0.0.0/4', what: 'a reserved address', source: 'RFC 1112 section 4' },
  { cidr: '::/128', what: 'an unspecified address', source: 'RFC 4291 section 2.5.2' },
  { cidr: '::1/128', what: 'a loopback address', source: 'RFC 4291 section 2.5.3' },
  { cidr: 'fe80::/10', what: 'a link-local address', source: 'RFC 4291 section 2.5.6' },
  { cidr: 'fec0::/10', what: 'a site-local address', source: 'RFC 3879' },
  { cidr: 'ff00::/8', what: 'a multicast address', source: 'RFC 4291 section 2.7' },
];
