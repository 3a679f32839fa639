// Whom the probe sees: the pods of its own node and nobody else's, on a kernel that several nodes share.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { cgroupTree, mountOf } from './cgroups.ts';
import type { CgroupTree } from './cgroups.ts';
import { Frames, PROBE, buildWorkload, folderOfSuite, startProbe, whyNot } from './harness.ts';
import type { Probe, Workload } from './harness.ts';

const suite = whyNot() === undefined ? describe : describe.skip;
const ID = (digit: string): string => digit.repeat(64);
const FILTER = 6;
const ENOENT = 2;
const EOPNOTSUPP = 95;
const NAME = `sluice-scope-${process.pid}`;

/** Two nodes of one kernel, and a node that is itself a container. */
const POD = `n1/kubepods/burstable/pod1/${ID('1')}`;
const SIBLING = `n1/kubepods/besteffort/pod2/${ID('2')}`;
const OTHER_NODE = `n2/kubepods/burstable/pod3/${ID('3')}`;
const KIND = `docker/${ID('4')}`;
const KIND_POD = `${KIND}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod5.slice/cri-containerd-${ID('5')}.scope`;
const NESTED_POD = `${POD}/kubepods/pod6/${ID('6')}`;

suite.each([
  ['with bpf_loop', {}],
  ['without bpf_loop', { SLUICE_PROBE_PLAIN: '1' }],
])('the scope, %s', (_, env: Record<string, string>) => {
  let tree: CgroupTree;
  let start: () => Promise<Workload>;
  const workloads = new Set<Workload>();
  let probe: Probe | undefined;

  beforeAll(() => {
    start = buildWorkload();
  });
  beforeEach(() => {
    tree = cgroupTree(mountOf() ?? '', NAME);
    for (const path of [POD, SIBLING, OTHER_NODE, KIND_POD, NESTED_POD, `${KIND}/system.slice/containerd.service`])
      tree.make(path);
  });
  afterEach(async () => {
    await probe?.stop();
    probe = undefined;
    for (const workload of workloads) await workload.end();
    workloads.clear();
    tree.remove();
  });

  const workloadIn = async (path: string): Promise<Workload> => {
    const workload = await start();
    tree.move(workload.pid, path);
    workloads.add(workload);
    return workload;
  };
  const probeIn = async (path: string, ...args: string[]): Promise<Frames> => {
    probe = await startProbe(args, env, tree.make(path));
    return probe.frames;
  };
  const filter = (frames: Frames) => frames.of('feature', ({ feature }) => feature === FILTER)[0];
  const reasonOf = (frames: Frames): string => filter(frames)?.text.split('\0')[1] ?? '';
  /** Every kind of event that a process can cause; its children's ids. */
  const act = async (workload: Workload): Promise<number[]> => {
    const [open = -1] = await workload.do('pair 5');
    await workload.do(`write ${open} 10`);
    const [client = -1, server = -1] = await workload.do('pair 5');
    await workload.do(`write ${client} 10`);
    const [child = 0] = await workload.do(`fork ${server} 10`);
    await workload.do(`close ${client}`);
    return [workload.pid, child];
  };
  const kindsOf = (frames: Frames, pids: readonly number[]): string[] =>
    [...new Set(frames.all.filter(({ id }) => pids.includes(id.tgid)).map(({ kind }) => kind))].toSorted();
  const ALL_KINDS = ['close', 'counts', 'data', 'exit', 'open', 'process', 'sample'];
  /** A whole round of counters and samples has been read. */
  const sampled = async (frames: Frames) => {
    await frames.settled();
    const seen = frames.of('sampleEnd').length;
    while (frames.of('sampleEnd').length === seen) await frames.settled();
  };

  test('auto: the pods of the own node are seen in every way, all others in none', async () => {
    const inside = [await workloadIn(POD), await workloadIn(SIBLING), await workloadIn(NESTED_POD)];
    const outside = [
      await workloadIn(OTHER_NODE),
      await workloadIn(KIND_POD),
      await workloadIn('n1'),
      await workloadIn(''),
    ];
    for (const workload of [...inside, ...outside]) await workload.do('pair 5'); // for the snapshot
    const frames = await probeIn(POD);
    expect(filter(frames)).toMatchObject({ error: 0 });
    expect(reasonOf(frames)).toBe(`what is below /${NAME}/n1/kubepods (unified)`);
    const [insidePids, outsidePids]: [number[][], number[][]] = [[], []];
    for (const workload of inside) insidePids.push(await act(workload));
    for (const workload of outside) outsidePids.push(await act(workload));
    await sampled(frames);
    for (const pids of insidePids) expect(kindsOf(frames, pids)).toEqual(ALL_KINDS);
    expect(kindsOf(frames, outsidePids.flat())).toEqual([]);
    // Nobody else on this machine either.
    const known = new Set(frames.of('process').map(({ id }) => id.tgid));
    expect([...known].filter((pid) => ![...insidePids.flat(), probe?.child.pid].includes(pid))).toEqual([]);
  });

  test('of nested kubepods the innermost counts', async () => {
    const [outer, inner] = [await workloadIn(POD), await workloadIn(NESTED_POD)];
    const frames = await probeIn(NESTED_POD);
    const [outerPids, innerPids] = [await act(outer), await act(inner)];
    await sampled(frames);
    expect([kindsOf(frames, outerPids), kindsOf(frames, innerPids)]).toEqual([[], ALL_KINDS]);
  });

  test('a process that moves is seen from then on, or no longer', async () => {
    const [comes, goes] = [await workloadIn(OTHER_NODE), await workloadIn(POD)];
    const frames = await probeIn(POD, '--cgroup', 'pods');
    const [client = -1, server = -1] = await comes.do('pair 5');
    tree.move(comes.pid, SIBLING);
    await comes.do(`write ${client} 10`);
    const facts = await frames.first('process', ({ id }) => id.tgid === comes.pid);
    expect(facts.texts[2]).toBe(`/${NAME}/${SIBLING}`);
    expect(await frames.data((await frames.connection(comes.pid, client)).id, true)).toHaveLength(1);
    expect(await frames.data((await frames.connection(comes.pid, client)).id, false)).toHaveLength(0);

    await act(goes);
    tree.move(goes.pid, OTHER_NODE);
    await sampled(frames);
    const before = frames.all.length;
    await act(goes);
    await comes.do(`recv ${server} 10`);
    await sampled(frames);
    const since = frames.all.slice(before);
    expect(since.filter(({ id }) => id.tgid === goes.pid)).toEqual([]);
    expect(since.filter(({ id, kind }) => id.tgid === comes.pid && kind === 'data')).toHaveLength(1);
  });

  test('with --host-processes, what lies in nobody’s pods is seen too', async () => {
    const inside = [await workloadIn(POD), await workloadIn('n1'), await workloadIn('')];
    const outside = [await workloadIn(OTHER_NODE), await workloadIn(KIND_POD)];
    const frames = await probeIn(POD, '--host-processes');
    expect(reasonOf(frames)).toBe(`what is below /${NAME}/n1/kubepods (unified), and what is in no pod`);
    const [insidePids, outsidePids]: [number[][], number[][]] = [[], []];
    for (const workload of inside) insidePids.push(await act(workload));
    for (const workload of outside) outsidePids.push(await act(workload));
    await sampled(frames);
    for (const pids of insidePids) expect(kindsOf(frames, pids)).toEqual(ALL_KINDS);
    expect(kindsOf(frames, outsidePids.flat())).toEqual([]);
  });

  test('of a node that is a container, the host processes are those of the container', async () => {
    const [own, pod] = [await workloadIn(`${KIND}/system.slice/containerd.service`), await workloadIn(KIND_POD)];
    const outside = [await workloadIn(''), await workloadIn(POD), await workloadIn('n1')];
    const frames = await probeIn(KIND_POD, '--host-processes');
    const insidePids = [await act(own), await act(pod)];
    const outsidePids = [];
    for (const workload of outside) outsidePids.push(...(await act(workload)));
    await sampled(frames);
    for (const pids of insidePids) expect(kindsOf(frames, pids)).toEqual(ALL_KINDS);
    expect(kindsOf(frames, outsidePids)).toEqual([]);
  });

  test('a path filters by the cgroup that it names', async () => {
    const [inside, outside] = [await workloadIn(SIBLING), await workloadIn(OTHER_NODE)];
    const frames = await probeIn(POD, '--cgroup', `/${NAME}/n1/`);
    expect(reasonOf(frames)).toBe(`what is below /${NAME}/n1 (unified)`);
    const pids = [await act(inside), await act(outside)];
    await sampled(frames);
    expect(pids.map((one) => kindsOf(frames, one))).toEqual([ALL_KINDS, []]);
  });

  test.each([
    ['pods', 'host', 'is not below any kubepods'],
    [`/${NAME}/n2`, POD, 'is not below the one asked for'],
    [`/${NAME}/n`, POD, 'is not below the one asked for'],
  ])('--cgroup %s that cannot be had shows nothing, and says so', async (wish, place, words) => {
    const workload = await workloadIn(place === 'host' ? '' : place);
    const frames = await probeIn(place, '--cgroup', wish);
    const pids = await act(workload);
    await sampled(frames);
    expect(filter(frames)).toMatchObject({ error: ENOENT });
    expect(reasonOf(frames)).toContain(words);
    expect(frames.errors).toMatch(new RegExp(`nothing is seen: the probe's cgroup .*${place.slice(-40)} ${words}`));
    expect(kindsOf(frames, pids)).toEqual([]);
    expect(frames.of('process')).toEqual([]);
    const check = spawnSync(PROBE, ['--check', '--cgroup', '/nowhere'], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect([check.status, check.stdout]).toEqual([1, expect.stringContaining('cgroup_filter    no: ')]);
  });

  test.each([
    ['auto', 'host'],
    ['off', POD],
  ])('--cgroup %s in %s shows everything', async (wish, place) => {
    const workload = await workloadIn(OTHER_NODE);
    const frames = await probeIn(place, '--cgroup', wish);
    expect(filter(frames)).toMatchObject({ error: EOPNOTSUPP });
    const pids = await act(workload);
    await sampled(frames);
    expect(kindsOf(frames, pids)).toEqual(ALL_KINDS);
  });

  const memory = mountOf('memory');
  if (memory === undefined)
    process.stderr.write('\n*** SKIPPED: the scope by a cgroup v1 hierarchy: none is mounted here ***\n\n');
  (memory === undefined ? describe.skip : describe)('by cgroup v1', () => {
    test('where only cgroup v1 knows of pods, its hierarchy is compared', async () => {
      const v1 = cgroupTree(memory ?? '', NAME);
      try {
        const [inside, outside] = [await start(), await start()];
        workloads.add(inside).add(outside);
        for (const path of [POD, SIBLING, OTHER_NODE]) v1.make(path);
        v1.move(inside.pid, SIBLING);
        v1.move(outside.pid, OTHER_NODE);
        probe = await startProbe(['--cgroup', 'pods'], env, v1.make(POD));
        const { frames } = probe;
        expect(reasonOf(frames)).toBe(`what is below /${NAME}/n1/kubepods (memory)`);
        const pids = [await act(inside), await act(outside)];
        await sampled(frames);
        expect(pids.map((one) => kindsOf(frames, one))).toEqual([ALL_KINDS, []]);
      } finally {
        await probe?.stop();
        probe = undefined;
        for (const workload of workloads) await workload.end();
        workloads.clear();
        v1.remove();
      }
    });
  });
});

suite('in a pid namespace, as on a node that is a container', () => {
  test('processes have their arguments, and ids are those of the kernel', async () => {
    const script = 'sleep 1000 & "$0" --stdout; true';
    const child = spawn('unshare', ['--pid', '--fork', '--mount-proc', '/bin/sh', '-c', script, PROBE], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const frames = new Frames();
    child.stdout.on('data', (chunk: Buffer) => frames.push(chunk));
    await frames.first('snapshotEnd');
    const { probeTgid } = await frames.first('hello');
    const probe = await frames.first('process', ({ id }) => id.tgid === probeTgid);
    expect(probe.texts[3]).toBe(`${PROBE}\0--stdout`);
    const sleep = frames.of('process', ({ texts, parent }) => texts[0] === 'sleep' && parent === probe.parent);
    expect(sleep.map(({ texts }) => texts[3])).toEqual(['sleep\x001000']);
    // The kernel's iterators keep to the reader's own pid namespace.
    expect(frames.of('process', ({ id }) => id.tgid === process.pid)).toEqual([]);
    const closed = once(child, 'close');
    process.kill(probeTgid, 'SIGTERM');
    await closed;
  });
});

suite('the agent', () => {
  test('is told its own process, and is not seen', async () => {
    const path = join(folderOfSuite(), 'socket');
    const child = spawn(PROBE, ['--socket', path], { stdio: ['ignore', 'inherit', 'inherit'] });
    try {
      const frames = new Frames();
      const socket = await connected(path);
      socket.on('data', (chunk: Buffer) => frames.push(chunk));
      await frames.first('snapshotEnd');
      expect(frames.of('ignore').map(({ id }) => id.tgid)).toEqual([process.pid]);
      socket.destroy();
    } finally {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
    }
  });
});

/** A connection to a socket that may not be there yet. */
async function connected(path: string): Promise<ReturnType<typeof connect>> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
