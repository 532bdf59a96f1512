import { KeyVerifier } from 'keyverify';
import { startKeyServer, stubVerifier, type KeyServer } from 'keyverify/testing';

const server: KeyServer = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });
export const asked: number = server.asked('sk-1');
export const stub = stubVerifier({ failOpen: true });
export const result = await verifier.verify('sk-1');
await verifier.close();
