// The name of the program that a process runs: the executable's base name, or for interpreters that of the script.

interface Interpreter {
  readonly executable: RegExp;
  /** Options that take the next argument as their value. */
  readonly valued: ReadonlySet<string>;
  /** Options whose next argument is the program itself. */
  readonly program: ReadonlySet<string>;
  /** Options after which the program is text on the command line: there is no script to name. */
  readonly inline: ReadonlySet<string>;
  /** Words before the script, as in `deno run`. */
  readonly commands?: ReadonlySet<string>;
}

const set = (...words: string[]): ReadonlySet<string> => new Set(words);

const INTERPRETERS: readonly Interpreter[] = [
  {
    executable: /^(node|nodejs|bun|deno|tsx)$/,
    valued: set('-r', '--require', '--import', '--loader', '--experimental-loader', '-C', '--conditions', '--env-file'),
    program: set(),
    inline: set('-e', '--eval', '-p', '--print', '-pe'),
    commands: set('run', 'task'),
  },
  {
    executable: /^(python|pypy)[0-9.]*$/,
    valued: set('-W', '-X', '--check-hash-based-pycs'),
    program: set('-m'),
    inline: set('-c'),
  },
  {
    executable: /^java$/,
    valued: set(
      '-cp',
      '-classpath',
      '--class-path',
      '-p',
      '--module-path',
      '--add-modules',
      '--add-opens',
      '--add-exports',
    ),
    program: set('-jar', '-m', '--module'),
    inline: set(),
  },
  { executable: /^ruby[0-9.]*$/, valued: set('-I', '-r', '-C', '-E'), program: set('-S'), inline: set('-e') },
  { executable: /^perl[0-9.]*$/, valued: set('-I'), program: set(), inline: set('-e', '-E') },
  { executable: /^php[0-9.]*$/, valued: set('-c', '-d', '-t', '-S'), program: set('-f'), inline: set('-r') },
  { executable: /^dotnet$/, valued: set('--fx-version'), program: set('exec'), inline: set() },
  { executable: /^(ba|da|z|k|a)?sh$/, valued: set('-o', '-O'), program: set(), inline: set('-c') },
];

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function scriptOf(interpreter: Interpreter, args: readonly string[]): string | undefined {
  for (let i = 1; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (interpreter.inline.has(arg)) return undefined;
    if (interpreter.program.has(arg)) return args[i + 1];
    if (interpreter.valued.has(arg)) i += 1;
    else if (interpreter.commands?.has(arg) !== true && !arg.startsWith('-') && arg !== '') return arg;
  }
  return undefined;
}

/**
 * Base name of the script for interpreters, of the executable else, of `comm` where the executable is unknown (kernel
 * threads, other users' processes). `cmdline` has its arguments separated by NUL.
 */
export function programName(comm: string, exe: string, cmdline: string): string {
  const executable = baseName(exe.replace(/ \(deleted\)$/, ''));
  if (executable === '') return comm;
  const interpreter = INTERPRETERS.find((candidate) => candidate.executable.test(executable));
  const script = interpreter === undefined ? undefined : scriptOf(interpreter, cmdline.split('\0'));
  return (script === undefined ? '' : baseName(script)) || executable;
}
