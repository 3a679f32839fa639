// An OCI image archive from folders, without a registry, a daemon or a builder: `ctr images import`, `podman load` and `docker load`
// take it. The same folders give the same bytes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** A tar file that is one layer. */
export interface Layer {
  readonly file: string;
  /** sha256, hexadecimal; of the uncompressed tar, so digest and diff id in one. */
  readonly digest: string;
  readonly bytes: number;
}

export interface ImageConfig {
  readonly architecture: 'amd64' | 'arm64';
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** `uid` or `uid:gid`, numbers: kubelet cannot tell whether a name is root. */
  readonly user?: string;
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Packs a folder: entries sorted, owner 0:0, times 0; modes as they are. Needs GNU tar. */
export async function packLayer(folder: string, file: string): Promise<Layer> {
  mkdirSync(dirname(file), { recursive: true });
  const normal = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  execFileSync('tar', [...normal, '-C', folder, '-cf', `${file}.part`, '.'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const digest = await digestOf(`${file}.part`);
  renameSync(`${file}.part`, file);
  return { file, digest, bytes: statSync(file).size };
}

/** sha256 of a file, hexadecimal. */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** Writes the archive; `name` with registry and tag (`localhost/sluice:dev`). The image spec: github.com/opencontainers/image-spec. */
export function writeArchive(file: string, name: string, layers: readonly Layer[], config: ImageConfig): void {
  const { architecture, entrypoint, command, env = {}, user, workingDir, labels } = config;
  mkdirSync(dirname(file), { recursive: true });
  const staging = mkdtempSync(`${file}.parts-`);
  const blobs = join(staging, 'blobs', 'sha256');
  try {
    mkdirSync(blobs, { recursive: true });
    for (const layer of layers) if (!linked(blobs, layer)) throw new Error(`the layer ${layer.file} is gone`);
    const put = (value: unknown): { digest: string; size: number } => {
      const bytes = JSON.stringify(value);
      const digest = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(blobs, digest), bytes);
      return { digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) };
    };
    const image = put({
      architecture,
      os: 'linux',
      config: {
        ...(user === undefined ? {} : { User: user }),
        ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
        ...(command === undefined ? {} : { Cmd: command }),
        Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
        WorkingDir: workingDir ?? '/',
        ...(labels === undefined ? {} : { Labels: labels }),
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
    });
    const manifest = put({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...image },
      layers: layers.map(({ digest, bytes }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: `sha256:${digest}`,
        size: bytes,
      })),
    });
    const annotations = {
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
    };
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          ...manifest,
          platform: { architecture, os: 'linux' },
          annotations,
        },
      ],
    };
    const path = (digest: string): string => `blobs/sha256/${digest.replace('sha256:', '')}`;
    // the older format, for `docker load` before Docker 25
    const docker = [{ Config: path(image.digest), RepoTags: [name], Layers: layers.map(({ digest }) => path(digest)) }];
    writeFileSync(join(staging, 'index.json'), JSON.stringify(index));
    writeFileSync(join(staging, 'manifest.json'), JSON.stringify(docker));
    writeFileSync(join(staging, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const normal = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
    const entries = ['oci-layout', 'index.json', 'manifest.json', 'blobs'];
    execFileSync('tar', [...normal, '--hard-dereference', '-C', staging, '-cf', `${file}.part`, ...entries]);
    renameSync(`${file}.part`, file);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The layer's file under its digest, without a copy. Two layers may be the same. */
function linked(blobs: string, { file, digest }: Layer): boolean {
  try {
    linkSync(file, join(blobs, digest));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EEXIST';
  }
  return true;
}
