// Hash join. One side is held in memory and indexed by key, the other streams past it; its order is the
// output's. Rows without a partner get zero values: the held side has one extra row of them.
import { batchBytes, zeroColumn } from '../../columns/batch.ts';
import type { Batch, Column } from '../../columns/column.ts';
import { concatBatches, concatColumns } from '../../columns/concat.ts';
import { takeColumn } from '../../columns/select.ts';
import type { JoinOperator } from '../../plan/plan.ts';
import { EngineError, type ExecutionContext } from '../context.ts';
import { columnIndex, columnOf } from '../evaluate.ts';
import { createPacer } from '../pacing.ts';
import { BATCH_ROWS_MAX } from './aggregate.ts';
import { createKeyTable, type KeyTable } from './key-table.ts';

export async function* runJoin(
  operator: JoinOperator,
  left: AsyncIterable<Batch>,
  right: AsyncIterable<Batch>,
  context: ExecutionContext,
): AsyncGenerator<Batch> {
  const { how, schema } = operator;
  // The side that gives time_ decides the order; without one it is the right side.
  const streamed = operator.columns.find(({ name }) => name === 'time_')?.side ?? 'right';
  const keepStreamed = how === 'outer' || how === streamed;
  const keepHeld = how === 'outer' || (how !== 'inner' && how !== streamed);
  const [stream, hold] = streamed === 'left' ? [left, right] : [right, left];
  const heldSchema = streamed === 'left' ? operator.right.schema : operator.left.schema;
  const streamSchema = streamed === 'left' ? operator.left.schema : operator.right.schema;
  const [streamKeys, heldKeys] =
    streamed === 'left' ? [operator.leftKeys, operator.rightKeys] : [operator.rightKeys, operator.leftKeys];

  const held = await collect(hold, heldSchema, operator, context);
  const heldKeyIndexes = heldKeys.map((key) => columnIndex(heldSchema, key));
  const streamKeyIndexes = streamKeys.map((key) => columnIndex(streamSchema, key));
  const keys = createKeyTable(heldKeyIndexes.map((index) => heldSchema[index]?.type ?? 'STRING'));
  const index = buildIndex(
    keys,
    heldKeyIndexes.map((at) => columnOf(held, at)),
    held.length,
  );
  const isMatched = new Uint8Array(held.length);
  const outputs = operator.columns.map(({ side, column }) => ({
    isHeld: side !== streamed,
    at: columnIndex(side === streamed ? streamSchema : heldSchema, column),
  }));
  const heldColumns = held.columns.map((column) => concatColumns([column, zeroColumn(column.type, 1)]));
  const pace = createPacer(context);
  let rows = 0;

  const batchOf = (streamColumns: readonly Column[], streamRows: Int32Array, heldRows: Int32Array): Batch => {
    rows += streamRows.length;
    if (rows > context.limits.joinRowsMax) throw tooManyRows(operator, context);
    const columns = outputs.map(({ isHeld, at }) => {
      const source = isHeld ? heldColumns[at] : streamColumns[at];
      if (source === undefined) throw new Error(`join output ${at} has no source`);
      return takeColumn(source, isHeld ? heldRows : streamRows);
    });
    return { schema, columns, length: streamRows.length };
  };

  for await (const batch of stream) {
    const ids = keys.encode(
      streamKeyIndexes.map((at) => columnOf(batch, at)),
      batch.length,
    );
    const pairs = createPairs();
    for (let row = 0; row < batch.length; row++) {
      const [start, end] = index.range(ids[row] ?? 0);
      for (let at = start; at < end; at++) {
        const partner = index.rows[at] ?? 0;
        isMatched[partner] = 1;
        if (pairs.push(row, partner)) {
          yield batchOf(batch.columns, ...pairs.flush());
          await pace();
        }
      }
      if (start === end && keepStreamed && pairs.push(row, held.length)) yield batchOf(batch.columns, ...pairs.flush());
    }
    if (pairs.length > 0) yield batchOf(batch.columns, ...pairs.flush());
    if (keys.byteSize > context.limits.bytesMax) throw tooManyBytes(operator, context);
    await pace();
  }

  if (!keepHeld) return;
  const zeros = streamSchema.map(({ type }) => zeroColumn(type, 1));
  const alone = Int32Array.from(isMatched.keys()).filter((row) => isMatched[row] === 0);
  for (let start = 0; start < alone.length; start += BATCH_ROWS_MAX) {
    const some = alone.subarray(start, start + BATCH_ROWS_MAX);
    yield batchOf(zeros, new Int32Array(some.length), some);
    await pace();
  }
}

/** Matching rows of both sides, handed out in batches of bounded size. */
function createPairs(): {
  readonly length: number;
  /** True once the batch is full. */
  push(streamRow: number, heldRow: number): boolean;
  flush(): [Int32Array, Int32Array];
} {
  let streamRows = new Int32Array(1024);
  let heldRows = new Int32Array(1024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(streamRow, heldRow) {
      if (length === streamRows.length) {
        [streamRows, heldRows] = [doubled(streamRows), doubled(heldRows)];
      }
      streamRows[length] = streamRow;
      heldRows[length] = heldRow;
      return ++length === BATCH_ROWS_MAX;
    },
    flush() {
      const pairs: [Int32Array, Int32Array] = [streamRows.slice(0, length), heldRows.slice(0, length)];
      length = 0;
      return pairs;
    },
  };
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

interface Index {
  /** Rows grouped by key id, in arrival order within a key. */
  readonly rows: Int32Array;
  /** Positions in `rows` of a key's rows; empty for ids that came later. */
  range(id: number): readonly [number, number];
}

function buildIndex(keys: KeyTable, columns: readonly Column[], length: number): Index {
  const ids = keys.encode(columns, length);
  const starts = new Int32Array(keys.size + 1);
  for (const id of ids) starts[id + 1] = (starts[id + 1] ?? 0) + 1;
  for (let id = 0; id < keys.size; id++) starts[id + 1] = (starts[id + 1] ?? 0) + (starts[id] ?? 0);
  const next = starts.slice();
  const rows = new Int32Array(length);
  for (const [row, id] of ids.entries()) {
    const at = next[id] ?? 0;
    rows[at] = row;
    next[id] = at + 1;
  }
  return { rows, range: (id) => [starts[id] ?? 0, starts[id + 1] ?? starts[id] ?? 0] };
}

async function collect(
  input: AsyncIterable<Batch>,
  schema: Batch['schema'],
  operator: JoinOperator,
  context: ExecutionContext,
): Promise<Batch> {
  const batches: Batch[] = [];
  let rows = 0;
  let bytes = 0;
  for await (const batch of input) {
    batches.push(batch);
    rows += batch.length;
    bytes += batchBytes(batch);
    if (rows > context.limits.joinRowsMax) throw tooManyRows(operator, context);
    if (bytes > context.limits.bytesMax) throw tooManyBytes(operator, context);
  }
  return concatBatches(schema, batches);
}

const keysText = ({ leftKeys, rightKeys }: JoinOperator): string =>
  `the merge on ${leftKeys.join(', ')} and ${rightKeys.join(', ')}`;

const tooManyRows = (operator: JoinOperator, { limits }: ExecutionContext): EngineError =>
  new EngineError(
    'JOIN_LIMIT',
    `${keysText(operator)} has more than ${limits.joinRowsMax} rows; group or filter before it`,
  );

const tooManyBytes = (operator: JoinOperator, { limits }: ExecutionContext): EngineError =>
  new EngineError(
    'MEMORY_LIMIT',
    `${keysText(operator)} needs more than ${limits.bytesMax} bytes; group or filter before it`,
  );
