import * as lib from 'keyverify';

import { conform } from '../suite.js';

export const handler = async (event) => await conform({ lib, ...event });
