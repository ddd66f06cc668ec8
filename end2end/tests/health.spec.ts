// The two addresses that monitoring asks.
import { expect, test } from "../campfire.ts";

test("a fresh server says that it is well", async ({ request }) => {
  const health = await request.get("/health");
  expect(health.status()).toBe(200);
  expect(await health.json()).toMatchObject({
    status: "ok",
    timestamp: expect.anything(),
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  expect((await request.get("/up")).status()).toBe(200);
});
