// node in_node.mjs LIBRARY TRANSPORT URL OPTIONS: commands as JSON lines on stdin, reports as JSON lines on stdout.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { driveCometd, driveFaye } from './driver.mjs';

const [library, transport, url] = process.argv.slice(2);
const options = JSON.parse(process.argv[5]);
const report = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const require = createRequire(import.meta.url);

let driver;
if (library === 'faye') {
  driver = driveFaye(require('faye'), transport, url, report, options);
} else {
  const { adapt } = await import('cometd-nodejs-client');
  adapt();
  const { CometD } = await import('cometd');
  const { AckExtension } = await import('cometd/AckExtension.js');
  driver = driveCometd({ CometD, AckExtension }, transport, url, report, options);
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...values] = JSON.parse(line);
  driver[command](...values);
}
process.exit(0);
