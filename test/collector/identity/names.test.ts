import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseCgroup, podsOf } from '../../../src/collector/identity/cgroup.ts';
import { programName } from '../../../src/collector/identity/program.ts';

const ID = 'e4063920952d766348421832d2df465324397166164478852332152342342342';
const NODE = ID.replaceAll('4', 'b');
const POD = '8c1a2b3c-0d0e-4f10-a112-131415161718';
const pod_ = POD.replaceAll('-', '_');

describe('a cgroup path', () => {
  test.each([
    ['docker, cgroupfs', `/docker/${ID}`, ID, ''],
    ['docker, systemd', `/system.slice/docker-${ID}.scope`, ID, ''],
    ['kubelet, cgroupfs', `/kubepods/burstable/pod${POD}/${ID}`, ID, POD],
    [
      'kubelet, systemd',
      `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${pod_}.slice/cri-containerd-${ID}.scope`,
      ID,
      POD,
    ],
    ['cri-o', `/kubepods.slice/kubepods-pod${pod_}.slice/crio-${ID}.scope`, ID, POD],
    [
      'containerd, odd',
      `/system.slice/containerd.service/kubepods-burstable-pod${pod_}.slice:cri-containerd:${ID}`,
      ID,
      POD,
    ],
    ['podman', `/machine.slice/libpod-${ID}.scope/container`, ID, ''],
    ['ECS', '/ecs/0123/0123456789abcdef0123456789abcdef-1234567890', '0123456789abcdef0123456789abcdef-1234567890', ''],
    [
      'kind: the inner one',
      `/docker/${NODE}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${pod_}.slice/cri-containerd-${ID}.scope`,
      ID,
      POD,
    ],
    ['static pod', `/kubepods/pod0123456789abcdef0123456789abcdef/${ID}`, ID, '0123456789abcdef0123456789abcdef'],
    ['no container', '/system.slice/nginx.service', '', ''],
    ['a name as long as an id but longer', `/x/${ID}ab`, '', ''],
  ])('of %s', (_, path, containerId, podUid) => {
    expect(parseCgroup(path)).toMatchObject({ containerId, podUid });
    expect(podsOf(path)).toEqual(podUid === '' ? [] : [{ uid: podUid, containerId }]);
  });

  test('of a pod in a pod names both, the outer one first, each with its own container', () => {
    const outer = `/kubepods/burstable/pod${POD}/${NODE}`;
    const uid = POD.replaceAll('1', '2');
    expect(
      podsOf(`${outer}/init/kubepods.slice/kubepods-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`),
    ).toEqual([
      { uid: POD, containerId: NODE },
      { uid, containerId: ID },
    ]);
    expect(podsOf(`/kubepods/pod${POD}`)).toEqual([{ uid: POD, containerId: '' }]);
  });

  test.each([
    ['/system.slice/nginx.service', 'nginx'],
    ['/system.slice/system-getty.slice/getty@tty1.service', 'getty@tty1'],
    ['/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service', 'syncthing'],
    ['/user.slice/user-1000.slice/user@1000.service/app.slice/app-shell-12.scope', ''],
    ['/user.slice/user-1000.slice/session-3.scope', ''],
    ['/init.scope', ''],
    ['/', ''],
    [String.raw`/system.slice/foo\x2dbar.service`, 'foo-bar'],
    [`/system.slice/docker.service/${ID}`, ''],
    [`/docker/${ID}/system.slice/nginx.service`, 'nginx'],
  ])('%s is of service "%s"', (path, unit) => {
    expect(parseCgroup(path).unit).toBe(unit);
  });

  test('of any text is read without complaint', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), (path) => expect(typeof parseCgroup(path).unit).toBe('string')),
    );
  });
});

describe('a program is named', () => {
  test.each([
    ['by its executable', '/usr/sbin/nginx', 'nginx: worker process', 'nginx'],
    ['by its executable, though replaced', '/usr/sbin/nginx (deleted)', 'nginx', 'nginx'],
    ['by its command where there is no executable', '', '', 'comm'],
    ['node', '/usr/bin/node', 'node --max-old-space-size=9 -r ./trace.js /srv/shop/server.js --port 1', 'server.js'],
    ['node without a script', '/usr/bin/node', 'node -e 1', 'node'],
    ['node alone', '/usr/bin/node', 'node', 'node'],
    ['bun', '/bin/bun', 'bun run index.ts', 'index.ts'],
    ['python', '/usr/bin/python3.11', 'python3 -u -W ignore /srv/app.py x', 'app.py'],
    ['python module', '/usr/bin/python3', 'python3 -m http.server 80', 'http.server'],
    ['python script with a shebang', '/usr/bin/python3', '/usr/bin/python3 /usr/bin/gunicorn app:app', 'gunicorn'],
    ['python text', '/usr/bin/python3', 'python3 -c print(1)', 'python3'],
    ['java jar', '/opt/jdk/bin/java', 'java -Xmx1g -cp a.jar:b.jar -jar /srv/shop.jar --x', 'shop.jar'],
    ['java class', '/opt/jdk/bin/java', 'java -cp a.jar com.example.Main', 'com.example.Main'],
    ['ruby', '/usr/bin/ruby3.1', 'ruby -I lib bin/puma', 'puma'],
    ['php', '/usr/bin/php8.2', 'php -S 0.0.0.0:80 router.php', 'router.php'],
    ['dotnet', '/usr/bin/dotnet', 'dotnet Shop.dll', 'Shop.dll'],
    ['shell script', '/bin/bash', 'bash -e run.sh', 'run.sh'],
    ['shell text', '/bin/bash', 'bash -c sleep', 'bash'],
  ])('%s', (_, exe, cmdline, wanted) => {
    expect(programName('comm', exe, cmdline.replaceAll(' ', '\0'))).toBe(wanted);
  });
});
