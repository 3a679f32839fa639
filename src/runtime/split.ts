// Cuts a plan at the border between nodes and the merging side. What a node can do for its own rows alone is done there:
// sources, filters, maps, partial aggregates, limits, and what is keyed by process, which lives on one node. The rest
// waits until all nodes have answered. Rows of a split plan are those of the whole plan on one node that has all rows.
import type { Expression } from '../plan/expression.ts';
import { fieldOf } from '../columns/column.ts';
import type { AggregateOperator, JoinOperator, Operator, Plan, SplitPlan } from '../plan/plan.ts';
import { withCollectorStart } from './collector-start.ts';
import { RunFailure } from './outcome.ts';

export interface SplitOptions {
  /** There is one node: it runs everything, so that metadata functions find their processes at any place of the plan. */
  readonly oneNode?: boolean;
  /** The merging side can look up identities too. */
  readonly mergeHasIdentity?: boolean;
}

/** What is left to do on the merging side before the rows are those that the operator promises. */
type Finish = { readonly kind: 'order' } | { readonly kind: 'limit'; readonly rows: number };

type Part =
  | { readonly side: 'node'; readonly operator: Operator; readonly finish: readonly Finish[] }
  | { readonly side: 'merge'; readonly operator: Operator };

/**
 * @throws RunFailure METADATA_AFTER_MERGE where a function that asks who a process or an address is would have to run on
 * the merging side, which does not know.
 */
export function split(plan: Plan, options: SplitOptions = {}): SplitPlan {
  const fragments: Operator[] = [];
  const parts = new Map<Operator, { wanted?: Part; free?: Part }>();
  const remotes = new Map<Operator, Operator>();

  /** The operator's rows, on the merging side. */
  function merged(part: Part): Operator {
    if (part.side === 'merge') return part.operator;
    const { schema } = part.operator;
    const known = remotes.get(part.operator);
    const remote: Operator = known ?? { kind: 'remote', fragment: fragments.push(part.operator) - 1, schema };
    remotes.set(part.operator, remote);
    return part.finish.reduce(
      (input: Operator, step): Operator =>
        step.kind === 'order'
          ? { kind: 'union', inputs: [input], schema }
          : { kind: 'limit', input, rows: step.rows, schema },
      remote,
    );
  }

  /** `wantsNode`: something above must run where the rows were captured. Shared operators stay shared. */
  function place(operator: Operator, wantsNode: boolean): Part {
    const known = parts.get(operator) ?? {};
    parts.set(operator, known);
    const key = wantsNode ? 'wanted' : 'free';
    return (known[key] ??= placed(operator, wantsNode));
  }

  function placed(operator: Operator, wantsNode: boolean): Part {
    switch (operator.kind) {
      case 'source':
        return { side: 'node', operator, finish: [] };
      case 'remote':
        return { side: 'merge', operator };
      case 'filter': {
        const needs = needsNode([operator.predicate]);
        const input = place(operator.input, wantsNode || needs);
        if (input.side === 'node' && !isLimited(input)) {
          return { ...input, operator: { ...operator, input: input.operator } };
        }
        if (needs) refuse([operator.predicate]);
        return { side: 'merge', operator: { ...operator, input: merged(input) } };
      }
      case 'map': {
        const expressions = operator.columns.map(({ expression }) => expression);
        const needs = needsNode(expressions);
        const input = place(operator.input, wantsNode || needs);
        // Row by row, so it may come before what is left to do, if that still finds its time_.
        if (
          input.side === 'node' &&
          (keepsTime(operator.columns) || !input.finish.some(({ kind }) => kind === 'order'))
        ) {
          return { ...input, operator: { ...operator, input: input.operator } };
        }
        if (needs) refuse(expressions);
        return { side: 'merge', operator: { ...operator, input: merged(input) } };
      }
      case 'limit': {
        const input = place(operator.input, wantsNode);
        if (input.side === 'merge') return { side: 'merge', operator: { ...operator, input: input.operator } };
        const finish: readonly Finish[] = [...input.finish, { kind: 'limit', rows: operator.rows }];
        return { side: 'node', operator: { ...operator, input: input.operator }, finish };
      }
      case 'aggregate':
        return placedAggregate(operator, wantsNode);
      case 'join':
        return placedJoin(operator, wantsNode);
      case 'union': {
        const inputs = operator.inputs.map((input) => place(input, wantsNode));
        if (inputs.every((input) => input.side === 'node' && !isLimited(input))) {
          const hasTime = operator.schema.some(({ name, type }) => name === 'time_' && type === 'TIME64NS');
          const finish: readonly Finish[] = hasTime ? [{ kind: 'order' }] : [];
          return { side: 'node', operator: { ...operator, inputs: inputs.map((input) => input.operator) }, finish };
        }
        return { side: 'merge', operator: { ...operator, inputs: inputs.map(merged) } };
      }
    }
  }

  function placedAggregate(operator: AggregateOperator, wantsNode: boolean): Part {
    const input = place(operator.input, wantsNode);
    if (input.side === 'merge' || isLimited(input) || operator.mode !== 'full') {
      return { side: 'merge', operator: { ...operator, input: merged(input) } };
    }
    if (wantsNode && operator.keys.some((key) => isOwnProcess(operator.input, key))) {
      return { side: 'node', operator: { ...operator, input: input.operator }, finish: [] };
    }
    const schema = [
      ...operator.schema.slice(0, operator.keys.length),
      ...operator.aggregates.map(({ name }) => fieldOf(name, 'STRING')),
    ];
    const partial: Operator = { ...operator, input: input.operator, mode: 'partial', schema };
    const states = merged({ side: 'node', operator: partial, finish: [] });
    return { side: 'merge', operator: { ...operator, input: states, mode: 'final' } };
  }

  function placedJoin(operator: JoinOperator, wantsNode: boolean): Part {
    const left = place(operator.left, wantsNode);
    const right = place(operator.right, wantsNode);
    const isLocal = operator.leftKeys.some(
      (key, i) => isOwnProcess(operator.left, key) && isOwnProcess(operator.right, operator.rightKeys[i] ?? ''),
    );
    if (
      wantsNode &&
      isLocal &&
      left.side === 'node' &&
      right.side === 'node' &&
      !isLimited(left) &&
      !isLimited(right)
    ) {
      return { side: 'node', operator: { ...operator, left: left.operator, right: right.operator }, finish: [] };
    }
    return { side: 'merge', operator: { ...operator, left: merged(left), right: merged(right) } };
  }

  function needsNode(expressions: readonly Expression[]): boolean {
    return (
      options.mergeHasIdentity !== true && expressions.some((expression) => identityCall(expression) !== undefined)
    );
  }

  const sinks = plan.sinks.map(withCollectorStart).map((sink) => {
    const part: Part =
      options.oneNode === true ? { side: 'node', operator: sink.input, finish: [] } : place(sink.input, false);
    return { ...sink, input: merged(part) };
  });
  return { fragments, merge: { sinks } };
}

const isLimited = (part: Part): boolean => part.side === 'node' && part.finish.some(({ kind }) => kind === 'limit');

const keepsTime = (columns: readonly { readonly name: string; readonly expression: Expression }[]): boolean =>
  columns.some(
    ({ name, expression }) => name === 'time_' && expression.kind === 'column' && expression.name === 'time_',
  );

/**
 * Whether the column is the UPID that a table's rows were captured under. Such a process lives on one node, so all rows
 * with one value are there. Zero values that a join fills in do not count: every node may have them.
 */
function isOwnProcess(operator: Operator, column: string): boolean {
  switch (operator.kind) {
    case 'source':
      return operator.schema.some(
        ({ name, type, semanticType }) => name === column && type === 'UINT128' && semanticType === 'ST_UPID',
      );
    case 'filter':
    case 'limit':
      return isOwnProcess(operator.input, column);
    case 'map': {
      const expression = operator.columns.find(({ name }) => name === column)?.expression;
      return expression?.kind === 'column' && isOwnProcess(operator.input, expression.name);
    }
    case 'aggregate':
      return operator.keys.includes(column) && isOwnProcess(operator.input, column);
    case 'join': {
      const output = operator.columns.find(({ name }) => name === column);
      const isFilled = operator.how !== 'inner' && operator.how !== output?.side;
      return output !== undefined && !isFilled && isOwnProcess(operator[output.side], output.column);
    }
    case 'union':
      return operator.inputs.every((input) => isOwnProcess(input, column));
    case 'remote':
      return false;
  }
}

/** Pure functions of a UPID's bits or of a name's text; all other metadata functions look somebody up. */
const PURE = new Set([
  'upid_to_string',
  'upid_to_asid',
  'upid_to_pid',
  'upid_to_start_ts',
  'pod_name_to_namespace',
  'service_name_to_namespace',
]);
const LOOKS_UP =
  /^(?:_?upid_to_|pod_id_to_|pod_name_to_|ip_to_|service_id_to_|service_name_to_|asid$|_exec_host|upid$)/;

/** The name of a function in the expression that only a node can answer. */
function identityCall(expression: Expression): string | undefined {
  if (expression.kind !== 'call') return undefined;
  const { function: name, args } = expression;
  // px.upid(asid, pid, start) is arithmetic, px.upid(pid, start) means the node's own agent.
  const looksUp = LOOKS_UP.test(name) && !PURE.has(name) && !(name === 'upid' && args.length === 3);
  return looksUp ? name : args.map(identityCall).find((found) => found !== undefined);
}

function refuse(expressions: readonly Expression[]): never {
  const name = expressions.map(identityCall).find((found) => found !== undefined) ?? '';
  throw new RunFailure(
    'Query',
    'METADATA_AFTER_MERGE',
    `px.${name} must run on the node that captured the rows; compute it (df.ctx[...]) before groupby, merge or head, or group by upid`,
  );
}
