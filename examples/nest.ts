import 'reflect-metadata';

import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { KeyVerifier, type Verified } from 'keyverify';
import { apiKeyAuth, Identity } from 'keyverify/nest';
import { startKeyServer } from 'keyverify/testing';

const server = await startKeyServer({ keys: { 'sk-demo-1': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });

@Controller()
class OrdersController {
  @Get('/orders')
  @UseGuards(apiKeyAuth(verifier))
  orders(@Identity() identity: Verified): { tenant: string } {
    return { tenant: identity.tenant };
  }

  @Get('/catalog')
  @UseGuards(apiKeyAuth(verifier, { optional: true }))
  catalog(@Identity() identity: Verified | null): { tenant: string | null } {
    return { tenant: identity?.tenant ?? null };
  }
}

@Module({ controllers: [OrdersController] })
class AppModule {}

const app = await NestFactory.create(AppModule);
await app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1');
console.log('listening', await app.getUrl());
