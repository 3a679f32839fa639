// Matching in time linear in the text: all ways through the pattern are followed side by side, in order of preference,
// one step a character (Pike's construction). No pattern can make it slow but by its own size.
import { hasPoint, normalRanges, type Ranges } from './ranges.ts';
import { RegexError, type Assertion, type Regex } from './syntax.ts';

type Instruction =
  | { readonly op: 'set'; readonly ranges: Ranges }
  | { readonly op: 'split'; readonly first: number; readonly second: number }
  | { readonly op: 'jump'; readonly to: number }
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'assert'; readonly what: Assertion }
  | { readonly op: 'match' };

export type Program = readonly Instruction[];

const PROGRAM_MAX = 20_000;

/** Instructions for the pattern; group 0 is the whole match. Throws RegexError where repetitions make it too large. */
export function assemble(root: Regex): Program {
  const program: Instruction[] = [];

  function emit(instruction: Instruction): number {
    if (program.length >= PROGRAM_MAX) throw new RegexError('pattern too large - compile failed');
    return program.push(instruction) - 1;
  }

  /** A split that prefers going on (greedy) or leaving; `patch` sets where leaving leads. */
  function fork(isGreedy: boolean): (leave: number) => void {
    const at = emit({ op: 'jump', to: 0 });
    return (leave) => {
      program[at] = isGreedy
        ? { op: 'split', first: at + 1, second: leave }
        : { op: 'split', first: leave, second: at + 1 };
    };
  }

  function add(node: Regex): void {
    switch (node.kind) {
      case 'empty':
        return;
      case 'set':
        emit({ op: 'set', ranges: normalRanges(node.ranges) });
        return;
      case 'assert':
        emit({ op: 'assert', what: node.what });
        return;
      case 'group':
        emit({ op: 'save', slot: node.index * 2 });
        add(node.body);
        emit({ op: 'save', slot: node.index * 2 + 1 });
        return;
      case 'sequence':
        node.items.forEach(add);
        return;
      case 'choice':
        addChoice(node.items);
        return;
      case 'repeat':
        addRepeat(node);
        return;
    }
  }

  function addChoice(items: readonly Regex[]): void {
    const ends: number[] = [];
    for (const [i, item] of items.entries()) {
      if (i === items.length - 1) add(item);
      else {
        const patch = fork(true);
        add(item);
        ends.push(emit({ op: 'jump', to: 0 }));
        patch(program.length);
      }
    }
    for (const end of ends) program[end] = { op: 'jump', to: program.length };
  }

  function addRepeat({ body, min, max, isGreedy }: Extract<Regex, { kind: 'repeat' }>): void {
    if (max === Infinity) {
      addLoop(body, min, isGreedy);
      return;
    }
    for (let i = 0; i < min; i++) add(body);
    const patches: ((leave: number) => void)[] = [];
    for (let i = min; i < max; i++) {
      patches.push(fork(isGreedy));
      add(body);
    }
    for (const patch of patches) patch(program.length);
  }

  function addLoop(body: Regex, min: number, isGreedy: boolean): void {
    if (min === 0 && !isNullable(body)) {
      const start = program.length;
      const patch = fork(isGreedy);
      add(body);
      emit({ op: 'jump', to: start });
      patch(program.length);
      return;
    }
    // RE2 makes of x* over an x that may be empty (x+)?, which decides whether an empty round comes first.
    const patch = min === 0 ? fork(isGreedy) : undefined;
    for (let i = 1; i < min; i++) add(body);
    const start = program.length;
    add(body);
    const next = program.length + 1;
    emit(isGreedy ? { op: 'split', first: start, second: next } : { op: 'split', first: next, second: start });
    patch?.(next);
  }

  emit({ op: 'save', slot: 0 });
  add(root);
  emit({ op: 'save', slot: 1 });
  emit({ op: 'match' });
  return program;
}

/** Whether the expression matches the empty text somewhere. */
function isNullable(node: Regex): boolean {
  switch (node.kind) {
    case 'empty':
    case 'assert':
      return true;
    case 'set':
      return false;
    case 'group':
      return isNullable(node.body);
    case 'sequence':
      return node.items.every(isNullable);
    case 'choice':
      return node.items.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.body);
  }
}

const WORD: Ranges = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];

function holds(what: Assertion, points: Int32Array, at: number): boolean {
  const before = points[at - 1];
  const after = points[at];
  switch (what) {
    case 'begin':
      return before === undefined;
    case 'end':
      return after === undefined;
    case 'beginLine':
      return before === undefined || before === 10;
    case 'endLine':
      return after === undefined || after === 10;
    case 'word':
    case 'notWord': {
      const isBoundary = hasPoint(WORD, before ?? 0) !== hasPoint(WORD, after ?? 0);
      return isBoundary === (what === 'word');
    }
  }
}

interface Thread {
  readonly at: number;
  /** Begin and end of each group; -1 where it took no part. */
  readonly saved: Int32Array;
}

export interface RunOptions {
  /** Position in `points` where the search starts. */
  readonly from: number;
  /** The match must begin there and end at the end of the text. */
  readonly isFull: boolean;
  readonly groups: number;
}

/** Begin and end of each group of the leftmost match that the pattern prefers; undefined where there is none. */
export function run(
  program: Program,
  points: Int32Array,
  { from, isFull, groups }: RunOptions,
): Int32Array | undefined {
  let threads: Thread[] = [];
  let found: Int32Array | undefined;
  const visited = new Int32Array(program.length).fill(-1);

  /** Follows all instructions that take no character, preferred ones first. */
  function enter(list: Thread[], start: Thread, position: number): void {
    const stack: Thread[] = [start];
    for (let thread = stack.pop(); thread !== undefined; thread = stack.pop()) {
      const { at, saved } = thread;
      const instruction = program[at];
      if (instruction === undefined || visited[at] === position) continue;
      visited[at] = position;
      switch (instruction.op) {
        case 'jump':
          stack.push({ at: instruction.to, saved });
          break;
        case 'split':
          stack.push({ at: instruction.second, saved }, { at: instruction.first, saved });
          break;
        case 'save': {
          const changed = saved.slice();
          changed[instruction.slot] = position;
          stack.push({ at: at + 1, saved: changed });
          break;
        }
        case 'assert':
          if (holds(instruction.what, points, position)) stack.push({ at: at + 1, saved });
          break;
        case 'set':
        case 'match':
          list.push(thread);
          break;
      }
    }
  }

  for (let position = from; position <= points.length; position++) {
    if (found === undefined && (!isFull || position === from)) {
      enter(threads, { at: 0, saved: new Int32Array(2 + groups * 2).fill(-1) }, position);
    }
    if (threads.length === 0 && (found !== undefined || isFull)) break;
    const next: Thread[] = [];
    for (const { at, saved } of threads) {
      const instruction = program[at];
      if (instruction?.op === 'match') {
        if (isFull && position < points.length) continue;
        found = saved;
        // Whatever comes later in the list is less preferred.
        break;
      }
      if (
        instruction?.op === 'set' &&
        position < points.length &&
        hasPoint(instruction.ranges, points[position] ?? 0)
      ) {
        enter(next, { at: at + 1, saved }, position + 1);
      }
    }
    threads = next;
  }
  return found;
}
