import { describe, expect, test } from '@jest/globals';
import { referencesOf, resolveDestination, type KeyLookup } from '../../src/controllers/otelplugin/resolve.ts';
import { ownedScripts } from '../../src/controllers/otelplugin/presets.ts';
import { secretGrantCommands } from '../../src/crds/secret-access.ts';
import { validateOtelPlugin } from '../../src/crds/validate.ts';
import type { OtelPlugin } from '../../src/crds/otel-plugin.ts';

const pluginOf = (destination: object, spec: object = {}): OtelPlugin => {
  const result = validateOtelPlugin({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'OtelPlugin',
    metadata: { name: 'backend', namespace: 'shop' },
    spec: { destination: { type: 'OTLPGRPC', endpoint: 'otel:4317', ...destination }, ...spec },
  });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.value;
};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const lookup: KeyLookup = (kind, name) => {
  if (kind === 'Secret' && name === 'backend') {
    return new Map([
      ['token', bytes('s3cret\n')],
      ['user', bytes('me')],
      ['broken', bytes('a\nb')],
      ['binary', new Uint8Array([0xff, 0xfe])],
      ['long', bytes('x'.repeat(16_385))],
    ]);
  }
  if (kind === 'Secret' && name === 'pair')
    return new Map([
      ['tls.crt', bytes('CERT')],
      ['tls.key', bytes('KEY')],
    ]);
  if (kind === 'Secret' && name === 'secret-of-others') return 'forbidden';
  if (kind === 'Secret' && name === 'slow') return 'pending';
  return kind === 'ConfigMap' && name === 'ca' ? new Map([['ca.crt', bytes('PEM')]]) : 'absent';
};
const ref = (key: string, name = 'backend') => ({ secretKeyRef: { name, key } });

describe('a destination', () => {
  test('gets every value that its references name', () => {
    const result = resolveDestination(
      pluginOf({
        headers: [
          { name: 'X-Team', value: 'a' },
          { name: 'api-key', valueFrom: ref('token') },
        ],
        auth: { basic: { username: ref('user'), password: ref('token') } },
        tls: {
          ca: { configMapKeyRef: { name: 'ca', key: 'ca.crt' } },
          clientCertificate: { secretRef: { name: 'pair' } },
          serverName: 'x',
        },
        timeout: '2s',
      }),
      lookup,
    );
    expect(result).toEqual({
      ok: true,
      destination: {
        type: 'OTLPGRPC',
        endpoint: 'otel:4317',
        headers: [
          { name: 'x-team', value: 'a' },
          { name: 'api-key', value: 's3cret' },
          { name: 'authorization', value: `Basic ${Buffer.from('me:s3cret').toString('base64')}` },
        ],
        tls: {
          mode: 'TLS',
          insecureSkipVerify: false,
          serverName: 'x',
          ca: 'PEM',
          clientCertificate: { certificate: 'CERT', key: 'KEY' },
        },
        compression: 'gzip',
        timeoutMs: 2000,
        resourceAttributes: {},
      },
    });
  });

  test.each([
    [
      'a Secret that is not there',
      { auth: { bearer: ref('token', 'other') } },
      'SecretNotFound',
      /Secret "other" is not there/,
    ],
    ['a key that is not there', { auth: { bearer: ref('tokn') } }, 'KeyNotFound', /no key "tokn"/],
    ['a value with a control character', { auth: { bearer: ref('broken') } }, 'InvalidValue', /control character/],
    ['more than a header can be', { auth: { bearer: ref('long') } }, 'InvalidValue', /more than 16384 characters/],
    ['binary rubbish', { auth: { bearer: ref('binary') } }, 'InvalidValue', /not text/],
    [
      'a type that is not in this version',
      { type: 'Zipkin', endpoint: 'http://z' },
      'DestinationNotAvailable',
      /OTLPGRPC, Console/,
    ],
  ])('with %s says what to do', (_, destination, reason, message) => {
    const result = resolveDestination(pluginOf(destination), lookup);
    expect(result).toMatchObject({ ok: false, fault: { reason, message: expect.stringMatching(message) } });
    expect(JSON.stringify(result)).not.toContain('s3cret');
  });

  test('takes the scheme of its endpoint for its transport', () => {
    const of = (endpoint: string) => resolveDestination(pluginOf({ endpoint }), lookup);
    expect(of('http://otel:4317')).toMatchObject({
      destination: { endpoint: 'otel:4317', tls: { mode: 'Plaintext' } },
    });
    expect(of('https://otel:4317/')).toMatchObject({ destination: { endpoint: 'otel:4317', tls: { mode: 'TLS' } } });
  });
});

test("a plugin's presets are scripts of its own namespace, named after both", () => {
  const [script] = ownedScripts(pluginOf({}, { presets: { include: ['http-metrics'] } }), 'shop');
  expect(script).toMatchObject({
    metadata: { name: 'backend-http-metrics', namespace: 'shop' },
    spec: { pluginRef: { name: 'backend' }, script: { preset: 'http-metrics' }, window: '10s' },
  });
});

describe('references', () => {
  const many = pluginOf({
    headers: [
      { name: 'X-Team', value: 'a' },
      { name: 'api-key', valueFrom: ref('token', 'one') },
    ],
    auth: { bearer: ref('token', 'two') },
    tls: { ca: { configMapKeyRef: { name: 'ca', key: 'ca.crt' } }, clientCertificate: { secretRef: { name: 'pair' } } },
  });

  test('are all named, each once', () => {
    expect(referencesOf(many.spec)).toEqual({ secrets: ['one', 'two', 'pair'], configMaps: ['ca'] });
    expect(referencesOf(pluginOf({}).spec)).toEqual({ secrets: [], configMaps: [] });
  });

  test('to a Secret that the operator may not read end with the two commands that allow it', () => {
    const result = resolveDestination(pluginOf({ auth: { bearer: ref('token', 'secret-of-others') } }), lookup, {
      namespace: 'shop',
      operatorNamespace: 'sluice-system',
    });
    expect(result).toMatchObject({ condition: 'credentials', fault: { reason: 'SecretForbidden' } });
    const { message } = 'fault' in result ? result.fault : { message: '' };
    const [role, binding] = secretGrantCommands('shop', 'secret-of-others', 'sluice-system');
    expect(message).toContain(role);
    expect(message).toContain(binding);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(512);
  });

  test('that are not answered yet are not missing', () => {
    const result = resolveDestination(pluginOf({ auth: { bearer: ref('token', 'slow') } }), lookup);
    expect(result).toMatchObject({ condition: 'credentials', fault: { reason: 'Pending' } });
  });
});
