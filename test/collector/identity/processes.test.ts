import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createProcesses } from '../../../src/collector/identity/processes.ts';
import { createPodMetadata } from '../../../src/collector/identity/cluster.ts';
import type { Processes } from '../../../src/collector/identity/processes.ts';
import { parseIdentityRules } from '../../../src/collector/identity/rules.ts';
import { createMetrics } from '../../../src/collector/metrics.ts';
import { UNKNOWN_PROCESS } from '../../../src/model/identity.ts';
import { packUpid } from '../../../src/model/upid.ts';
import { cgroupOf, containerOf, pod, service, uidOf } from './objects.ts';

const HOUR = 3600e9;
const upid = (pid = 10, ticks = 5n) => packUpid(1, pid, ticks);
const frame = (more = {}) => ({
  ktime: 0,
  isExec: false,
  tgid: 10,
  parentTgid: 1,
  startTicks: 5,
  uid: 0,
  comm: 'node',
  exe: '/usr/bin/node',
  cgroup: '/user.slice',
  cmdline: 'node\0/srv/cart.js\0',
  ...more,
});
const make = (rules = ''): Processes =>
  createProcesses({
    node: () => 'box',
    rules: parseIdentityRules(rules, 'who.ndjson'),
    metrics: createMetrics(),
    asid: 1,
  });

describe('a process of a host without Kubernetes', () => {
  test('is a pod of its service in the namespace host', () => {
    const processes = make();
    processes.update(frame());
    expect(processes.process(upid())).toMatchObject({
      cmdline: 'node /srv/cart.js',
      namespace: 'host',
      services: ['host/cart.js'],
      pod: 'host/cart.js-10',
      node: 'box',
      hostname: 'box',
    });
    expect(processes.podByName('host/cart.js-10')).toBe(processes.process(upid()));
  });

  test('takes the name of its systemd service', () => {
    const processes = make();
    processes.update(frame({ cgroup: '/system.slice/shop.service' }));
    expect(processes.process(upid())).toMatchObject({ services: ['host/shop'], pod: 'host/shop-10' });
  });

  test('gets another name when it executes another program', () => {
    const processes = make();
    processes.update(frame({ exe: '/bin/bash', cmdline: 'bash' }));
    expect(processes.process(upid())?.services).toEqual(['host/bash']);
    processes.update(frame());
    expect(processes.process(upid())?.services).toEqual(['host/cart.js']);
  });

  test('is not another one that had or gets its number', () => {
    const processes = make();
    processes.update(frame());
    processes.update(frame({ startTicks: 900, exe: '/bin/other', cmdline: 'other' }));
    expect(processes.process(upid(10, 5n))?.services).toEqual(['host/cart.js']);
    expect(processes.process(upid(10, 900n))?.services).toEqual(['host/other']);
    expect(processes.process(upid(10, 901n))).toBeUndefined();
    expect(processes.process(packUpid(2, 10, 5n))).toBeUndefined();
  });

  test('whose end nobody saw ends with the next life of its number', () => {
    const processes = make();
    processes.update(frame());
    processes.update(frame({ startTicks: 900 }));
    processes.tick(25 * HOUR);
    expect(processes.process(upid(10, 5n))).toBeUndefined();
    expect(processes.process(upid(10, 900n))).toBeDefined();
  });

  test('that nobody has described is unknown', () => {
    const processes = make();
    processes.of(10, 5);
    expect(processes.process(upid())).toBeUndefined();
  });

  test('keeps its names for a day after its end', () => {
    const processes = make();
    processes.update(frame());
    processes.exited(10, 5, HOUR);
    processes.tick(25 * HOUR);
    expect(processes.process(upid())?.namespace).toBe('host');
    processes.tick(25 * HOUR + 1);
    expect(processes.process(upid())).toBeUndefined();
  });

  test('that is gone makes room where very many are', () => {
    const metrics = createMetrics();
    const processes = createProcesses({ node: () => 'box', rules: [], metrics, asid: 1 });
    for (let pid = 1; pid <= 33_000; pid += 1) {
      processes.update(frame({ tgid: pid }));
      processes.exited(pid, 5, pid);
    }
    expect(metrics).toMatchObject({ processes: 32_768, processesEvicted: 33_000 - 32_768 });
    expect(processes.process(upid(1))).toBeUndefined();
    expect(processes.process(upid(33_000))).toBeDefined();
  });
});

describe('a process in a cluster', () => {
  const cluster = () => {
    const metadata = createPodMetadata({ now: () => 0 });
    const processes = createProcesses({
      node: () => 'n1',
      rules: [],
      metrics: createMetrics(),
      asid: 7,
      pods: metadata,
    });
    return { metadata, processes };
  };
  const inPod = packUpid(7, 10, 5n);

  test('has the names of its pod and container as soon as they are known, and its own command line', () => {
    const { metadata, processes } = cluster();
    processes.update(frame({ cgroup: cgroupOf(uidOf(1), containerOf(1)) }));
    const unknown = { podId: uidOf(1), containerId: containerOf(1), cmdline: 'node /srv/cart.js', node: 'n1' };
    expect(processes.process(inPod)).toEqual({ ...UNKNOWN_PROCESS, ...unknown });
    expect(processes.isInUnknownPod(inPod)).toBe(true);
    metadata.pod({ after: pod('cart-0', { containers: { [containerOf(1)]: 'app' } }) });
    expect(processes.process(inPod)).toMatchObject({ ...unknown, pod: 'shop/cart-0', container: 'app', services: [] });
    expect(processes.isInUnknownPod(inPod)).toBe(false);
    metadata.service({ after: service('web', {}) });
    metadata.service({ after: service('cart', { app: 'cart' }) });
    metadata.pod({ before: pod('cart-0'), after: pod('cart-0', { labels: { app: 'cart' } }) });
    expect(processes.process(inPod)?.services).toEqual(['shop/cart']);
    const same = processes.process(inPod);
    expect(processes.process(inPod)).toBe(same); // made once
    expect(processes.process(packUpid(1, 10, 5n))).toBeUndefined(); // another node's
    expect(processes.serviceByName?.('shop/cart')?.id).toBe('uid-of-cart');
  });

  test('that is in no pod is one of the host', () => {
    const { processes } = cluster();
    processes.update(frame({ cgroup: '/system.slice/containerd.service' }));
    const identity = processes.process(inPod);
    expect(identity).toMatchObject({ namespace: 'host', pod: 'host/containerd-10', node: 'n1', hostname: 'n1' });
    expect(processes.podByName('host/containerd-10')).toBe(identity);
    expect([identity && processes.isPod(identity), processes.isInUnknownPod(inPod)]).toEqual([false, false]);
  });

  test('of the sandbox belongs to the pod, without a container’s name', () => {
    const { metadata, processes } = cluster();
    metadata.pod({ after: pod('cart-0', { containers: { [containerOf(1)]: 'app' } }) });
    processes.update(frame({ cgroup: cgroupOf(uidOf(1), containerOf(9)) }));
    expect(processes.process(inPod)).toMatchObject({ pod: 'shop/cart-0', container: '', containerId: containerOf(9) });
  });

  test('whose pod runs a node of its own belongs to the outermost pod that is ours', () => {
    const { metadata, processes } = cluster();
    const nested = `${cgroupOf(uidOf(1), containerOf(1))}/kubepods/pod${uidOf(2)}/${containerOf(2)}`;
    metadata.pod({
      after: pod('victim', { uid: uidOf(2), namespace: 'other', containers: { [containerOf(2)]: 'v' } }),
    });
    processes.update(frame({ cgroup: nested }));
    expect(processes.process(inPod)).toMatchObject({ pod: 'other/victim', container: 'v' });
    metadata.pod({ after: pod('ci', { uid: uidOf(1), containers: { [containerOf(1)]: 'kind' } }) });
    expect(processes.process(inPod)).toMatchObject({ pod: 'shop/ci', container: 'kind', containerId: containerOf(1) });
  });

  test('answers by address, name and id also for pods without a process', () => {
    const { metadata, processes } = cluster();
    metadata.pod({ after: pod('far', { uid: uidOf(3), ip: '10.0.9.9' }) });
    for (const found of [processes.podByIp('10.0.9.9'), processes.podByName('shop/far'), processes.podById(uidOf(3))])
      expect(found).toMatchObject({ pod: 'shop/far', cmdline: '' });
    expect(processes.podByIp('10.0.9.8')).toBeUndefined();
  });
});

describe('an identity file', () => {
  test('names one process by its id and others by what they are; the first that fits wins', () => {
    const processes = make(`
      {"upid":"1:10:5","pod":"shop/cart-0","services":["shop/cart","shop/all"],"podIP":"10.1.1.1","container":"app"}
      {"match":{"exe":"*/nginx","cgroup":"/system.slice/*"},"services":["edge/web"],"node":"n1"}
      {"match":{"exe":"*/nginx"},"services":["edge/other"]}
    `);
    processes.update(frame());
    processes.update(
      frame({ tgid: 11, exe: '/usr/sbin/nginx', cgroup: '/system.slice/nginx.service', cmdline: 'nginx' }),
    );
    processes.update(frame({ tgid: 12, exe: '/usr/sbin/nginx', cmdline: 'nginx' }));
    expect(processes.process(upid())).toMatchObject({
      namespace: 'shop',
      pod: 'shop/cart-0',
      services: ['shop/cart', 'shop/all'],
      container: 'app',
      node: 'box',
    });
    expect(processes.process(upid(11))).toMatchObject({
      namespace: 'edge',
      services: ['edge/web'],
      node: 'n1',
      pod: 'host/nginx-11',
    });
    expect(processes.process(upid(12))).toMatchObject({ namespace: 'edge', services: ['edge/other'] });
    expect(processes.podByIp('10.1.1.1')?.pod).toBe('shop/cart-0');
    expect(processes.podByIp('')).toBeUndefined();
  });

  test('may ask for a port, which is known once somebody was accepted there', () => {
    const processes = make('{"match":{"port":8080,"cmdline":"node *cart*"},"services":["shop/cart"]}');
    processes.update(frame());
    expect(processes.process(upid())?.services).toEqual(['host/cart.js']);
    processes.servesOn(processes.of(10, 5), 8080);
    expect(processes.process(upid())?.services).toEqual(['shop/cart']);
  });

  test.each([
    ['{"upid"', 'who.ndjson:2: not a JSON object'],
    ['[]', 'who.ndjson:2: not a JSON object'],
    ['{"services":["a/b"]}', 'who.ndjson:2: needs exactly one of "upid" and "match"'],
    ['{"upid":"1:2","pod":"a/b"}', 'who.ndjson:2: "upid" must be text like "1:4242:889911"'],
    ['{"match":{}}', 'who.ndjson:2: "match" is empty'],
    [
      '{"match":{"exes":"x"}}',
      'who.ndjson:2: unknown key "exes" in "match"; known are exe, comm, cgroup, cmdline, pid, port',
    ],
    ['{"match":{"exe":7}}', 'who.ndjson:2: "match.exe" must be text'],
    ['{"match":{"port":"80"}}', 'who.ndjson:2: "match.port" must be a whole number'],
    ['{"match":{"pid":1},"service":"a"}', 'who.ndjson:2: unknown key "service"'],
    ['{"match":{"pid":1},"services":"a"}', 'who.ndjson:2: "services" must be a list of texts'],
    ['{"match":{"pid":1},"pod":1}', 'who.ndjson:2: "pod" must be text'],
  ])('with %s says what is wrong and where', (line, message) => {
    expect(() => parseIdentityRules(`\n${line}\n`, 'who.ndjson')).toThrow(message);
  });

  test('of any text is read, or refused with its line', () => {
    const line = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ match: fc.jsonValue(), upid: fc.jsonValue() }, { requiredKeys: [] })
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        try {
          parseIdentityRules(lines.join('\n'), 'f');
        } catch (error) {
          expect(error).toHaveProperty('name', 'IdentityRuleError');
        }
      }),
    );
  });
});
