// A look over the raw text before the grammar parser sees it: finds open strings and brackets (better messages than
// error recovery gives), `#px:set` comments and the nesting depth, and rewrites the few spots where PxL is more
// tolerant than Python's grammar: one missing comma before a keyword argument, `1.`, `ur''`. Insertions are recorded,
// so that every offset maps back to the text as written.
import type { Code } from './codes.ts';
import type { Limits } from './limits.ts';

export interface ScanProblem {
  readonly code: Code;
  readonly at: number;
  readonly message: string;
  readonly suggestion?: string;
}

export interface Scan {
  /** What the grammar parser reads. */
  readonly text: string;
  /** Offset in `text` -> offset in the source. */
  readonly original: (offset: number) => number;
  /** Comments that start a line, with the offset of `#`. */
  readonly lineComments: readonly { readonly at: number; readonly text: string }[];
  readonly problems: readonly ScanProblem[];
}

const CLOSER: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
const OPERAND_KEYWORDS = new Set(['True', 'False', 'None']);
const KEYWORDS = new Set(
  'and as assert break class continue def del elif else except exec finally for from global if import in is lambda not or pass raise return try while with yield'.split(
    ' ',
  ),
);

interface Bracket {
  readonly open: string;
  readonly at: number;
  readonly call: boolean;
  missingComma: boolean;
  /** Operators since the last comma. */
  operators: number;
}

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

const TOKEN =
  /(?<space>[ \t\f\r\n]+|\\\r?\n)|(?<comment>#[^\n]*)|(?<string>[A-Za-z]{0,2}(?:'''|"""|'|"))|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<number>0[xX][0-9A-Za-z_]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?[A-Za-z_0-9]*)|(?<bracket>[()[\]{}])|(?<operator><>|[=!<>]=|\*\*|\/\/|<<|>>|->|:=|[-+*/%@&|^~<>=.,:;])/y;

/** End of the string that opens at `start` (after prefix and quote); -1 where it is not closed. */
function stringEnd(text: string, start: number, quote: string): number {
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (c === '\\') i += text.startsWith('\r\n', i + 1) ? 2 : 1;
    else if (c === '\n' && quote.length === 1) return -1;
    else if (text.startsWith(quote, i)) return i + quote.length;
  }
  return -1;
}

function apply(text: string, edits: readonly Edit[]): Pick<Scan, 'text' | 'original'> {
  if (edits.length === 0) return { text, original: (offset) => offset };
  const pieces: string[] = [];
  const shifts: { readonly from: number; readonly by: number }[] = [];
  let done = 0;
  let by = 0;
  for (const edit of edits) {
    pieces.push(text.slice(done, edit.at), edit.insert);
    done = edit.at + edit.remove;
    by += edit.insert.length - edit.remove;
    shifts.push({ from: done + by, by });
  }
  pieces.push(text.slice(done));
  return {
    text: pieces.join(''),
    original(offset) {
      let low = 0;
      let high = shifts.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((shifts[middle]?.from ?? 0) <= offset) low = middle + 1;
        else high = middle;
      }
      return Math.max(0, Math.min(text.length, offset - (shifts[low - 1]?.by ?? 0)));
    },
  };
}

/** Scans `source` once, left to right; the limits bound open brackets and the operators of one expression. */
export function scan(source: string, { nestingMax, chainMax }: Pick<Limits, 'nestingMax' | 'chainMax'>): Scan {
  // Carriage returns mean nothing, but a line joined by `\` CR LF must stay joined.
  const text = source.replaceAll('\\\r\n', ' \\\n').replaceAll('\r', ' ');
  const edits: Edit[] = [];
  const problems: ScanProblem[] = [];
  const lineComments: { at: number; text: string }[] = [];
  const open: Bracket[] = [];
  /** Whether the last token can end an operand, and where it ended. */
  let operand = false;
  let operandEnd = 0;
  let lastName = false;
  let afterComma = false;

  const outside = { operators: 0 };
  const countOperator = (at: number): void => {
    const level = open.at(-1) ?? outside;
    level.operators++;
    if (level.operators === chainMax + 1) {
      const message = `this expression has more than ${chainMax} operators`;
      problems.push({ code: 'NESTING_TOO_DEEP', at, message, suggestion: 'put parts of it into columns or brackets' });
    }
  };
  const endExpression = (): void => {
    (open.at(-1) ?? outside).operators = 0;
  };
  const ended = (end: number, isOperand: boolean, isName = false): void => {
    operand = isOperand;
    afterComma = false;
    operandEnd = end;
    lastName = isName;
  };
  const missingCommaBefore = (end: number): boolean => {
    const top = open.at(-1);
    if (top === undefined || !top.call || !operand || top.missingComma) return false;
    return /^\s*=(?!=)/.test(text.slice(end, end + 80));
  };
  const bracket = (c: string, at: number): void => {
    if (CLOSER[c] !== undefined) {
      open.push({
        open: c,
        at,
        call: c === '(' && operand && (lastName || ')]'.includes(text[operandEnd - 1] ?? '')),
        missingComma: false,
        operators: 0,
      });
      ended(at + 1, false);
      return;
    }
    const top = open.pop();
    if (top === undefined || CLOSER[top.open] !== c) {
      const what = top === undefined ? `'${c}' closes nothing` : `'${c}' does not close '${top.open}'`;
      problems.push({ code: 'SYNTAX_ERROR', at, message: what });
      open.length = 0;
    }
    ended(at + 1, true);
  };

  const handlers: Readonly<Record<string, (token: string, at: number, end: number) => number>> = {
    comment(token, at, end) {
      if (at === 0 || text[at - 1] === '\n') lineComments.push({ at, text: token });
      return end;
    },
    space(token, _, end) {
      if (open.length === 0 && token.includes('\n') && !token.startsWith('\\')) {
        endExpression();
        ended(end, false);
      }
      return end;
    },
    string: scanString,
    name(token, at, end) {
      if (token === 'and' || token === 'or') countOperator(at);
      if (missingCommaBefore(end)) {
        edits.push({ at: operandEnd, remove: 0, insert: ',' });
        const top = open.at(-1);
        if (top !== undefined) top.missingComma = true;
      }
      const isOperand = !KEYWORDS.has(token);
      ended(end, isOperand, isOperand && !OPERAND_KEYWORDS.has(token));
      return end;
    },
    number(token, at, end) {
      const dot = /^\d[\d_]*\.(?![\d_])/.exec(token);
      if (dot !== null) edits.push({ at: at + dot[0].length, remove: 0, insert: '0' });
      ended(end, true);
      return end;
    },
    bracket(token, at, end) {
      bracket(token, at);
      if (open.length > nestingMax) {
        problems.push({ code: 'NESTING_TOO_DEEP', at, message: `more than ${nestingMax} brackets are open here` });
      }
      return end;
    },
    operator(token, at, end) {
      // `f(a,, b)`: a doubled comma counts as one.
      const doubled = token === ',' && afterComma && open.at(-1)?.call === true;
      if (doubled) edits.push({ at, remove: 1, insert: ' ' });
      if (token === ',' || token === ';' || token === ':' || token === '=') endExpression();
      else if (token !== '.') countOperator(at);
      ended(end, false);
      afterComma = token === ',' && !doubled;
      return end;
    },
  };

  let i = 0;
  while (i < text.length && problems.length === 0) {
    TOKEN.lastIndex = i;
    const match = TOKEN.exec(text);
    const [kind, token] = Object.entries(match?.groups ?? {}).find(([, value]) => value !== undefined) ?? [];
    const handler = kind === undefined ? undefined : handlers[kind];
    if (handler === undefined || token === undefined) {
      const shown = String.fromCodePoint(text.codePointAt(i) ?? 0);
      problems.push({ code: 'SYNTAX_ERROR', at: i, message: `unexpected character '${shown}'` });
      break;
    }
    i = handler(token, i, TOKEN.lastIndex);
  }
  function scanString(token: string, start: number, contentStart: number): number {
    const quote = token.replace(/^[A-Za-z]*/, '');
    const prefix = token.slice(0, token.length - quote.length);
    if (!/^(?:[rub]|ur|br|rb|f|rf|fr)?$/i.test(prefix)) {
      problems.push({ code: 'SYNTAX_ERROR', at: start, message: `'${prefix}' is no string prefix` });
      return text.length;
    }
    const end = stringEnd(text, contentStart, quote);
    if (end < 0) {
      problems.push({
        code: 'SYNTAX_ERROR',
        at: start,
        message: 'this string is not closed',
        suggestion: `add ${quote}${quote.length === 1 ? ' on the same line' : ''}`,
      });
      return text.length;
    }
    if (/^ur$/i.test(prefix)) edits.push({ at: start, remove: 1, insert: ' ' });
    ended(end, true);
    return end;
  }
  const unclosed = open[0];
  if (problems.length === 0 && unclosed !== undefined) {
    const suggestion = `add '${CLOSER[unclosed.open] ?? ''}'`;
    problems.push({ code: 'SYNTAX_ERROR', at: unclosed.at, message: `'${unclosed.open}' is never closed`, suggestion });
  }
  return { ...apply(text, edits), lineComments, problems };
}
