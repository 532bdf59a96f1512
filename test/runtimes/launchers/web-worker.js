import * as lib from 'keyverify';

import { conform } from './suite.js';

globalThis.onmessage = ({ data }) => conform({ lib, ...data }).then((report) => globalThis.postMessage(report));
