// How the browser tests run: the system's own Chromium, headless, against the release binary that
// each test starts for itself (campfire.ts). Nothing is tried twice: a flaky test is a failing test.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  workers: 2,
  fullyParallel: true,
  retries: 0,
  // For a machine with two cores that compiles something at the same time; nothing waits so long
  // when all is well, because tests wait for events and never for the clock.
  timeout: 120_000,
  expect: { timeout: 15_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: "list",
  use: {
    locale: "en-GB",
    timezoneId: "UTC",
    actionTimeout: 20_000,
    navigationTimeout: 30_000,
    // Without copies of the document: in a room of 300 messages each would take seconds.
    trace: { mode: "retain-on-failure", snapshots: false },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        // The browser itself asks nobody on the network for anything.
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
