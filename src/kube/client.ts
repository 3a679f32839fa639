// The API server's verbs over plain JSON: what this build does not know of an object survives a read and a write.
// https://kubernetes.io/docs/reference/using-api/api-concepts/
import { arch, platform } from 'node:os';
import { NO_METRICS, type Metrics } from '../model/metrics.ts';
import { SYSTEM_CLOCK, type Clock } from './timers.ts';
import type { KubeAccess } from './config.ts';
import { objectPath, query } from './client-path.ts';
import { openPlainConnections } from './plain-connections.ts';
import { parseList, parseObject, parseRaw } from './client-json.ts';
import { openTransport, type KubeRequest } from './transport.ts';
import { NO_RETRY, REQUEST_RETRY } from './transport-retry.ts';
import type { KubeClient, KubeObject, ResourceType, WriteOptions } from './types.ts';
import { decodeEvent, lines } from './watch-decoder.ts';

export interface KubeClientOptions {
  /** A lease client has plain connections of its own and no retries: its caller knows how much time is left (R28). */
  readonly purpose: 'main' | 'lease';
  /** See `userAgent`. */
  readonly userAgent: string;
  readonly metrics?: Metrics;
  /** For one attempt; 10 s by default, six times that for a list. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface OpenKubeClient extends KubeClient {
  /** Breaks what still runs. */
  close(): Promise<void>;
}

/** `sluice-operator/0.1.0 (linux/x64) 1a2b3c4` (R35). */
export const userAgent = (component: string, version: string, commit?: string): string =>
  `sluice-${component}/${version} (${platform()}/${arch()})${commit === undefined ? '' : ` ${commit}`}`;

/** A list of all objects of a big cluster may be that long. */
const BODY_BYTES_MAX = 512 * 1_048_576;
/** The reflector gives up a silent watch earlier; this is for whoever else watches. */
const SILENCE_MS = 120_000;
const JSON_TYPE = 'application/json';
const ACCEPT = { accept: JSON_TYPE };
const metadataOnly = (kind: string): { accept: string } => ({
  accept: `${JSON_TYPE};as=${kind};g=meta.k8s.io;v=v1`,
});

/** Opens nothing yet: connections are made by the first request. */
export function openKubeClient(access: KubeAccess, options: KubeClientOptions): OpenKubeClient {
  const clock = options.clock ?? SYSTEM_CLOCK;
  const timeoutMs = options.timeoutMs ?? 10_000;
  const transport = openTransport({
    access,
    ...(options.purpose === 'lease' ? { connections: openPlainConnections(access) } : {}),
    userAgent: options.userAgent,
    metrics: options.metrics ?? NO_METRICS,
    clock,
    random: options.random ?? Math.random,
    timeoutMs,
    retry: options.purpose === 'lease' ? NO_RETRY : REQUEST_RETRY,
    bodyBytesMax: BODY_BYTES_MAX,
  });

  const write = async <T extends KubeObject>(
    type: ResourceType<T>,
    request: Omit<KubeRequest, 'headers' | 'body'> & { readonly body: unknown; readonly contentType: string },
  ): Promise<T> => {
    const { contentType, body, ...rest } = request;
    const response = await transport.request({
      ...rest,
      headers: { ...ACCEPT, 'content-type': contentType },
      body: JSON.stringify(body),
    });
    return parseObject(type, response.body);
  };
  const writeQuery = (write: WriteOptions, force = false): string =>
    query({
      fieldManager: write.fieldManager,
      force: force ? 'true' : undefined,
      dryRun: write.dryRun === true ? 'All' : undefined,
    });
  const named = (type: ResourceType, object: KubeObject): string =>
    objectPath(type, object.metadata.namespace, object.metadata.name);

  return {
    get: async (type, namespace, name, read) =>
      parseObject(
        type,
        (
          await transport.request({
            method: 'GET',
            path: objectPath(type, namespace, name),
            headers: ACCEPT,
            idempotent: true,
            signal: read?.signal,
          })
        ).body,
      ),

    list: async (type, list) => {
      const response = await transport.request({
        method: 'GET',
        path:
          objectPath(type, list.namespace) +
          query({
            labelSelector: list.labelSelector,
            fieldSelector: list.fieldSelector,
            limit: list.limit?.toString(),
            continue: list.continue,
            resourceVersion: list.resourceVersion,
          }),
        headers: list.metadataOnly === true ? metadataOnly('PartialObjectMetadataList') : ACCEPT,
        idempotent: true,
        timeoutMs: 6 * timeoutMs,
        signal: list.signal,
      });
      return parseList(type, response.body);
    },

    watch: async function* (type, watch) {
      const chunks = await transport.stream(
        {
          method: 'GET',
          path:
            objectPath(type, watch.namespace) +
            query({
              watch: 'true',
              allowWatchBookmarks: 'true',
              resourceVersion: watch.resourceVersion,
              timeoutSeconds: String(watch.timeoutSeconds),
              labelSelector: watch.labelSelector,
              fieldSelector: watch.fieldSelector,
            }),
          headers: watch.metadataOnly === true ? metadataOnly('PartialObjectMetadata') : ACCEPT,
          signal: watch.signal,
        },
        SILENCE_MS,
      );
      watch.onHeard?.();
      for await (const line of lines(heard(chunks, watch.onHeard))) yield decodeEvent(line);
    },

    apply: (type, object, apply) =>
      write(type, {
        method: 'PATCH',
        path: named(type, object) + subresource(apply.subresource) + writeQuery(apply, true),
        contentType: 'application/apply-patch+yaml',
        body: { apiVersion: apiVersion(type), kind: type.kind, ...object },
        idempotent: true,
        signal: apply.signal,
      }),

    create: (type, object, create) =>
      write(type, {
        method: 'POST',
        path: objectPath(type, object.metadata.namespace) + writeQuery(create),
        contentType: JSON_TYPE,
        body: { apiVersion: apiVersion(type), kind: type.kind, ...object },
        // with a name of its own the second time is a 409 that says it is there; with generateName it would be a second object
        idempotent: (object.metadata.name ?? '') !== '',
        signal: create.signal,
      }),

    update: (type, object, update) =>
      write(type, {
        method: 'PUT',
        path: named(type, object) + writeQuery(update),
        contentType: JSON_TYPE,
        body: { apiVersion: apiVersion(type), kind: type.kind, ...object },
        idempotent: true,
        signal: update.signal,
      }),

    patchJson: (type, namespace, name, operations, patch) =>
      write(type, {
        method: 'PATCH',
        path: objectPath(type, namespace, name) + subresource(patch.subresource) + writeQuery(patch),
        contentType: 'application/json-patch+json',
        body: operations,
        idempotent: false,
        signal: patch.signal,
      }),

    delete: async (type, namespace, name, remove = {}) => {
      const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds, signal } = remove;
      await transport.request({
        method: 'DELETE',
        path: objectPath(type, namespace, name),
        headers: { ...ACCEPT, 'content-type': JSON_TYPE },
        body: JSON.stringify({
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy,
          gracePeriodSeconds,
          ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
        }),
        idempotent: true,
        doneStatus: 404,
        signal,
      });
    },

    raw: async (method, path, body, read) => {
      const response = await transport.request({
        method,
        path,
        headers: body === undefined ? ACCEPT : { ...ACCEPT, 'content-type': JSON_TYPE },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        idempotent: method === 'GET',
        signal: read?.signal,
      });
      return parseRaw(response.body);
    },

    close: () => transport.close(),
  };
}

async function* heard<T>(chunks: AsyncIterable<T>, tell: (() => void) | undefined): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    tell?.();
    yield chunk;
  }
}

const subresource = (name: string | undefined): string => (name === undefined ? '' : `/${name}`);
const apiVersion = (type: ResourceType): string => (type.group === '' ? type.version : `${type.group}/${type.version}`);
