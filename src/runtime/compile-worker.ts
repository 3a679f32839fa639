// The compiler's thread. Scripts come from anybody: here a hostile one costs this thread's memory and time, nothing else.
import { parentPort } from 'node:worker_threads';
import { compile } from '../pxl/compile.ts';
import type { CompileReply, CompileTask } from './compiler.ts';

const port = parentPort;
if (port === null) throw new Error('the compiler runs as a worker thread');

port.on('message', ({ source, options }: CompileTask) => {
  let reply: CompileReply;
  try {
    const began = performance.now();
    const result = compile(source, options);
    reply = { status: 'done', result, ms: performance.now() - began };
  } catch (error) {
    reply = { status: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  port.postMessage(reply);
});
