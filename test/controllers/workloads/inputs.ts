// An installation and settings for tests.
import type { Inputs, Installation } from '../../../src/controllers/workloads/objects.ts';
import { parseSettings, problemText } from '../../../src/controllers/workloads/settings.ts';

export const INSTALLATION: Installation = {
  namespace: 'sluice-system',
  deploymentUid: '11111111-2222-3333-4444-555555555555',
  version: '0.1.0',
  image: 'localhost/sluice:dev',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
};

/** `yaml`: a settings file. */
export function inputsOf(yaml = '', installation: Partial<Installation> = {}): Inputs {
  const result = parseSettings(yaml, 'sluice.yaml');
  if (!result.ok) throw new Error(result.problems.map(problemText).join('\n'));
  return { installation: { ...INSTALLATION, ...installation }, settings: result.settings };
}
