import type { Diagnosis, ErrorDetails } from '../classify.js';
import { nodeDiagnosis } from './node-errors.js';

/** The dispatcher takes no such request, or no request any more: nothing has been sent. */
const DISPATCHER_CODE = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|CLOSED|DESTROYED)$/;

const DISPATCHER_REFUSED: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the dispatcher refused the request: it has to be open, and of undici 7 or later',
};

/** How undici reports what a proxy answers to CONNECT. */
const PROXY_REFUSED: Diagnosis = {
  kind: 'misconfigured',
  message: 'keyverify: the request was aborted: a proxy refused the connection, or a dispatcher gave up',
};

/** What the errors of Node's `fetch` say, and those of dispatchers, which callers can set where undici runs. */
export const undiciDiagnosis = (canOpenDescriptor: () => boolean | undefined) => {
  const ofNode = nodeDiagnosis(canOpenDescriptor);
  return (error: ErrorDetails, url: string): Diagnosis | undefined => {
    if (DISPATCHER_CODE.test(error.code)) return DISPATCHER_REFUSED;
    return error.code === 'UND_ERR_ABORTED' ? PROXY_REFUSED : ofNode(error, url);
  };
};
