// Functions that take regular expressions. A pattern is compiled once per call of the script. Cells that
// are not UTF-8 are matched byte by byte, as if each byte were one character.
import { asByteString, isUtf8, toBytes, toText, type ByteString } from '../byte-string.ts';
import { EngineError } from '../context.ts';
import { perDistinct, S, toB, toS, type CallSite, type Implementation, type Implementations } from './kernel.ts';
import { parseJson } from './json-parse.ts';
import { compileRegex, type Match, type Matcher } from './regex/matcher.ts';
import { RegexError } from './regex/syntax.ts';

const EMPTY = asByteString('');

function patternOf({ literals }: CallSite): string {
  const [pattern] = literals;
  if (typeof pattern !== 'string')
    throw new EngineError('PATTERN_NOT_LITERAL', 'the pattern of a regular expression must be a literal');
  return pattern;
}

/** The matcher, or why the pattern is none. */
function compiled(pattern: string, dotAll: boolean): Matcher | string {
  try {
    return compileRegex(pattern, dotAll);
  } catch (error) {
    if (error instanceof RegexError) return error.message;
    throw error;
  }
}

const matches = (matcher: Matcher, cell: ByteString): boolean => matcher.matchesAll(isUtf8(cell) ? toText(cell) : cell);

/** An invalid pattern matches nothing. */
const regexMatch: Implementation = (site) => {
  const matcher = compiled(patternOf(site), true);
  return perDistinct([S, S], toB, (_, cell) => typeof matcher !== 'string' && matches(matcher, cell));
};

const replace: Implementation = (site) => {
  const matcher = compiled(patternOf(site), false);
  return perDistinct([S, S, S], toS, (_, cell, substitution) => {
    if (typeof matcher === 'string') return toBytes(`Invalid regex expr: ${matcher}`);
    const isText = isUtf8(cell);
    const template = parseTemplate(isText ? toText(substitution) : substitution, matcher.groups);
    if (typeof template === 'string') return toBytes(`Invalid regex in substitution string: ${template}`);
    const replaced = replaceAll(matcher, isText ? toText(cell) : cell, template);
    return isText ? toBytes(replaced) : asByteString(replaced);
  });
};

/** Literal texts and numbers of groups, in order. */
type Template = readonly (string | number)[];

/** The template, or what is wrong with it. */
function parseTemplate(text: string, groups: number): Template | string {
  const parts: (string | number)[] = [];
  const pieces = text.split('\\');
  parts.push(pieces[0] ?? '');
  for (let i = 1; i < pieces.length; i++) {
    const piece = pieces[i] ?? '';
    if (piece === '' && i + 1 < pieces.length) {
      // Two backslashes stand for one.
      i++;
      parts.push(`\\${pieces[i] ?? ''}`);
      continue;
    }
    if (piece === '') return "Rewrite schema error: '\\' not allowed at end.";
    if (!/^[0-9]/.test(piece)) return "Rewrite schema error: '\\' must be followed by a digit or '\\'.";
    const group = Number(piece.charAt(0));
    if (group > groups) {
      return `Rewrite schema requests ${group} matches, but the regexp only has ${groups} parenthesized subexpressions.`;
    }
    parts.push(group, piece.slice(1));
  }
  return parts;
}

const filled = (template: Template, { groups }: Match): string =>
  template.map((part) => (typeof part === 'string' ? part : (groups[part] ?? ''))).join('');

/** Every match from left to right; an empty one right behind the one before is skipped. */
function replaceAll(matcher: Matcher, text: string, template: Template): string {
  let out = '';
  let from = 0;
  let lastEnd = -1;
  while (from <= text.length) {
    const match = matcher.find(text, from);
    if (match === undefined) break;
    out += text.slice(from, match.start);
    if (match.end === match.start && match.start === lastEnd) {
      const width = (text.codePointAt(match.start) ?? 0) > 0xffff ? 2 : 1;
      out += text.slice(match.start, match.start + width);
      from = match.start + width;
      lastEnd = -1;
      continue;
    }
    out += filled(template, match);
    from = match.end;
    lastEnd = match.end;
  }
  return out + text.slice(from);
}

/** Rules are tried in the order in which the object names them. */
const matchRule: Implementation = (site) => {
  const rules = parseJson(toBytes(patternOf(site)));
  if (rules?.kind !== 'object') {
    throw new EngineError('BAD_RULES', 'the rules of px._match_regex_rule are no JSON object of names and patterns');
  }
  const matchers = rules.members.flatMap(({ name, value }) => {
    const matcher = value.kind === 'string' ? compiled(toText(value.value), true) : '';
    return typeof matcher === 'string' ? [] : [{ name, matcher }];
  });
  return perDistinct([S, S], toS, (_, cell) => matchers.find(({ matcher }) => matches(matcher, cell))?.name ?? EMPTY);
};

export const REGULAR_EXPRESSIONS: Implementations = {
  'regex_match:SS': regexMatch,
  'replace:SSS': replace,
  '_match_regex_rule:SS': matchRule,
};
