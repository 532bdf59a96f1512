import 'reflect-metadata';

import { All, Controller, type INestApplication, Logger, Module, type Type, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Verified } from 'keyverify';
import { apiKeyAuth, Identity } from 'keyverify/nest';
import { type AdapterHandler, adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import type { DefaultVerifier } from '../../src/guard/verifier.js';
import { acme, saying } from '../guard/verifiers.js';
import { testAdapter } from './suite.js';

const newClass = (): Type => class { readonly name = 'test'; }; // prettier-ignore

type Service = Record<string, (identity: Verified | null) => unknown>;

/** Written with the decorators as functions: a controller with a method for each route, and one that nothing guards. */
function moduleOf(verifier: DefaultVerifier, handler: AdapterHandler): Type {
  const [AppController, AppModule] = [newClass(), newClass()];
  const methods = AppController.prototype as Service;
  const route = (path: string, ...decorators: MethodDecorator[]): void => {
    methods[path] = (identity) => handler(identity);
    const descriptor = Object.getOwnPropertyDescriptor(methods, path) ?? {};
    for (const decorate of [All(path), ...decorators]) decorate(methods, path, descriptor);
    Identity()(methods, path, 0);
  };
  for (const [path, options] of Object.entries(adapterRoutes)) route(path, UseGuards(apiKeyAuth(verifier, options)));
  route('/unguarded');
  Controller()(AppController);
  Module({ controllers: [AppController] })(AppModule);
  return AppModule;
}

Logger.overrideLogger(false);

async function deploy(app: INestApplication): Promise<{ url: string; close: () => Promise<void> }> {
  await app.listen(0, '127.0.0.1');
  return { url: await app.getUrl(), close: async () => await app.close() };
}

testAdapter(
  'Nest on Express',
  async (verifier, handler) => await deploy(await NestFactory.create(moduleOf(verifier, handler))),
);

testAdapter(
  'Nest on Fastify',
  async (verifier, handler) =>
    await deploy(
      await NestFactory.create(moduleOf(verifier, handler), new FastifyAdapter({ requestIdHeader: 'x-request-id' })),
    ),
);

describe('the guard for Nest', () => {
  it('answers with a text where a hook gives one, in the way of Nest', async () => {
    const app = await NestFactory.create(moduleOf(saying(acme), () => expect.unreachable()));
    app.useGlobalGuards(apiKeyAuth(saying(acme), { onDenied: () => ({ body: 'No.' }) }));
    const { url, close } = await deploy(app);
    const response = await fetch(`${url}/me`);
    expect([response.status, await response.json()]).toEqual([401, { statusCode: 401, message: 'No.' }]);
    await close();
  });
});

describe('the parameter decorator for Nest', () => {
  it('denies where no guard has run', async () => {
    const verifier = { verify: async () => await Promise.reject(new Error('not asked')) };
    const app = await NestFactory.create(moduleOf(verifier, () => expect.unreachable()));
    const { url, close } = await deploy(app);
    expect((await fetch(`${url}/unguarded`)).status).toBe(500);
    await close();
  });
});
