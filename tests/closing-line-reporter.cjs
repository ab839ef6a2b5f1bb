/** Prints, as the last line of a run, how many tests passed and failed. A suite that could not run counts as failed. */
class ClosingLineReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    // after jest's own summary, which other reporters write on the same event
    process.once('exit', () => {
      process.stdout.write(
        `\n${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
      );
    });
  }
}

module.exports = ClosingLineReporter;
