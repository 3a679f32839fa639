// Where finished rows go: the border between what makes rows and what stores them.
import type { Cell } from '../model/types.ts';
import type { KtimeNs } from './protocols/protocol.ts';
import type { LossKind } from './loss.ts';

export interface RowSink {
  /**
   * Appends a row with the time of `ktime`. `cells` are the table's columns in their order; the first, `time_`, is filled
   * in here. The array may be used again after the call.
   */
  append(table: string, ktime: KtimeNs, cells: Cell[]): void;
}

export interface LossSink {
  add(table: string, kind: LossKind, ktime: KtimeNs, amount: number): void;
}
