// A subcommand in this process: its streams as text, its exit status, its usage errors as main.ts would show them.
import { Writable } from 'node:stream';
import { UsageError, type Command } from '../../src/cli/command.ts';

export interface Outcome {
  /** 0, 1, or 2 for wrong usage. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const sink = (chunks: Buffer[]): Writable =>
  new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });

/** Runs it to its end. Errors other than wrong usage reject. */
export async function call(command: Command, ...argv: readonly string[]): Promise<Outcome> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  const io = { stdout: sink(out), stderr: sink(err), env: {}, signal: new AbortController().signal };
  const result = (status: number, more = ''): Outcome => ({
    status,
    stdout: Buffer.concat(out).toString('utf8'),
    stderr: Buffer.concat(err).toString('utf8') + more,
  });
  try {
    return result(await command.run(argv, io));
  } catch (error) {
    if (error instanceof UsageError) return result(2, error.message);
    throw error;
  }
}
