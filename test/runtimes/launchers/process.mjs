import { argv, stdout } from 'node:process';

import * as lib from 'keyverify';

import { conform } from './suite.js';

// No exit(): a process that doesn't exit by itself has an open handle.
stdout.write(JSON.stringify(await conform({ lib, ...JSON.parse(argv[2]) })));
