// Starts a control plane, prints where it is, and waits to be killed.
import { startControlPlane } from './control-plane.ts';

const { dir } = await startControlPlane({ name: 'abandoned', controllerManager: false });
process.stdout.write(`${dir}\n`);
setInterval(() => {}, 1000);
