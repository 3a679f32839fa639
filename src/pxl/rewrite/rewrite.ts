// The rewrites of a plan, in order. Each keeps what the sinks see: the columns they read and the rows.
import type { Plan } from '../../plan/plan.ts';
import { foldConstants } from './fold-constants.ts';
import { mergeMaps } from './merge-maps.ts';
import { pruneColumns } from './prune-columns.ts';
import { pushFilters } from './push-filters.ts';
import { pushLimits } from './push-limits.ts';

const RULES = [foldConstants, pushFilters, pushLimits, mergeMaps, pruneColumns, mergeMaps];

export const rewrite = (plan: Plan): Plan => RULES.reduce((each, rule) => rule(each), plan);
