/** Loaded before a program: on SIGUSR2 it tells on its standard error what it holds in memory, after a collection. */
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  process.stderr.write(`heap of ${heapUsed + external} bytes\n`);
});
