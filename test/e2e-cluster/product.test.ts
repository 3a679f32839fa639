// The product, end to end: two real nodes, `kubectl apply -k config/default`, applications under load, a real OpenTelemetry
// Collector. One cluster for all suites; they run in this order.
import { afterAll, beforeAll, describe } from '@jest/globals';
import { nodesMissing } from '../cluster/cluster.ts';
import { leftovers } from '../cluster/leftovers.ts';
import { otelCollectorMissing } from '../servers/otelcol.ts';
import { captureMissing, skipping } from '../e2e/harness.ts';
import { checksOn } from './checks.ts';
import { startProduct, type Product } from './product.ts';
import { certificateSuites, SHORT_LIVED } from './suites/certificates.ts';
import { credentialsSuites } from './suites/credentials.ts';
import { faultsSuites } from './suites/faults.ts';
import { installationSuite } from './suites/installation.ts';
import { networkSuite } from './suites/network.ts';
import { readinessSuite } from './suites/readiness.ts';
import { removalSuite } from './suites/removal.ts';
import { tableSuite } from './suites/table.ts';
import { truthSuite } from './suites/truth.ts';

const missing = nodesMissing ?? otelCollectorMissing ?? captureMissing;
/** How long nobody leads after a leader's death is no question here. */
const SHORT_LEASE = { leaseDuration: '6s', renewDeadline: '4s', retryPeriod: '1s' };

const suite = skipping('Sluice on real Kubernetes nodes', missing) ? describe.skip : describe;

suite('Sluice on two nodes', () => {
  let product: Product;
  const get = (): Product => product;
  beforeAll(async () => {
    product = await startProduct({ name: 'e2e', settings: { ...SHORT_LIVED, ...SHORT_LEASE } });
  }, 600_000);
  afterAll(async () => {
    await product?.stop();
    const left = product === undefined ? [] : leftovers(product.cluster.dir);
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`);
  }, 120_000);

  const checks = checksOn(get);
  installationSuite(get, checks);
  const certificates = certificateSuites(get, checks);
  certificates.begin();
  truthSuite(get, checks);
  tableSuite(get, checks);
  // before anybody else scrapes metrics
  networkSuite(get, checks);
  const credentials = credentialsSuites(get, checks);
  credentials.begin();
  readinessSuite(get, checks);
  const faults = faultsSuites(get, checks);
  faults.begin();
  credentials.judge();
  certificates.judge();
  faults.judge();
  removalSuite(get, checks);
});
