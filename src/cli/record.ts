// sluice record: what the probe sees, as a file that replays to the same rows.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { recorded, createRecorder } from '../collector/sources/recorder.ts';
import { durationMsArg } from './args.ts';
import { asSudoUser, dropToSudoUser, liveSource, startAgent } from './capture.ts';
import { UsageError, type Command } from './command.ts';

const HELP = `Usage: sluice record FILE [--duration D] [--pid P] [--max-bytes N]

Writes what the probe sees to FILE, for 'sluice run SCRIPT --from FILE'. The file holds payload: treat it as you treat
the traffic itself. Needs the rights for eBPF (root, or 'setcap cap_bpf,cap_perfmon+ep build/sluice-probe').
Under sudo the file is written as the user who called it.

  --duration D    how long (10s); SIGINT ends it earlier, and the file is whole all the same
  --pid P         only this process
  --max-bytes N   size at which the recording ends (1073741824)
  --help          this text
`;

export const record: Command = {
  name: 'record',
  summary: 'write what the probe sees to a file',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        duration: { type: 'string', default: '10s' },
        pid: { type: 'string' },
        'max-bytes': { type: 'string', default: String(2 ** 30) },
      },
    });
    const [file] = positionals;
    if (file === undefined || positionals.length > 1) throw new UsageError('name one file to write');
    const durationMs = durationMsArg('duration', values.duration);
    const bytesMax = Number(values['max-bytes']);
    if (!Number.isSafeInteger(bytesMax) || bytesMax < 1024)
      throw new UsageError('--max-bytes is a number of bytes, at least 1024');
    const pid = values.pid === undefined ? undefined : Number(values.pid);
    if (pid !== undefined && !(Number.isSafeInteger(pid) && pid > 0)) throw new UsageError('--pid is a process id');

    let hasStarted = false;
    const recorder = await asSudoUser(io.env, () => createRecorder(file, bytesMax));
    try {
      const { source, close } = liveSource({
        io,
        ...(pid === undefined ? {} : { pid }),
        // why it does not start is in the error
        onLine: (line) => void (hasStarted && io.stderr.write(`${line}\n`)),
      });
      // an agent listens, because it is what tells the probe which connections to follow
      const { agent } = startAgent(recorded(source, recorder));
      try {
        await source.connected;
        hasStarted = true;
        dropToSudoUser(io.env);
        if (io.stderr.isTTY === true) io.stderr.write(`recording to ${file} for ${durationMs / 1000} s\n`);
        await sleep(durationMs, undefined, { signal: io.signal }).catch(() => undefined);
      } finally {
        await agent.stop();
        close();
      }
      await recorder.finish();
      const { connectionsFollowed } = agent.metrics();
      const cut = recorder.cutBy === undefined ? '' : `; cut by ${recorder.cutBy}`;
      io.stderr.write(`${file}: ${recorder.bytesWritten} bytes, ${connectionsFollowed} connections followed${cut}\n`);
      return recorder.cutBy === 'disk' ? 1 : 0;
    } catch (error) {
      if (!hasStarted) await recorder.discard();
      throw error;
    }
  },
};
