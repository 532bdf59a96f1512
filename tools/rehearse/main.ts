/** Plays the life of a release on loopback and checks what it leaves behind: `npm run rehearse`. */
import { verifyWithPublished } from './consumer.ts';
import { checkTrust } from './provenance.ts';
import { scene, summary } from './report.ts';
import { openStage } from './stage.ts';
import { playFirstRelease, playRepairs } from './story.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 10)) throw new Error('the rehearsal runs on Node 24.10 or newer');

let broken = false;
try {
  const stage = await openStage();
  await playFirstRelease(stage);
  await playRepairs(stage);
  await checkTrust();
  scene('someone installs it and verifies a key');
  await verifyWithPublished(stage.registry, '1.0.0');
} catch (error) {
  // A run that ended otherwise than it should: what comes after would stand on nothing.
  console.error(error);
  broken = true;
}
process.exit(summary() && !broken ? 0 : 1);
