// Every diagnostic that the compiler can give: its code, its severity and what it means. docs/errors.md lists the same
// codes; a test compares both ways.
import type { Severity } from '../model/diagnostic.ts';

interface CodeEntry {
  readonly severity: Severity;
  /** When it is given; one sentence, also shown in docs/errors.md. */
  readonly when: string;
}

const error = (when: string): CodeEntry => ({ severity: 'error', when });
const warning = (when: string): CodeEntry => ({ severity: 'warning', when });

export const CODES = {
  // Text
  SYNTAX_ERROR: error('The text is not PxL: a stray token, an open bracket or string, a wrong indentation.'),
  INVALID_NUMBER: error('A number cannot be read or does not fit INT64.'),
  UNSUPPORTED_STATEMENT: error('A statement of Python that PxL does not have (if, for, class, +=, …).'),
  UNSUPPORTED_EXPRESSION: error('An expression of Python that PxL does not have (lambda, slices, comprehensions, …).'),
  UNSUPPORTED_OPERATOR: error(
    'An operator of Python that PxL does not have (//, **, in, is, &, …), or a chain a < b < c.',
  ),
  INVALID_FLAG: error('A `#px:set` line is malformed or names an unknown flag.'),
  EMPTY_SCRIPT: error('The script has no statement.'),

  // Bounds
  SOURCE_TOO_LARGE: error('The script is longer than the compiler accepts.'),
  NESTING_TOO_DEEP: error('Brackets, operators or function calls are nested too deeply (recursion has no end in PxL).'),
  EXPRESSION_TOO_LARGE: error('A column expression grows beyond the bound on its size.'),
  PLAN_TOO_LARGE: error('The script makes more frames or columns than the bound allows.'),
  COMPILE_TIMEOUT: error('Compiling took more steps or time than allowed.'),
  INTERNAL_ERROR: error('A fault of the compiler itself; please report the script that shows it.'),

  // Names
  UNKNOWN_NAME: error('A name that was never assigned, imported or passed.'),
  UNKNOWN_MODULE: error('An import of a module that does not exist.'),
  UNKNOWN_MEMBER: error('A module or object has no member of that name.'),
  UNKNOWN_METHOD: error('A DataFrame has no method of that name.'),
  UNKNOWN_TABLE: error('No table of that name.'),
  UNKNOWN_COLUMN: error('The frame has no column of that name where it is used.'),
  UNKNOWN_CONTEXT: error("No such key in `df.ctx['…']`."),
  UNKNOWN_KEYWORD: error('The function has no parameter of that name.'),
  UNKNOWN_ARGUMENT: error('An argument given from outside that the script does not read.'),
  UNKNOWN_FUNCTION: error('A function to be run (vis.json) that the script does not define.'),
  NOT_AVAILABLE: error('PxL has it, this build does not.'),

  // Calls and kinds
  NOT_CALLABLE: error('What is called is not a function.'),
  NOT_SUBSCRIPTABLE: error('What is subscripted is not a frame, list or tuple, or the index is not one.'),
  TOO_MANY_ARGUMENTS: error('More positional arguments than parameters.'),
  MISSING_ARGUMENT: error('Required parameters have no argument.'),
  DUPLICATE_ARGUMENT: error('One parameter was given twice.'),
  ARGUMENT_KIND: error('An argument is of another kind than the parameter wants.'),
  ARGUMENT_VALUE: error('An argument has the right kind but an impossible value.'),
  LITERAL_REQUIRED: error('A value is needed that is known while compiling.'),
  INVALID_ASSIGNMENT: error('What stands left of `=` cannot be assigned to, or the right side cannot be a column.'),
  INVALID_TIME: error('A time or duration cannot be read.'),
  INVALID_RETURN: error('`return` outside a function, or a function to be run does not return a frame.'),

  // Types
  NO_OVERLOAD: error('No overload of the function takes these argument types; nothing is converted implicitly.'),
  CAST_TYPE: error('A cast such as px.DurationNanos(x) relabels and needs the very data type.'),
  FILTER_NOT_BOOLEAN: error('A filter expression is not BOOLEAN.'),
  AGGREGATE_MISPLACED: error('An aggregate outside `agg(…)`, or a scalar function inside it.'),

  // Frames
  GROUPBY_WITHOUT_AGG: error('`groupby(…)` must be followed by `.agg(…)`.'),
  INVALID_AGGREGATE: error("An aggregate is not of the form out=('column', px.function)."),
  DUPLICATE_COLUMN: error('Two output columns would have one name.'),
  NO_CONTEXT_COLUMN: error("The frame has none of the columns that `df.ctx['…']` can be computed from."),
  INVALID_MERGE: error('`merge` keys or suffixes do not fit, or `how` is none of inner, left, right, outer.'),
  MERGE_TIME: error('A joined `time_` must come from the side whose rows are all kept; an outer join has none.'),
  APPEND_SCHEMA: error('Appended frames differ in column names or types.'),
  NO_OUTPUT: error('Nothing is displayed or exported.'),

  // Export
  OTEL_BAD_SPEC: error('The second argument of px.export is not px.otel.Data(…).'),
  OTEL_NO_ENDPOINT: error('Neither the script nor the run says where to send.'),
  OTEL_ENDPOINT_TYPE: error('`endpoint` is not px.otel.Endpoint(…).'),
  OTEL_ENDPOINT_FORBIDDEN: error('Scripts may not choose their own endpoint here.'),
  OTEL_HEADERS_TYPE: error('`headers` is not a dict of strings.'),
  OTEL_DATA_TYPE: error('`data` is not a list.'),
  OTEL_DATA_EMPTY: error('`data` is empty.'),
  OTEL_DATA_ITEM: error('An element of `data` is neither metric nor span.'),
  OTEL_RESOURCE_TYPE: error('`resource` is not a dict.'),
  OTEL_NO_SERVICE_NAME: error('`resource` lacks service.name.'),
  OTEL_ATTRS_TYPE: error('`attributes` is not a dict.'),
  OTEL_ATTR_KEY_EMPTY: error('An attribute key is empty.'),
  OTEL_ATTR_KEY_DUP: error('An attribute key is given twice.'),
  OTEL_ATTR_VALUE: error('An attribute value is neither a column nor a string, number or boolean literal.'),
  OTEL_ATTR_TYPE: error('An attribute column is TIME64NS or UINT128.'),
  OTEL_METRIC_NAME: error('A metric name violates the instrument name rule of OpenTelemetry.'),
  OTEL_ARG_KIND: error('An argument should be a column, string, int, float or bool and is something else.'),
  OTEL_NO_COLUMN: error('A column that is exported is not in the exported frame.'),
  OTEL_FOREIGN_COLUMN: warning(
    'An exported column was read from an unrelated frame; the exported frame has one of that name.',
  ),
  OTEL_NO_TIME: error('A metric needs a column time_ in the exported frame.'),
  OTEL_TIME_TYPE: error('time_ or a time of a span or stream is not TIME64NS.'),
  OTEL_GAUGE_TYPE: error('The value of a Gauge is neither INT64 nor FLOAT64.'),
  OTEL_SUM_TYPE: error('The value of a Sum is neither INT64 nor FLOAT64.'),
  OTEL_SUMMARY_COUNT_TYPE: error('The count of a Summary is not INT64.'),
  OTEL_SUMMARY_SUM_TYPE: error('The sum of a Summary is not FLOAT64.'),
  OTEL_QUANTILE_TYPE: error('A quantile column of a Summary is not FLOAT64.'),
  OTEL_QUANTILES_EMPTY: error('A Summary has no quantile.'),
  OTEL_QUANTILE_RANGE: error('A quantile is outside 0..1, given twice, or not ascending.'),
  OTEL_HISTOGRAM_TYPE: error('A column of a Histogram has the wrong type.'),
  OTEL_HISTOGRAM_BOUNDS: error('Bounds of a Histogram are not finite, ascending numbers, or not those of its buckets.'),
  OTEL_TEMPORALITY: error("`temporality` is neither 'delta' nor 'cumulative'."),
  OTEL_SPAN_NAME: error('The name of a Span is neither a string nor a STRING column.'),
  OTEL_ID_TYPE: error('A trace or span id is not a STRING column.'),
  OTEL_SPAN_KIND: error('The kind of a Span is not 0 to 5.'),
  OTEL_STATUS: error('The status of a Span is not 0 (unset), 1 (ok) or 2 (error).'),
  PLUGIN_NO_CONTEXT: error('px.plugin is used, but the script does not run over a window.'),

  // Warnings
  SOURCE_UNBOUNDED: warning('A frame has no start_time: it reads all rows that are retained, in every window.'),
  TABLE_NOT_FILLED: warning('The table exists but nothing in this build fills it.'),
  FLAG_IGNORED: warning('A `#px:set` flag that has no effect in this build.'),
} as const satisfies Readonly<Record<string, CodeEntry>>;

export type Code = keyof typeof CODES;
