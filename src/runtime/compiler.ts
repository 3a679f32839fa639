// Compiles scripts in a thread of their own (what has shown itself small there, later in this one), bounded in time and memory, which ends when nobody needs it. One script at a
// time: when the thread must be ended, it is known whose fault it was.
import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { Compilation, CompileOptions } from '../pxl/compile.ts';

export interface CompileTask {
  readonly source: string;
  readonly options: CompileOptions;
}

export type CompileReply =
  | { readonly status: 'done'; readonly result: Compilation; readonly ms: number }
  | { readonly status: 'failed'; readonly message: string };

export interface Compiler {
  /** The script's plan or what is wrong with it; never rejects for a script's sake. */
  compile(source: string, options: CompileOptions): Promise<Compilation>;
  close(): Promise<void>;
}

export interface CompilerOptions {
  /** The thread is ended when it takes longer; the compiler's own, finer bound is below. Default 8000. */
  readonly timeoutMs?: number;
  /** Default 256. */
  readonly heapMb?: number;
  /** The thread ends after this long without work. Default 5000. */
  readonly idleMs?: number;
}

/** Beside each other under `node` (sources) and after `tsc` (JavaScript). */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './compile-worker.ts' : './compile-worker.js',
  import.meta.url,
);

const refusal = (code: string, message: string): Compilation => {
  const diagnostic: Diagnostic = { code, severity: 'error', message, line: 0, column: 0 };
  return { outputs: [], diagnostics: [diagnostic] };
};

/** A script that compiled within this in a cold thread takes a few milliseconds in a warm one; it is compiled here from then on: a run a window would keep the thread, and its 25 MB, alive. */
const SMALL_MS = 150;
const SMALL_SCRIPTS_MAX = 4096;

export function createCompiler(options: CompilerOptions = {}): Compiler {
  const timeoutMs = options.timeoutMs ?? 8000;
  const heapMb = options.heapMb ?? 256;
  const idleMs = options.idleMs ?? 5000;
  /** Texts of scripts that are known to be small and correct. */
  const small = new Set<string>();
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;

  const endWorker = async (): Promise<void> => {
    const ending = worker;
    worker = undefined;
    await ending?.terminate();
  };

  function startWorker(): Worker {
    const started = new Worker(WORKER, { resourceLimits: { maxOldGenerationSizeMb: heapMb, stackSizeMb: 4 } });
    // Without work it must not keep the process alive, and its failure is told to whoever waits for it.
    started.unref();
    started.on('error', () => undefined);
    return started;
  }

  async function compileNow(task: CompileTask): Promise<Compilation> {
    clearTimeout(idle);
    if (closed) return refusal('INTERNAL_ERROR', 'the compiler is closed');
    if (small.has(task.source)) {
      const { compile } = await import('../pxl/compile.ts');
      return compile(task.source, task.options);
    }
    const running = (worker ??= startWorker());
    const answered = Promise.withResolvers<Compilation>();
    const onMessage = (reply: CompileReply): void => {
      if (reply.status === 'done') {
        const { result, ms } = reply;
        if (result.plan !== undefined && ms <= SMALL_MS && small.size < SMALL_SCRIPTS_MAX) small.add(task.source);
        answered.resolve(result);
      } else onError(new Error(reply.message));
    };
    let broken = false;
    const onError = (error: Error & { code?: string }): void => {
      broken = true;
      const tooLarge = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      answered.resolve(
        tooLarge
          ? refusal('PLAN_TOO_LARGE', `compiling needed more than ${heapMb} MiB of memory`)
          : refusal('INTERNAL_ERROR', `the compiler failed: ${error.message}`),
      );
    };
    const onExit = (): void => onError(new Error('its thread ended'));
    running.ref();
    running.once('message', onMessage).once('error', onError).once('exit', onExit);
    const deadline = setTimeout(() => {
      answered.resolve(refusal('COMPILE_TIMEOUT', `compiling took longer than ${timeoutMs} ms`));
      void endWorker();
    }, timeoutMs);
    try {
      running.postMessage(task, []);
      return await answered.promise;
    } finally {
      clearTimeout(deadline);
      running.off('message', onMessage).off('error', onError).off('exit', onExit);
      running.unref();
      // A thread that failed once is not trusted with the next script.
      if (broken) await endWorker();
      else idle = setTimeout(() => void endWorker(), idleMs).unref();
    }
  }

  return {
    compile(source, compileOptions) {
      const result = last.then(() => compileNow({ source, options: compileOptions }));
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      closed = true;
      clearTimeout(idle);
      await endWorker();
    },
  };
}
