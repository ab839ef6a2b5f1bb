export default async function globalTeardown() {
  await globalThis.scanmqTestRedis?.stop();
}
