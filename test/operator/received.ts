// A destination that answers as a test says and knows which ticks (live-node.ts) each script has sent it.
import { decodeOtlp } from '../../src/exporters/otlp/json.ts';
import { pointsOf } from '../e2e/received.ts';
import { scriptedServer, type Answer, type Call } from '../exporters/otlp/scripted-server.ts';

export interface Receiver {
  /** `127.0.0.1:port`. */
  readonly endpoint: string;
  readonly calls: readonly Call[];
  /** What each call is answered from now on. */
  answer(how: (call: Call) => Answer): void;
  /** Numbers of the ticks that it took for `service` and path `path`, in order of arrival. */
  ticks(service: string, path?: string): number[];
  paths(service: string): string[];
  close(): void;
}

export async function startReceiver(): Promise<Receiver> {
  let how = (_call: Call): Answer => ({ kind: 'ok' });
  const taken: Call[] = [];
  const server = await scriptedServer((_n, call) => {
    const answer = how(call);
    if (answer.kind === 'ok') taken.push(call);
    return answer;
  });
  let read = 0;
  const points: { readonly service: string; readonly path: string; readonly tick: number }[] = [];
  function all(): typeof points {
    for (; read < taken.length; read++) {
      const { bytes } = taken[read] ?? {};
      if (bytes === undefined) continue;
      for (const { metric, resource, attributes, value } of pointsOf([decodeOtlp('metrics', bytes)])) {
        if (metric !== 'tick') continue;
        points.push({ service: resource.get('service.name') ?? '', path: attributes.get('path') ?? '', tick: value });
      }
    }
    return points;
  }
  return {
    endpoint: server.endpoint,
    calls: server.calls,
    answer: (next) => (how = next),
    ticks: (service, path) =>
      all()
        .filter((one) => one.service === service && (path === undefined || one.path === path))
        .map(({ tick }) => tick),
    paths: (service) =>
      [
        ...new Set(
          all()
            .filter((one) => one.service === service)
            .map(({ path }) => path),
        ),
      ].sort(),
    close: () => server.close(),
  };
}

/** What is missing between the first and the last, and what is there more than once. */
export function gapsAndRepeats(ticks: readonly number[]): { readonly missing: number[]; readonly repeated: number[] } {
  const seen = new Set<number>();
  const repeated = ticks.filter((tick) => seen.size === seen.add(tick).size);
  const missing: number[] = [];
  if (ticks.length > 0) {
    const [first, last] = [Math.min(...seen), Math.max(...seen)];
    for (let tick = first; tick <= last; tick++) if (!seen.has(tick)) missing.push(tick);
  }
  return { missing, repeated };
}
