// The table catalogue: every table that a script may name, with columns in their contractual order.
import type { DataType, PatternType, SemanticType } from './types.ts';

export interface TableColumn {
  readonly name: string;
  readonly type: DataType;
  readonly semanticType: SemanticType;
  readonly pattern: PatternType;
  readonly description: string;
  /** Longest STRING cell in bytes before it is cut and marked; 1024 where not given. */
  readonly bytesMax?: number;
}

export interface TableDefinition {
  readonly name: string;
  readonly description: string;
  /** Event tables have a row per event; sampled tables have rows of one sample time; status tables are about us. */
  readonly kind: 'event' | 'sampled' | 'status';
  /** False while nothing in this build fills the table: it exists, stays empty, and a compile warns. */
  readonly filled: boolean;
  readonly columns: readonly TableColumn[];
}
