import * as lib from 'keyverify';

import { conform } from './suite.js';

const evaluates = () => {
  try {
    return new Function('return true')();
  } catch {
    return false;
  }
};

// Started by the page itself: code that a debugger starts is exempt from the policy.
globalThis.report = (async () => {
  const violations = [];
  document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
  const config = await (await fetch('/config.json')).json();
  const report = await conform({ lib, ...config });
  // The events are dispatched in a later task.
  await new Promise((resolve) => setTimeout(resolve));
  const broken = [...violations];
  return { ...report, violations: broken, secure: typeof crypto.subtle === 'object', evaluates: evaluates() };
})();
