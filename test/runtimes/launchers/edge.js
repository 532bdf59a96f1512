// edge-runtime evaluates scripts, not modules.
import * as lib from 'keyverify';

import { conform } from './suite.js';

globalThis.conformance = (config) => conform({ lib, ...config });
