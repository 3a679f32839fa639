// The live source: connects to the probe's socket, and again whenever that breaks; may run the probe itself. The time in
// which nobody listened is told to the agent as a BLIND frame, as if the probe had said it; so are the facts that only
// our side knows (our own process, the host's addresses), so that a recording replays without them.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { BlindSource } from '../../model/loss.ts';
import { encodeBlind, encodeIgnoreTgid, encodeLocalNetwork } from '../frames/encode.ts';
import { FRAME, FrameError } from '../frames/frame.ts';
import type { LocalNetworkFrame } from '../frames/frame.ts';
import { createFramer } from '../frames/framer.ts';
import { startProbe } from './probe-process.ts';
import type { ProbeCommand, ProbeProcess } from './probe-process.ts';
import type { FrameSource } from './source.ts';

const READ_BYTES = 256 * 1024;
/** Frames for the probe that may wait. */
const CONTROL_BYTES_MAX = 1024 * 1024;
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 2000;

export interface LiveSourceOptions {
  readonly socketPath: string;
  /** Run this probe as a child. Without it somebody else does, and the socket may appear at any time. */
  readonly probe?: ProbeCommand;
  /** Processes of ours that are not to be observed. */
  readonly ownTgids: readonly number[];
  readonly localNetworks: readonly Omit<LocalNetworkFrame, 'ktime'>[];
  /** The probe's output, and what happens to the connection. */
  readonly onLine?: (line: string) => void;
}

/** The probe that we were to run never came up. */
export class ProbeError extends Error {
  override readonly name = 'ProbeError';
}

export interface LiveSource extends FrameSource {
  /** Resolves at the first HELLO; rejects with ProbeError if `run` ends before it. */
  readonly connected: Promise<void>;
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });

export function createLiveSource(options: LiveSourceOptions): LiveSource {
  const onLine = options.onLine ?? (() => undefined);
  const buffer = new Uint8Array(READ_BYTES);
  const gate = Promise.withResolvers<void>();
  gate.promise.catch(() => undefined);
  let socket: Socket | undefined;
  let lastKtime: number | undefined;
  let trouble: BlindSource | undefined = { source: 'probe', reason: 'ProbeNotRunning', message: 'not connected yet' };

  /** What is told right after HELLO; heard by the agent and, where it concerns it, by the probe. */
  const introduce = (hello: Uint8Array, onFrames: (run: Uint8Array, offset: number) => void): void => {
    const ktime = ktimeOf(hello);
    if (lastKtime !== undefined && ktime > lastKtime) onFrames(encodeBlind({ ktime: lastKtime, endKtime: ktime }), 0);
    for (const tgid of options.ownTgids) {
      const frame = encodeIgnoreTgid({ ktime, tgid });
      onFrames(frame, 0);
      socket?.write(frame);
    }
    for (const network of options.localNetworks) onFrames(encodeLocalNetwork({ ktime, ...network }), 0);
  };

  /** One connection from HELLO to its end; says why it ended. */
  const listen = (onFrames: (run: Uint8Array, offset: number) => void, signal: AbortSignal): Promise<string> =>
    new Promise((resolve) => {
      let isFirst = true;
      let reason = 'the probe closed the connection';
      const framer = createFramer((run, offset) => {
        if (!isFirst) return onFrames(run, offset);
        isFirst = false;
        if (typeOf(run) !== FRAME.HELLO) throw new FrameError('the stream does not begin with HELLO', offset);
        const helloBytes = new DataView(run.buffer, run.byteOffset).getUint32(0, true);
        onFrames(run.subarray(0, helloBytes), offset);
        introduce(run.subarray(0, helloBytes), onFrames);
        if (run.length > helloBytes) onFrames(run.subarray(helloBytes), offset + helloBytes);
        trouble = undefined;
        gate.resolve();
      });
      const made = connect({
        path: options.socketPath,
        onread: {
          buffer,
          callback: (bytesRead) => {
            try {
              framer.push(buffer.subarray(0, bytesRead));
            } catch (error) {
              reason = error instanceof Error ? error.message : String(error);
              made.destroy();
              return false;
            }
            return true;
          },
        },
      });
      socket = made;
      const abort = (): void => void made.destroy();
      signal.addEventListener('abort', abort);
      made.on('error', (error) => {
        reason = error.message;
      });
      made.on('close', () => {
        signal.removeEventListener('abort', abort);
        socket = undefined;
        lastKtime = framer.lastKtime ?? lastKtime;
        resolve(reason);
      });
    });

  const childProbe = (signal: AbortSignal): { current: ProbeProcess | undefined; death: string | undefined } => {
    const state: { current: ProbeProcess | undefined; death: string | undefined } = {
      current: undefined,
      death: undefined,
    };
    if (options.probe === undefined || signal.aborted) return state;
    const process = startProbe(options.probe, options.socketPath, onLine);
    state.current = process;
    const watch = async (): Promise<void> => {
      state.death = await process.ended;
      state.current = undefined;
    };
    void watch();
    return state;
  };

  const run = async (onFrames: (run: Uint8Array, offset: number) => void, signal: AbortSignal): Promise<void> => {
    let waitMs = RETRY_MS_MIN;
    let child = childProbe(signal);
    try {
      while (!signal.aborted) {
        const reason = await listen(onFrames, signal);
        if (signal.aborted) return;
        const isNewlyLost = trouble === undefined;
        waitMs = isNewlyLost ? RETRY_MS_MIN : Math.min(waitMs * 2, RETRY_MS_MAX);
        if (options.probe !== undefined && child.death !== undefined) {
          if (lastKtime === undefined) throw new ProbeError(child.death);
          trouble = { source: 'probe', reason: 'ProbeNotRunning', message: child.death };
          onLine(`${child.death}; starting it again`);
          child = childProbe(signal);
        } else {
          trouble = { source: 'probe', reason: 'ProbeNotRunning', message: `${options.socketPath}: ${reason}` };
          if (isNewlyLost) onLine(`lost the probe: ${reason}`);
        }
        await sleep(waitMs, signal);
      }
    } finally {
      await child.current?.stop();
    }
  };

  return {
    connected: gate.promise,
    send(frame) {
      // A probe that does not listen must not fill our memory; it goes on as it did.
      if (socket !== undefined && socket.writableLength < CONTROL_BYTES_MAX) socket.write(frame);
    },
    blind: () => (trouble === undefined ? [] : [trouble]),
    async run(onFrames, signal) {
      try {
        await run(onFrames, signal);
        gate.reject(new ProbeError('the live source ended before the probe said anything'));
      } catch (error) {
        gate.reject(error);
        throw error;
      }
    },
  };
}

const typeOf = (frame: Uint8Array): number => new DataView(frame.buffer, frame.byteOffset).getUint16(4, true);
const ktimeOf = (frame: Uint8Array): number => {
  const view = new DataView(frame.buffer, frame.byteOffset);
  return view.getUint32(12, true) * 4_294_967_296 + view.getUint32(8, true);
};
