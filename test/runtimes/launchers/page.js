import * as lib from 'keyverify';

import { conform } from './suite.js';

const evaluates = () => {
  try {
    return new Function('return true')();
  } catch {
    return false;
  }
};

// Begun by the page itself: what a debugger begins may evaluate whatever the policy says.
globalThis.report = (async () => {
  const violations = [];
  document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
  const config = await (await fetch('/config.json')).json();
  const report = await conform({ lib, ...config });
  // The events come in a task of their own.
  await new Promise((resolve) => setTimeout(resolve));
  const broken = [...violations];
  return { ...report, violations: broken, secure: typeof crypto.subtle === 'object', evaluates: evaluates() };
})();
