// PxL text -> plan: parse, evaluate with resolution and type checks, rewrite. Pure; the only clock is a
// deadline that stops scripts which would take too long.
import { CATALOGUE, type TableDefinition } from '../model/catalogue.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { ScriptOutput } from '../model/run.ts';
import type { TimeNs } from '../model/time.ts';
import type { Plan } from '../plan/plan.ts';
import type { FunctionSignature } from '../plan/signature.ts';
import { SIGNATURES } from '../plan/signatures/index-of-functions.ts';
import { type Diagnostics, collectDiagnostics } from './diagnostics.ts';
import { type Evaluation, newScope } from './evaluate.ts';
import { readFlags } from './flags.ts';
import { type FunctionCall, callOutputs } from './function-calls.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { outputsOf } from './outputs.ts';
import { parse } from './parse.ts';
import { cutToWindow } from './rewrite/cut-to-window.ts';
import { rewrite } from './rewrite/rewrite.ts';
import { scriptArguments } from './script-arguments.ts';
import { CompilationStopped, newSession } from './session.ts';
import type { Session } from './values.ts';
import { sourceText } from './source.ts';
import { runStatements } from './statements.ts';

export interface CompileOptions {
  /** The one "now" of this compilation; in a run with a window, its end is "now" instead. */
  readonly now: TimeNs;
  /** [start, end): every source is cut to rows before `end`, and px.plugin has these bounds. */
  readonly window?: { readonly start: TimeNs; readonly end: TimeNs };
  /** What relative times count from, where that is not the window's end: a window that is just all that a source holds. */
  readonly relativeTo?: TimeNs;
  /** Values for the names that the script declares (`name: type = default`) or reads. */
  readonly args?: Readonly<Record<string, string>>;
  /** Functions to call for their frames, as a vis.json lists them; `px.display` is inert then. */
  readonly calls?: readonly FunctionCall[];
  /** Exports without an endpoint have somewhere to go. */
  readonly hasDefaultEndpoint: boolean;
  /** A px.otel.Endpoint in the script is an error. */
  readonly forbidScriptEndpoint?: boolean;
  /** The tables that exist; all of the catalogue unless given. */
  readonly catalogue?: readonly TableDefinition[];
  readonly signatures?: ReadonlyMap<string, FunctionSignature>;
  /** Rows of a displayed table where the script sets no flag for it; 10 000 unless given. Exports are not bounded. */
  readonly rowsMax?: number;
  readonly limits?: Partial<Limits>;
  /** False: the plan as the script writes it, only cut to the window. For comparing with what the rewrites make of it. */
  readonly optimise?: boolean;
}

export interface Compilation {
  /** Absent where there is an error. */
  readonly plan?: Plan | undefined;
  readonly outputs: readonly ScriptOutput[];
  /** Errors and warnings in the order of the text. */
  readonly diagnostics: readonly Diagnostic[];
}

const ROWS_MAX_DEFAULT = 10_000;

/** Compiles a script. Never throws for any text; every problem is a diagnostic. */
export function compile(source: string, options: CompileOptions): Compilation {
  const diagnostics = collectDiagnostics(sourceText(source));
  const plan = compilePlan(source, options, diagnostics);
  if (plan === undefined || diagnostics.hasErrors()) return { outputs: [], diagnostics: diagnostics.list() };
  return { plan, outputs: outputsOf(plan), diagnostics: diagnostics.list() };
}

function compilePlan(source: string, options: CompileOptions, diagnostics: Diagnostics): Plan | undefined {
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  const deadlineMs = performance.now() + limits.timeMs;
  const script = parse(source, limits, deadlineMs, diagnostics);
  if (script === undefined) return undefined;
  if (script.statements.length === 0) {
    diagnostics.report('EMPTY_SCRIPT', 0, 'there is nothing to run');
    return undefined;
  }
  const calls = options.calls ?? [];
  const session = newSession({
    diagnostics,
    limits,
    deadlineMs,
    catalogue: new Map((options.catalogue ?? CATALOGUE).map((table) => [table.name, table])),
    signatures: options.signatures ?? SIGNATURES,
    now: options.relativeTo ?? options.window?.end ?? options.now,
    window: options.window,
    hasDefaultEndpoint: options.hasDefaultEndpoint,
    forbidScriptEndpoint: options.forbidScriptEndpoint ?? false,
    showDisplays: calls.length === 0,
    rowsMax: readFlags(script.lineComments, diagnostics).rowsMax ?? options.rowsMax ?? ROWS_MAX_DEFAULT,
  });
  const evaluation: Evaluation = {
    session,
    args: scriptArguments(diagnostics, options.args ?? {}),
    module: newScope(),
    runBody: (running, scope, fn) => runStatements(running, scope, fn.statement.body),
  };
  try {
    runStatements(evaluation, evaluation.module, script.statements);
    callOutputs(evaluation, calls);
  } catch (stop) {
    if (!(stop instanceof CompilationStopped)) throw stop;
    return undefined;
  }
  evaluation.args.reportUnused(evaluation.module.values.keys());
  if (diagnostics.hasErrors()) return undefined;
  return finish(session, script.statements.at(-1)?.at ?? 0, options.optimise ?? true);
}

function finish(session: Session, end: number, optimise: boolean): Plan | undefined {
  if (session.sinks.length === 0) {
    const message = 'the script shows and exports nothing';
    session.diagnostics.report('NO_OUTPUT', end, message, 'add px.display(df) or px.export(df, px.otel.Data(…))');
    return undefined;
  }
  const plan: Plan = { sinks: session.sinks };
  const cut = session.window === undefined ? plan : cutToWindow(plan, session.window.end);
  return optimise ? rewrite(cut) : cut;
}
