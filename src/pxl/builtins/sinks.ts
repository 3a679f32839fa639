// Named sinks: the first use of a name keeps it, later ones become `name_1`, `name_2`, ….
import type { Frame, Session } from '../values.ts';

export function uniqueName(session: Session, name: string): string {
  const taken = new Set(session.sinks.map((sink) => sink.name));
  if (!taken.has(name)) return name;
  let i = 1;
  while (taken.has(`${name}_${i}`)) i++;
  return `${name}_${i}`;
}

/** Adds a table output. */
export function display(session: Session, name: string, frame: Frame): void {
  session.sinks.push({
    kind: 'table',
    name: uniqueName(session, name),
    input: frame.operator,
    rowsMax: session.rowsMax,
  });
}
