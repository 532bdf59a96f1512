import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const nginxVersion = () => /nginx\/(\S+)/.exec(spawnSync('nginx', ['-v']).stderr?.toString() ?? '')?.[1];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** nginx in front of an app: it asks the key server and caches the answers. `auth_request` reads their status only. */
export async function startNginx({ appPort, verifyUrl, token }) {
  const folder = await mkdtemp(join(tmpdir(), 'keyverify-bench-'));
  const port = await freePort();
  await writeFile(
    join(folder, 'nginx.conf'),
    `${process.getuid() === 0 ? 'user root; ' : ''}daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/temp;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache keys_zone=verdicts:10m;
  map $http_authorization $key { "~^Bearer (?<presented>[\\w-]+)$" $presented; }
  upstream app { server 127.0.0.1:${appPort}; keepalive 64; }
  upstream keyserver { server ${new URL(verifyUrl).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      auth_request /verify; proxy_pass http://app;
      proxy_http_version 1.1; proxy_set_header connection "";
    }
    location = /verify {
      internal; proxy_pass http://keyserver${new URL(verifyUrl).pathname};
      proxy_http_version 1.1; proxy_set_header connection "";
      proxy_method POST; proxy_set_body '{"key":"$key"}';
      proxy_set_header content-type application/json; proxy_set_header x-service-token ${token};
      proxy_cache verdicts; proxy_cache_key $key; proxy_cache_valid 200 5m; proxy_cache_lock on;
    }
  }
}
`,
  );
  const nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  process.once('exit', () => nginx.kill());
  const url = `http://127.0.0.1:${port}/`;
  for (let tries = 0; tries < 100; tries++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    pid: nginx.pid,
    async stop() {
      const ended = once(nginx, 'exit');
      nginx.kill('SIGQUIT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
