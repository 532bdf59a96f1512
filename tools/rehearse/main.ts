/** `npm run rehearse`: runs releases on loopback, from commit to install, and checks the results. */
import { verifyWithPublished } from './consumer.ts';
import { checkTrust } from './provenance.ts';
import { scene, summary } from './report.ts';
import { openStage } from './stage.ts';
import { playFirstRelease, playRepairs } from './story.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 10)) throw new Error('the rehearsal runs on Node 24.10 or newer');

let crashed = false;
try {
  const stage = await openStage();
  await playFirstRelease(stage);
  await playRepairs(stage);
  await checkTrust();
  scene('a new project installs it and verifies keys');
  await verifyWithPublished(stage.registry, '1.0.0');
} catch (error) {
  // A run of the workflow ended unexpectedly, so later checks would prove nothing.
  console.error(error);
  crashed = true;
}
process.exit(summary() && !crashed ? 0 : 1);
