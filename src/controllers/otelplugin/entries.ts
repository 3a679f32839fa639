// What the leader remembers of each OtelPlugin during its term.
import type { Fault } from '../../crds/script-conditions.ts';
import type { Named } from '../../crds/manifest.ts';
import type { OtelPlugin } from '../../crds/otel-plugin.ts';
import type { Destination } from '../../model/destination.ts';

export interface PluginEntry extends Named<OtelPlugin> {
  /** `namespace/name`. */
  readonly key: string;
  /** There, and not looked at yet, or waiting for a Secret to be read. */
  readonly isPending: boolean;
  readonly isDisabled: boolean;
  /** Changes whenever any resolved value does. */
  readonly revision: string;
  /** Why nothing can be sent there. */
  readonly fault: Fault | undefined;
  readonly condition: 'destination' | 'credentials' | undefined;
  readonly presets: Fault | undefined;
  /** With every value in it; in memory only. */
  readonly destination: Destination | undefined;
}
