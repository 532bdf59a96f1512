import * as lib from 'keyverify';

import { conform } from '../../../suite.js';

export const runtime = 'edge';

export async function POST(request) {
  return Response.json(await conform({ lib, ...(await request.json()) }));
}
